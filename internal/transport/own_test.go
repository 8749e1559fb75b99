package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
		in, early, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		go func() { _, _ = io.Copy(out, early); _ = out.Close() }() // it may have the first byte already
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

// A write that timed out with no byte written is no proof: a multiplexed connection may
// have queued it, and send it later.
func TestAWriteThatTimedOutMayHaveBeenSent(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, func(*http.Request) {})
	for _, op := range apitest.UnsafeOperations() {
		tr := apitest.TrustingTransport()
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &queueing{Conn: conn}, err
		}
		_, err := op.Call(t.Context(), apitest.Client(t, tr, server.URL))
		require.Equal(t, proxylite.OutcomeUnknown, apitest.AsError(t, err).Outcome, "%s: %v", op.Name, err)
	}
}

// queueing says of the request that it timed out.
type queueing struct {
	net.Conn
	written int
}

func (q *queueing) Write(p []byte) (int, error) {
	if q.written++; q.written > 2 { // ClientHello, Finished
		return 0, os.ErrDeadlineExceeded
	}
	return q.Conn.Write(p)
}
