package pool_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

func home(ctx context.Context, t *testing.T, p *pool.Pool) string {
	t.Helper()
	l, err := p.Get(ctx)
	require.NoError(t, err)
	l.Done(pool.Unjudged)
	return l.String()
}

// What is not its proxy's fault does not move a session.
func TestASessionStaysWithAProxyThatIsWell(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, url := range []string{
		"https://dead.test/", "https://dead.test:8443/", "http://cut.test/", "https://cut.test/", "https://untrusted.test/",
		"http://slow.test/", "https://slow.test/", "http://407.test/", "http://limited.test/",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.answer = func(addr string, req *http.Request) *http.Response {
					name, _, _ := strings.Cut(req.Host, ".")
					switch {
					case name == "dead":
						return plain(502, "no such host")
					case req.Method == http.MethodConnect:
					case name == "cut":
						return nil
					case name == "slow":
						time.Sleep(time.Minute)
					case name == "407":
						return plain(407, "")
					case name == "limited":
						return plain(429, "")
					}
					return plain(200, addr)
				}
				tr := n.secure(site)
				if strings.Contains(url, "untrusted") {
					tr.TLSClientConfig.RootCAs = nil
				}
				p := newPool(t, (&made{}).source(5), pool.WithTransport(tr), pool.WithBanStatus(429))
				ctx := pool.WithSession(t.Context(), "ann")
				before := home(ctx, t, p)
				for range 5 {
					short, cancel := context.WithTimeout(ctx, 5*time.Second)
					_, err := get(short, p.Transport(), url)
					require.Error(t, err)
					cancel()
					require.Equal(t, before, home(ctx, t, p))
					_, err = get(ctx, p.Transport(), "http://good.test/")
					require.NoError(t, err)
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

// It moves when its proxy is gone or does not work, and says so.
func TestASessionThatMovesSaysSo(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, how := range []string{"dead by verdict", "not reached", "refuses all", "banned"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var bad atomic.Value
				bad.Store("")
				n.answer = func(addr string, req *http.Request) *http.Response {
					switch {
					case addr != bad.Load():
					case how == "banned" && req.Method != http.MethodConnect:
						return plain(403, "")
					case how == "refuses all":
						return plain(502, "")
					}
					return plain(200, addr)
				}
				var moves []pool.Move
				p := newPool(t, (&made{}).source(5), pool.WithTransport(n.secure(site)), pool.WithRotation(pool.PerRequest), pool.WithBanStatus(403),
					pool.WithHooks(pool.Hooks{Moved: func(m pool.Move) { moves = append(moves, m) }}))
				ctx := pool.WithSession(t.Context(), "ann")
				before := home(ctx, t, p)
				var strict context.Context // of a key on the same proxy
				strictKey := ""
				for i := 0; strict == nil; i++ {
					strictKey = fmt.Sprint("strict", i)
					if c := pool.WithSession(t.Context(), strictKey, pool.StayOrFail()); home(c, t, p) == before {
						strict = c
					}
				}
				bad.Store(before)
				switch how {
				case "dead by verdict":
					l, err := p.Get(ctx)
					require.NoError(t, err)
					l.Done(pool.Dead)
				case "not reached":
					n.kill(before)
				}
				var via pool.Via
				for range 5 {
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://target.test/", nil)
					require.NoError(t, err)
					resp, err := p.Transport().RoundTrip(req)
					if err != nil {
						continue
					}
					require.NoError(t, resp.Body.Close())
					v, ok := pool.ViaOf(resp)
					require.True(t, ok)
					require.Equal(t, "ann", v.Session)
					if v.Moved != "" {
						via = v
					}
				}
				after := home(ctx, t, p)
				require.NotEqual(t, before, after)
				require.Equal(t, []pool.Move{{Session: "ann", From: before, To: after}}, moves)
				require.Equal(t, []string{before, after}, []string{via.Moved, via.Proxy})

				short, cancel := context.WithTimeout(strict, 100*time.Millisecond)
				defer cancel()
				l, err := p.Get(short)
				if how == "dead by verdict" {
					require.ErrorIs(t, err, pool.ErrSessionLost)
					require.True(t, p.EndSession(strictKey))
					require.NotEqual(t, before, home(strict, t, p))
				} else if err == nil {
					require.Equal(t, before, l.String(), "it stays")
					l.Done(pool.Unjudged)
				}
			})
		})
	}
}

func TestNewSessionsGoWhereTheFewestAre(t *testing.T) {
	t.Parallel()
	for _, rotation := range []pool.Rotation{pool.RoundRobin, pool.PerRequest, pool.LeastUsed, pool.Weighted, pool.Fastest} {
		for _, requests := range []int{1, 3, 10} {
			p := newPool(t, (&made{}).source(10), pool.WithRotation(rotation))
			users := map[string]int{}
			for i := range 30 {
				ctx := pool.WithSession(t.Context(), fmt.Sprint("user", i))
				users[home(ctx, t, p)]++
				for range requests {
					home(ctx, t, p)
				}
			}
			require.Len(t, users, 10)
			for _, n := range users {
				require.Equal(t, 3, n)
			}
		}
	}
	// And they take no turns from the others.
	p := newPool(t, (&made{}).source(4))
	seen := map[string]bool{}
	for range 4 {
		home(pool.WithSession(t.Context(), "ann"), t, p)
		seen[home(t.Context(), t, p)] = true
	}
	require.Len(t, seen, 4)
}

// The turns of those that rest are given to all others alike.
func TestTheLoadOfAProxyThatRestsIsSpread(t *testing.T) {
	t.Parallel()
	p := newPool(t, (&made{}).source(10), pool.WithCoolDown(time.Hour, time.Hour))
	for range 10 {
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		l.Done(map[bool]pool.Verdict{true: pool.Failed, false: pool.Worked}[l.Proxy().Endpoint.Port < 1005])
	}
	count := map[string]int{}
	for range 1000 {
		count[take(t, p)]++
	}
	require.Len(t, count, 5)
	for _, n := range count {
		require.InDelta(t, 200, n, 2)
	}
}

func TestAnExclusiveSessionSharesItsProxyWithNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, (&made{}).source(3))
		take(t, p)
		ann := pool.WithSession(t.Context(), "ann", pool.Exclusive())
		mine := home(ann, t, p)
		for i := range 30 {
			require.NotEqual(t, mine, home(t.Context(), t, p))
			require.NotEqual(t, mine, home(pool.WithSession(t.Context(), fmt.Sprint(i)), t, p))
			require.Equal(t, mine, home(ann, t, p))
		}
		// The others are shared, so another exclusive one waits.
		ben, cancel := context.WithTimeout(pool.WithSession(t.Context(), "ben", pool.Exclusive()), time.Second)
		defer cancel()
		_, err := p.Get(ben)
		require.ErrorIs(t, err, pool.ErrNoProxy)
		time.AfterFunc(time.Minute, func() { require.True(t, p.EndSession("ann")) })
		require.Equal(t, mine, home(pool.WithSession(t.Context(), "ben", pool.Exclusive()), t, p))
		require.False(t, p.EndSession("ann"))
	})
}

// The same address extracted again lives longer: no session moves, nothing is wasted.
func TestARenewalMovesNoSession(t *testing.T) {
	t.Parallel()
	for _, costs := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			source := pool.Source{Size: 3, Costs: costs, Fetch: func(context.Context, int) ([]pool.Proxy, error) {
				var list []pool.Proxy
				for i := range 3 {
					list = append(list, pool.Proxy{Endpoint: proxylite.Endpoint{Host: "10.0.0.1", Port: 1000 + i}, Expires: time.Now().Add(10 * time.Minute)})
				}
				return list, nil
			}}
			p := newPool(t, source)
			ctx := pool.WithSession(t.Context(), "ann")
			before := home(ctx, t, p)
			for range 3600 {
				begin := time.Now()
				require.Equal(t, before, home(ctx, t, p))
				require.LessOrEqual(t, time.Since(begin), time.Second)
				time.Sleep(time.Second)
			}
			require.Zero(t, p.Stats().Wasted)
			require.LessOrEqual(t, p.Stats().Fetches, uint64(10))
		})
	}
}

func TestUsesAndConcurrencyAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		p := newPool(t, m.source(2), pool.WithUses(3))
		count := map[string]int{}
		for range 60 {
			count[take(t, p)]++
		}
		require.Len(t, count, 20)
		for proxy, n := range count {
			require.Equal(t, 3, n, proxy)
		}
		require.Zero(t, p.Stats().Dead)
		require.Zero(t, p.Stats().Wasted)

		p = newPool(t, (&made{}).source(2), pool.WithConcurrency(2))
		var most, now atomic.Int64
		var work sync.WaitGroup
		for range 20 {
			work.Go(func() {
				l, err := p.Get(t.Context())
				require.NoError(t, err)
				for n := now.Add(1); n > most.Load(); {
					most.Store(n)
				}
				time.Sleep(time.Second)
				now.Add(-1)
				l.Done(pool.Worked)
			})
		}
		begin := time.Now()
		work.Wait()
		require.EqualValues(t, 4, most.Load())
		require.Equal(t, 5*time.Second, time.Since(begin))
	})
}

// The memory of keys is bounded, and a proxy that goes takes no time for them.
func TestKeysAreBounded(t *testing.T) { //nolint:paralleltest // it looks at the heap
	var before, after runtime.MemStats
	p := newPool(t, (&made{}).source(50), pool.WithSessionLimit(200))
	recent := pool.WithSession(t.Context(), "recent")
	mine := home(recent, t, p)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 20_000 {
		home(pool.WithSession(t.Context(), fmt.Sprint("user", i)), t, p)
		if i%50 == 0 {
			require.Equal(t, mine, home(recent, t, p))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20))
	total := 0
	for _, a := range p.Addresses() {
		total += a.Sessions
	}
	require.LessOrEqual(t, total, 201)
	require.GreaterOrEqual(t, total, 100)

	begin := time.Now()
	for i := range 8000 { // and so are hosts
		l, err := p.GetFor(t.Context(), fmt.Sprint("host", i))
		require.NoError(t, err)
		l.Done(pool.FailedForHost)
	}
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestTheFastestIsPreferred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, _ *http.Request) *http.Response {
			time.Sleep(map[bool]time.Duration{true: time.Second, false: 100 * time.Millisecond}[addr == first])
			return plain(200, addr)
		}
		p := newPool(t, (&made{}).source(4), pool.WithTransport(n.transport()), pool.WithRotation(pool.Fastest))
		for range 400 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/")
			require.NoError(t, err)
		}
		require.Less(t, n.hitsOf(first), 60, "one in sixteen, when both are it")
		require.NotZero(t, n.hitsOf(first))
		for _, a := range p.Addresses() {
			require.InDelta(t, map[bool]float64{true: 1000, false: 100}[a.Proxy.String() == first], a.Latency.Milliseconds(), 5)
		}
	})
}
