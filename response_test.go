package proxylite_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

func TestStatusBoundaries(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]proxylite.Kind{
		200: "", 299: "", 300: proxylite.KindRedirect, 399: proxylite.KindRedirect, 400: proxylite.KindEdge, 499: proxylite.KindEdge,
		500: proxylite.KindServer, 599: proxylite.KindServer, 600: proxylite.KindMalformed, 199: proxylite.KindMalformed,
	} {
		c, _ := apitest.Mocked(t, status, `{"code":0}`, apitest.TryOnce)
		err := c.Accounts.Enable(t.Context(), []string{"bob"})
		if kind == "" {
			require.NoError(t, err, status)
			continue
		}
		require.Equal(t, kind, apitest.AsError(t, err).Kind, status)
	}
}

// A response in an encoding that was not asked for is named.
func TestAnEncodingThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"br", "zstd", "gzip, br", strings.Repeat("x", 200)} {
		_, err := apitest.Playing(apitest.Reply(200, "\x0b\x02\x80", "Content-Encoding", coding)).Client(t).Accounts.List(t.Context())
		require.ErrorContains(t, err, fmt.Sprintf("encoded as %q", coding[:min(len(coding), 8)])[:15])
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
		require.Less(t, len(err.Error()), 300)
	}
	_, err := apitest.Playing(apitest.Reply(200, apitest.Fine, "Content-Encoding", "identity")).Client(t).Accounts.List(t.Context())
	require.NoError(t, err)
	_, err = apitest.Playing(apitest.Reply(403, "\x0b\x02\x80", "Content-Encoding", "br")).Client(t).Accounts.List(t.Context())
	require.Equal(t, proxylite.KindEdge, apitest.AsError(t, err).Kind)
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	answer := `{"code":200,"msg":"` + strings.Repeat("x", 6000) + `","data":{"list":[]}}`
	size := int64(len(answer))
	for _, tt := range []struct {
		bound int64
		ok    bool
	}{{size + 1, true}, {size, true}, {size - 1, false}, {5000, false}, {10, false}, {1, false}} {
		c, mock := apitest.Mocked(t, 200, answer, proxylite.WithMaxResponse(tt.bound))
		var raw proxylite.RawResponse
		_, err := c.Accounts.List(t.Context(), proxylite.CallRaw(&raw))
		require.Len(t, raw.Body, int(min(size, tt.bound)))
		if tt.ok {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, proxylite.ErrResponseTooLarge)
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
		require.NotErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		e := apitest.AsError(t, err)
		require.Equal(t, proxylite.OutcomeSafe, e.Outcome)
		require.Equal(t, proxylite.KindTooLarge, e.Kind)
		require.Len(t, e.Body, int(min(tt.bound, 4096)))
		require.Equal(t, 1, mock.GetTotalCallCount(), "it will not be smaller the next time")
	}
	// An endless body, and one in the text form.
	endless := apitest.Reply(200, "")
	s := apitest.Playing(func(r *http.Request) (*http.Response, error) {
		resp, err := endless(r)
		resp.Body = io.NopCloser(apitest.ReaderFunc(func(p []byte) (int, error) { return copy(p, strings.Repeat("1.2.3.4:5\n", 100)), nil }))
		return resp, err
	})
	_, err := s.Client(t, proxylite.WithMaxResponse(1<<20)).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText})
	require.ErrorIs(t, err, proxylite.ErrResponseTooLarge)
}

// The bound is on what a compressed answer unfolds to.
func TestCompressedAnswersAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }()
		_, _ = io.WriteString(z, `{"code":0,"data":{"list":[]},"x":"`+strings.Repeat("a", 4<<20)+`"}`)
	}))
	t.Cleanup(server.Close)
	for bound, ok := range map[int64]bool{5 << 20: true, 4 << 20: false} {
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithMaxResponse(bound))
		require.NoError(t, err)
		_, err = c.Accounts.List(t.Context())
		require.Equal(t, !ok, errors.Is(err, proxylite.ErrResponseTooLarge), err)
		require.Equal(t, ok, err == nil)
	}
}

// answers returns a client that gets status and body for every call.
func answers(t testing.TB, status int, body []byte) *proxylite.Client {
	t.Helper()
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithTransport(apitest.RoundTripper(
		func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})))
	require.NoError(t, err)
	return c
}

// honest checks what holds for every failure.
func honest(t *testing.T, err error, body []byte) {
	e := apitest.AsError(t, err)
	require.True(t, bytes.HasPrefix(body, e.Body) || bytes.Contains(e.Body, []byte("[REDACTED]")), "the answer is not kept: %q", e.Body)
	require.True(t, utf8.ValidString(err.Error()), "%q", err)
	require.Less(t, len(err.Error()), 4000)
	require.NotContains(t, err.Error(), apitest.Key)
}

func FuzzEnvelope(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(200, b)
	}
	f.Add(500, []byte(`{"code":"3","msg":null,"message":"x","errors":[1]}`))
	f.Add(200, []byte("\ufeff{\"code\":200.0,\"co\\u0064e\":1}"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			status = 200
		}
		err := answers(t, status, body).Accounts.Enable(t.Context(), []string{"bob"})
		if err != nil {
			honest(t, err, body)
			return
		}
		require.Less(t, status, 300)
		body = bytes.TrimPrefix(body, []byte("\ufeff"))
		var object map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(body, &object), "encoding/json does not take it")
		code, err := strconv.ParseFloat(strings.TrimSpace(strings.Trim(string(object["code"]), `"`)), 64)
		if strings.Contains(string(object["code"]), `\`) {
			return // "\u0030" in quotes
		}
		require.NoError(t, err)
		require.True(t, code == 0 || code == 200, "code %v taken for success", code)
	})
}

func FuzzEveryAnswer(f *testing.F) {
	for i, op := range apitest.Operations {
		b, err := os.ReadFile("testdata/" + op.Name + ".json")
		require.NoError(f, err)
		f.Add(uint8(i), b)
	}
	f.Add(uint8(0), []byte(`{"data":{"list":{"1":{"id":"1.0","limit_flow":"","status":false}}},"code":"200"}`))
	f.Add(uint8(10), []byte(`{"code":200,"data":["1.2.3.4:5",[{"ip":"::1","port":6,"username":1}]]}`))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		op := apitest.Operations[int(which)%len(apitest.Operations)]
		c := answers(t, 200, body)
		got, err := op.Call(t.Context(), c)
		again, errAgain := op.Call(t.Context(), c)
		require.Equal(t, got, again)
		require.Equal(t, err == nil, errAgain == nil)
		if err != nil {
			honest(t, err, body)
			require.True(t, got == nil || isZero(got), "a value besides the error: %#v", got)
			return
		}
		_, err = json.Marshal(got)
		require.NoError(t, err, "what was returned can't be stored")
		if !op.MayBeEmpty {
			require.True(t, json.Valid(bytes.TrimPrefix(body, []byte("\ufeff"))))
		}
	})
}
