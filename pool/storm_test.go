package pool_test

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
)

// 64 workers make 10,000 requests over 50 proxies while a fifth of these die and
// all expire twice, in virtual time. Nothing goes out through a proxy past its
// life, hardly a request fails, and nothing is fetched that was not needed.
func TestAStormInVirtualTime(t *testing.T) {
	t.Parallel()
	const (
		workers, requests, size = 64, 10_000, 50
		life                    = 10 * time.Minute
		pace                    = 10 * time.Second // a request
	)
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: life, took: 2 * time.Second}
		var expiry sync.Map // address → time
		source := m.source(size)
		source.Fetch = func(ctx context.Context, need int) ([]pool.Proxy, error) {
			proxies, err := m.fetch(ctx, need)
			for _, p := range proxies {
				expiry.Store(p.String(), p.Expires)
			}
			return proxies, err
		}
		var late atomic.Int32
		n.answer = func(addr string, _ *http.Request) *http.Response {
			if end, ok := expiry.Load(addr); !ok || time.Now().After(end.(time.Time)) {
				late.Add(1)
			}
			time.Sleep(pace)
			return plain(200, addr)
		}
		p, err := pool.New(source, pool.WithTransport(n.transport()), pool.WithMargin(20*time.Second))
		require.NoError(t, err)

		killed := 0
		var work, kill sync.WaitGroup
		kill.Go(func() { // two a minute
			for ; killed < size/5; killed++ {
				n.kill("10.0.0.1:" + strconv.Itoa(1000+killed*3))
				time.Sleep(30 * time.Second)
			}
		})

		begin := time.Now()
		var left, failed atomic.Int64
		left.Store(requests)
		for range workers {
			work.Go(func() {
				for left.Add(-1) >= 0 {
					if _, err := get(t.Context(), p.Transport(), "http://target.test/"); err != nil {
						failed.Add(1)
					}
				}
			})
		}
		work.Wait()
		kill.Wait()
		took := time.Since(begin)
		require.NoError(t, p.Close())

		s := p.Stats()
		lives := math.Ceil(float64(took) / float64(life-20*time.Second))
		demand := lives*size + float64(killed)
		t.Logf("took %v: %d proxies for %.0f lives of %d and %d dead ones; %d requests failed; %+v", took, m.total, lives, size, killed, failed.Load(), s)
		require.GreaterOrEqual(t, lives, 3.0, "all expire twice")
		require.Equal(t, size/5, killed)
		require.Zero(t, late.Load(), "requests through an expired proxy")
		require.LessOrEqual(t, failed.Load(), int64(requests/100))
		require.LessOrEqual(t, float64(m.total), 1.1*demand)
		require.EqualValues(t, m.total, s.Spent)
		require.EqualValues(t, killed, s.Dead)
	})
}
