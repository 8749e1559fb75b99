package localproxy_test

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/localproxy"
)

func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2, nil, localproxy.WithConnectTimeout(10*time.Second))
	refusal := func(target string) (status, attempts int, reason string) {
		resp, _, r := l.connect(target, "")
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		var body struct {
			Reason   string
			Message  string
			Attempts int
		}
		require.NoError(t, json.NewDecoder(io.LimitReader(r, resp.ContentLength)).Decode(&body))
		require.Equal(t, resp.Header.Get("Proxylite-Reason"), body.Reason)
		require.NotContains(t, body.Message, "secret")
		return resp.StatusCode, body.Attempts, body.Reason
	}
	status, attempts, reason := refusal("nobody.test:1")
	require.Equal(t, []any{502, "refused"}, []any{status, reason})
	require.Positive(t, attempts)

	for _, target := range []string{"", "a.test", "a.test:0", "a.test:65536", ":80", "a..test:80", "bücher.test:80", "127.1:80", "0x7f000001:80", "2130706433:80", "a.test:080"} {
		got := l.send("CONNECT " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		require.Regexp(t, "^HTTP/1.1 400 ", got, "%q", target)
	}
	require.NoError(t, l.pool.Close())
	status, _, reason = refusal("a.test:443")
	require.Equal(t, []any{503, "closed"}, []any{status, reason})
}

func TestWhatIsNotForAProxyIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n", "GET / HTTP/1.1\r\nHost: " + l.addr + "\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET https://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n", "GET ftp://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
		"CONNECT site.test:80 HTTP/x\r\n\r\n", "CONNECT site.test:80 HTTP/1.1\r\nno header\r\n\r\n",
	} {
		got := l.send(request)
		require.Regexp(t, `(?s)^HTTP/1.1 400 .*Proxylite-Reason: not_for_a_proxy\r\n.*{"reason":"not_for_a_proxy"`, got, request)
	}
	require.Equal(t, []int{0}, l.used())
}
