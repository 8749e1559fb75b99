package localproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("NO_PROXY", "*") // nothing in the environment may lead around a proxy
	goleak.VerifyTestMain(m)
}

const patience = time.Minute

// lab is a local proxy over upstreams with a login, with sites behind them: site.test
// and secure.test.
type lab struct {
	t         *testing.T
	upstreams []*proxylitetest.Proxy
	pool      *pool.Pool
	local     *localproxy.Server
	addr      string
	site      *httptest.Server
	secure    *httptest.Server
	roots     *http.Transport // trusts secure.test
	hosts     map[string]string
	elsewhere string // where other targets lead; empty: they are refused
}

func newLab(t *testing.T, upstreams int, handler http.HandlerFunc, opts ...localproxy.Option) *lab {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
	}
	l := &lab{t: t, site: httptest.NewServer(handler), secure: httptest.NewTLSServer(handler)}
	t.Cleanup(l.site.Close)
	t.Cleanup(l.secure.Close)
	l.roots = l.secure.Client().Transport.(*http.Transport)
	l.hosts = map[string]string{
		"site.test": l.site.Listener.Addr().String(), "example.com": l.secure.Listener.Addr().String(), // the name in its certificate
		"echo.test": echo(t),
	}
	l.pool = l.newPool(upstreams)
	l.local, l.addr = serve(t, l.pool, opts...)
	return l
}

func (l *lab) newPool(upstreams int, opts ...pool.Option) *pool.Pool {
	l.t.Helper()
	var endpoints []proxylite.Endpoint
	for range upstreams {
		opts := proxylitetest.ProxyOptions{Username: "bob", Password: "secret", Hosts: l.hosts}
		if l.elsewhere != "" {
			opts.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if !strings.HasPrefix(addr, "127.0.0.1:") {
					addr = l.elsewhere
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		}
		u := proxylitetest.NewProxy(l.t, opts)
		l.upstreams = append(l.upstreams, u)
		endpoints = append(endpoints, u.Endpoint())
	}
	p, err := pool.New(pool.Fixed(endpoints...), opts...)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = p.Close() })
	return p
}

// serve starts a local proxy, and ends it with the test.
func serve(t *testing.T, p *pool.Pool, opts ...localproxy.Option) (*localproxy.Server, string) {
	t.Helper()
	local, err := localproxy.New(p, opts...)
	require.NoError(t, err)
	return local, start(t, local)
}

func start(t *testing.T, local *localproxy.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- local.Serve(listener) }()
	t.Cleanup(func() {
		_ = local.Close()
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return listener.Addr().String()
}

// client goes through the local proxy; user may be empty.
func (l *lab) client(scheme, user string) *http.Client {
	u := &url.URL{Scheme: scheme, Host: l.addr}
	if user != "" {
		u.User = url.UserPassword(user, "x")
	}
	tr := &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: l.roots.TLSClientConfig.Clone(), ForceAttemptHTTP2: true}
	l.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func (l *lab) get(c *http.Client, url string) (*http.Response, string) {
	l.t.Helper()
	resp, err := c.Get(url)
	require.NoError(l.t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, resp.Body.Close())
	return resp, string(b)
}

// dial opens a tunnel, and returns the response and what can be read behind it.
func (l *lab) connect(target, header string) (*http.Response, *net.TCPConn, *bufio.Reader) {
	l.t.Helper()
	c := l.dial()
	_, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, target, header)
	require.NoError(l.t, err)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	require.NoError(l.t, err)
	return resp, c, r
}

func (l *lab) dial() *net.TCPConn {
	l.t.Helper()
	c, err := net.Dial("tcp", l.addr)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// send writes something and reads until the end.
func (l *lab) send(text string) string {
	l.t.Helper()
	c := l.dial()
	_, err := io.WriteString(c, text)
	require.NoError(l.t, err)
	b, err := io.ReadAll(c)
	require.NoError(l.t, err)
	return string(b)
}

// used counts the requests to each upstream.
func (l *lab) used() (n []int) {
	for _, u := range l.upstreams {
		n = append(n, u.Stats().Requests)
	}
	return n
}

func echo(t *testing.T) string {
	t.Helper()
	return apitest.Listen(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}

func TestOnePortSpeaksEveryProtocol(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2, nil)
	for _, scheme := range []string{"http", "socks5", "socks5h"} {
		for _, target := range []string{"http://site.test/", "https://example.com/"} {
			resp, body := l.get(l.client(scheme, ""), target)
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, "hello", body)
		}
	}
	require.Equal(t, []int{3, 3}, l.used(), "all went through proxies, in turn")
	s := l.local.Stats()
	require.Equal(t, []uint64{6, 5, 0}, []uint64{s.Requests, s.Tunnels, s.Refused})
}

func TestOnlyLoopbackIsOpenToAll(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue // no IPv6
		}
		require.ErrorContains(t, l.local.Serve(listener), "not a loopback address")
		_, err = listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
	local, err := localproxy.New(l.pool, localproxy.WithLogin("ann", "x"))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- local.Serve(listener) }()
	l.addr = fmt.Sprintf("127.0.0.1:%d", listener.Addr().(*net.TCPAddr).Port)
	resp, _ := l.get(l.client("http", "ann"), "http://site.test/")
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, local.Close())
	require.ErrorIs(t, <-done, http.ErrServerClosed)
	again, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, local.Serve(again), http.ErrServerClosed)
}

func TestFailover(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3, nil)
	l.upstreams[0].SetFault(proxylitetest.ProxyFault{Dead: true})
	l.upstreams[1].SetFault(proxylitetest.ProxyFault{Status: 509})
	for range 5 {
		resp, _ := l.get(l.client("http", ""), "https://example.com/")
		require.Equal(t, 200, resp.StatusCode)
		resp, _ = l.get(l.client("socks5", ""), "http://site.test/")
		require.Equal(t, 200, resp.StatusCode)
		resp, _ = l.get(l.client("http", ""), "http://site.test/")
		require.Equal(t, 200, resp.StatusCode)
	}
}

// Without a proxy to use, the request fails, though the target could be reached.
func TestNothingGoesDirect(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	l := newLab(t, 1, func(http.ResponseWriter, *http.Request) { hits.Add(1) },
		localproxy.WithPrivateTargets(), localproxy.WithConnectTimeout(100*time.Millisecond))
	l.upstreams[0].SetFault(proxylitetest.ProxyFault{Dead: true})
	direct := l.site.Listener.Addr().String()
	try := func(want string) {
		t.Helper()
		for _, target := range []string{direct, strings.Replace(direct, "127.0.0.1", "localhost", 1)} {
			resp, body := l.get(l.client("http", ""), "http://"+target+"/")
			require.Contains(t, []int{502, 503}, resp.StatusCode)
			require.Contains(t, want, resp.Header.Get("Proxylite-Reason"))
			require.True(t, json.Valid([]byte(body)), body)
			resp, _, _ = l.connect(target, "")
			require.Contains(t, []int{502, 503}, resp.StatusCode)
			require.Contains(t, want, resp.Header.Get("Proxylite-Reason"))
			_, err := l.client("socks5", "").Get("http://" + target + "/")
			require.Error(t, err)
		}
	}
	try("failed no_proxy stopped")
	l.upstreams[0].SetFault(proxylitetest.ProxyFault{})
	require.NoError(t, l.pool.Close())
	try("closed")
	require.Zero(t, hits.Load())
}

func TestATunnelIsTransparent(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // a MiB

	// What comes behind the CONNECT is not lost, and one side may end first.
	resp, c, r := l.connect("echo.test:7", "")
	require.Equal(t, 200, resp.StatusCode)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(big)
		sent <- errors.Join(err, c.CloseWrite())
	}()
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, <-sent)
	require.True(t, bytes.Equal(big, got))

	// Small messages go back and forth.
	_, c, r = l.connect("echo.test:7", "")
	for i := range 100 {
		message := strings.Repeat("x", i*97+1)
		_, err := io.WriteString(c, message)
		require.NoError(t, err)
		b := make([]byte, len(message))
		_, err = io.ReadFull(r, b)
		require.NoError(t, err)
		require.Equal(t, message, string(b))
	}
	require.Eventually(t, func() bool { return l.local.Stats().Up > 1<<20 }, patience, time.Millisecond)

	// A broken upstream is not taken for an end.
	l.upstreams[0].SetFault(proxylitetest.ProxyFault{Dead: true})
	_, err = r.ReadByte()
	require.ErrorContains(t, err, "reset")
}

func TestPlainHTTPIsTransparent(t *testing.T) {
	t.Parallel()
	var header http.Header
	l := newLab(t, 1, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Proxylite-Reason", "forged")
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(201)
		_, _ = w.Write(b)
		w.Header().Set("X-Sum", fmt.Sprint(len(b)))
	})
	c := l.client("http", "session-a")
	c.Transport.(*http.Transport).DisableCompression = true
	c.Transport.(*http.Transport).ExpectContinueTimeout = patience // it waits for 100 Continue
	req, err := http.NewRequest(http.MethodPost, "http://site.test/a?b", strings.NewReader(strings.Repeat("x", 100_000)))
	require.NoError(t, err)
	req.Header.Set("Expect", "100-continue")
	resp, err := c.Do(req)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, b, 100_000)
	require.Equal(t, "100000", resp.Trailer.Get("X-Sum"))
	require.Empty(t, resp.Header.Get("Proxylite-Reason"))
	require.Empty(t, header.Get("Proxy-Authorization"))
	require.Empty(t, header.Get("X-Forwarded-For"))
	require.Empty(t, header.Get("Via"))
	require.Equal(t, "identity", header.Get("Accept-Encoding"), "nothing is packed that the client can't unpack")

	s := l.local.Sessions()[0]
	require.Greater(t, s.Up, int64(100_000))
	require.Eventually(t, func() bool { return l.local.Sessions()[0].Down > 100_000 && l.local.Sessions()[0].Active == 0 }, patience, time.Millisecond)
	require.Equal(t, "site.test", l.local.Targets()[0].Name)
}

// A connection may ask for a tunnel after plain requests.
func TestATunnelAfterPlainRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	c := l.dial()
	r := bufio.NewReader(c)
	for range 2 {
		_, err := io.WriteString(c, "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
	}
	_, err := io.WriteString(c, "CONNECT echo.test:7 HTTP/1.1\r\nHost: echo.test:7\r\n\r\nearly")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, c.CloseWrite())
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "early", string(b))
	require.Eventually(t, func() bool { s := l.local.Stats(); return s.Active == 0 && s.Connections == 0 }, patience, time.Millisecond)
}

func TestAnUpgradePassesThrough(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, "got "+line)
	})
	c := l.dial()
	_, err := io.WriteString(c, "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	require.NoError(t, err)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, 101, resp.StatusCode)
	_, err = io.WriteString(c, "ping\n")
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "got ping\n", line)
}

func TestShutdownLetsTunnelsFinish(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	_, c, r := l.connect("echo.test:7", "")
	idle, resting := l.dial(), l.client("http", "")
	_, _ = l.get(resting, "http://site.test/")
	require.Eventually(t, func() bool { return l.local.Stats().Connections == 3 }, patience, time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- l.local.Shutdown(t.Context()) }()
	_, err := idle.Read(make([]byte, 1))
	require.Error(t, err, "a connection that has said nothing ends")
	require.Eventually(t, func() bool { return l.local.Stats().Connections == 1 }, patience, time.Millisecond)
	_, err = net.Dial("tcp", l.addr)
	require.Error(t, err)
	_, err = io.WriteString(c, "ping")
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 4))
	require.NoError(t, err)
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned before the tunnel had ended: %v", err)
	default:
	}
	require.NoError(t, c.CloseWrite())
	_, err = r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, <-done)
}

func TestShutdownCutsInTheEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	_, _, r := l.connect("echo.test:7", "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.local.Shutdown(ctx), context.DeadlineExceeded)
	_, err := r.ReadByte()
	require.Error(t, err)
	require.Zero(t, l.local.Stats().Connections)
}

// What is passed on does not stay in memory.
func TestLargeTransfersTakeLittleMemory(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	size := int64(64 << 20)
	if os.Getenv("PROXYLITE_LONG") != "" {
		size = 1 << 30
	}
	l := newLab(t, 1, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Got", fmt.Sprint(n))
		_, _ = io.CopyN(w, zeros{}, size)
	})
	var most uint64
	measure := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}
	measure()
	before := most
	for _, target := range []string{"http://site.test/", "https://example.com/"} {
		c := l.client("http", "")
		c.Timeout = 10 * time.Minute
		req, err := http.NewRequest(http.MethodPost, target, io.LimitReader(zeros{}, size))
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(size), resp.Header.Get("X-Got"))
		var got int64
		for {
			n, err := io.CopyN(io.Discard, resp.Body, size/16)
			got += n
			measure()
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
		}
		require.Equal(t, size, got)
		require.NoError(t, resp.Body.Close())
	}
	require.Less(t, most-before, uint64(32<<20))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
