package pool_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// echo is a TCP server that returns what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil: // out of descriptors: some will be free
				time.Sleep(time.Millisecond)
				continue
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestRawTCPGoesThroughAProxy(t *testing.T) {
	t.Parallel()
	addr := echo(t)
	list, source := proxies(t, 3, proxylitetest.ProxyOptions{
		Username: "bob", Password: "secret", Hosts: map[string]string{"echo.test:7": addr},
	})
	list[0].SetFault(proxylitetest.ProxyFault{Dead: true})
	p := newPool(t, source)
	for range 6 {
		conn, err := p.DialContext(t.Context(), "tcp", "echo.test:7") // a name that only the proxy knows
		require.NoError(t, err)
		_, err = io.WriteString(conn, "ping")
		require.NoError(t, err)
		answer := make([]byte, 4)
		_, err = io.ReadFull(conn, answer)
		require.NoError(t, err)
		require.Equal(t, "ping", string(answer))
		require.Equal(t, 1, p.Stats().InFlight)
		require.NoError(t, conn.Close())
		require.Zero(t, p.Stats().InFlight)
	}
	require.EqualValues(t, 6, p.Stats().Worked)
	require.NotZero(t, p.Stats().Retries)
	require.Equal(t, 6, sum(tunnels(list)))
}

// A connection outlives the pool that made it.
func TestAConnectionFinishesAfterClose(t *testing.T) {
	t.Parallel()
	addr := echo(t)
	_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	p := newPool(t, source)
	conn, err := p.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	_, err = io.WriteString(conn, "ping")
	require.NoError(t, err)
	answer := make([]byte, 4)
	_, err = io.ReadFull(conn, answer)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestRefusalsOverSOCKS5AreTypedErrors(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	addr := site.Listener.Addr().String()
	const nobody = "127.0.0.1:1" // a port that was just free may be another test's by now
	proxy := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "bob", Password: "secret"})
	wrong, none := proxy.Endpoint(), proxy.Endpoint()
	wrong.Password = proxylite.NewPassword("wrong")
	none.Username, none.Password = "", proxylite.Password{}

	for _, endpoint := range []pool.Source{pool.Fixed(wrong), pool.Fixed(none)} {
		p := newPool(t, endpoint, trusting(site), pool.WithScheme("socks5"))
		_, err := p.DialContext(t.Context(), "tcp", addr)
		require.ErrorIs(t, err, pool.ErrProxyAuth)
		p = newPool(t, endpoint, trusting(site), pool.WithScheme("socks5"))
		_, err = get(t.Context(), p.Transport(), site.URL)
		require.ErrorIs(t, err, pool.ErrProxyAuth)
	}

	// The proxy is well, but does not reach the target.
	p := newPool(t, pool.Fixed(proxy.Endpoint()), trusting(site), pool.WithScheme("socks5"), pool.WithAttempts(1), pool.WithCoolDown(time.Hour, time.Hour))
	_, err := p.DialContext(t.Context(), "tcp", nobody)
	e, ok := errors.AsType[*pool.ConnectError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []any{0, proxy.Endpoint().Addr()}, []any{e.Status, e.Proxy})
	require.NotEmpty(t, e.Reason)
	_, err = get(t.Context(), newPool(t, pool.Fixed(proxy.Endpoint()), pool.WithScheme("socks5"), pool.WithAttempts(1)).Transport(), "http://"+nobody)
	_, ok = errors.AsType[*pool.ConnectError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 1, p.Stats().Live)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.GetFor(ctx, nobody)
	require.ErrorIs(t, err, pool.ErrNoProxy, "out for this target")
	l, err := p.GetFor(t.Context(), "127.0.0.1:2") // but for no other port
	require.NoError(t, err)
	l.Done(pool.Unjudged)
}

func TestDialingWantsTCPAndAPort(t *testing.T) {
	t.Parallel()
	p := newPool(t, (&made{}).source(1))
	for _, tt := range [][2]string{{"udp", "a.test:1"}, {"tcp", "a.test"}} {
		_, err := p.DialContext(t.Context(), tt[0], tt[1])
		require.ErrorContains(t, err, "can dial tcp to host:port only")
	}
	require.Zero(t, p.Stats().Fetches)
}

// Every scheme leads through the proxy, plain and over TLS.
func TestEverySchemeWorks(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "socks5", "socks5h"} {
		for _, secure := range []bool{true, false} {
			site := newTarget(t, secure, nil)
			list, source := proxies(t, 1, proxylitetest.ProxyOptions{Username: "bob", Password: "secret"})
			p := newPool(t, source, trusting(site), pool.WithScheme(scheme))
			for range 3 {
				body, err := get(t.Context(), p.Transport(), site.URL)
				require.NoError(t, err, scheme)
				require.Equal(t, "hello", body)
			}
			require.NotZero(t, list[0].Stats().Requests)
			client := &http.Client{Transport: p.Transport(), Timeout: time.Minute}
			resp, err := client.Get(site.URL)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
	}
}
