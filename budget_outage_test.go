package proxylite_test

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

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
