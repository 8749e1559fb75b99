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
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
