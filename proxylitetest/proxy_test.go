package proxylitetest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must not hang. Nothing takes that long, on a busy machine neither.
const patience = time.Minute

// site is a target that answers with its own host name.
func site(t *testing.T, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(s)
	t.Cleanup(s.Close)
	return s
}

// through is a client that goes through a proxy.
func through(t *testing.T, proxy *url.URL, target *httptest.Server) *http.Client {
	t.Helper()
	transport := target.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(proxy)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func fetch(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	require.NoError(t, err)
	return resp, body(t, resp)
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(b)
}

// dial opens a connection to the proxy that can't block for good.
func dial(t *testing.T, p *proxylitetest.Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Endpoint().Addr())
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// connect asks for a tunnel. What is read after the answer is what comes through it.
func connect(t *testing.T, p *proxylitetest.Proxy, target string) (*http.Response, *net.TCPConn, *bufio.Reader) {
	t.Helper()
	c := dial(t, p)
	_, err := fmt.Fprintf(c, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", target)
	require.NoError(t, err)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	return resp, c, r
}

// listen is a raw target.
func listen(t *testing.T, serve func(*net.TCPConn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func echo(c *net.TCPConn) { _, _ = io.Copy(c, c) }

// clock is moved by hand.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(1_700_000_000, c.passed.Load()) }
func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

func TestAllProtocolsShareOnePort(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u", Password: "p"})
	for _, start := range []func(*httptest.Server){(*httptest.Server).Start, (*httptest.Server).StartTLS} {
		target := site(t, start)
		for _, scheme := range []string{"http", "socks5", "socks5h"} {
			resp, got := fetch(t, through(t, p.Endpoint().URL(scheme), target), target.URL)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, target.Listener.Addr().String(), got)
		}
	}
	require.Equal(t, proxylitetest.ProxyStats{Connections: 6, Open: 6, Requests: 6, Tunnels: 5}, p.Stats())
	var protocols []string
	for _, r := range p.Requests() {
		protocols = append(protocols, r.Protocol)
		require.Equal(t, "u", r.Username)
		require.Equal(t, http.StatusOK, r.Status)
	}
	require.Equal(t, []string{"http", "socks5", "socks5", "connect", "socks5", "socks5"}, protocols)
}

func TestNamesAreResolvedByTheProxy(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	address := target.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Hosts: map[string]string{
		"target.test": "127.0.0.1", "target.test:80": address, "whole.test": address,
	}})
	for _, scheme := range []string{"http", "socks5h"} {
		c := through(t, p.Endpoint().URL(scheme), target)
		for _, host := range []string{"target.test", "target.test:" + port, "whole.test", "localhost:" + port} {
			_, got := fetch(t, c, "http://"+host)
			require.Equal(t, host, got)
		}
	}
	require.Equal(t, "target.test:80", p.Requests()[0].Target)
}

func TestNothingLeavesTheMachine(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Hosts: map[string]string{"mapped.test": "192.0.2.1"}})
	for _, target := range []string{"192.0.2.1:443", "[2001:db8::1]:443", "example.com:443", "mapped.test:443", "0.0.0.0:443", "[::ffff:192.0.2.1]:443", "127.0.0.1.example.com:80", "2130706433:80"} {
		resp, _, _ := connect(t, p, target)
		require.Equal(t, http.StatusForbidden, resp.StatusCode, target)
		require.Contains(t, body(t, resp), "not a loopback address")
		require.EqualValues(t, 2, socksReply(t, p, target), target)
	}
	require.Zero(t, p.Stats().Tunnels)
}

func TestDialMayLeaveTheMachine(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{
		Hosts: map[string]string{"mapped.test": "192.0.2.1"},
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			asked.Store(network + " " + address)
			near, far := net.Pipe()
			go func() {
				_, _ = io.Copy(far, far)
				_ = far.Close()
			}()
			return near, nil
		},
	})
	resp, c, r := connect(t, p, "mapped.test:443")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "tcp 192.0.2.1:443", asked.Load())
	_, err := io.WriteString(c, "ping")
	require.NoError(t, err)
	got := make([]byte, 4)
	_, err = io.ReadFull(r, got)
	require.NoError(t, err)
	require.Equal(t, "ping", string(got))
}

func TestAnUnreachableTargetIsABadGateway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	resp, _, _ := connect(t, p, address)
	require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	require.Contains(t, body(t, resp), "refused")
	require.EqualValues(t, 5, socksReply(t, p, address))

	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(p.Endpoint().HTTP())}}
	resp, got := fetch(t, c, "http://"+address)
	require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	require.Contains(t, got, "refused")
	require.Equal(t, "proxylitetest; error=destination_unavailable", resp.Header.Get("Proxy-Status"))
	require.Equal(t, 3, p.Stats().Refused)
}

func TestLoginDecides(t *testing.T) {
	t.Parallel()
	gateway := func(username, password string) bool {
		return strings.HasPrefix(username, "pl-bob_") && password == "secret"
	}
	plain, tls := site(t, (*httptest.Server).Start), site(t, (*httptest.Server).StartTLS)
	for _, tt := range []struct {
		name  string
		opts  proxylitetest.ProxyOptions
		login *url.Userinfo
		ok    bool
	}{
		{"none asked, none given", proxylitetest.ProxyOptions{}, nil, true},
		{"none asked, one given", proxylitetest.ProxyOptions{}, url.UserPassword("u", "p"), true},
		{"right", proxylitetest.ProxyOptions{Username: "u", Password: "p"}, url.UserPassword("u", "p"), true},
		{"right, without a password", proxylitetest.ProxyOptions{Username: "u"}, url.UserPassword("u", ""), true},
		{"wrong password", proxylitetest.ProxyOptions{Username: "u", Password: "p"}, url.UserPassword("u", "x"), false},
		{"wrong name", proxylitetest.ProxyOptions{Username: "u", Password: "p"}, url.UserPassword("x", "p"), false},
		{"missing", proxylitetest.ProxyOptions{Username: "u", Password: "p"}, nil, false},
		{"right for Auth", proxylitetest.ProxyOptions{Auth: gateway}, url.UserPassword("pl-bob_area-US", "secret"), true},
		{"wrong for Auth", proxylitetest.ProxyOptions{Auth: gateway}, url.UserPassword("pl-eve_area-US", "secret"), false},
		{"missing for Auth", proxylitetest.ProxyOptions{Auth: func(string, string) bool { return true }}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxylitetest.NewProxy(t, tt.opts)
			for _, scheme := range []string{"http", "socks5"} {
				u := p.Endpoint().URL(scheme)
				u.User = tt.login
				for _, target := range []*httptest.Server{plain, tls} {
					resp, err := through(t, u, target).Get(target.URL)
					switch {
					case tt.ok:
						require.NoError(t, err)
						require.Equal(t, http.StatusOK, resp.StatusCode)
						_ = body(t, resp)
					case scheme == "http" && target == plain:
						require.NoError(t, err)
						require.Equal(t, http.StatusProxyAuthRequired, resp.StatusCode)
						require.Equal(t, `Basic realm="proxylitetest"`, resp.Header.Get("Proxy-Authenticate"))
						_ = body(t, resp)
					case scheme == "http":
						require.ErrorContains(t, err, "Proxy Authentication Required")
					case tt.login == nil:
						require.ErrorContains(t, err, "no acceptable authentication methods")
					default:
						require.ErrorContains(t, err, "username/password authentication failed")
					}
				}
			}
			for _, r := range p.Requests() {
				require.Equal(t, !tt.ok, r.Refused)
				if tt.login != nil && (r.Protocol != "socks5" || tt.opts.Username != "" || tt.opts.Auth != nil) {
					require.Equal(t, tt.login.Username(), r.Username)
				}
				if r.Refused {
					require.Equal(t, http.StatusProxyAuthRequired, r.Status)
				}
			}
		})
	}
}

func TestAFaultRefusesAsTheVendorDoes(t *testing.T) {
	t.Parallel()
	plain, tls := site(t, (*httptest.Server).Start), site(t, (*httptest.Server).StartTLS)
	for _, tt := range []struct {
		fault  proxylitetest.ProxyFault
		status string
		body   string
		reply  byte // 0: a refused login
	}{
		{proxylitetest.ProxyFault{Status: 407}, "407 Proxy Authentication Required", "Proxy Authentication Required\n", 0},
		{proxylitetest.ProxyFault{Status: 495}, "495 OK", "OK\n", 1},
		{proxylitetest.ProxyFault{Status: 509}, "509 OK", "OK\n", 1},
		{proxylitetest.ProxyFault{Status: 512}, "512 OK", "OK\n", 2},
		{proxylitetest.ProxyFault{Status: 403}, "403 Forbidden", "Forbidden\n", 2},
		{proxylitetest.ProxyFault{Status: 502, Reason: "Upstream", Body: "gone"}, "502 Upstream", "gone\n", 1},
	} {
		t.Run(tt.status, func(t *testing.T) {
			t.Parallel()
			p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u", Password: "p"})
			p.SetFault(tt.fault)
			c := through(t, p.Endpoint().HTTP(), tls)
			var seen *http.Response
			c.Transport.(*http.Transport).OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
				seen = resp
				return nil
			}
			_, err := c.Get(tls.URL)
			require.ErrorContains(t, err, tt.status[4:])
			require.Equal(t, tt.status, seen.Status)
			require.NotEmpty(t, seen.Header.Get("Proxy-Status"))

			resp, got := fetch(t, through(t, p.Endpoint().HTTP(), plain), plain.URL)
			require.Equal(t, tt.status, resp.Status)
			require.Equal(t, tt.body, got)
			require.Equal(t, seen.Header, resp.Header)

			head, err := through(t, p.Endpoint().HTTP(), plain).Head(plain.URL)
			require.NoError(t, err)
			require.Equal(t, tt.status, head.Status)
			require.Empty(t, body(t, head))

			_, err = through(t, p.Endpoint().SOCKS5(), tls).Get(tls.URL)
			require.ErrorContains(t, err, [...]string{
				"username/password authentication failed", "general SOCKS server failure", "connection not allowed by ruleset",
			}[tt.reply])
			require.Len(t, p.Requests(), 4)
			for _, r := range p.Requests() {
				require.Equal(t, tt.fault.Status, r.Status)
				require.True(t, r.Refused)
				require.Equal(t, "u", r.Username)
			}

			p.SetFault(proxylitetest.ProxyFault{})
			_, got = fetch(t, c, tls.URL)
			require.Equal(t, tls.Listener.Addr().String(), got)
			require.Equal(t, proxylitetest.ProxyStats{Connections: 5, Open: p.Stats().Open, Requests: 5, Tunnels: 1, Refused: 4}, p.Stats())
		})
	}
}

func TestTheTargetsOwnStatusIsNotTheProxys(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(509) }))
	defer target.Close()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	resp, _ := fetch(t, through(t, p.Endpoint().HTTP(), target), target.URL)
	require.Equal(t, 509, resp.StatusCode)
	require.Empty(t, resp.Header.Get("Proxy-Status"))
	require.False(t, p.Requests()[0].Refused)
	require.Equal(t, 509, p.Requests()[0].Status)
}

func TestALifeEnds(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	var time clock
	byLife := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Life: 1000, Now: time.now})
	byHand := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Now: time.now})
	time.pass(999)
	for _, p := range []*proxylitetest.Proxy{byLife, byHand} {
		resp, _, _ := connect(t, p, target.Listener.Addr().String())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.False(t, p.Requests()[0].Expired)
	}
	time.pass(1)
	byHand.Expire()
	for _, p := range []*proxylitetest.Proxy{byLife, byHand} {
		resp, _, _ := connect(t, p, target.Listener.Addr().String())
		require.Equal(t, "509 OK", resp.Status)
		resp, _ = fetch(t, through(t, p.Endpoint().HTTP(), target), target.URL)
		require.Equal(t, "509 OK", resp.Status)
		require.EqualValues(t, 1, socksReply(t, p, target.Listener.Addr().String()))
		for _, r := range p.Requests()[1:] {
			require.True(t, r.Expired)
			require.True(t, r.Refused)
			require.Equal(t, time.now(), r.Time)
		}
		require.Equal(t, 3, p.Stats().Expired)
	}
}

func TestALoginRefusedAfterALifeIsExpiredToo(t *testing.T) {
	t.Parallel()
	var time clock
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u", Now: time.now})
	p.Expire()
	c := dial(t, p)
	_, err := io.WriteString(c, "\x05\x01\x02\x01\x01x\x00")
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "\x05\x02\x01\x01", string(got))
	require.Equal(t, []proxylitetest.ProxyRequest{{
		Time: time.now(), Protocol: "socks5", Username: "x", Status: 407, Refused: true, Expired: true,
	}}, p.Requests())
}

func TestNothingIsSentAfterTheEndOfALife(t *testing.T) {
	t.Parallel()
	answer, got := make(chan string), make(chan string, 1)
	target := listen(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, <-answer)
		b, _ := io.ReadAll(c)
		got <- string(b)
	})
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	_, c, r := connect(t, p, target)
	p.Expire()
	answer <- "late answer\n"
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "late answer\n", line)
	_, err = io.WriteString(c, "too late")
	require.NoError(t, err)
	_, err = r.ReadByte()
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Empty(t, <-got)
}

func TestADeadProxyCutsEverythingUntilItIsHealed(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	_, open, r := connect(t, p, listen(t, echo))
	idle := dial(t, p)
	require.Eventually(t, func() bool { return p.Stats().Open == 2 }, patience, time.Millisecond)

	p.SetFault(proxylitetest.ProxyFault{Dead: true})
	_, err := r.ReadByte()
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = idle.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	for range 3 {
		c, err := net.Dial("tcp", p.Endpoint().Addr())
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	require.Equal(t, 2, p.Stats().Connections)
	require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)

	p.SetFault(proxylitetest.ProxyFault{})
	resp, _, _ := connect(t, p, open.RemoteAddr().String())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestADelayComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	const delay = 30 * time.Millisecond
	target := listen(t, echo)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	for _, status := range []int{0, 509} {
		p.SetFault(proxylitetest.ProxyFault{Delay: delay, Status: status})
		start := time.Now()
		connect(t, p, target)
		require.GreaterOrEqual(t, time.Since(start), delay)
		start = time.Now()
		socksReply(t, p, target)
		require.GreaterOrEqual(t, time.Since(start), delay)
	}
}

func TestADelayEndsWithItsClient(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	p.SetFault(proxylitetest.ProxyFault{Delay: time.Hour})
	c := dial(t, p)
	_, err := io.WriteString(c, "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Stats().Open == 1 }, patience, time.Millisecond)
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)
}

func TestATunnelIsReset(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	target := listen(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, long)
		_, _ = io.Copy(io.Discard, c)
	})
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	for _, after := range []int64{-1, 0, 1, 1000, 50_000} {
		p.SetFault(proxylitetest.ProxyFault{Reset: true, ResetAfter: after})
		resp, _, r := connect(t, p, target)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		n, err := io.Copy(io.Discard, r)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.LessOrEqual(t, n, max(after, 0))
	}
	require.Equal(t, 5, p.Stats().Tunnels)

	// A target that has no more to say does not keep it from being cut.
	p.SetFault(proxylitetest.ProxyFault{Reset: true, ResetAfter: int64(len(long))})
	_, _, r := connect(t, p, target)
	_, err := io.Copy(io.Discard, r)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	p.SetFault(proxylitetest.ProxyFault{Reset: true})
	_, _, r = connect(t, p, listen(t, echo))
	_, err = r.ReadByte()
	require.ErrorIs(t, err, syscall.ECONNRESET)

	p.SetFault(proxylitetest.ProxyFault{Reset: true, ResetAfter: int64(len(long)) + 1})
	_, _, r = connect(t, p, target)
	_, err = io.ReadFull(r, make([]byte, len(long)))
	require.NoError(t, err)
}

func TestAPlainAnswerIsReset(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = w.Write(make([]byte, 100_000))
	}))
	defer target.Close()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	p.SetFault(proxylitetest.ProxyFault{Reset: true})
	c := through(t, p.Endpoint().HTTP(), target)
	_, err := c.Post(target.URL, "text/plain", strings.NewReader("order"))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.EqualValues(t, 1, served.Load(), "the answer is lost, not the request")

	p.SetFault(proxylitetest.ProxyFault{Reset: true, ResetAfter: 50_000})
	resp, err := c.Get(target.URL)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
	require.Less(t, n, int64(50_000))
	_ = resp.Body.Close()

	p.SetFault(proxylitetest.ProxyFault{Reset: true, ResetAfter: 150_000})
	connections := p.Stats().Connections
	for range 2 {
		_, got := fetch(t, c, target.URL)
		require.Len(t, got, 100_000)
		p.SetFault(proxylitetest.ProxyFault{})
	}
	require.Equal(t, connections+1, p.Stats().Connections, "the connection is healed too")
}

func TestTheLoginIsNotPrinted(t *testing.T) {
	t.Parallel()
	opts := proxylitetest.ProxyOptions{Username: "u", Password: "s3cret"}
	p := proxylitetest.NewProxy(t, opts)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("", "proxy", p, "opts", opts)
	for _, format := range []string{"%s", "%v", "%+v", "%#v"} {
		fmt.Fprintf(&out, format+format, p, opts)
	}
	require.NotContains(t, out.String(), "s3cret")
	require.Contains(t, out.String(), p.Endpoint().Addr())
}

func TestWithoutATestItIsTheCallersToClose(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{})
	p.Close()
	_, err := net.Dial("tcp", p.Endpoint().Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestTheOldestRequestsAreForgotten(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	const requests = 4_001
	c := dial(t, p)
	go func() {
		w := bufio.NewWriter(c)
		for i := range requests {
			fmt.Fprintf(w, "GET http://%s/%d HTTP/1.1\r\nHost: x\r\n\r\n", target.Listener.Addr(), i)
		}
		_ = w.Flush()
	}()
	r := bufio.NewReader(c)
	for range requests {
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		_ = body(t, resp)
	}
	require.Len(t, p.Requests(), 2_001)
	require.Equal(t, requests, p.Stats().Requests)
}
