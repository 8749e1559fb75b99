package pool_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// A request without a body says so, with the length 0 where its method may have one.
func TestARequestWithoutABodyIsNotChunked(t *testing.T) {
	t.Parallel()
	type seen struct {
		length  int64
		chunked bool
	}
	for _, secure := range []bool{false, true} {
		var last atomic.Pointer[seen]
		site := newTarget(t, secure, func(_ http.ResponseWriter, r *http.Request) {
			last.Store(&seen{r.ContentLength, len(r.TransferEncoding) > 0})
		})
		for _, scheme := range []string{"http", "socks5"} {
			_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
			p := newPool(t, source, trusting(site), pool.WithScheme(scheme))
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET"} {
				for _, body := range []io.Reader{nil, http.NoBody, strings.NewReader("")} {
					req, err := http.NewRequestWithContext(t.Context(), method, site.URL, body)
					require.NoError(t, err)
					require.NoError(t, send(t, p.Transport(), req))
					require.Equal(t, seen{}, *last.Load(), method)
				}
			}
		}
	}
}

// What is given up is closed at once: the dial, and the connection to a proxy that
// does not answer.
func TestWhatIsGivenUpIsClosed(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"pool", "cancel", "deadline"} {
		for _, phase := range []string{"dial", "connect"} {
			t.Run(who+"/"+phase, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var open atomic.Int64
					tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
						open.Add(1)
						if phase == "dial" {
							<-ctx.Done()
							open.Add(-1)
							return nil, ctx.Err()
						}
						client, server := net.Pipe()
						go func() {
							_, _ = io.Copy(io.Discard, server)
							open.Add(-1)
						}()
						return client, nil
					}}
					p := newPool(t, (&made{}).source(5), pool.WithTransport(tr), pool.WithConnectTimeout(time.Second), pool.WithAttempts(1))
					ctx, cancel := context.WithCancel(t.Context())
					switch who {
					case "cancel":
						time.AfterFunc(100*time.Millisecond, cancel)
					case "deadline":
						ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
					}
					defer cancel()
					var work sync.WaitGroup
					for range 50 {
						work.Go(func() {
							_, err := get(ctx, p.Transport(), "https://target.test/")
							require.Error(t, err)
						})
					}
					work.Wait()
					synctest.Wait()
					require.Zero(t, open.Load())
					require.Zero(t, p.Stats().InFlight)
				})
			})
		}
	}
}

// slowSecondDial is a transport to responses that take half a second, so that two requests
// want two connections. The second one waits first, and is not made if that fails.
func slowSecondDial(wait func(context.Context) error) (tr *http.Transport, dials *atomic.Int64) {
	n := newNetwork()
	n.answer = func(addr string, _ *http.Request) *http.Response {
		time.Sleep(500 * time.Millisecond)
		return plain(200, addr)
	}
	tr, dials = n.transport(), new(atomic.Int64)
	dial := tr.DialContext
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) == 2 {
			if err := wait(ctx); err != nil {
				return nil, err
			}
		}
		return dial(ctx, network, addr)
	}
	return tr, dials
}

// A connection that is still being made when its request has got another one is for the
// next requests, though the context of the first is done.
func TestAConnectionThatItsRequestDidNotNeedIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr, dials := slowSecondDial(func(ctx context.Context) error {
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		p := newPool(t, (&made{}).source(1), pool.WithTransport(tr))
		for range 2 {
			var work sync.WaitGroup
			for range 2 {
				work.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					_, err := get(ctx, p.Transport(), "http://target.test/")
					require.NoError(t, err)
				})
			}
			work.Wait()
			time.Sleep(3 * time.Second)
		}
		require.Equal(t, int64(2), dials.Load())
	})
}

// Close of the pool ends it.
func TestCloseEndsAConnectionThatIsBeingMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		tr, _ := slowSecondDial(func(ctx context.Context) error {
			<-ctx.Done()
			ended.Add(1)
			return ctx.Err()
		})
		p := newPool(t, (&made{}).source(1), pool.WithTransport(tr))
		var work sync.WaitGroup
		for range 2 {
			work.Go(func() {
				_, err := get(t.Context(), p.Transport(), "http://target.test/")
				require.NoError(t, err)
			})
		}
		work.Wait()
		synctest.Wait()
		require.Zero(t, ended.Load())
		require.NoError(t, p.Close())
		synctest.Wait()
		require.EqualValues(t, 1, ended.Load())
	})
}

// Waiting for a turn is no failure to connect.
func TestWaitingForAConnectionIsNotConnecting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, _ *http.Request) *http.Response {
			time.Sleep(600 * time.Millisecond)
			return plain(200, addr)
		}
		tr := n.transport()
		tr.MaxConnsPerHost = 1
		p := newPool(t, (&made{}).source(2), pool.WithTransport(tr), pool.WithConnectTimeout(time.Second))
		var work sync.WaitGroup
		for range 20 {
			work.Go(func() {
				_, err := get(t.Context(), p.Transport(), "http://target.test/")
				require.NoError(t, err)
			})
		}
		work.Wait()
		require.Zero(t, p.Stats().Failed)
		require.Equal(t, 1, n.dials[first])
	})
}

// Idle connections are bounded over all proxies, and can be closed.
func TestIdleConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	tr := templateFor(site)
	tr.MaxIdleConns = 10
	tr.TLSClientConfig.ServerName = "example.com"
	tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	hosts := map[string]string{}
	for i := range 100 {
		hosts[strings.Repeat("h.", i+1)+"test:443"] = site.Listener.Addr().String()
	}
	list, source := proxies(t, 5, proxylitetest.ProxyOptions{Hosts: hosts})
	p := newPool(t, source, pool.WithTransport(tr))
	for host := range hosts {
		_, err := get(t.Context(), p.Transport(), "https://"+host+"/")
		require.NoError(t, err)
	}
	open := func() (n int) {
		for _, proxy := range list {
			n += proxy.Stats().Open
		}
		return n
	}
	require.Eventually(t, func() bool { return open() <= 10 }, 10*time.Second, time.Millisecond)
	require.NotZero(t, open())
	(&http.Client{Transport: p.Transport()}).CloseIdleConnections()
	require.Eventually(t, func() bool { return open() == 0 }, 10*time.Second, time.Millisecond)
}

// A TLS dialer of one's own would be left out, which is worse than an error.
func TestATLSDialerThatWouldBeIgnoredIsRefused(t *testing.T) {
	t.Parallel()
	tr := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("unused") }}
	_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	_, err := pool.New(source, pool.WithTransport(tr))
	require.ErrorContains(t, err, "DialTLSContext")
	_, err = pool.New(source, pool.WithTransport(tr), pool.WithScheme("https"))
	require.NoError(t, err)
}

// A proxy over TLS gets the login over TLS.
func TestAProxyOverTLS(t *testing.T) {
	t.Parallel()
	site, plainSite := newTarget(t, true, nil), newTarget(t, false, nil)
	inner := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "bob", Password: "secret"})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: site.TLS.Certificates})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				d, err := net.Dial("tcp", inner.Endpoint().Addr())
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(d, c); _ = d.Close() }()
				_, _ = io.Copy(c, d)
			}()
		}
	}()
	e := inner.Endpoint()
	e.Port = l.Addr().(*net.TCPAddr).Port
	p := newPool(t, pool.Fixed(e), trusting(site), pool.WithScheme("https"))
	for _, url := range []string{site.URL, plainSite.URL} {
		body, err := get(t.Context(), p.Transport(), url)
		require.NoError(t, err)
		require.Equal(t, "hello", body)
	}
	_, err = p.DialContext(t.Context(), "tcp", "target.test:1")
	require.ErrorContains(t, err, "SOCKS5")
}

// A raw connection can be half closed, for protocols that end with that.
func TestARawConnectionCanBeHalfClosed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		all, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("got "), all...))
		_ = c.Close()
	}()
	_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	p := newPool(t, source)
	c, err := p.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(c, "all")
	require.NoError(t, err)
	require.NoError(t, c.(interface{ CloseWrite() error }).CloseWrite())
	all, err := io.ReadAll(bufio.NewReader(c))
	require.NoError(t, err)
	require.Equal(t, "got all", string(all))
	require.NoError(t, c.Close())
}

// A tunnel that breaks before its first byte did not work.
func TestARawConnectionThatBreaksAtOnceFailed(t *testing.T) {
	t.Parallel()
	addr := echo(t)
	list, source := proxies(t, 2, proxylitetest.ProxyOptions{})
	list[0].SetFault(proxylitetest.ProxyFault{Reset: true})
	p := newPool(t, source)
	failed := 0
	for range 20 {
		if ping(t.Context(), p, addr) != nil {
			failed++
		}
	}
	require.Less(t, failed, 4, "%+v", p.Stats())
	require.NotZero(t, p.Stats().Failed)
}
