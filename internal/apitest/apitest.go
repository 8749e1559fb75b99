// Package apitest has what the tests of several packages share: the table of operations,
// the fixtures, transports that play a script, a TLS server, and the search for secrets.
package apitest

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
)

// Key is the app_key of the tests.
const Key = "0123456789abcdef0123456789abcdef"

// WebPage is what a CDN sends instead of a response.
const WebPage = "<!DOCTYPE html><html><head><title> Just a moment... </title></head></html>"

// Fine is a success for the operations whose response needs no more.
const Fine = `{"code":200,"data":{"id":1,"list":[]}}`

// Quiet is a log for servers whose complaints are part of the test.
var Quiet = log.New(io.Discard, "", 0)

// TryOnce is for tests that are not about retries.
var TryOnce = proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 1})

// Root is the path to the directory of the root module, from that of the test.
var Root = sync.OnceValue(func() string {
	for dir := "."; ; dir += "/.." {
		if b, err := os.ReadFile(dir + "/go.mod"); err == nil && bytes.HasPrefix(b, []byte("module github.com/proxylite/proxylite-go\n")) {
			return dir
		}
		if abs, err := filepath.Abs(dir); err != nil || abs == filepath.Dir(abs) {
			panic("not below the root module")
		}
	}
})

// Fixture reads testdata/<name> of the root module.
func Fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Root(), "testdata", name))
	require.NoError(t, err)
	return string(b)
}

// Mocked returns a client over a transport of its own that gives every request the
// response of status and body, and that transport.
func Mocked(t testing.TB, status int, body string, opts ...proxylite.Option) (*proxylite.Client, *httpmock.MockTransport) {
	t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(status, body))
	opts = append([]proxylite.Option{proxylite.WithTransport(mock)}, opts...)
	c, err := proxylite.NewClient(proxylite.AppKey(Key), opts...)
	require.NoError(t, err)
	return c, mock
}

// Client returns a client over rt whose backoff takes no time.
func Client(t *testing.T, rt http.RoundTripper, base string, opts ...proxylite.Option) *proxylite.Client {
	c, err := proxylite.NewClient(proxylite.AppKey(Key), append([]proxylite.Option{
		proxylite.WithTransport(rt), proxylite.WithBaseURL(base),
		proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// AsError returns the *proxylite.Error that err must be.
func AsError(t testing.TB, err error) *proxylite.Error {
	t.Helper()
	var e *proxylite.Error
	require.ErrorAs(t, err, &e)
	return e
}

// BodyOf reads what a request carries.
func BodyOf(t testing.TB, r *http.Request) string {
	t.Helper()
	if r.Body == nil {
		return ""
	}
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// Repetitions is how often a test plays what depends on luck: short, or long in the long
// run, which PROXYLITE_LONG=1 asks for.
func Repetitions(short, long int) int {
	if os.Getenv("PROXYLITE_LONG") != "" {
		return long
	}
	return short
}
