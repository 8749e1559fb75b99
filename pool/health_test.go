package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// serial uses proxies that work or not, by their port, with three tries.
func serial(t *testing.T, p *pool.Pool, works func(port int) bool) bool {
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		l, err := p.Get(ctx)
		cancel()
		if err != nil {
			return false
		}
		if works(l.Proxy().Endpoint.Port) {
			l.Done(pool.Worked)
			return true
		}
		l.Done(pool.Failed)
	}
	return false
}

// Most of a batch may be dead, or all of it: they are found out by those that work.
func TestMostOfABatchIsDead(t *testing.T) {
	t.Parallel()
	for _, dead := range []int{1, 20, 24, 25} {
		t.Run(strconv.Itoa(dead), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &made{life: 2 * time.Hour}
				p := newPool(t, m.source(25))
				lastFailure := time.Now()
				begin := lastFailure
				for range 900 {
					if !serial(t, p, func(port int) bool { return port >= 1000+dead }) {
						lastFailure = time.Now()
					}
					time.Sleep(time.Second)
				}
				require.EqualValues(t, dead, p.Stats().Dead)
				require.Less(t, lastFailure.Sub(begin), 5*time.Minute)
				require.LessOrEqual(t, m.made(), 25+dead)
			})
		})
	}
}

// An outage of all costs little, and is over when it is over.
func TestAfterAnOutageTrafficGoesOn(t *testing.T) {
	t.Parallel()
	for _, cool := range []time.Duration{time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			n, m := newNetwork(), &made{life: 24 * time.Hour}
			tr := n.transport()
			dial := tr.DialContext
			var down atomic.Bool
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if down.Load() {
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
				}
				return dial(ctx, network, addr)
			}
			p := newPool(t, m.source(20), pool.WithTransport(tr), pool.WithCoolDown(cool, time.Minute), pool.WithRotation(pool.PerRequest))
			for range 5 {
				for range 100 {
					_, err := get(t.Context(), p.Transport(), "http://target.test/")
					require.NoError(t, err)
					time.Sleep(time.Second)
				}
				down.Store(true)
				for begin := time.Now(); time.Since(begin) < 2*time.Minute; {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					_, err := get(ctx, p.Transport(), "http://target.test/")
					require.Error(t, err)
					cancel()
				}
				down.Store(false)
				begin := time.Now()
				_, err := get(t.Context(), p.Transport(), "http://target.test/")
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(begin), 2*time.Second)
			}
			require.Zero(t, p.Stats().Dead)
			require.LessOrEqual(t, m.made(), 20+5*8)
		})
	}
}

// Names that nobody reaches do not hide a dead proxy.
func TestADeadProxyAmongDeadNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: 24 * time.Hour}
		n.answer = func(addr string, req *http.Request) *http.Response {
			if strings.HasPrefix(req.Host, "x") {
				return nil
			}
			return plain(200, addr)
		}
		n.kill(first)
		p := newPool(t, m.source(5), pool.WithTransport(n.transport()), pool.WithRotation(pool.PerRequest))
		for i := range 60 {
			for j := range 4 {
				_, err := get(t.Context(), p.Transport(), fmt.Sprintf("http://x%d-%d.test/", i, j))
				require.Error(t, err)
			}
			_, err := get(t.Context(), p.Transport(), "http://good.test/")
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.EqualValues(t, 1, p.Stats().Dead)
		require.Equal(t, 6, m.made())
	})
}

// Each exit of a gateway that rotates is another one.
func TestABadExitOfARotatingGatewayIsLeftAtOnce(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, status := range []int{407, 402, 403, 429, 495, 502, 503, 509, 0} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var connects atomic.Int64
				n.answer = func(addr string, req *http.Request) *http.Response {
					if req.Method == http.MethodConnect && connects.Add(1)%10 == 0 {
						if status == 0 {
							return nil
						}
						return plain(status, "")
					}
					return plain(200, addr)
				}
				p := newPool(t, pool.Gateway{Account: "bob", Password: proxylite.NewPassword("pw"), Host: "10.0.0.1:1000"}.Rotating(),
					pool.WithTransport(n.secure(site)), pool.WithRotation(pool.PerRequest))
				begin := time.Now()
				for range 100 {
					_, err := get(t.Context(), p.Transport(), "https://target.test/")
					require.NoError(t, err)
				}
				require.Less(t, time.Since(begin), 3*time.Second, "nothing rests")
				require.Equal(t, 1, p.Stats().Live)
			})
		})
	}
}

// A gateway that now and then does not let one in, or is not reached, is used on.
func TestAFewFailuresOfARotatingGatewayAreNoOutage(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, how := range []string{"512", "dial"} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			var tries atomic.Int64
			var down atomic.Bool
			fails := func() bool { return tries.Add(1)%50 == 0 || down.Load() }
			n.answer = func(addr string, req *http.Request) *http.Response {
				if req.Method == http.MethodConnect {
					time.Sleep(100 * time.Millisecond)
					if how == "512" && fails() {
						return plain(512, "")
					}
				}
				return plain(200, addr)
			}
			tr := n.secure(site)
			dial := tr.DialContext
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if how == "dial" && fails() {
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
				}
				return dial(ctx, network, addr)
			}
			p := newPool(t, pool.Gateway{Account: "bob", Password: proxylite.NewPassword("pw"), Host: "10.0.0.1:1000"}.Rotating(),
				pool.WithTransport(tr), pool.WithRotation(pool.PerRequest))
			begin := time.Now()
			var done atomic.Int64
			var work sync.WaitGroup
			for range 16 {
				work.Go(func() {
					for time.Since(begin) < 10*time.Second {
						_, err := get(t.Context(), p.Transport(), "https://target.test/")
						require.NoError(t, err)
						done.Add(1)
					}
				})
			}
			work.Wait()
			require.Greater(t, done.Load(), int64(1400), "of 1,600")

			down.Store(true)
			tries.Store(0)
			for begin := time.Now(); time.Since(begin) < time.Minute; {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				_, err := get(ctx, p.Transport(), "https://target.test/")
				require.Error(t, err)
				cancel()
			}
			require.Less(t, tries.Load(), int64(100), "an outage is not made worse")
			down.Store(false)
			begin = time.Now()
			_, err := get(t.Context(), p.Transport(), "https://target.test/")
			require.NoError(t, err)
			require.Less(t, time.Since(begin), 2*time.Second)
		})
	}
}

// A target's ban is that exit's, too: also where connections are kept.
func TestABannedExitOfARotatingGatewayIsLeftAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var requests atomic.Int64
		n.answer = func(addr string, _ *http.Request) *http.Response {
			if requests.Add(1)%10 == 0 {
				return plain(map[int64]int{0: 403, 1: 429}[requests.Load()/10%2], "")
			}
			return plain(200, addr)
		}
		p := newPool(t, pool.Gateway{Account: "bob", Password: proxylite.NewPassword("pw"), Host: "10.0.0.1:1000"}.Rotating(),
			pool.WithTransport(n.transport()), pool.WithBanStatus(403, 429))
		begin := time.Now()
		for range 100 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/")
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(begin))
		require.Greater(t, n.dials[first], 5, "the exit is left")
	})
}

// A login that worked is not wrong because it was refused once, but soon when it is
// refused all the time.
func TestALoginThatWorkedIsConfirmedToBeWrong(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	g := pool.Gateway{Account: "bob", Password: proxylite.NewPassword("pw"), Host: "10.0.0.1:1000"}
	for name, source := range map[string]pool.Source{
		"sessions": g.Sessions(5), "rotating": g.Rotating(), "fixed": pool.Fixed(proxylite.Endpoint{Host: "10.0.0.1", Port: 1000, Username: "u", Password: proxylite.NewPassword("p")}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var connects, every atomic.Int64
				every.Store(100)
				n.answer = func(addr string, req *http.Request) *http.Response {
					if req.Method == http.MethodConnect && connects.Add(1)%every.Load() == 0 {
						return plain(407, "")
					}
					return plain(200, addr)
				}
				p := newPool(t, source, pool.WithTransport(n.secure(site)), pool.WithRotation(pool.PerRequest))
				for range 300 {
					_, err := get(t.Context(), p.Transport(), "https://target.test/")
					require.NoError(t, err)
				}
				every.Store(1)
				begin := time.Now()
				for {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					_, err := get(ctx, p.Transport(), "https://target.test/")
					cancel()
					if errors.Is(err, pool.ErrStopped) {
						break
					}
					require.ErrorIs(t, err, pool.ErrProxyAuth)
					require.Less(t, time.Since(begin), 15*time.Second)
					time.Sleep(100 * time.Millisecond)
				}
			})
		})
	}
}

// Giving up healthy proxies is no failure, and the next ones come at once.
func TestUsedUpProxiesAreReplacedAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		verdict pool.Verdict
		most    time.Duration
	}{{pool.UsedUp, 25 * time.Second}, {pool.Dead, 40 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			m := &made{life: 30 * time.Minute}
			p := newPool(t, m.source(20), pool.WithQuota(250, time.Hour))
			begin := time.Now()
			for range 200 {
				l, err := p.Get(t.Context())
				require.NoError(t, err)
				time.Sleep(100 * time.Millisecond)
				l.Done(tt.verdict)
			}
			require.LessOrEqual(t, time.Since(begin), tt.most)
			require.LessOrEqual(t, m.made(), 220)
		})
	}
}

// A page that nobody may see is no reason to leave the host, but a ban is.
func TestOneForbiddenPageBansNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, req *http.Request) *http.Response {
			if req.URL.Path == "/admin" || addr == first && req.URL.Path == "/shop" {
				return plain(403, "no")
			}
			return plain(200, addr)
		}
		p := newPool(t, (&made{}).source(6), pool.WithTransport(n.transport()), pool.WithBanStatus(403))
		for range 4 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/admin")
			require.ErrorContains(t, err, "403")
		}
		begin := time.Now()
		for range 6 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/page")
			require.NoError(t, err)
		}
		require.LessOrEqual(t, time.Since(begin), time.Second)
		time.Sleep(time.Minute)
		before := n.hitsOf(first)
		for range 30 {
			_, err := get(t.Context(), p.Transport(), "http://target.test/shop")
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, n.hitsOf(first)-before, "another one got the page")
	})
}

// 429 rests the proxy for that host as long as it says.
func TestSlowDownObeysRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var limited atomic.Bool
		n.answer = func(addr string, req *http.Request) *http.Response {
			if limited.Load() && req.Host == "target.test" {
				resp := plain(429, "slow")
				resp.Header = http.Header{"Retry-After": {"7"}}
				return resp
			}
			return plain(200, addr)
		}
		p := newPool(t, (&made{}).source(3), pool.WithTransport(n.transport()), pool.WithBanStatus(429))
		ctx := pool.WithSession(t.Context(), "ann")
		home, err := get(ctx, p.Transport(), "http://target.test/")
		require.NoError(t, err)
		limited.Store(true)
		_, err = get(ctx, p.Transport(), "http://target.test/")
		require.ErrorContains(t, err, "429")
		limited.Store(false)
		begin := time.Now()
		_, err = get(ctx, p.Transport(), "http://other.test/")
		require.NoError(t, err)
		require.Zero(t, time.Since(begin), "it is for that host")
		body, err := get(ctx, p.Transport(), "http://target.test/")
		require.NoError(t, err)
		require.Equal(t, 7*time.Second, time.Since(begin))
		require.Equal(t, home, body, "and the session waits for it")
	})
}

// It is at most an hour, and what can't be read is left out.
func TestFormsOfRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "99999999999999999999": time.Hour, "86400": time.Hour,
		"Sat, 01 Jan 2000 00:01:30 GMT": 90 * time.Second, "Fri, 31 Dec 9999 23:59:59 GMT": time.Hour, // a bubble begins at 2000-01-01
		"soon": time.Second, "-5": time.Second, "0": time.Second, "Sat, 01 Jan 1990 00:00:00 GMT": time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			n.answer = func(addr string, _ *http.Request) *http.Response {
				if n.hitsOf(addr) > 1 {
					return plain(200, addr)
				}
				resp := plain(429, "slow")
				resp.Header = http.Header{"Retry-After": {value}}
				return resp
			}
			p := newPool(t, (&made{}).source(1), pool.WithTransport(n.transport()), pool.WithBanStatus(429))
			_, err := get(t.Context(), p.Transport(), "http://target.test/")
			require.ErrorContains(t, err, "429")
			begin := time.Now()
			_, err = get(t.Context(), p.Transport(), "http://target.test/")
			require.NoError(t, err)
			require.Equal(t, want, time.Since(begin), value)
		})
	}
}

func TestNamesOfAHostAreOne(t *testing.T) {
	t.Parallel()
	p := newPool(t, pool.Fixed(proxylite.Endpoint{Host: "10.0.0.1", Port: 1}), pool.WithHostCoolDown(time.Hour), pool.WithFailFast())
	l, err := p.GetFor(t.Context(), "Shop.Test")
	require.NoError(t, err)
	l.Done(pool.FailedForHost)
	for _, name := range []string{"Shop.Test", "shop.test", "SHOP.TEST:443", "shop.test:80", "shop.test.", "Shop.test.:80", "https://shop.test/path", "http://Shop.Test:8080"} {
		_, err := p.GetFor(t.Context(), name)
		require.ErrorIs(t, err, pool.ErrNoProxy, name)
	}
	l, err = p.GetFor(t.Context(), "2001:db8::1")
	require.NoError(t, err)
	l.Done(pool.FailedForHost)
	for _, name := range []string{"2001:DB8::1", "[2001:db8::1]", "[2001:db8:0::0:1]:443", "https://[2001:0db8::1]/"} {
		_, err := p.GetFor(t.Context(), name)
		require.ErrorIs(t, err, pool.ErrNoProxy, name)
	}
	l, err = p.GetFor(t.Context(), "shop.test.evil")
	require.NoError(t, err)
	l.Done(pool.Unjudged)
}

// A silent proxy does not take a plain request's whole deadline.
func TestASilentProxyIsGivenUpWithoutATunnel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, _ *http.Request) *http.Response {
			if addr == first {
				time.Sleep(time.Hour)
			}
			return plain(200, addr)
		}
		p, _ := pair(t, pool.WithTransport(n.transport()), pool.WithConnectTimeout(time.Second))
		for range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, err := get(ctx, p.Transport(), "http://target.test/")
			require.NoError(t, err)
			cancel()
		}
		time.Sleep(time.Hour)
	})
}

// What began before a failure proves nothing about it: in an outage, connections that
// stand may go on for a while.
func TestAnEarlierSuccessProvesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, (&made{life: 24 * time.Hour}).source(2))
		var standing []*pool.Lease
		for len(standing) < 10 {
			l, err := p.Get(t.Context())
			require.NoError(t, err)
			if l.String() != first {
				standing = append(standing, l)
				continue
			}
			l.Done(pool.Unjudged)
		}
		for _, l := range standing {
			time.Sleep(time.Minute)
			for range 2 {
				bad, err := p.Get(t.Context())
				require.NoError(t, err)
				if bad.String() == first {
					bad.Done(pool.Failed)
				} else {
					bad.Done(pool.Unjudged)
				}
			}
			l.Done(pool.Worked)
		}
		require.Zero(t, p.Stats().Dead)
	})
}

// A proxy that one target alone does not let in is left out there, but not dropped.
func TestOneTargetAloneCondemnsNoProxy(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: 24 * time.Hour}
		n.answer = func(addr string, req *http.Request) *http.Response {
			if addr == first && strings.HasPrefix(req.Host, "strict") {
				return plain(502, "")
			}
			return plain(200, addr)
		}
		p := newPool(t, m.source(5), pool.WithTransport(n.secure(site)))
		for range 500 {
			_, err := get(t.Context(), p.Transport(), "https://strict.test/")
			require.NoError(t, err)
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, 5, m.made())
		require.InDelta(t, 40, n.hitsOf(first), 15, "about once a minute")
	})
}
