package pool_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// pair is a pool of two proxies with a life of an hour.
func pair(t *testing.T, opts ...pool.Option) (p *pool.Pool, use func(addr string, v pool.Verdict)) {
	p = newPool(t, (&made{life: time.Hour}).source(2), opts...)
	use = func(addr string, v pool.Verdict) {
		for {
			l, err := p.Get(t.Context())
			require.NoError(t, err)
			if l.String() == addr {
				l.Done(v)
				return
			}
			l.Done(pool.Worked)
			time.Sleep(time.Millisecond)
		}
	}
	return p, use
}

const first = "10.0.0.1:1000"

func TestAFailureInARowRestsTwiceAsLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, use := pair(t, pool.WithCoolDown(10*time.Second, 30*time.Second))
		rest := func(v pool.Verdict) time.Duration {
			use(first, v)
			begin := time.Now()
			for p.Stats().Resting == 1 {
				time.Sleep(time.Second)
			}
			return time.Since(begin)
		}
		require.Equal(t, 10*time.Second, rest(pool.Failed))
		require.Equal(t, 20*time.Second, rest(pool.Failed))
		require.Zero(t, rest(pool.Worked), "forgiven")
		require.Equal(t, 10*time.Second, rest(pool.Failed))
		require.Equal(t, 20*time.Second, rest(pool.Failed))
		require.Zero(t, p.Stats().Dead)
		rest(pool.Failed)
		require.EqualValues(t, 1, p.Stats().Dead)
	})
}

func TestFailuresAtOnceAreOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := pair(t)
		var held []*pool.Lease
		for range 10 {
			l, err := p.Get(t.Context())
			require.NoError(t, err)
			held = append(held, l)
		}
		time.Sleep(time.Second)
		for _, l := range held {
			l.Done(map[bool]pool.Verdict{true: pool.Failed, false: pool.Worked}[l.String() == first])
		}
		require.Zero(t, p.Stats().Dead)
		require.Equal(t, 1, p.Stats().Resting)
		time.Sleep(time.Second)
		require.Equal(t, 2, p.Stats().Live)
	})
}

// A source that lists a dead proxy again does not bring it back.
func TestWhatIsDeadDoesNotComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		source := pool.Fixed(proxylite.Endpoint{Host: "10.0.0.1", Port: 1000}, proxylite.Endpoint{Host: "10.0.0.1", Port: 1001})
		fetch := source.Fetch
		source.Fetch = func(ctx context.Context, n int) ([]pool.Proxy, error) {
			fetches++
			return fetch(ctx, n)
		}
		p := newPool(t, source)
		for take(t, p) != first {
			time.Sleep(time.Millisecond)
		}
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		other := l.String()
		l.Done(pool.Dead)
		for range 100 {
			require.NotEqual(t, other, take(t, p))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		require.Greater(t, fetches, 1)
		require.Less(t, fetches, 10, "it is asked again, but not all the time")

		// When the last one is lost, there is nothing to wait for.
		l, err = p.Get(t.Context())
		require.NoError(t, err)
		l.Done(pool.Dead)
		_, err = p.Get(t.Context())
		require.ErrorIs(t, err, pool.ErrStopped)
	})
}

// Connecting does not go on past the end of life.
func TestConnectingEndsWithTheProxysLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: 20 * time.Second}
		template := n.transport()
		dial := template.DialContext
		template.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(14 * time.Second):
				return dial(ctx, network, addr)
			}
		}
		p := newPool(t, m.source(1), pool.WithTransport(template), pool.WithMargin(time.Second), pool.WithAttempts(1))
		for _, f := range []func() error{
			func() error { _, err := get(t.Context(), p.Transport(), "http://target.test/"); return err },
			func() error { _, err := p.DialContext(t.Context(), "tcp", "target.test:1"); return err },
		} {
			take(t, p) // of a new life
			time.Sleep(10 * time.Second)
			begin := time.Now()
			require.ErrorIs(t, f(), pool.ErrExpired)
			require.Equal(t, 10*time.Second, time.Since(begin))
		}
		require.Zero(t, p.Stats().Failed, "it is nobody's fault")
		require.Zero(t, n.hitsOf(first))
	})
}

// A cancelled request says nothing about the proxy, and neither does a deadline of the
// caller that is shorter than the target takes.
func TestACancelledRequestIsNobodysFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(string, *http.Request) *http.Response { time.Sleep(time.Hour); return nil }
		p, _ := pair(t, pool.WithTransport(n.transport()), pool.WithConnectTimeout(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		_, err := get(ctx, p.Transport(), "http://target.test/")
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 2, p.Stats().Live)
		require.Zero(t, p.Stats().Failed)

		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = get(ctx, p.Transport(), "http://target.test/")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 2, p.Stats().Live)
		require.Zero(t, p.Stats().Failed)
		time.Sleep(time.Hour)
	})
}
