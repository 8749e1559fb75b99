package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

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

// A server that allows few streams is no failure, from the first call on.
func TestFewStreams(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, apitest.Fine)
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 10}
	server.TLS = apitest.TLSServer(t, nil).TLS.Clone()
	server.Config.ErrorLog = apitest.Quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	c := apitest.Client(t, apitest.TrustingTransport(), server.URL, proxylite.WithRetry(proxylite.RetryPolicy{Budget: 1, MinBackoff: time.Second}))
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { _, err := c.User.Info(t.Context()); assert.NoError(t, err) })
	}
	wg.Wait()
}

// A header that is longer than an HTTP/2 server takes is not sent.
func TestAHeaderListThatIsTooLong(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, func(r *http.Request) {
		if r.ContentLength != 0 {
			t.Error("sent")
		}
	})
	c := apitest.Client(t, apitest.TrustingTransport(), server.URL, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost {
				r = r.Clone(r.Context())
				r.Header.Set("X-Long", fmt.Sprintf("%02000000d", 1))
			}
			return next.RoundTrip(r)
		})
	}))
	_, err := c.User.Info(t.Context()) // so that the client knows the server's settings
	require.NoError(t, err)
	err = c.Accounts.Enable(t.Context(), []string{"bob"})
	require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome, "%v", err)
}
