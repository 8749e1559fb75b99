package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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

// wire is the way of one pool to its store. It can be cut, before a call or after it.
type wire struct {
	pool.Store
	down     atomic.Bool // nothing arrives
	deaf     atomic.Bool // no response arrives
	syncs    atomic.Int32
	deposits atomic.Int32
}

var errCut = errors.New("the wire is cut")

func (w *wire) pass(f func() error) error {
	if w.down.Load() {
		return errCut
	}
	if err := f(); err != nil {
		return err
	}
	if w.deaf.Load() {
		return errCut
	}
	return nil
}

func (w *wire) Sync(ctx context.Context, m pool.Member, r pool.Report) (st pool.Standing, err error) {
	w.syncs.Add(1)
	err = w.pass(func() error { st, err = w.Store.Sync(ctx, m, r); return err })
	return st, err
}

func (w *wire) Claim(ctx context.Context, m pool.Member, want pool.Want) (c pool.Claim, err error) {
	err = w.pass(func() error { c, err = w.Store.Claim(ctx, m, want); return err })
	if err != nil {
		return pool.Claim{}, err
	}
	return c, nil
}

func (w *wire) Deposit(ctx context.Context, m pool.Member, g pool.Grant, spent int, got []pool.Holding) error {
	w.deposits.Add(1)
	return w.pass(func() error { return w.Store.Deposit(ctx, m, g, spent, got) })
}

func fixed(n int) pool.Source {
	var list []proxylite.Endpoint
	for i := range n {
		list = append(list, proxylite.Endpoint{Host: "10.0.0.1", Port: 1000 + i})
	}
	return pool.Fixed(list...)
}

func addresses(p *pool.Pool) (list []string) {
	for _, a := range p.Addresses() {
		list = append(list, a.Proxy.String())
	}
	return list
}

// A list that both have, and a source that delivers one endpoint again and again.
func TestPoolsOfOneStoreNeverHaveTheSameAddress(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	repeating := func(size int) pool.Source {
		return pool.Source{Size: size, Costs: true, Fetch: func(_ context.Context, need int) ([]pool.Proxy, error) {
			var list []pool.Proxy
			for range need {
				list = append(list, pool.Proxy{Endpoint: proxylite.Endpoint{Host: "10.0.0.1", Port: 1000 + int(n.Add(1)%7)}, Expires: time.Now().Add(time.Hour)})
			}
			return list, nil
		}}
	}
	for name, source := range map[string]pool.Source{"fixed": fixed(7), "repeating": repeating(4)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := pool.NewMemoryStore()
				a, b := newPool(t, source, pool.WithStore(store), pool.WithSize(4)), newPool(t, source, pool.WithStore(store), pool.WithSize(4))
				for range 100 {
					for _, p := range []*pool.Pool{a, b} {
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						if l, err := p.Get(ctx); err == nil {
							l.Done(pool.Worked)
						}
						cancel()
					}
					time.Sleep(time.Second)
					for _, x := range addresses(a) {
						require.NotContains(t, addresses(b), x)
					}
				}
				require.NotEmpty(t, addresses(a))
				require.NotEmpty(t, addresses(b))
			})
		})
	}
}

// The pool uses what it has until its claims end, and buys nothing. What it has open
// then is cut, and held against no proxy.
func TestAPoolWhoseStoreIsNotReached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: time.Hour}
		hang := make(chan struct{})
		n.answer = func(addr string, req *http.Request) *http.Response {
			if req.Host == "slow.test" {
				<-hang
			}
			return plain(200, addr)
		}
		defer close(hang)
		w := &wire{Store: pool.NewMemoryStore()}
		p := newPool(t, m.source(3), pool.WithStore(w), pool.WithTransport(n.transport()), pool.WithFailFast())
		other := newPool(t, m.source(3), pool.WithStore(w.Store))
		use := func() error {
			_, err := get(t.Context(), p.Transport(), "http://target.test/")
			return err
		}
		require.Error(t, use())
		synctest.Wait()
		require.NoError(t, use())
		time.Sleep(time.Minute) // renewed all the time
		require.NoError(t, use())

		w.down.Store(true)
		cut := make(chan error)
		begin := time.Now()
		go func() {
			_, err := get(t.Context(), p.Transport(), "http://slow.test/")
			cut <- err
		}()
		for time.Since(begin) < 21*time.Second { // since the last renewal, 27
			require.NoError(t, use())
			time.Sleep(time.Second)
		}
		had := addresses(p)
		_, err := p.Get(t.Context())
		require.NoError(t, err)
		require.True(t, p.Drop(mustParse(t, addresses(p)[0])))
		time.Sleep(time.Second)
		_ = use()
		synctest.Wait()
		require.Len(t, m.asked(), 1, "nothing is bought")
		err = <-cut
		require.ErrorIs(t, err, pool.ErrExpired)
		require.LessOrEqual(t, time.Since(begin), 27*time.Second)
		require.ErrorIs(t, use(), pool.ErrNoProxy)
		require.ErrorIs(t, use(), pool.ErrStore)
		require.ErrorIs(t, use(), errCut)

		// Others get what it had, and it hears of it.
		time.Sleep(10 * time.Second)
		require.Contains(t, had, take(t, other))
		w.down.Store(false)
		time.Sleep(5 * time.Second)
		_ = use()
		synctest.Wait()
		require.NoError(t, use())
		for _, x := range addresses(p) {
			require.NotContains(t, addresses(other), x)
		}
		require.Zero(t, p.Stats().Dead)
	})
}

func mustParse(t *testing.T, s string) proxylite.Endpoint {
	e, err := proxylite.ParseEndpoint(s)
	require.NoError(t, err)
	return e
}

// Of a call whose response is lost, nobody knows whether it happened.
func TestLostResponsesOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		w := &wire{Store: pool.NewMemoryStore()}
		p := newPool(t, m.source(3), pool.WithStore(w), pool.WithQuota(10, time.Hour))
		source := m.source(3)
		take(t, p)
		w.deaf.Store(true)
		require.True(t, p.Drop(mustParse(t, addresses(p)[0])))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 3 {
			l, err := p.Get(ctx) // of the others
			require.NoError(t, err)
			l.Done(pool.Worked)
			time.Sleep(time.Second)
		}
		require.Equal(t, 3, m.made(), "a grant that is not known is not used")
		w.deaf.Store(false)
		for range 40 {
			time.Sleep(time.Second)
			take(t, p)
		}
		require.Equal(t, 4, m.made())
		other := newPool(t, source, pool.WithStore(w.Store), pool.WithQuota(10, time.Hour))
		mine := take(t, other)
		require.NotContains(t, addresses(p), mine)
	})
}

// What was paid for is stored, even if the store is not reached for a while.
func TestADepositIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		w := &wire{Store: pool.NewMemoryStore()}
		source := m.source(3)
		fetch := source.Fetch
		source.Fetch = func(ctx context.Context, need int) ([]pool.Proxy, error) {
			defer w.down.Store(true)
			return fetch(ctx, need)
		}
		p := newPool(t, source, pool.WithStore(w), pool.WithQuota(4, time.Hour))
		time.AfterFunc(time.Minute, func() { w.down.Store(false) })
		begin := time.Now()
		take(t, p)
		require.GreaterOrEqual(t, time.Since(begin), time.Minute)
		require.LessOrEqual(t, time.Since(begin), 66*time.Second)
		require.Equal(t, 3, m.made())
		require.Greater(t, w.deposits.Load(), int32(3))
	})
}

// At rest a pool renews its lease, seldom, and with nothing to renew it does nothing.
func TestAPoolAtRestHardlyTalksToItsStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		w := &wire{Store: pool.NewMemoryStore()}
		p := newPool(t, m.source(3), pool.WithStore(w))
		take(t, p)
		before := w.syncs.Load()
		time.Sleep(time.Minute)
		require.LessOrEqual(t, w.syncs.Load()-before, int32(60/5))
		require.NoError(t, p.Close())
		before = w.syncs.Load()
		time.Sleep(24 * time.Hour)
		require.Equal(t, before, w.syncs.Load())
	})
}

// A key keeps its address over a restart, and on another machine.
func TestASessionOutlivesItsPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour}
		store := pool.NewMemoryStore()
		at := func(p *pool.Pool, key string) string {
			l, err := p.Get(pool.WithSession(t.Context(), key))
			require.NoError(t, err)
			l.Done(pool.Worked)
			return l.String()
		}
		p, err := pool.New(m.source(20), pool.WithStore(store))
		require.NoError(t, err)
		homes := map[string]string{}
		for i := range 15 {
			key := fmt.Sprint("user ", i)
			homes[key] = at(p, key)
		}
		require.True(t, p.EndSession("user 0"))
		require.NoError(t, p.Close())
		p = newPool(t, m.source(20), pool.WithStore(store))
		for key, home := range homes {
			if key != "user 0" {
				require.Equal(t, home, at(p, key), key)
			}
		}
		require.Equal(t, 20, m.made())
	})
}

// What a pool finds dead is bought again from a vendor that repeats it, and refused by
// the others.
func TestADeadProxyIsDeadForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := pool.NewMemoryStore()
		source := fixed(2)
		a := newPool(t, source, pool.WithStore(store), pool.WithSize(2))
		l, err := a.Get(t.Context())
		require.NoError(t, err)
		dead := l.String()
		l.Done(pool.Dead)
		require.NoError(t, a.Close())
		b := newPool(t, source, pool.WithStore(store), pool.WithSize(2))
		for range 20 {
			require.NotEqual(t, dead, take(t, b))
			time.Sleep(time.Second)
		}
	})
}

// The cost of a stock is linear in what moves.
func TestALargeDelivery(t *testing.T) {
	t.Parallel()
	const n = 20_000
	source := pool.Source{Size: 10, Costs: true, Fetch: func(context.Context, int) ([]pool.Proxy, error) {
		list := make([]pool.Proxy, n)
		for i := range list {
			list[i] = pool.Proxy{Endpoint: proxylite.Endpoint{Host: fmt.Sprintf("10.0.%d.%d", i/256, i%256), Port: 1}, Expires: time.Now().Add(time.Hour)}
		}
		return list, nil
	}}
	store := pool.NewMemoryStore()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	small, err := pool.New(source, pool.WithStore(store))
	require.NoError(t, err)
	l, err := small.Get(ctx)
	require.NoError(t, err)
	l.Done(pool.Worked)
	large, err := pool.New(source, pool.WithStore(store), pool.WithSize(n-10))
	require.NoError(t, err)
	for large.Stats().Live < n-10 {
		l, err = large.Get(ctx)
		require.NoError(t, err)
		l.Done(pool.Worked)
	}
	require.EqualValues(t, 0, large.Stats().Fetches)
	require.NoError(t, large.Close())
	require.NoError(t, small.Close())
	require.NoError(t, ctx.Err())
}

// A closed pool keeps its claims on what is in flight, until its lease ends: then that
// is cut.
func TestWhatIsInFlightAtCloseIsNobodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: time.Hour}
		n.answer = func(addr string, req *http.Request) *http.Response {
			r, w := io.Pipe()
			go func() {
				_, _ = io.WriteString(w, addr)
				time.Sleep(10 * time.Minute)
				_ = w.Close()
			}()
			return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Body: r}
		}
		store := pool.NewMemoryStore()
		p, err := pool.New(m.source(2), pool.WithStore(store), pool.WithTransport(n.transport()))
		require.NoError(t, err)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://target.test/", nil)
		resp, err := p.Transport().RoundTrip(req)
		require.NoError(t, err)
		via, ok := pool.ViaOf(resp)
		require.True(t, ok)
		require.NoError(t, p.Close())
		closed := time.Now()
		other := newPool(t, m.source(2), pool.WithStore(store))
		require.NotEqual(t, via.Proxy, take(t, other))
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, pool.ErrExpired)
		require.LessOrEqual(t, time.Since(closed), 27*time.Second)
		_ = resp.Body.Close()
		time.Sleep(10 * time.Minute)
	})
}

// A waiting pool gets what another one has fetched.
func TestOnePoolFetchesForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: time.Hour, took: 5 * time.Second}
		store := pool.NewMemoryStore()
		source := m.source(2)
		source.Fetch = func(ctx context.Context, _ int) ([]pool.Proxy, error) { return m.fetch(ctx, 16) }
		var mu sync.Mutex
		var all []string
		var wg sync.WaitGroup
		for range 8 {
			p := newPool(t, source, pool.WithStore(store))
			wg.Go(func() {
				take(t, p)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, addresses(p)...)
			})
		}
		wg.Wait()
		require.Equal(t, 16, m.made())
		slices.Sort(all)
		require.Len(t, slices.Compact(all), 16)
		require.NotContains(t, strings.Join(all, " "), "@")
	})
}
