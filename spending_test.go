package proxylite_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Each call that spends has a fresh connection of HTTP/1.1, whatever else the server
// offers, and only its TLS session is that of others. All other calls share HTTP/2.
func TestACallThatSpendsHasAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	type request struct {
		proto, from    string
		close, resumed bool
	}
	var got []request
	server := apitest.TLSServer(t, func(r *http.Request) {
		got = append(got, request{r.Proto, r.RemoteAddr, r.Close, r.TLS.DidResume})
	})
	c := apitest.Client(t, apitest.TrustingTransport(), server.URL)
	conns := map[string]bool{}
	for range 2 {
		for _, op := range apitest.Operations {
			got = nil
			_, err := op.Call(t.Context(), c)
			require.NoError(t, err)
			require.Len(t, got, 1)
			if op.Class != proxylite.ClassUnsafe {
				require.Equal(t, "HTTP/2.0", got[0].proto, op.Name)
				continue
			}
			require.Equal(t, request{"HTTP/1.1", got[0].from, true, len(conns) > 0}, got[0], op.Name)
			require.False(t, conns[got[0].from], "%s has the connection of another call", op.Name)
			conns[got[0].from] = true
		}
	}
	require.Len(t, conns, 2*len(apitest.UnsafeOperations()))
}

// Proxies and dialers of the caller's transport serve a call that spends, too.
func TestACallThatSpendsGoesTheWayOfTheTransport(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := apitest.TLSServer(t, func(*http.Request) { requests.Add(1) })
	var connects, dials atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connects.Add(1)
		out, err := net.Dial("tcp", r.Host)
		if !assert.NoError(t, err) {
			return
		}
		w.WriteHeader(http.StatusOK)
		in, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}))
	t.Cleanup(proxy.Close)
	proxyURL, err := url.Parse(proxy.URL)
	require.NoError(t, err)

	counting := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for name, set := range map[string]func(*http.Transport){
		"proxy":       func(tr *http.Transport) { tr.Proxy = http.ProxyURL(proxyURL); connects.Store(-1); dials.Store(1) },
		"DialContext": func(tr *http.Transport) { tr.DialContext = counting; dials.Store(0) },
		"Dial": func(tr *http.Transport) {
			tr.DialContext = nil
			tr.Dial = func(network, addr string) (net.Conn, error) { return counting(context.Background(), network, addr) }
			dials.Store(0)
		},
		"DialTLSContext": func(tr *http.Transport) {
			dials.Store(0)
			tr.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := counting(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return tls.Client(conn, &tls.Config{RootCAs: apitest.Certificate().Pool, ServerName: "127.0.0.1"}), nil
			}
		},
	} {
		tr := apitest.TrustingTransport()
		set(tr)
		requests.Store(0)
		_, err := apitest.Client(t, tr, server.URL).Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
		require.NoError(t, err, name)
		require.EqualValues(t, 1, requests.Load(), name)
		if name == "proxy" {
			require.EqualValues(t, 0, connects.Load(), name)
		}
		require.EqualValues(t, 1, dials.Load(), name)
	}
}

// Where there is no HTTP/1.1 to be had, the call is not sent, and the error says
// what to change.
func TestACallThatSpendsNeedsHTTP1(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, func(*http.Request) { t.Error("sent") })
	only2, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{apitest.Certificate().Pair}, NextProtos: []string{"h2c-not-http/1.1"}}, nil
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = only2.Close() })
	go func() {
		for {
			conn, err := only2.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // the handshake
			_ = conn.Close()
		}
	}()
	for name, tt := range map[string]struct {
		set  func(*http.Transport)
		base string
		says string
	}{
		"DialTLSContext": {func(tr *http.Transport) {
			tr.ForceAttemptHTTP2 = true
			tr.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return (&tls.Dialer{Config: &tls.Config{RootCAs: apitest.Certificate().Pool, NextProtos: []string{"h2"}}}).DialContext(ctx, network, addr)
			}
		}, server.URL, "DialTLSContext of the transport negotiated HTTP/2"},
		"server":    {func(*http.Transport) {}, "https://" + only2.Addr().String(), "the server does not speak HTTP/1.1"},
		"Protocols": {func(tr *http.Transport) { tr.Protocols = new(http.Protocols); tr.Protocols.SetHTTP2(true) }, server.URL, "by its Protocols, does not speak HTTP/1.1"},
	} {
		for _, op := range apitest.UnsafeOperations() {
			tr := apitest.TrustingTransport()
			tt.set(tr)
			_, err := op.Call(t.Context(), apitest.Client(t, tr, tt.base))
			require.ErrorContains(t, err, tt.says, name)
			e := apitest.AsError(t, err)
			require.Equal(t, []any{proxylite.KindConfig, proxylite.OutcomeNotSent, 1}, []any{e.Kind, e.Outcome, e.Attempts}, name)
		}
	}
}

// A transport that sends by means of somebody else's is used as it is, and proves
// nothing.
func TestAForeignProtocolIsUsedAndProvesNothing(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.UnsafeOperations() {
		for name, set := range map[string]func(*http.Transport, http.RoundTripper){
			"registered": func(tr *http.Transport, rt http.RoundTripper) { tr.RegisterProtocol("https", rt) },
			"TLSNextProto": func(tr *http.Transport, rt http.RoundTripper) {
				tr.TLSClientConfig.NextProtos = []string{"h2"}
				tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{"h2": func(string, *tls.Conn) http.RoundTripper { return rt }}
			},
		} {
			sent := 0
			server := apitest.TLSServer(t, func(*http.Request) { t.Error("sent by net/http") })
			tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: apitest.Certificate().Pool}, Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP1(true)
			set(tr, apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				sent++
				require.Nil(t, r.GetBody)
				require.NotNil(t, r.Body)
				return nil, errors.New("lost")
			}))
			_, err := op.Call(t.Context(), apitest.Client(t, tr, server.URL))
			require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, name)
			require.Equal(t, 1, sent, name)
		}
	}
}

// What surely was not sent says so, and is tried again where that may help.
func TestWhatWasNotSentSaysSo(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, func(*http.Request) { t.Error("sent") })
	dialing := func(conn func(net.Conn) net.Conn) func(*http.Transport) []proxylite.Option {
		return func(tr *http.Transport) []proxylite.Option {
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return conn(c), nil
			}
			return nil
		}
	}
	with := func(m proxylite.Middleware) func(*http.Transport) []proxylite.Option {
		return func(*http.Transport) []proxylite.Option { return []proxylite.Option{proxylite.WithMiddleware(m)} }
	}
	for name, set := range map[string]func(*http.Transport) []proxylite.Option{
		"Proxy fails": func(tr *http.Transport) []proxylite.Option {
			tr.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy today") }
			return nil
		},
		"bad header": with(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.Header.Set("X-Bad", "a\nb")
				return next.RoundTrip(r)
			})
		}),
		"a middleware fails": with(func(http.RoundTripper) http.RoundTripper { return apitest.RoundTripper(apitest.Breaks(io.EOF)) }),
		"a middleware makes the response": with(func(http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(apitest.Reply(503, "circuit open"))
		}),
		"a middleware outlasts the timeout": func(*http.Transport) []proxylite.Option {
			return []proxylite.Option{proxylite.WithAttemptTimeout(time.Millisecond), proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
				return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return next.RoundTrip(r)
				})
			})}
		},
		"the proxy is no proxy": func(tr *http.Transport) []proxylite.Option {
			u, _ := url.Parse(server.URL)
			u.Scheme = "http"
			tr.Proxy = http.ProxyURL(u)
			return nil
		},
		"a connection writes nothing": dialing(func(c net.Conn) net.Conn { return &mute{Conn: c} }),
	} {
		for _, op := range apitest.UnsafeOperations() {
			tr := apitest.TrustingTransport()
			opts := set(tr)
			_, err := op.Call(t.Context(), apitest.Client(t, tr, server.URL, opts...))
			require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome, "%s %s: %v", op.Name, name, err)
		}
	}
}

// mute is a connection that fails to write once its handshake is over.
type mute struct {
	net.Conn
	written int
}

func (m *mute) Write(p []byte) (int, error) {
	if m.written++; m.written > 2 { // ClientHello, Finished
		return 0, errors.New("broken pipe")
	}
	return m.Conn.Write(p)
}

// A middleware may send at the same time, again, and after it has returned. The
// server reads a call that spends once, and the outcome is never wrong.
func TestNoMiddlewareSpendsTwice(t *testing.T) {
	t.Parallel()
	type try struct {
		resp *http.Response
		err  error
	}
	hedge := func(delay time.Duration) proxylite.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				tries := make(chan try, 3)
				body := func() io.ReadCloser { return nil }
				if r.Body != nil {
					all, _ := io.ReadAll(r.Body)
					body = func() io.ReadCloser { return io.NopCloser(bytes.NewReader(all)) }
				}
				for range 3 {
					go func() {
						apitest.Pass(rand.N(delay))
						again := r.Clone(r.Context())
						again.Body = body()
						resp, err := next.RoundTrip(again)
						tries <- try{resp, err}
					}()
				}
				var last try
				for range 3 {
					if last = <-tries; last.err == nil {
						return last.resp, nil
					}
				}
				return nil, last.err
			})
		}
	}
	givesUp := func(after time.Duration) proxylite.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				done := make(chan try, 1)
				go func() {
					apitest.Pass(rand.N(after))
					resp, err := next.RoundTrip(r)
					done <- try{resp, err}
				}()
				select {
				case d := <-done:
					return d.resp, d.err
				case <-time.After(rand.N(after)):
					return nil, errors.New("gave up")
				}
			})
		}
	}
	for name, m := range map[string]proxylite.Middleware{
		"hedges at once": hedge(time.Nanosecond), "hedges": hedge(time.Second), "gives up": givesUp(time.Second),
	} {
		for _, fails := range []bool{false, true} {
			for _, op := range apitest.UnsafeOperations() {
				synctest.Test(t, func(t *testing.T) {
					for range apitest.Repetitions(20, 500) {
						var read atomic.Int32
						s := apitest.Playing(func(r *http.Request) (*http.Response, error) {
							read.Add(1)
							apitest.Pass(rand.N(time.Second))
							if fails {
								return nil, io.ErrUnexpectedEOF
							}
							return apitest.Reply(200, apitest.Fixture(t, op.Name+".json"))(r)
						})
						_, err := op.Call(t.Context(), s.Client(t, proxylite.WithMiddleware(m)))
						apitest.Pass(time.Minute) // what still runs
						require.LessOrEqual(t, read.Load(), int32(1), "%s: paid twice", name)
						if err == nil {
							require.EqualValues(t, 1, read.Load())
						} else if apitest.AsError(t, err).Outcome == proxylite.OutcomeNotSent {
							require.Zero(t, read.Load(), "%s: %v", name, err)
						}
					}
				})
			}
		}
	}
}

// Invariant 2. Whatever happens to the connections, a call that spends is
// processed once. Without a guard net/http sends a GET again for each warm one.
func TestNothingIsPaidTwice(t *testing.T) {
	t.Parallel()
	const warm = 4
	var spent sync.Map // path → *atomic.Int32
	var together sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/end-point/user/info" { // keep them all busy, so that each opens a connection
			together.Done()
			together.Wait()
			_, _ = io.WriteString(w, apitest.Fine)
			return
		}
		n, _ := spent.LoadOrStore(r.URL.Path, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(server.Close)

	for _, op := range apitest.Operations {
		if op.Class != proxylite.ClassUnsafe {
			continue
		}
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL))
		require.NoError(t, err)
		together.Add(warm)
		var wg sync.WaitGroup
		for range warm {
			wg.Go(func() { _, _ = c.User.Info(t.Context()) })
		}
		wg.Wait()

		_, err = op.Call(t.Context(), c)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.Name)
		require.Equal(t, 1, apitest.AsError(t, err).Attempts, op.Name)
		n, ok := spent.Load("/end-point" + op.Path)
		require.True(t, ok, op.Name)
		require.EqualValues(t, 1, n.(*atomic.Int32).Load(), op.Name)
	}
}

// Below a foreign transport there may be net/http. What keeps it from sending a
// request again is a body that it can't rewind.
func TestACallThatSpendsCarriesAOneShotBodyToAForeignTransport(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		once := 0
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if op.Class == proxylite.ClassUnsafe {
				require.Nil(t, r.GetBody, op.Name)
				once++
				require.True(t, r.Body != nil && r.Body != http.NoBody, op.Name)
			}
			return httpmock.NewStringResponse(200, apitest.Fine), nil
		})), proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				require.Nil(t, r.GetBody, op.Name)
				r.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
				return next.RoundTrip(r)
			})
		}))
		require.NoError(t, err)
		_, err = op.Call(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, op.Class == proxylite.ClassUnsafe, once == 1)
	}
}

// Neither may a middleware send it again, once it was out.
func TestMiddlewareCanNotSpendTwice(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		s := apitest.Playing(apitest.Reply(200, apitest.Fine))
		_, err := op.Call(t.Context(), s.Client(t, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				first, err := next.RoundTrip(r)
				if err != nil || r.Body != nil && op.KeyInBody && op.Class != proxylite.ClassUnsafe {
					return first, err // its body is read
				}
				return next.RoundTrip(r)
			})
		})))
		if op.Class == proxylite.ClassUnsafe {
			require.ErrorContains(t, err, "must be sent only once", op.Name)
			require.Len(t, s.Times, 1, op.Name)
		} else {
			require.NoError(t, err, op.Name)
		}
	}
}

// A protocol that is registered with net/http's transport sends without its
// knowing: no connection is no proof then.
func TestARegisteredProtocolProvesNothing(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		sent := 0
		tr := &http.Transport{}
		tr.RegisterProtocol("https", apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
			sent++
			return nil, errors.New("answer lost")
		}))
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(tr), proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
		require.NoError(t, err)
		_, err = op.Call(t.Context(), c)
		require.ErrorContains(t, err, "answer lost", op.Name)
		require.Equal(t, op.Unclear(), apitest.AsError(t, err).Outcome, op.Name)
		require.Equal(t, op.Class == proxylite.ClassUnsafe, sent == 1, op.Name)
	}
}

// A call that spends goes on where nothing was sent, which only net/http's own
// transport can prove.
func TestSpendingGoesOnWhereNothingWasSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, apitest.Fine) }))
	t.Cleanup(server.Close)
	for _, op := range apitest.Operations {
		for _, proven := range []bool{true, false} {
			var dials atomic.Int32
			tr := proxylite.NewTransport()
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dials.Add(1) < 3 {
					return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			var base http.RoundTripper = tr
			if !proven {
				base = apitest.RoundTripper(tr.RoundTrip)
			}
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(base),
				proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
			require.NoError(t, err)
			_, err = op.Call(t.Context(), c)
			if op.Class == proxylite.ClassUnsafe && !proven {
				require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.Name)
				require.EqualValues(t, 1, dials.Load(), op.Name)
				continue
			}
			require.NoError(t, err, op.Name)
			require.EqualValues(t, 3, dials.Load(), op.Name)
			tr.CloseIdleConnections()
		}
	}
}

// When a server ends a TLS connection before the request is written, all that the
// client writes on it is the alert that says goodbye. That is no request.
func TestAnAlertIsNoRequest(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, nil)
	for _, op := range apitest.UnsafeOperations() {
		tr := apitest.TrustingTransport()
		closed := make(chan struct{})
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &leaving{Conn: conn, closed: closed}, err
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { <-closed }, // net/http writes the request after this
		})
		_, err := op.Call(ctx, apitest.Client(t, tr, server.URL, apitest.TryOnce))
		require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome, "%s: %v", op.Name, err)
	}
}

// leaving is a connection whose other end leaves once the handshake is over.
type leaving struct {
	net.Conn
	written int
	once    sync.Once
	closed  chan struct{}
}

func (l *leaving) Write(p []byte) (int, error) {
	l.written++
	return l.Conn.Write(p)
}

func (l *leaving) Read(p []byte) (int, error) {
	if l.written > 1 { // ClientHello, Finished
		return 0, errors.New("connection reset by peer")
	}
	return l.Conn.Read(p)
}

func (l *leaving) Close() error {
	defer l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}
