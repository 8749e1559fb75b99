package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// take takes a proxy and gives it back.
func take(t *testing.T, p *pool.Pool) string {
	t.Helper()
	l, err := p.Get(t.Context())
	require.NoError(t, err)
	l.Done(pool.Worked)
	return l.String()
}

func TestANewPoolFetchesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		newPool(t, m.source(5))
		time.Sleep(24 * time.Hour)
		require.Empty(t, m.asked())
	})
}

func TestAnIdlePoolFetchesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		p := newPool(t, m.source(5))
		take(t, p)
		time.Sleep(24 * time.Hour)
		require.Equal(t, []int{5}, m.asked())
		take(t, p)
		require.Len(t, m.asked(), 2)
	})
}

func TestManyCallersShareOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour, took: time.Second}
		p := newPool(t, m.source(5))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { take(t, p) })
		}
		wg.Wait()
		require.Equal(t, []int{5}, m.asked())
	})
}

func TestABatchIsAskedForInPartsOfTheSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		source := m.source(25)
		source.Batch = 10
		p := newPool(t, source)
		take(t, p)
		synctest.Wait()
		require.Equal(t, []int{10, 10, 5}, m.asked())
	})
}

// The end of life counts from before the fetch, and the margin is kept.
func TestNoProxyIsGivenOutWithinTheMargin(t *testing.T) {
	t.Parallel()
	for _, margin := range []time.Duration{0, 30 * time.Second, -1} {
		t.Run(margin.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const life = 10 * time.Minute
				m := &made{life: life, took: 3 * time.Second}
				opts, want := []pool.Option{pool.WithMargin(margin)}, margin
				if margin < 0 {
					opts, want = nil, 10*time.Second
				}
				p := newPool(t, m.source(3), opts...)
				born := map[string]time.Time{}
				for range 3 * 600 {
					l, err := p.Get(t.Context())
					require.NoError(t, err)
					if born[l.String()].IsZero() {
						born[l.String()] = l.Proxy().Expires
					}
					require.Greater(t, time.Until(born[l.String()]), want)
					l.Done(pool.Worked)
					time.Sleep(time.Second)
				}
				require.Greater(t, len(born), 9)
			})
		})
	}
}

func TestALifeCountsFromBeforeTheExtraction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, pool.Extract(api(t, func() (*http.Response, error) {
			time.Sleep(20 * time.Second)
			return plain(200, `{"code":200,"data":{"list":["1.2.3.4:5"]}}`), nil
		}).IP, tenForAnHour))
		end := time.Now().Add(time.Hour)
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, end, l.Proxy().Expires)
		l.Done(pool.Worked)
	})
}

// Whoever asks does not wait for the change of generations.
func TestTheNextBatchIsFetchedAheadOfNeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: 10 * time.Minute, took: 3 * time.Second}
		p := newPool(t, m.source(3))
		take(t, p)
		for range 3600 {
			begin := time.Now()
			take(t, p)
			require.Zero(t, time.Since(begin))
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, m.made(), 3*7)
	})
}

func TestProxiesThatNobodyUsedAreNotReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: 10 * time.Minute}
		p := newPool(t, m.source(20))
		for range 7 * 24 { // three uses in a life
			take(t, p)
			time.Sleep(10 * time.Minute / 3)
		}
		require.Less(t, m.asked()[5], 8)
		require.Less(t, m.made(), 7*8*5)
		require.NotZero(t, p.Stats().Wasted)

		// When more are used again, there will be more again.
		before := m.made()
		for range 600 {
			take(t, p)
			time.Sleep(time.Second)
		}
		require.GreaterOrEqual(t, p.Stats().Live, 20)
		require.LessOrEqual(t, m.made()-before, 40)
	})
}

func TestTheQuotaIsACeilingOfAnyInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: 5 * time.Minute}
		var spent []time.Time
		p := newPool(t, m.source(10), pool.WithQuota(25, time.Hour), pool.WithHooks(pool.Hooks{Fetched: func(f pool.Fetch) {
			for range f.Spent {
				spent = append(spent, time.Now())
			}
		}}))
		for begin := time.Now(); time.Since(begin) < 10*time.Hour; time.Sleep(10 * time.Second) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			l, err := p.Get(ctx)
			if err == nil {
				l.Done(pool.Worked)
			} else {
				require.ErrorIs(t, err, pool.ErrNoProxy)
				require.ErrorIs(t, err, pool.ErrQuota)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			cancel()
		}
		synctest.Wait()
		for i := range spent[25:] {
			require.GreaterOrEqual(t, spent[i+25].Sub(spent[i]), time.Hour)
		}
		require.GreaterOrEqual(t, len(spent), 200)
	})
}

// api is a client whose extractions are answered by f.
func api(t *testing.T, f func() (*http.Response, error)) *proxylite.Client {
	c, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef0123456789abcdef"), proxylite.WithTransport(transportFunc(
		func(req *http.Request) (*http.Response, error) {
			resp, err := f()
			if resp != nil {
				resp.Request = req
				resp.Header = http.Header{"Retry-After": resp.Header["Retry-After"]}
			}
			return resp, err
		})))
	require.NoError(t, err)
	return c
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

var tenForAnHour = proxylite.IPExtractParams{Quantity: 10, Life: time.Hour}

func TestAnUnknownOutcomeCountsAsSpentAndARefusalDoesNot(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer         func() (*http.Response, error)
		spent, unknown uint64
	}{
		"lost":        {func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, 10, 10},
		"not an API":  {func() (*http.Response, error) { return plain(200, "<html>"), nil }, 10, 10},
		"refused":     {func() (*http.Response, error) { return plain(200, `{"code":77,"msg":"no"}`), nil }, 0, 0},
		"empty stock": {func() (*http.Response, error) { return plain(200, `{"code":200,"data":{"list":[]}}`), nil }, 0, 0},
		"half": {func() (*http.Response, error) {
			return plain(200, `{"code":200,"data":{"list":["1.2.3.4:5","1.2.3.4:6"]}}`), nil
		}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := pool.NewMemoryStore()
				p := newPool(t, pool.Extract(api(t, tt.answer).IP, tenForAnHour),
					pool.WithStore(store), pool.WithQuota(15, time.Hour), pool.WithFailFast())
				_, _ = p.Get(t.Context())
				synctest.Wait()
				s := p.Stats()
				require.EqualValues(t, 1, s.Fetches)
				require.Equal(t, tt.spent, s.Spent)
				require.Equal(t, tt.unknown, s.Unknown)
				m := pool.Member{Namespace: "other", ID: "other"}
				st, err := store.Sync(t.Context(), m, pool.Report{Full: true})
				require.NoError(t, err)
				m.Epoch = st.Epoch
				c, err := store.Claim(t.Context(), m, pool.Want{N: 15, Ask: 15, Limit: 15, Per: time.Hour})
				require.NoError(t, err)
				require.EqualValues(t, 15-tt.spent, c.Grant.N, "what the ledger leaves")
			})
		})
	}
	t.Run("a source of your own", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := &made{err: errors.New("who knows")}
			p := newPool(t, m.source(4), pool.WithFailFast())
			_, err := p.Get(t.Context())
			require.ErrorIs(t, err, pool.ErrNoProxy)
			synctest.Wait()
			require.EqualValues(t, 4, p.Stats().Unknown)
			_, err = p.Get(t.Context())
			require.ErrorContains(t, err, "last failure: who knows")
		})
	})
}

func TestAFailingSourceIsLeftAloneLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		m := &made{err: errors.New("down")}
		source := m.source(1)
		source.Fetch = func(ctx context.Context, need int) ([]pool.Proxy, error) {
			at = append(at, time.Now())
			return m.fetch(ctx, need)
		}
		p := newPool(t, source)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := p.Get(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "down")
		require.InDelta(t, 75, len(at), 20)
		for i := range at[1:] {
			gap := at[i+1].Sub(at[i])
			full := min(time.Minute, time.Second<<min(i+1, 10))
			require.GreaterOrEqual(t, gap, full/2)
			require.LessOrEqual(t, gap, full+time.Millisecond)
		}
	})
}

func TestTheRetryAfterOfTheAPIIsObeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		p := newPool(t, pool.Extract(api(t, func() (*http.Response, error) {
			at = append(at, time.Now())
			resp := plain(429, "")
			resp.Header = http.Header{"Retry-After": {"600"}}
			return resp, nil
		}).IP, tenForAnHour))
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		_, err := p.Get(ctx)
		require.ErrorIs(t, err, proxylite.ErrRateLimited)
		require.Len(t, at, 2)
		require.GreaterOrEqual(t, at[1].Sub(at[0]), 10*time.Minute)
	})
}

// What more calls can't cure goes to all who wait, and there are no more calls.
func TestAHopelessRefusalStopsTheFetching(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]error{3: proxylite.ErrInvalidAppKey, 156: proxylite.ErrNotVerified, 202: proxylite.ErrIPNotAllowed, 348: proxylite.ErrVerificationNeeded} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls, refuse := 0, true
				var stopped error
				p := newPool(t, pool.Extract(api(t, func() (*http.Response, error) {
					calls++
					time.Sleep(time.Second)
					if refuse {
						return plain(200, fmt.Sprintf(`{"code":%d,"msg":"no"}`, code)), nil
					}
					return plain(200, `{"code":200,"data":{"list":["1.2.3.4:5"]}}`), nil
				}).IP, tenForAnHour), pool.WithHooks(pool.Hooks{Stopped: func(err error) { stopped = err }}))
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						_, err := p.Get(t.Context())
						require.ErrorIs(t, err, pool.ErrStopped)
						require.ErrorIs(t, err, want)
					})
				}
				wg.Wait()
				_, err := p.Get(t.Context())
				require.ErrorIs(t, err, want)
				synctest.Wait()
				require.Equal(t, 1, calls)
				require.ErrorIs(t, stopped, want)

				refuse = false
				p.Resume()
				require.Equal(t, "1.2.3.4:5", take(t, p))
			})
		})
	}
}

// The code of an exhausted balance is not known; its third refusal is enough.
func TestThreeRefusalsInARowStopTheFetching(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := newPool(t, pool.Extract(api(t, func() (*http.Response, error) {
			calls++
			return plain(200, `{"code":4711,"msg":"余额不足"}`), nil
		}).IP, tenForAnHour))
		_, err := p.Get(t.Context())
		require.ErrorIs(t, err, pool.ErrStopped)
		require.ErrorContains(t, err, "余额不足")
		synctest.Wait()
		require.Equal(t, 3, calls)
	})
}

// A test's Fetch may call t.FailNow, which ends the goroutine it is called on.
func TestAFetchThatDoesNotReturnStopsThePool(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*made, *pool.Source) pool.Option{
		"source": func(m *made, source *pool.Source) pool.Option {
			source.Fetch = func(ctx context.Context, need int) ([]pool.Proxy, error) {
				_, _ = m.fetch(ctx, need)
				runtime.Goexit()
				return nil, nil
			}
			return nil
		},
		"hook": func(*made, *pool.Source) pool.Option {
			return pool.WithHooks(pool.Hooks{Fetched: func(pool.Fetch) { runtime.Goexit() }})
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &made{}
				source := m.source(5)
				opt := way(m, &source)
				p := newPool(t, source, opt)
				for range 2 {
					_, err := p.Get(t.Context())
					require.ErrorIs(t, err, pool.ErrStopped)
					require.ErrorContains(t, err, "Goexit")
				}
				require.Equal(t, []int{5}, m.asked(), "it may cost, so it is not tried again")
				p.Resume()
				_, err := p.Get(t.Context())
				require.ErrorIs(t, err, pool.ErrStopped)
				require.Equal(t, []int{5, 5}, m.asked())
			})
		})
	}
}

func TestASourceOfYourOwnSaysWhenToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mine := errors.New("my plan is over")
		for _, tt := range []struct {
			err error
			opt pool.Option
		}{{fmt.Errorf("%w: call sales", pool.ErrExhausted), nil}, {mine, pool.WithStopOn(func(err error) bool { return errors.Is(err, mine) })}} {
			m := &made{err: tt.err}
			_, err := newPool(t, m.source(1), tt.opt).Get(t.Context())
			require.ErrorIs(t, err, pool.ErrStopped)
			require.ErrorIs(t, err, tt.err)
			require.Len(t, m.asked(), 1)
		}
	})
}

// What is still alive is used up after a stop.
func TestLiveProxiesAreUsedAfterAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: 10 * time.Minute}
		p := newPool(t, m.source(2))
		take(t, p)
		m.mu.Lock()
		m.err = pool.ErrExhausted
		m.mu.Unlock()
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		l.Done(pool.Dead) // to be replaced
		time.Sleep(2 * time.Second)
		for range 5 {
			take(t, p)
		}
		time.Sleep(10 * time.Minute)
		_, err = p.Get(t.Context())
		require.ErrorIs(t, err, pool.ErrExhausted)
	})
}

func TestAnEmptyPoolFailsFastWhereAskedTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour, took: time.Second}
		p := newPool(t, m.source(1), pool.WithFailFast())
		begin := time.Now()
		_, err := p.Get(t.Context())
		require.ErrorIs(t, err, pool.ErrNoProxy)
		require.Zero(t, time.Since(begin))
		time.Sleep(2 * time.Second)
		take(t, p)
	})
}

// When nothing works any more, the fault is likely on this side: new proxies are
// tried one at a time, with longer and longer pauses.
func TestAnOutageDoesNotBurnTheQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: 30 * time.Minute}
		p := newPool(t, m.source(20), pool.WithTransport(n.transport()))
		for range 20 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/")
			require.NoError(t, err)
		}
		for port := range 1000 {
			n.kill("10.0.0.1:" + strconv.Itoa(1000+port))
		}
		begin := time.Now()
		for time.Since(begin) < 20*time.Minute {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			_, err := get(ctx, p.Transport(), "http://target.test/")
			require.Error(t, err)
			cancel()
		}
		require.LessOrEqual(t, m.made(), 20+40, "an outage of 20 minutes")
		require.Zero(t, p.Stats().Dead)

		// Afterwards the first ones are still there.
		for port := range 1000 {
			n.heal("10.0.0.1:" + strconv.Itoa(1000+port))
		}
		before := m.made()
		time.Sleep(time.Minute)
		for range 100 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/")
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, m.made(), before+1)
	})
}

func TestAProbeDropsWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: time.Hour}
		n.kill("10.0.0.1:1001")
		p := newPool(t, m.source(3), pool.WithTransport(n.transport()), pool.WithProbe(func(ctx context.Context, through http.RoundTripper) error {
			_, err := get(ctx, through, "http://probe.test/")
			return err
		}))
		for range 30 {
			require.NotEqual(t, "10.0.0.1:1001", take(t, p))
		}
		require.Equal(t, 1, n.hitsOf("10.0.0.1:1000"))
		require.EqualValues(t, 1, p.Stats().Wasted)
	})
}

// A probe that fails for all may be at fault itself: it buys nothing, and is tried
// again. With one that passes, or a proxy that works, to compare, it is not.
func TestAProbeWhosePageIsDownBuysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: 2 * time.Hour}
		down := errors.New("the page is down")
		broken, only := true, ""
		p := newPool(t, m.source(20), pool.WithProbe(func(_ context.Context, through http.RoundTripper) error {
			proxy, err := through.(*http.Transport).Proxy(&http.Request{})
			require.NoError(t, err)
			if broken || proxy.Host == only {
				return down
			}
			return nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := p.Get(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, down)
		require.Equal(t, 20, m.made())

		broken, only = false, first
		take(t, p)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 19, p.Stats().Live)
		require.EqualValues(t, 1, p.Stats().Wasted)
		for range 5 {
			take(t, p)
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, 21, m.made())
	})
}

// An extraction of which nothing can be used may have been paid for.
func TestExtractionsWithNothingUsableStopTheFetching(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := newPool(t, pool.Extract(api(t, func() (*http.Response, error) {
			calls++
			return plain(200, `{"code":200,"data":{"list":["sold out"]}}`), nil
		}).IP, tenForAnHour))
		_, err := p.Get(t.Context())
		require.ErrorIs(t, err, pool.ErrStopped)
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
		require.Equal(t, 3, calls)
	})
}

// So may proxies that end before they can be given out, with a clock that is ahead.
func TestPaidProxiesThatEndWithinTheMarginStopTheFetching(t *testing.T) {
	t.Parallel()
	for _, costs := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			m := &made{life: 30 * time.Second}
			source := m.source(3)
			source.Costs = costs
			p := newPool(t, source, pool.WithMargin(time.Minute))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err := p.Get(ctx)
			if !costs {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				return
			}
			require.ErrorIs(t, err, pool.ErrStopped)
			require.ErrorContains(t, err, "end within the margin (1m0s)")
			require.Equal(t, 9, m.made(), "three fetches of three")
		})
	}
}

// What came with an error is used.
func TestProxiesThatComeWithAnErrorAreUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		source := m.source(3)
		source.Fetch = func(ctx context.Context, need int) ([]pool.Proxy, error) {
			list, err := m.fetch(ctx, need)
			return list, errors.Join(err, errors.New("one entry is bad"))
		}
		p := newPool(t, source)
		seen := map[string]bool{}
		for range 6 {
			seen[take(t, p)] = true
		}
		require.Len(t, seen, 3)
	})
}

// A life may be as long as a duration, and an end of life past what a clock counts.
func TestLongLivesDoNotOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, expires := range []time.Time{time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(1<<63 - 1), {}} {
			p := newPool(t, pool.Source{Size: 1, Costs: true, Fetch: func(context.Context, int) ([]pool.Proxy, error) {
				return []pool.Proxy{{Endpoint: proxylite.Endpoint{Host: "10.0.0.1", Port: 1}, Expires: expires}}, nil
			}}, pool.WithCoolDown(1<<62, 1<<63-1), pool.WithHostCoolDown(1<<63-1), pool.WithMargin(1<<62))
			l, err := p.GetFor(t.Context(), "target.test")
			require.NoError(t, err)
			require.True(t, expires.Equal(l.Proxy().Expires))
			l.Done(pool.FailedForHost)
			for range 3 {
				require.NotEmpty(t, take(t, p))
				time.Sleep(time.Hour)
			}
		}
	})
}

// Two pools on one store share what one extraction brought, and no proxy is in both.
func TestPoolsShareAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour, took: time.Second}
		store := pool.NewMemoryStore()
		source := m.source(5)
		source.Fetch = func(ctx context.Context, _ int) ([]pool.Proxy, error) { return m.fetch(ctx, 10) } // sold by the ten
		first, err := pool.New(source, pool.WithStore(store))
		require.NoError(t, err)
		second := newPool(t, source, pool.WithStore(store))
		owner := map[string]*pool.Pool{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, p := range []*pool.Pool{first, second} {
			wg.Go(func() {
				for range 50 {
					proxy := take(t, p)
					mu.Lock()
					if owner[proxy] == nil {
						owner[proxy] = p
					}
					require.Same(t, owner[proxy], p)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.Len(t, owner, 10)
		require.Equal(t, 10, m.made())

		// What a closed pool leaves is for the others.
		require.NoError(t, first.Close())
		third := newPool(t, source, pool.WithStore(store))
		for range 5 {
			require.Same(t, first, owner[take(t, third)])
		}
		require.Equal(t, 10, m.made())
	})
}

func TestCloseWakesWhoWaitsAndEndsTheFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := pool.New(pool.Source{Costs: true, Fetch: func(ctx context.Context, _ int) ([]pool.Proxy, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // it takes its time
			return nil, ctx.Err()
		}})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := p.Get(t.Context())
				require.ErrorIs(t, err, pool.ErrClosed)
			})
		}
		synctest.Wait()
		require.Equal(t, 10, p.Stats().Waiting)
		begin := time.Now()
		require.NoError(t, p.Close())
		require.Equal(t, time.Second, time.Since(begin), "Close waits for the fetch")
		wg.Wait()
		require.NoError(t, p.Close())
		_, err = p.Get(t.Context())
		require.ErrorIs(t, err, pool.ErrClosed)
		require.EqualValues(t, 10, p.Stats().Unknown)
	})
}

func TestAPoolSaysWhatIsWrongWithItsOptions(t *testing.T) {
	t.Parallel()
	fine := pool.Fixed(proxylite.Endpoint{Host: "10.0.0.1", Port: 1})
	ip := new(proxylite.IPService)
	for name, tt := range map[string]struct {
		source pool.Source
		opt    pool.Option
		want   string
	}{
		"no source":    {pool.Source{}, nil, "Source.Fetch is required"},
		"no endpoints": {pool.Fixed(), nil, "at least one endpoint"},
		"no client":    {pool.Extract(nil, proxylite.IPExtractParams{Quantity: 1, Life: time.Hour}), nil, "Extract needs client.IP"},
		"no lister":    {pool.Static(nil, proxylite.IPListStaticParams{}), nil, "Static needs client.IP"},
		"no num":       {pool.Extract(ip, proxylite.IPExtractParams{Life: time.Hour}), nil, "Quantity is required and positive, not 0"},
		"no life":      {pool.Extract(ip, proxylite.IPExtractParams{Quantity: 1}), nil, "Life is required"},
		"odd life":     {pool.Extract(ip, proxylite.IPExtractParams{Quantity: 1, Life: 90 * time.Second}), nil, "in whole minutes, not 1m30s"},
		"minus size":   {pool.Source{Fetch: fine.Fetch, Size: -1}, nil, "must not be negative, not -1 and 0"},
		"minus batch":  {pool.Source{Fetch: fine.Fetch, Batch: -1}, nil, "must not be negative, not 0 and -1"},
		"size":         {fine, pool.WithSize(0), "the size must be positive, not 0"},
		"attempts":     {fine, pool.WithAttempts(-1), "attempts must be positive"},
		"margin":       {fine, pool.WithMargin(-1), "margin must not be negative"},
		"long margin":  {pool.Extract(ip, proxylite.IPExtractParams{Quantity: 1, Life: time.Minute}), pool.WithMargin(time.Minute), "must be less than"},
		"budget":       {fine, pool.WithByteBudget(0), "byte budget must be positive"},
		"scheme":       {fine, pool.WithScheme("ftp"), `not "ftp"`},
		"rotation":     {fine, pool.WithRotation(99), "no such rotation: 99"},
		"quota":        {fine, pool.WithQuota(0, 0), "quota must be positive"},
		"cool":         {fine, pool.WithCoolDown(0, 1), "must be positive"},
		"host cool":    {fine, pool.WithHostCoolDown(0), "must be positive"},
		"connect":      {fine, pool.WithConnectTimeout(0), "must be positive"},
	} {
		_, err := pool.New(tt.source, nil, tt.opt)
		require.ErrorContains(t, err, tt.want, name)
		require.True(t, strings.HasPrefix(err.Error(), "pool: "), name)
	}
}
