package proxylite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Which failures are repeated: all or none of the classes that may be.
func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	cut := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	for name, tt := range map[string]struct {
		step    func(*http.Request) (*http.Response, error)
		repeats bool
	}{
		"429": {apitest.Reply(429, ""), true}, "502": {apitest.Reply(502, apitest.WebPage), true}, "503": {apitest.Reply(503, `{"code":503}`), true}, "504": {apitest.Reply(504, ""), true},
		"EOF": {apitest.Breaks(io.EOF), true}, "reset": {apitest.Breaks(cut), true}, "busy DNS": {apitest.Breaks(&net.DNSError{IsTemporary: true}), true},
		"400": {apitest.Reply(400, ""), false}, "404": {apitest.Reply(404, apitest.WebPage), false}, "408": {apitest.Reply(408, ""), false},
		"500": {apitest.Reply(500, ""), false}, "501": {apitest.Reply(501, ""), false}, "520": {apitest.Reply(520, apitest.WebPage), false},
		"999": {apitest.Reply(999, ""), false}, "100": {apitest.Reply(100, ""), false},
		"code 500": {apitest.Reply(200, `{"code":500}`), false}, "no DNS": {apitest.Breaks(&net.DNSError{IsNotFound: true}), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, op := range apitest.Operations {
				s := apitest.Playing(tt.step)
				_, err := op.Call(t.Context(), s.Client(t))
				want := 1
				if tt.repeats && op.Class != proxylite.ClassUnsafe {
					want = 3
				}
				require.Len(t, s.Times, want, "%s %s", op.Name, name)
				require.Equal(t, want, apitest.AsError(t, err).Attempts)
				require.Equal(t, proxylite.OutcomeUnknown == apitest.AsError(t, err).Outcome, errors.Is(err, proxylite.ErrOutcomeUnknown))
			}
		})
	}
}

// The second attempt carries what the first did, and its answer alone counts.
func TestARepeatedCallSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cut := func(*http.Request) (*http.Response, error) {
			resp, _ := apitest.Reply(200, "")(nil)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"code":0,"data":{"page":3,"list":[{"id":1,"trade_no":"old"}],"x":`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp, nil
		}
		s := apitest.Playing(cut, apitest.Reply(200, `{"code":200,"data":{"list":[{"id":2}]}}`))
		var raw proxylite.RawResponse
		got, err := s.Client(t).Products.List(t.Context(), proxylite.ProductListParams{}, proxylite.CallRaw(&raw))
		require.NoError(t, err)
		require.Equal(t, proxylite.Page[proxylite.PurchasedProduct]{Items: []proxylite.PurchasedProduct{{ID: 2}}}, got)
		require.Equal(t, proxylite.RawResponse{Status: 200, Header: http.Header{}, Body: []byte(`{"code":200,"data":{"list":[{"id":2}]}}`)}, raw)

		s = apitest.Playing(apitest.Reply(503, ""), apitest.Breaks(io.EOF), apitest.Reply(200, apitest.Fine))
		require.NoError(t, s.Client(t).Accounts.Enable(t.Context(), []string{"bob"}))
		require.Equal(t, []string{
			`{"app_key":"` + apitest.Key + `","accounts":"bob"}`, `{"app_key":"` + apitest.Key + `","accounts":"bob"}`, `{"app_key":"` + apitest.Key + `","accounts":"bob"}`,
		}, s.Bodies)
	})
}

func TestBackOffGrowsWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		different := map[time.Duration]bool{}
		var longest [5]time.Duration
		for range 200 {
			s := apitest.Playing(apitest.Reply(502, ""))
			_, err := s.Client(t, proxylite.WithRetry(proxylite.RetryPolicy{
				MaxAttempts: 6, MinBackoff: time.Second, MaxBackoff: 5 * time.Second,
			})).Accounts.List(t.Context())
			require.Equal(t, 6, apitest.AsError(t, err).Attempts)
			for i, wait := range s.Waits() {
				different[wait] = true
				longest[i] = max(longest[i], wait)
			}
		}
		require.Greater(t, len(different), 500, "the clients of an outage must not come back together")
		for i, limit := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			require.LessOrEqual(t, longest[i], limit)
			require.Greater(t, longest[i], limit/2)
		}
	})
}

func TestDefaultBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var first, longest time.Duration
		for range 20 {
			s := apitest.Playing(apitest.Reply(502, ""))
			_, err := s.Client(t, proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 50})).Accounts.List(t.Context())
			require.Equal(t, 50, apitest.AsError(t, err).Attempts)
			first = max(first, s.Waits()[0])
			longest = max(longest, slices.Max(s.Waits()))
		}
		require.LessOrEqual(t, first, 250*time.Millisecond)
		require.Greater(t, first, 100*time.Millisecond) // fails once in a hundred million runs
		require.LessOrEqual(t, longest, 10*time.Second)
		require.Greater(t, longest, 9*time.Second)
	})
}

func TestRetryAfterIsRead(t *testing.T) {
	t.Parallel()
	const forever = 100 * 365 * 24 * time.Hour
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, " 7 ": 7 * time.Second, "86400": 24 * time.Hour,
		"3153600000": forever, "3153599999": 3153599999 * time.Second, "9223372036": forever, "9223372037": forever, "18446744074": forever, "99999999999999999999": forever,
		"-1": 0, "1.5": 0, "soon": 0, "5, 10": 0,
		// A date counts from the answer's own clock, which says 12:00:00.
		"Mon, 01 Aug 2022 12:00:30 GMT": 30 * time.Second, "Monday, 01-Aug-22 12:01:00 GMT": time.Minute,
		"Mon, 01 Aug 2022 11:00:00 GMT": 0,
	} {
		s := apitest.Playing(apitest.Reply(429, "", "Retry-After", header, "Date", "Mon, 01 Aug 2022 12:00:00 GMT"))
		_, err := s.Client(t, apitest.TryOnce).Accounts.List(t.Context())
		require.Equal(t, want, apitest.AsError(t, err).RetryAfter, header)
	}
	synctest.Test(t, func(t *testing.T) { // without a Date, from ours
		when := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
		_, err := apitest.Playing(apitest.Reply(503, "", "Retry-After", when)).Client(t, apitest.TryOnce).Accounts.List(t.Context())
		require.Equal(t, 20*time.Second, apitest.AsError(t, err).RetryAfter)
		require.ErrorContains(t, err, "(status 503, retry after 20s, safe to retry)")
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
				s := apitest.Playing(apitest.Reply(status, "", "Retry-After", tt.after))
				begin := time.Now()
				_, err := s.Client(t, proxylite.WithRetry(proxylite.RetryPolicy{MaxRetryAfter: tt.cap})).Accounts.List(t.Context())
				require.Equal(t, tt.waits, s.Waits(), tt.after)
				require.NotZero(t, apitest.AsError(t, err).RetryAfter)
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
			e := apitest.AsError(t, err)
			require.Equal(t, e.Attempts < 3, errors.Is(err, proxylite.ErrRetryBudget))
			require.Equal(t, proxylite.KindServer, e.Kind)
			return e.Attempts
		}
		s := apitest.Playing(apitest.Reply(502, ""))
		c := s.Client(t, retry(3))
		require.Equal(t, []int{3, 2, 1}, []int{attempts(c), attempts(c), attempts(c)})
		apitest.Pass(10 * time.Second)
		require.Equal(t, []int{2, 1}, []int{attempts(c), attempts(c)}, "ten seconds give one back")
		apitest.Pass(time.Hour)
		require.Equal(t, []int{3, 2, 1}, []int{attempts(c), attempts(c), attempts(c)}, "never more than the budget")

		s.Steps[0] = apitest.Reply(200, apitest.Fine)
		for range 10 {
			_, err := c.Accounts.List(t.Context())
			require.NoError(t, err)
		}
		s.Steps[0] = apitest.Reply(502, "")
		require.Equal(t, []int{2, 1}, []int{attempts(c), attempts(c)}, "ten successes give one back")

		c = s.Client(t, retry(-1))
		for range 200 {
			require.Equal(t, 3, attempts(c))
		}
		s.Steps[0] = apitest.Reply(200, apitest.Fine)
		_, err := c.Accounts.List(t.Context())
		require.NoError(t, err)
		s = apitest.Playing(apitest.Reply(502, ""))
		c = s.Client(t, retry(0))
		for range 1000 {
			_, _ = c.Accounts.List(t.Context())
		}
		require.Len(t, s.Times, 1100, "an outage gets 100 more requests for its first 1000")
	})
}

func TestLimiterPacesEveryAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Playing(apitest.Reply(502, ""), apitest.Reply(502, ""), apitest.Reply(200, apitest.Fine))
		c := s.Client(t, proxylite.WithLimiter(apitest.LimiterFunc(func(context.Context) error { apitest.Pass(time.Minute); return nil })))
		begin := time.Now()
		require.NoError(t, c.Accounts.Enable(t.Context(), []string{"bob"}), "the limiter's wait is not the attempt's")
		require.GreaterOrEqual(t, time.Since(begin), 3*time.Minute)

		s = apitest.Playing(apitest.Reply(200, apitest.Fine))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c = s.Client(t, proxylite.WithLimiter(apitest.LimiterFunc(func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("limiter: %w", ctx.Err()) })))
		err := c.Accounts.Enable(ctx, []string{"bob"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome)
		require.Equal(t, proxylite.KindTimeout, apitest.AsError(t, err).Kind)
		require.Empty(t, s.Times)
	})
}

func TestRepeatClassesHaveNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "unsafe idempotent safe", fmt.Sprint(proxylite.ClassUnsafe, " ", proxylite.ClassIdempotent, " ", proxylite.ClassSafe))
}

const (
	outageCalls      = 10_000
	outageGoroutines = 64
)

// outage is a server that fails until it is back.
type outage struct {
	fails    func(*http.Request) (*http.Response, error)
	back     atomic.Bool
	requests atomic.Int64
}

func (o *outage) RoundTrip(r *http.Request) (*http.Response, error) {
	o.requests.Add(1)
	if o.back.Load() {
		return apitest.Reply(200, apitest.Fine)(r)
	}
	return o.fails(r)
}

// callAll makes n calls from 64 goroutines and returns how many failed.
func (o *outage) callAll(t *testing.T, c *proxylite.Client, n int) int {
	var left, failed atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range outageGoroutines {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := c.Accounts.List(t.Context()); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(failed.Load())
}

func after(d time.Duration, step func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) { apitest.Pass(d); return step(r) }
}

// An outage gets hardly more requests than calls, however it fails and however
// long it lasts.
func TestAnOutageIsNotMadeWorse(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(*http.Request) (*http.Response, error){
		"refused":           apitest.Breaks(&net.OpError{Op: "dial", Err: errors.New("connection refused")}),
		"502 at once":       apitest.Reply(502, apitest.WebPage),
		"502 after 5 s":     after(5*time.Second, apitest.Reply(502, apitest.WebPage)),
		"503, Retry-After":  apitest.Reply(503, "", "Retry-After", "20"),
		"429":               apitest.Reply(429, ""),
		"nothing for 30 s":  apitest.Hangs,
		"reset after a 1 s": after(time.Second, apitest.Breaks(&net.OpError{Op: "read", Err: errors.New("connection reset by peer")})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := &outage{fails: fails}
				c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(o))
				require.NoError(t, err)
				begin := time.Now()
				require.Equal(t, outageCalls, o.callAll(t, c, outageCalls))
				sent := int(o.requests.Load())
				t.Logf("%d requests for %d calls in %s", sent, outageCalls, time.Since(begin).Round(time.Second))
				require.Greater(t, sent, outageCalls, "at first, calls are repeated")
				require.LessOrEqual(t, sent, outageCalls*11/10)

				// The server is back: each call succeeds, and soon failures are repeated again.
				o.back.Store(true)
				begin = time.Now()
				o.requests.Store(0)
				require.Zero(t, o.callAll(t, c, 200))
				require.EqualValues(t, 200, o.requests.Load())
				require.Less(t, time.Since(begin), time.Second)
				o.back.Store(false)
				for range 3 {
					_, err = c.Accounts.List(t.Context())
					require.NotErrorIs(t, err, proxylite.ErrRetryBudget)
					require.Equal(t, 3, apitest.AsError(t, err).Attempts)
				}
			})
		})
	}
}

// The budget is for all calls together: one alone is repeated as its policy says,
// and a client that calls once a minute is never short of it.
func TestASingleCallGetsItsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Playing(apitest.Reply(502, ""), apitest.Reply(502, ""), apitest.Reply(200, apitest.Fine))
		_, err := s.Client(t).Accounts.List(t.Context())
		require.NoError(t, err)
		require.Len(t, s.Times, 3)

		c := apitest.Playing(apitest.Reply(502, "")).Client(t)
		for range 1000 {
			_, err := c.Accounts.List(t.Context())
			require.Equal(t, 3, apitest.AsError(t, err).Attempts)
			apitest.Pass(time.Minute)
		}
	})
}

func TestTheBudgetOfAnOutageIsTunable(t *testing.T) {
	t.Parallel()
	for budget, want := range map[int]int{1: 1001, 10: 1010, 500: 1500, -1: 3000} {
		synctest.Test(t, func(t *testing.T) {
			o := &outage{fails: apitest.Reply(502, "")}
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(o),
				proxylite.WithRetry(proxylite.RetryPolicy{Budget: budget, MinBackoff: 1, MaxBackoff: 1}))
			require.NoError(t, err)
			require.Equal(t, 1000, o.callAll(t, c, 1000))
			require.EqualValues(t, want, o.requests.Load(), budget)
		})
	}
}

// A transport that retries by itself would send orders twice.
func TestATransportThatRetriesIsRefused(t *testing.T) {
	t.Parallel()
	_, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithHTTPClient(retryablehttp.NewClient().StandardClient()))
	require.ErrorContains(t, err, "sends requests again by itself")
	_, err = proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(&retryablehttp.RoundTripper{}))
	require.ErrorContains(t, err, "WithRetry")
}
