package proxylitetest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestAPlainRequestLosesOnlyTheHeadersOfTheHop(t *testing.T) {
	t.Parallel()
	var uri string
	var header http.Header
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uri, header = r.RequestURI, r.Header
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-End", "1")
	}))
	defer target.Close()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u", Password: "p"})
	c := dial(t, p)
	_, err := fmt.Fprintf(c, "GET http://%s/a%%2Fb?x=1;y=%%zz HTTP/1.1\r\nHost: ignored.test\r\n"+
		"Proxy-Authorization: Basic dTpw\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: 5\r\n"+
		"X-Private: 1\r\nX-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer mine\r\nX-End: 1\r\n\r\n", target.Listener.Addr())
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_ = body(t, resp)
	require.Equal(t, "/a%2Fb?x=1;y=%zz", uri)
	require.Equal(t, http.Header{"X-Forwarded-For": {"192.0.2.7"}, "Authorization": {"Bearer mine"}, "X-End": {"1"}}, header)
	require.Equal(t, "1", resp.Header.Get("X-End"))
	require.Empty(t, resp.Header.Get("X-Hop"))
}

func TestPlainBodiesAreStreamedBothWays(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		line := bufio.NewReader(r.Body)
		for {
			s, err := line.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "got "+s)
			w.(http.Flusher).Flush()
		}
	}))
	defer target.Close()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	out, in := io.Pipe()
	answers := make(chan *http.Response, 1)
	go func() {
		resp, err := through(t, p.Endpoint().HTTP(), target).Post(target.URL, "text/plain", out)
		if err != nil {
			_ = out.CloseWithError(err)
			close(answers)
			return
		}
		answers <- resp
	}()
	_, err := io.WriteString(in, "one\n")
	require.NoError(t, err)
	resp := <-answers
	r := bufio.NewReader(resp.Body)
	for _, next := range []string{"two\n", "three\n", ""} {
		got, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, got, "got ")
		_, err = io.WriteString(in, next)
		require.NoError(t, err)
	}
	require.NoError(t, in.Close())
	_, err = r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, resp.Body.Close())
}

func TestASlowAnswerOfKnownLengthIsStreamed(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "ab")
		w.(http.Flusher).Flush()
		<-more
		_, _ = io.WriteString(w, "cd")
	}))
	defer target.Close()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	resp, err := through(t, p.Endpoint().HTTP(), target).Get(target.URL)
	require.NoError(t, err)
	_, err = io.ReadFull(resp.Body, make([]byte, 2))
	close(more)
	require.NoError(t, err)
	require.Equal(t, "cd", body(t, resp))
}

func TestTheRefusalOfHEADHasNoBody(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u"})
	c := dial(t, p)
	_, err := io.WriteString(c, "HEAD http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Regexp(t, "(?s)^HTTP/1.1 407 .*\r\n\r\n$", string(got))
}

func TestAPlainUpgradeBecomesATunnel(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\n")
		_, _ = io.Copy(c, buf)
	}))
	defer target.Close()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	c := dial(t, p)
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", target.URL)
	require.NoError(t, err)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	_, err = io.WriteString(c, "ping\n")
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ping\n", line)
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)
}

func TestALargeUploadSeesItsRefusal(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	p.SetFault(proxylitetest.ProxyFault{Status: 509})
	resp, err := through(t, p.Endpoint().HTTP(), target).Post(target.URL, "text/plain", strings.NewReader(strings.Repeat("x", 16<<20)))
	require.NoError(t, err)
	require.Equal(t, "509 OK", resp.Status)
	_ = body(t, resp)
}

func TestWhatComesBehindConnectIsNotLost(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	c := dial(t, p)
	_, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.0\r\n\r\nearly", listen(t, echo))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 Connection established\r\n\r\nearly", string(got))
}

func TestAHalfClosedTunnelStillAnswers(t *testing.T) {
	t.Parallel()
	target := listen(t, func(c *net.TCPConn) {
		all, _ := io.ReadAll(c)
		_, _ = fmt.Fprintf(c, "%d bytes", len(all))
	})
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	_, c, r := connect(t, p, target)
	_, err := c.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "1048576 bytes", string(got))
	require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)
}

func TestABrokenTargetIsNotTakenForAnEnd(t *testing.T) {
	t.Parallel()
	target := listen(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		_ = c.SetLinger(0)
	})
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	_, c, r := connect(t, p, target)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.Error(t, err)
}

func TestOddInputIsAnsweredWithAnHTTPError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sent, status string }{
		{"garbage", "!\x01\x02\x03\r\n\r\n", "400 Bad Request"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 Bad Request"},
		{"a request for an origin", "GET / HTTP/1.1\r\nHost: target.test\r\n\r\n", "400 Bad Request"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: target.test\r\n\r\n", "400 Bad Request"},
		{"https in plain", "GET https://127.0.0.1/ HTTP/1.1\r\nHost: target.test\r\n\r\n", "400 Bad Request"},
		{"CONNECT without a port", "CONNECT 127.0.0.1 HTTP/1.1\r\nHost: target.test\r\n\r\n", "400 Bad Request"},
		{"CONNECT to a path", "CONNECT /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", "400 Bad Request"},
		{"huge header", "GET http://127.0.0.1/ HTTP/1.1\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		{"two lengths", "POST http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400 Bad Request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
			c := dial(t, p)
			go func() { _, _ = io.WriteString(c, tt.sent) }()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.Equal(t, tt.status, resp.Status)
			_ = body(t, resp)
			require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)
		})
	}
}

func TestAnotherProtocolIsHungUpOn(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	for _, first := range []byte{0, 4, 6, 0x16, '\n', ' ', 0x7f, 0xff} {
		c := dial(t, p)
		_, err := c.Write([]byte{first})
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
	require.Zero(t, p.Stats().Requests)
}
