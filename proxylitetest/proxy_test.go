package proxylitetest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// through is a client that goes through a proxy and reuses no connection.
func through(t *testing.T, proxy *url.URL, target *httptest.Server) *http.Client {
	t.Helper()
	transport := target.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(proxy)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestAllProtocolsShareOnePort(t *testing.T) {
	t.Parallel()
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	targets := []*httptest.Server{httptest.NewServer(hello), httptest.NewTLSServer(hello)}
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u", Password: "p"})
	for _, target := range targets {
		t.Cleanup(target.Close)
		for _, scheme := range []string{"http", "socks5", "socks5h"} {
			status, body := get(t, through(t, p.Endpoint().URL(scheme), target), target.URL)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, "hello", body)
		}
	}
	require.Equal(t, proxylitetest.ProxyStats{Connections: 6, Requests: 6, Tunnels: 5}, p.Stats())
}
