package pool_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestATunnelTriesTheNextProxy(t *testing.T) {
	t.Parallel()
	addr := echo(t)
	for scheme, protocol := range map[string]string{"http": "connect", "socks5": "socks5"} {
		list, source := proxies(t, 3, proxylitetest.ProxyOptions{
			Username: "bob", Password: "secret", Hosts: map[string]string{"echo.test:7": addr},
		})
		list[0].SetFault(proxylitetest.ProxyFault{Status: 509})
		list[1].SetFault(proxylitetest.ProxyFault{Dead: true})
		p := newPool(t, source, pool.WithScheme(scheme))
		for range 4 {
			conn, err := p.Tunnel(t.Context(), "echo.test:7")
			require.NoError(t, err)
			echoes(t, conn)
		}
		require.NotZero(t, p.Stats().Retries)
		require.Zero(t, p.Stats().InFlight)
		require.Equal(t, protocol, list[2].Requests()[0].Protocol)
	}
}

func TestRefusalsOfATunnelAreTypedErrors(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{407: pool.ErrProxyAuth, 509: pool.ErrProxyDead, 512: pool.ErrNotAllowed, 495: pool.ErrProxyTLS} {
		list, source := proxies(t, 1, proxylitetest.ProxyOptions{Username: "bob", Password: "s3cretpassword"})
		list[0].SetFault(proxylitetest.ProxyFault{Status: status, Body: "bob:s3cretpassword"})
		_, err := newPool(t, source, pool.WithAttempts(1)).Tunnel(t.Context(), "a.test:443")
		require.ErrorIs(t, err, want)
		require.NotContains(t, err.Error(), "s3cretpassword")
		e, ok := errors.AsType[*pool.ConnectError](err)
		require.True(t, ok)
		require.Equal(t, status, e.Status)
	}
	for _, target := range []string{"a.test", ":443", "a.test\r\nX: y:443", "a test:443"} {
		_, err := newPool(t, (&made{}).source(1)).Tunnel(t.Context(), target)
		require.Error(t, err, "%q", target)
	}
}

// What a proxy sends right behind its response is the tunnel's.
func TestWhatComesWithTheResponseIsNotLost(t *testing.T) {
	t.Parallel()
	long := make([]byte, 10_000)
	for i := range long {
		long[i] = byte(i)
	}
	addr := apitest.Listen(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = conn.Write(append([]byte("HTTP/1.1 200 OK\r\n\r\n"), long...))
	})
	endpoint, err := proxylite.ParseEndpoint(addr)
	require.NoError(t, err)
	p := newPool(t, pool.Fixed(endpoint))
	for _, read := range []func(net.Conn) ([]byte, error){
		func(c net.Conn) ([]byte, error) { return io.ReadAll(c) },
		func(c net.Conn) ([]byte, error) {
			to := httptest.NewRecorder()
			_, err := io.Copy(to, c)
			return to.Body.Bytes(), err
		},
	} {
		conn, err := p.Tunnel(t.Context(), "a.test:443")
		require.NoError(t, err)
		got, err := read(conn)
		require.NoError(t, err)
		require.Equal(t, long, got)
		require.NoError(t, conn.Close())
	}
}

// Large streams are counted as they pass, and stopped by the budget.
func TestCopiesAreCounted(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	addr := echo(t)
	_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	p := newPool(t, source)
	conn, err := p.Tunnel(pool.WithSession(t.Context(), "s"), addr)
	require.NoError(t, err)
	before := p.Stats()
	near, far := apitest.TCPPair(t)
	go func() {
		_, _ = io.Copy(conn, far)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	go func() {
		_, _ = near.Write(make([]byte, size))
		_ = near.CloseWrite()
	}()
	n, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.NoError(t, conn.Close())
	after := p.Stats()
	require.EqualValues(t, size, after.Up-before.Up)
	require.EqualValues(t, size, after.Down-before.Down)
	require.GreaterOrEqual(t, p.Sessions()[0].Down, int64(size))

	limited := newPool(t, source, pool.WithByteBudget(size/2))
	cut, err := limited.Tunnel(t.Context(), addr)
	require.NoError(t, err)
	in, out := apitest.TCPPair(t)
	go func() { _, _ = in.Write(make([]byte, size)); _ = in.Close() }()
	_, err = io.Copy(cut, out)
	require.ErrorIs(t, err, pool.ErrByteBudget)
	require.Less(t, limited.Stats().Up, int64(size))
	_ = cut.Close()
}

// echoes sends through a tunnel to an echo server, and reads to the end of what comes back.
func echoes(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.WriteString(conn, "ping")
	require.NoError(t, err)
	require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
	back, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "ping", string(back))
	require.NoError(t, conn.Close())
}

// With https, the tunnel leads through TLS to the proxy.
func TestATunnelOverTLS(t *testing.T) {
	t.Parallel()
	addr := echo(t)
	list, _ := proxies(t, 1, proxylitetest.ProxyOptions{Username: "bob", Password: "secret"})
	site := httptest.NewTLSServer(nil)
	defer site.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: site.TLS.Certificates})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := net.Dial("tcp", list[0].Endpoint().Addr())
			if err != nil {
				_ = conn.Close()
				continue
			}
			go func() { _, _ = io.Copy(inner, conn); _ = inner.(*net.TCPConn).CloseWrite() }()
			go func() { _, _ = io.Copy(conn, inner); _ = conn.Close() }()
		}
	}()
	endpoint := list[0].Endpoint()
	endpoint.Port = l.Addr().(*net.TCPAddr).Port
	template := proxylite.NewTransport()
	template.TLSClientConfig = site.Client().Transport.(*http.Transport).TLSClientConfig
	p := newPool(t, pool.Fixed(endpoint), pool.WithScheme("https"), pool.WithTransport(template))
	conn, err := p.Tunnel(t.Context(), addr)
	require.NoError(t, err)
	echoes(t, conn)
}

// Browsers open tunnels that they do not use: the target closes them when the browser
// does, which is no failure of the proxy.
func TestAnUnusedTunnelIsNoFailure(t *testing.T) {
	t.Parallel()
	addr := echo(t)
	_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	for _, dial := range []func(*pool.Pool) (net.Conn, error){
		func(p *pool.Pool) (net.Conn, error) { return p.Tunnel(t.Context(), addr) },
		func(p *pool.Pool) (net.Conn, error) { return p.DialContext(t.Context(), "tcp", addr) },
	} {
		p := newPool(t, source)
		for range 3 {
			conn, err := dial(p)
			require.NoError(t, err)
			require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, conn.Close())
		}
		require.Zero(t, p.Stats().Failed)
	}
}
