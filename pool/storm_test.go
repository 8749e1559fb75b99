package pool_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
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
		t.Logf("took %v: %d proxies for %.0f lives of %d and %d dead ones; %d requests failed; %+v", took, m.made(), lives, size, killed, failed.Load(), s)
		require.GreaterOrEqual(t, lives, 3.0, "all expire twice")
		require.Equal(t, size/5, killed)
		require.Zero(t, late.Load(), "requests through an expired proxy")
		require.LessOrEqual(t, failed.Load(), int64(requests/100))
		require.LessOrEqual(t, float64(m.made()), 1.1*demand)
		require.EqualValues(t, m.made(), s.Spent)
		require.EqualValues(t, killed, s.Dead)
	})
}

// The same over real proxies and real targets: CONNECT, plain HTTP and SOCKS5. A
// machine that has no time for 10,000 requests makes fewer.
// PROXYLITE_STORM_REQUESTS makes it longer.
func TestAStormOverRealProxies(t *testing.T) {
	t.Parallel()
	requests, most := int64(10_000), 10*time.Second
	if s := os.Getenv("PROXYLITE_STORM_REQUESTS"); s != "" {
		var err error
		requests, err = strconv.ParseInt(s, 10, 64)
		most = time.Hour
		require.NoError(t, err)
	}
	const (
		workers, size = 64, 50
		life, margin  = 12 * time.Second, 10 * time.Second // what a starved machine takes from a pick to the proxy
		ahead         = life / 20
	)
	secure, open, tcp := newTarget(t, true, nil), newTarget(t, false, nil), echo(t)
	open.Config.SetKeepAlivesEnabled(false) // a connection kept takes four descriptors, and some machines allow 1,024
	template := templateFor(secure)
	template.MaxIdleConnsPerHost = 1

	var mu sync.Mutex
	var made []*proxylitetest.Proxy
	p, err := pool.New(pool.Source{Size: size, Costs: true, Fetch: func(_ context.Context, need int) ([]pool.Proxy, error) {
		batch := make([]pool.Proxy, need)
		expires := time.Now().Add(life)
		mu.Lock()
		defer mu.Unlock()
		for i := range batch {
			proxy := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Life: life})
			made, batch[i] = append(made, proxy), pool.Proxy{Endpoint: proxy.Endpoint(), Expires: expires}
		}
		return batch, nil
	}}, pool.WithTransport(template), pool.WithMargin(margin))
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), most+time.Minute) // what hangs fails
	defer cancel()
	begin := time.Now()
	var sent, failed atomic.Int64
	killed := 0
	var work sync.WaitGroup
	for i := range workers {
		work.Go(func() {
			for {
				n := sent.Add(1)
				took := time.Since(begin)
				if n > requests && took > 5*(life-margin)/2 || took > most { // in the third life
					return
				}
				var err error
				switch i % 4 {
				case 0:
					err = ping(ctx, p, tcp)
				case 1:
					_, err = get(ctx, p.Transport(), open.URL)
				default:
					_, err = get(ctx, p.Transport(), secure.URL)
				}
				if err != nil {
					failed.Add(1)
				}
			}
		})
	}
	_ = ping(ctx, p, tcp) // so that there are some
	for ; killed < size/5; killed++ {
		time.Sleep((life - margin) / 8)
		mu.Lock()
		victim := made[len(made)-1-killed]
		mu.Unlock()
		victim.SetFault(proxylitetest.ProxyFault{Dead: true}) // cuts its tunnels
		victim.SetFault([]proxylitetest.ProxyFault{{Dead: true}, {Status: 509}, {Status: 407}}[killed%3])
	}
	work.Wait()
	took := time.Since(begin)
	require.NoError(t, p.Close())

	s := p.Stats()
	lives := math.Ceil(float64(took) / float64(life-margin-ahead))
	demand := lives*size + float64(s.Dead)
	t.Logf("%d requests in %v: %d proxies for %.0f lives of %d and %d dead ones; %d requests failed; %+v", sent.Load()-workers, took, len(made), lives, size, killed, failed.Load(), s)
	require.GreaterOrEqual(t, s.Expired, uint64(2*size-size/5), "all expire twice, but for the dead")
	for _, proxy := range made {
		require.Zero(t, proxy.Stats().Expired, "requests through an expired proxy")
	}
	require.LessOrEqual(t, failed.Load(), sent.Load()/100)
	require.LessOrEqual(t, float64(len(made)), 1.1*demand)
}

// ping sends something through a raw connection and reads it back.
func ping(ctx context.Context, p *pool.Pool, addr string) error {
	conn, err := p.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err = io.WriteString(conn, "ping")
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 4))
	}
	return errors.Join(err, conn.Close())
}
