package proxylite_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

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
			require.ErrorContains(t, err, "must be sent once", op.Name)
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

// Invariant 3. Every failure says what became of the call.
func TestEveryFailureSaysItsOutcome(t *testing.T) {
	t.Parallel()
	refused := httptest.NewServer(nil)
	refused.Close()
	tlsServer := httptest.NewTLSServer(nil)
	tlsServer.Config.ErrorLog = apitest.Quiet
	t.Cleanup(tlsServer.Close)
	lost := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(lost.Close)
	resolver := proxylite.NewTransport()
	resolver.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	}
	for _, tt := range []struct {
		name    string
		opts    []proxylite.Option
		kind    proxylite.Kind
		outcome proxylite.Outcome
	}{
		{"refused", []proxylite.Option{proxylite.WithBaseURL(refused.URL)}, proxylite.KindDial, proxylite.OutcomeNotSent},
		{"no name", []proxylite.Option{proxylite.WithTransport(resolver)}, proxylite.KindDNS, proxylite.OutcomeNotSent},
		{"certificate", []proxylite.Option{proxylite.WithBaseURL(tlsServer.URL)}, proxylite.KindTLS, proxylite.OutcomeNotSent},
		{"no TLS", []proxylite.Option{proxylite.WithBaseURL("https" + lost.URL[4:])}, proxylite.KindTLS, proxylite.OutcomeNotSent},
		{"lost", []proxylite.Option{proxylite.WithBaseURL(lost.URL)}, proxylite.KindTransport, proxylite.OutcomeUnknown},
		{"limiter", []proxylite.Option{proxylite.WithLimiter(apitest.LimiterFunc(func(context.Context) error { return errors.New("full") }))}, proxylite.KindConfig, proxylite.OutcomeNotSent},
		{"refusal", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(200, `{"code":1}`)))}, proxylite.KindAPI, proxylite.OutcomeRejected},
		{"not found", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(404, "")))}, proxylite.KindEdge, proxylite.OutcomeRejected},
		{"timeout 408", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(408, "")))}, proxylite.KindEdge, proxylite.OutcomeUnknown},
		{"odd", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(200, `[]`)))}, proxylite.KindMalformed, proxylite.OutcomeUnknown},
		{"nothing", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Breaks(nil)))}, proxylite.KindTransport, proxylite.OutcomeUnknown},
		{"hangs", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Hangs)), proxylite.WithAttemptTimeout(1)}, proxylite.KindTimeout, proxylite.OutcomeUnknown},
	} {
		for _, op := range apitest.Operations {
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), append(tt.opts, apitest.TryOnce)...)
			require.NoError(t, err)
			_, err = op.Call(t.Context(), c)
			e := apitest.AsError(t, err)
			require.Equal(t, tt.kind, e.Kind, "%s %s: %v", op.Name, tt.name, err)
			want := tt.outcome
			if want == proxylite.OutcomeUnknown {
				want = op.Unclear()
			}
			require.Equal(t, want, e.Outcome, "%s %s: %v", op.Name, tt.name, err)
			require.Equal(t, want == proxylite.OutcomeUnknown, errors.Is(err, proxylite.ErrOutcomeUnknown))
		}
	}
}

// When an attempt may have had its effect, a later refusal does not undo it. For
// a read there is nothing to undo.
func TestAnUnknownAttemptKeepsTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, op := range apitest.Operations {
			_, err := op.Call(t.Context(), apitest.Playing(apitest.Reply(502, ""), apitest.Reply(200, `{"code":1,"msg":"gone"}`)).Client(t))
			e := apitest.AsError(t, err)
			require.Equal(t, op.Class != proxylite.ClassSafe, errors.Is(err, proxylite.ErrOutcomeUnknown), op.Name)
			if op.Class != proxylite.ClassUnsafe {
				require.Equal(t, []any{1, 2}, []any{e.Code, e.Attempts}, op.Name)
			}
		}
	})
}

// Invariant 4. A call ends: by the clock of its attempts, with its context, even
// between two attempts.
func TestACallEnds(t *testing.T) {
	t.Parallel()
	slowBody := func(r *http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(200, "")
		resp.Body = io.NopCloser(apitest.ReaderFunc(func([]byte) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }))
		return resp, nil
	}
	synctest.Test(t, func(t *testing.T) {
		never := proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1})
		for name, step := range map[string]func(*http.Request) (*http.Response, error){"no answer": apitest.Hangs, "no body": slowBody} {
			begin := time.Now()
			_, err := apitest.Playing(step).Client(t, never).Accounts.List(t.Context())
			e := apitest.AsError(t, err)
			require.Equal(t, proxylite.KindTimeout, e.Kind, name)
			require.True(t, e.Timeout())
			require.ErrorContains(t, err, "response within 30s", name)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 3, e.Attempts, name)
			require.InDelta(t, 90*time.Second, time.Since(begin), float64(time.Microsecond), "30 s an attempt")

			begin = time.Now()
			_, err = apitest.Playing(step).Client(t, proxylite.WithAttemptTimeout(time.Hour)).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1}, proxylite.CallTimeout(2*time.Second))
			require.Equal(t, 1, apitest.AsError(t, err).Attempts, name)
			require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
			require.Equal(t, 2*time.Second, time.Since(begin))

			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("request over"))
			begin = time.Now()
			_, err = apitest.Playing(step).Client(t).Accounts.List(ctx)
			require.Equal(t, 5*time.Second, time.Since(begin))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "request over", name)
			require.Equal(t, 1, apitest.AsError(t, err).Attempts)
			cancel()

			ctx, cancelNow := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancelNow)
			begin = time.Now()
			_, err = apitest.Playing(step).Client(t).Accounts.List(ctx)
			require.Equal(t, time.Second, time.Since(begin))
			require.Equal(t, proxylite.KindCanceled, apitest.AsError(t, err).Kind)
			require.ErrorIs(t, err, context.Canceled)
		}

		// A context ends the wait at once, and the last failure is not lost.
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("shop closed")) })
		begin := time.Now()
		s := apitest.Playing(apitest.Breaks(io.ErrUnexpectedEOF))
		s.Steps[0] = apitest.Reply(503, `{"code":77,"msg":"busy"}`, "Retry-After", "20")
		err := s.Client(t).Accounts.Enable(ctx, []string{"bob"})
		require.Equal(t, time.Second, time.Since(begin))
		e := apitest.AsError(t, err)
		require.Equal(t, proxylite.KindCanceled, e.Kind)
		require.Equal(t, []any{77, "busy", 503, 1, 20 * time.Second}, []any{e.Code, e.Message, e.Status, e.Attempts, e.RetryAfter})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "shop closed")
		require.ErrorContains(t, err, "while waiting to retry the call after: api")

		// A wait that would outlast the context is not begun.
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		begin = time.Now()
		_, err = s.Client(t).Accounts.List(ctx)
		require.Zero(t, time.Since(begin))
		require.Equal(t, 77, apitest.AsError(t, err).Code)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	})
}
