package proxylite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
)

// pass lets time go by; within synctest it costs none.
func pass(d time.Duration) { <-time.After(d) }

// script answers the attempts of a call in turn, the last entry again and again,
// and remembers when they came.
type script struct {
	steps  []func(*http.Request) (*http.Response, error)
	mu     sync.Mutex
	times  []time.Time
	bodies []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		s.bodies = append(s.bodies, string(b))
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	s.mu.Unlock()
	return s.steps[min(n, len(s.steps)-1)](r)
}

// waits are the times between the attempts.
func (s *script) waits() []time.Duration {
	out := []time.Duration{}
	for i := 1; i < len(s.times); i++ {
		out = append(out, s.times[i].Sub(s.times[i-1]))
	}
	return out
}

func (s *script) client(t *testing.T, opts ...proxylite.Option) *proxylite.Client {
	t.Helper()
	c, err := proxylite.NewClient(proxylite.AppKey(testKey), append([]proxylite.Option{proxylite.WithTransport(s)}, opts...)...)
	require.NoError(t, err)
	return c
}

// reply is a step; headers are name, value.
func reply(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(status, body)
		for i := 0; i+1 < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

func breaks(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hangs is a step that ends with the attempt.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

const fine = `{"code":200,"data":{}}`

func playing(steps ...func(*http.Request) (*http.Response, error)) *script {
	return &script{steps: steps}
}

// Which failures are repeated: all or none of the classes that may be.
func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	cut := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	for name, tt := range map[string]struct {
		step    func(*http.Request) (*http.Response, error)
		repeats bool
	}{
		"429": {reply(429, ""), true}, "502": {reply(502, webPage), true}, "503": {reply(503, `{"code":503}`), true}, "504": {reply(504, ""), true},
		"EOF": {breaks(io.EOF), true}, "reset": {breaks(cut), true}, "busy DNS": {breaks(&net.DNSError{IsTemporary: true}), true},
		"400": {reply(400, ""), false}, "404": {reply(404, webPage), false}, "408": {reply(408, ""), false},
		"500": {reply(500, ""), false}, "501": {reply(501, ""), false}, "520": {reply(520, webPage), false},
		"999": {reply(999, ""), false}, "100": {reply(100, ""), false},
		"code 500": {reply(200, `{"code":500}`), false}, "no DNS": {breaks(&net.DNSError{IsNotFound: true}), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, op := range operations {
				s := playing(tt.step)
				_, err := op.call(t.Context(), s.client(t))
				want := 1
				if tt.repeats && op.repeat != proxylite.RepeatOnce {
					want = 3
				}
				require.Len(t, s.times, want, "%s %s", op.name, name)
				require.Equal(t, want, asError(t, err).Attempts)
				require.Equal(t, proxylite.OutcomeUnknown == asError(t, err).Outcome, errors.Is(err, proxylite.ErrOutcomeUnknown))
			}
		})
	}
}

// The second attempt carries what the first did, and its answer alone counts.
func TestARepeatedCallSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := playing(reply(200, `{"code":200,"data":{"list":[{"id":1,"remark":"old"}]},"x":`), breaks(io.ErrUnexpectedEOF), reply(200, `{"code":200,"data":{"list":[{"id":2}]}}`))
		s.steps[0] = reply(502, `{"code":502,"data":{"list":[{"id":1,"remark":"old"}]}}`)
		var raw proxylite.RawAnswer
		got, err := s.client(t).Accounts.List(t.Context(), proxylite.CallRaw(&raw))
		require.NoError(t, err)
		require.Equal(t, []proxylite.Account{{ID: 2, Status: proxylite.AccountStatusAbsent}}, got)
		require.Equal(t, proxylite.RawAnswer{Status: 200, Header: http.Header{}, Body: []byte(`{"code":200,"data":{"list":[{"id":2}]}}`)}, raw)

		s = playing(reply(503, ""), breaks(io.EOF), reply(200, fine))
		require.NoError(t, s.client(t).Accounts.Enable(t.Context(), []string{"bob"}))
		require.Equal(t, []string{
			`{"app_key":"` + testKey + `","accounts":"bob"}`, `{"app_key":"` + testKey + `","accounts":"bob"}`, `{"app_key":"` + testKey + `","accounts":"bob"}`,
		}, s.bodies)
	})
}

func TestBackOffGrowsWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		different := map[time.Duration]bool{}
		var longest [5]time.Duration
		for range 200 {
			s := playing(reply(502, ""))
			_, err := s.client(t, proxylite.WithRetry(proxylite.RetryPolicy{
				MaxAttempts: 6, MinBackoff: time.Second, MaxBackoff: 5 * time.Second,
			})).Accounts.List(t.Context())
			require.Equal(t, 6, asError(t, err).Attempts)
			for i, wait := range s.waits() {
				different[wait] = true
				longest[i] = max(longest[i], wait)
			}
		}
		require.Greater(t, len(different), 500, "the clients of an outage must not come back together")
		for i, limit := range []time.Duration{1, 2, 4, 5, 5} {
			require.LessOrEqual(t, longest[i], limit*time.Second)
			require.Greater(t, longest[i], limit*time.Second/2)
		}
	})
}

func TestDefaultBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := playing(reply(502, ""))
		_, err := s.client(t, proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 50})).Accounts.List(t.Context())
		require.Equal(t, 50, asError(t, err).Attempts)
		require.LessOrEqual(t, s.waits()[0], 250*time.Millisecond)
		for _, wait := range s.waits() {
			require.LessOrEqual(t, wait, 10*time.Second)
		}
	})
}

func TestRetryAfterIsRead(t *testing.T) {
	t.Parallel()
	const forever = time.Duration(1<<63 - 1)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, " 7 ": 7 * time.Second, "86400": 24 * time.Hour,
		"9223372036": 9223372036 * time.Second, "9223372037": forever, "18446744074": forever, "99999999999999999999": forever,
		"-1": 0, "1.5": 0, "soon": 0, "5, 10": 0,
		// A date counts from the answer's own clock, which says 12:00:00.
		"Mon, 01 Aug 2022 12:00:30 GMT": 30 * time.Second, "Monday, 01-Aug-22 12:01:00 GMT": time.Minute,
		"Mon, 01 Aug 2022 11:00:00 GMT": 0,
	} {
		s := playing(reply(429, "", "Retry-After", header, "Date", "Mon, 01 Aug 2022 12:00:00 GMT"))
		_, err := s.client(t, tryOnce).Accounts.List(t.Context())
		require.Equal(t, want, asError(t, err).RetryAfter, header)
	}
	synctest.Test(t, func(t *testing.T) { // without a Date, from ours
		when := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
		_, err := playing(reply(503, "", "Retry-After", when)).client(t, tryOnce).Accounts.List(t.Context())
		require.Equal(t, 20*time.Second, asError(t, err).RetryAfter)
		require.ErrorContains(t, err, "(status 503, retry after 20s, outcome unknown)")
	})
}

func TestRetryAfterIsObeyedUpToTheCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			after string
			cap   time.Duration
			waits []time.Duration
		}{
			{"5", 0, []time.Duration{5 * time.Second, 5 * time.Second}},
			{"30", 0, []time.Duration{30 * time.Second, 30 * time.Second}},
			{"31", 0, []time.Duration{}},
			{"9223372037", 0, []time.Duration{}},
			{"31", time.Minute, []time.Duration{31 * time.Second, 31 * time.Second}},
			{"2", time.Second, []time.Duration{}},
		} {
			for _, status := range []int{429, 502, 503} {
				s := playing(reply(status, "", "Retry-After", tt.after))
				begin := time.Now()
				_, err := s.client(t, proxylite.WithRetry(proxylite.RetryPolicy{MaxRetryAfter: tt.cap})).Accounts.List(t.Context())
				require.Equal(t, tt.waits, s.waits(), tt.after)
				require.NotZero(t, asError(t, err).RetryAfter)
				if len(tt.waits) == 0 {
					require.Zero(t, time.Since(begin), "above the cap the call returns at once")
				}
			}
		}
	})
}

// The budget bounds what an outage is made worse by.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		retry := func(budget int) proxylite.Option {
			return proxylite.WithRetry(proxylite.RetryPolicy{Budget: budget, MinBackoff: 1, MaxBackoff: 1})
		}
		attempts := func(c *proxylite.Client) int {
			_, err := c.Accounts.List(t.Context())
			e := asError(t, err)
			require.Equal(t, e.Attempts < 3, errors.Is(err, proxylite.ErrRetryBudget))
			require.Equal(t, proxylite.KindServer, e.Kind)
			return e.Attempts
		}
		s := playing(reply(502, ""))
		c := s.client(t, retry(3))
		require.Equal(t, []int{3, 2, 1}, []int{attempts(c), attempts(c), attempts(c)})
		pass(time.Second)
		require.Equal(t, []int{2, 1}, []int{attempts(c), attempts(c)}, "a second gives one back")
		pass(time.Hour)
		require.Equal(t, []int{3, 2, 1}, []int{attempts(c), attempts(c), attempts(c)}, "never more than the budget")

		s.steps[0] = reply(200, fine)
		for range 10 {
			_, err := c.Accounts.List(t.Context())
			require.NoError(t, err)
		}
		s.steps[0] = reply(502, "")
		require.Equal(t, []int{2, 1}, []int{attempts(c), attempts(c)}, "ten successes give one back")

		c = s.client(t, retry(-1))
		for range 200 {
			require.Equal(t, 3, attempts(c))
		}
		s.steps[0] = reply(200, fine)
		_, err := c.Accounts.List(t.Context())
		require.NoError(t, err)
		s = playing(reply(502, ""))
		c = s.client(t, retry(0))
		for range 1000 {
			_, _ = c.Accounts.List(t.Context())
		}
		require.Len(t, s.times, 1100, "an outage gets 100 more requests for its first 1000")
	})
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
			_, _ = io.WriteString(w, fine)
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

	for _, op := range operations {
		if op.repeat != proxylite.RepeatOnce {
			continue
		}
		c, err := proxylite.NewClient(proxylite.AppKey(testKey), proxylite.WithBaseURL(server.URL))
		require.NoError(t, err)
		together.Add(warm)
		var wg sync.WaitGroup
		for range warm {
			wg.Go(func() { _, _ = c.User.Info(t.Context()) })
		}
		wg.Wait()

		_, err = op.call(t.Context(), c)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.name)
		require.Equal(t, 1, asError(t, err).Attempts, op.name)
		n, ok := spent.Load("/end-point" + op.path)
		require.True(t, ok, op.name)
		require.EqualValues(t, 1, n.(*atomic.Int32).Load(), op.name)
	}
}

// What keeps net/http from sending a request again: a body that it can't rewind.
func TestACallThatSpendsCarriesAOneShotBody(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		once := 0
		c, err := proxylite.NewClient(proxylite.AppKey(testKey), proxylite.WithTransport(roundTripper(func(r *http.Request) (*http.Response, error) {
			require.Nil(t, r.GetBody, op.name)
			if op.repeat == proxylite.RepeatOnce {
				once++
				require.True(t, r.Body != nil && r.Body != http.NoBody, op.name)
			}
			return httpmock.NewStringResponse(200, fine), nil
		})), proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				require.Nil(t, r.GetBody, op.name)
				r.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
				return next.RoundTrip(r)
			})
		}))
		require.NoError(t, err)
		_, err = op.call(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, op.repeat == proxylite.RepeatOnce, once == 1)
	}
}

// Neither may a middleware send it again, once it was out.
func TestMiddlewareCanNotSpendTwice(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		s := playing(reply(200, fine))
		_, err := op.call(t.Context(), s.client(t, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				first, err := next.RoundTrip(r)
				if err != nil || r.Body != nil && op.inBody && op.repeat != proxylite.RepeatOnce {
					return first, err // its body is read
				}
				return next.RoundTrip(r)
			})
		})))
		if op.repeat == proxylite.RepeatOnce {
			require.ErrorContains(t, err, "must be sent once", op.name)
			require.Len(t, s.times, 1, op.name)
		} else {
			require.NoError(t, err, op.name)
		}
	}
}

// A call that spends goes on where nothing was sent, which only net/http's own
// transport can prove.
func TestSpendingGoesOnWhereNothingWasSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, fine) }))
	t.Cleanup(server.Close)
	for _, op := range operations {
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
				base = roundTripper(tr.RoundTrip)
			}
			c, err := proxylite.NewClient(proxylite.AppKey(testKey), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(base),
				proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
			require.NoError(t, err)
			_, err = op.call(t.Context(), c)
			if op.repeat == proxylite.RepeatOnce && !proven {
				require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.name)
				require.EqualValues(t, 1, dials.Load(), op.name)
				continue
			}
			require.NoError(t, err, op.name)
			require.EqualValues(t, 3, dials.Load(), op.name)
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
	tlsServer.Config.ErrorLog = quiet
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
		{"limiter", []proxylite.Option{proxylite.WithLimiter(limiterFunc(func(context.Context) error { return errors.New("full") }))}, proxylite.KindConfig, proxylite.OutcomeNotSent},
		{"refusal", []proxylite.Option{proxylite.WithTransport(playing(reply(200, `{"code":1}`)))}, proxylite.KindAPI, proxylite.OutcomeRejected},
		{"not found", []proxylite.Option{proxylite.WithTransport(playing(reply(404, "")))}, proxylite.KindEdge, proxylite.OutcomeRejected},
		{"timeout 408", []proxylite.Option{proxylite.WithTransport(playing(reply(408, "")))}, proxylite.KindEdge, proxylite.OutcomeUnknown},
		{"odd", []proxylite.Option{proxylite.WithTransport(playing(reply(200, `[]`)))}, proxylite.KindMalformed, proxylite.OutcomeUnknown},
		{"nothing", []proxylite.Option{proxylite.WithTransport(playing(breaks(nil)))}, proxylite.KindTransport, proxylite.OutcomeUnknown},
		{"hangs", []proxylite.Option{proxylite.WithTransport(playing(hangs)), proxylite.WithAttemptTimeout(1)}, proxylite.KindTimeout, proxylite.OutcomeUnknown},
	} {
		for _, op := range operations {
			c, err := proxylite.NewClient(proxylite.AppKey(testKey), append(tt.opts, tryOnce)...)
			require.NoError(t, err)
			_, err = op.call(t.Context(), c)
			e := asError(t, err)
			require.Equal(t, tt.kind, e.Kind, "%s %s: %v", op.name, tt.name, err)
			require.Equal(t, tt.outcome, e.Outcome, "%s %s: %v", op.name, tt.name, err)
			require.Equal(t, tt.outcome == proxylite.OutcomeUnknown, errors.Is(err, proxylite.ErrOutcomeUnknown))
		}
	}
}

// When an attempt may have had its effect, a later refusal does not undo it. For
// a read there is nothing to undo.
func TestAnUnknownAttemptKeepsTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, op := range operations {
			_, err := op.call(t.Context(), playing(reply(502, ""), reply(200, `{"code":1,"msg":"gone"}`)).client(t))
			e := asError(t, err)
			require.Equal(t, op.repeat != proxylite.RepeatRead, errors.Is(err, proxylite.ErrOutcomeUnknown), op.name)
			if op.repeat != proxylite.RepeatOnce {
				require.Equal(t, []any{1, 2}, []any{e.Code, e.Attempts}, op.name)
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
		resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }))
		return resp, nil
	}
	synctest.Test(t, func(t *testing.T) {
		never := proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1})
		for name, step := range map[string]func(*http.Request) (*http.Response, error){"no answer": hangs, "no body": slowBody} {
			begin := time.Now()
			_, err := playing(step).client(t, never).Accounts.List(t.Context())
			e := asError(t, err)
			require.Equal(t, proxylite.KindTimeout, e.Kind, name)
			require.True(t, e.Timeout())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 3, e.Attempts, name)
			require.InDelta(t, 90*time.Second, time.Since(begin), float64(time.Microsecond), "30 s an attempt")

			begin = time.Now()
			_, err = playing(step).client(t, proxylite.WithAttemptTimeout(time.Hour)).IP.Extract(t.Context(), proxylite.ExtractParams{Num: 1}, proxylite.CallTimeout(2*time.Second))
			require.Equal(t, 1, asError(t, err).Attempts, name)
			require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
			require.Equal(t, 2*time.Second, time.Since(begin))

			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("request over"))
			begin = time.Now()
			_, err = playing(step).client(t).Accounts.List(ctx)
			require.Equal(t, 5*time.Second, time.Since(begin))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 1, asError(t, err).Attempts)
			cancel()

			ctx, cancelNow := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancelNow)
			begin = time.Now()
			_, err = playing(step).client(t).Accounts.List(ctx)
			require.Equal(t, time.Second, time.Since(begin))
			require.Equal(t, proxylite.KindCanceled, asError(t, err).Kind)
			require.ErrorIs(t, err, context.Canceled)
		}

		// A context ends the wait at once, and the last failure is not lost.
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("shop closed")) })
		begin := time.Now()
		s := playing(breaks(io.ErrUnexpectedEOF))
		s.steps[0] = reply(503, `{"code":77,"msg":"busy"}`, "Retry-After", "20")
		err := s.client(t).Accounts.Enable(ctx, []string{"bob"})
		require.Equal(t, time.Second, time.Since(begin))
		e := asError(t, err)
		require.Equal(t, proxylite.KindCanceled, e.Kind)
		require.Equal(t, []any{77, "busy", 503, 1, 20 * time.Second}, []any{e.Code, e.Message, e.Status, e.Attempts, e.RetryAfter})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "shop closed")
		require.ErrorContains(t, err, "while waiting to repeat the call")

		// A wait that would outlast the context is not begun.
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		begin = time.Now()
		_, err = s.client(t).Accounts.List(ctx)
		require.Zero(t, time.Since(begin))
		require.Equal(t, 77, asError(t, err).Code)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

func TestLimiterPacesEveryAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := playing(reply(502, ""), reply(502, ""), reply(200, fine))
		c := s.client(t, proxylite.WithLimiter(limiterFunc(func(context.Context) error { pass(time.Minute); return nil })))
		begin := time.Now()
		require.NoError(t, c.Accounts.Enable(t.Context(), []string{"bob"}), "the limiter's wait is not the attempt's")
		require.GreaterOrEqual(t, time.Since(begin), 3*time.Minute)

		s = playing(reply(200, fine))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c = s.client(t, proxylite.WithLimiter(limiterFunc(func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("limiter: %w", ctx.Err()) })))
		err := c.Accounts.Enable(ctx, []string{"bob"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, proxylite.OutcomeNotSent, asError(t, err).Outcome)
		require.Empty(t, s.times)
	})
}

func TestRepeatClassesHaveNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "once idempotent read", fmt.Sprint(proxylite.RepeatOnce, " ", proxylite.RepeatIdempotent, " ", proxylite.RepeatRead))
}

// recordQueries keeps the query of every attempt, without the credential.
func recordQueries(to *[]string) proxylite.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			*to = append(*to, r.URL.RawQuery)
			return next.RoundTrip(r)
		})
	}
}
