package pool_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
)

// Traffic is counted for the proxy, the session, the host and all.
func TestTrafficIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(_ string, req *http.Request) *http.Response {
			if req.Host == "big.test" {
				return plain(200, strings.Repeat("x", 100_000))
			}
			return plain(200, "small")
		}
		p := newPool(t, (&made{}).source(2), pool.WithTransport(n.transport()))
		ann, ben := pool.WithSession(t.Context(), "ann"), pool.WithSession(t.Context(), "ben")
		for range 3 {
			_, err := get(ann, p.Transport(), "http://big.test/")
			require.NoError(t, err)
			require.NoError(t, send(t, p.Transport(), post(ben, t, "http://small.test/", strings.Repeat("y", 50_000))))
		}
		var up, down int64
		for _, a := range p.Addresses() {
			up, down = up+a.Up, down+a.Down
			require.Equal(t, 1, a.Sessions)
			require.Equal(t, pool.StateLive, a.State)
		}
		s := p.Stats()
		require.Equal(t, []int64{s.Up, s.Down}, []int64{up, down})
		require.Greater(t, down, int64(300_000))
		require.Greater(t, up, int64(150_000))
		for _, list := range [][]pool.Usage{p.Sessions(), p.Hosts()} {
			require.Len(t, list, 2)
			require.Greater(t, list[0].Down, int64(300_000))
			require.Greater(t, list[1].Up, int64(150_000))
			require.Equal(t, down, list[0].Down+list[1].Down)
		}
		require.Equal(t, "ann", p.Sessions()[0].Name)
		require.Equal(t, "big.test", p.Hosts()[0].Name)
	})
}

func TestTheByteBudgetStopsTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(string, *http.Request) *http.Response { return plain(200, strings.Repeat("x", 10_000)) }
		p := newPool(t, (&made{}).source(2), pool.WithTransport(n.transport()), pool.WithByteBudget(100_000))
		for range 2 {
			done, begin := 0, p.Stats()
			var err error
			for err == nil {
				_, err = get(t.Context(), p.Transport(), "http://target.test/")
				done++
			}
			require.ErrorIs(t, err, pool.ErrByteBudget)
			require.InDelta(t, 10, done, 2)
			_, err = p.Get(t.Context())
			require.ErrorIs(t, err, pool.ErrByteBudget)
			s := p.Stats()
			require.Less(t, s.Up+s.Down-begin.Up-begin.Down, int64(120_000))
			require.Zero(t, s.Failed, "it is nobody's fault")
			p.Resume()
		}
	})
}

func TestHooksAndJudgesAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, req *http.Request) *http.Response {
			if addr == first {
				return plain(403, "")
			}
			return plain(200, addr)
		}
		var uses []pool.Use
		calls, judged := 0, 0
		p := newPool(t, (&made{}).source(2), pool.WithTransport(n.transport()),
			pool.WithBanStatus(403), pool.WithBanStatus(429),
			pool.WithJudge(func(resp *http.Response) pool.Verdict {
				judged++
				_, _ = io.ReadAll(resp.Body)
				return pool.Unjudged
			}),
			pool.WithHooks(pool.Hooks{Used: func(u pool.Use) { uses = append(uses, u) }}),
			pool.WithHooks(pool.Hooks{Fetched: func(pool.Fetch) { calls++ }}),
			pool.WithHooks(pool.Hooks{Used: func(pool.Use) { calls++ }}))
		ctx := pool.WithSession(t.Context(), "ann")
		for range 2 {
			body, err := get(ctx, p.Transport(), "http://Target.test/")
			require.NoError(t, err)
			require.NotEqual(t, first, body)
			p.EndSession("ann")
		}
		require.Equal(t, 1+len(uses), calls, "%v", uses)
		require.Equal(t, len(uses), judged, "%v", uses)
		for _, u := range uses {
			require.Equal(t, []string{"ann", "target.test", "target.test:80"}, []string{u.Session, u.Host, u.Target})
		}
	})
}

// Which proxy it was is in the response, and what is known of it can be reported.
func TestWhichProxyItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, req *http.Request) *http.Response {
			require.Len(t, req.Header, 2, "Accept-Encoding and User-Agent: nothing is told to the target")
			return plain(200, addr)
		}
		p := newPool(t, (&made{}).source(3), pool.WithTransport(n.transport()))
		type mine struct{}
		req, err := http.NewRequestWithContext(context.WithValue(t.Context(), mine{}, 7), http.MethodGet, "http://target.test/", nil)
		require.NoError(t, err)
		resp, err := p.Transport().RoundTrip(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		via, ok := pool.ViaOf(resp)
		require.True(t, ok)
		require.Equal(t, string(body), via.Proxy)
		require.Equal(t, 7, resp.Request.Context().Value(mine{}))
		require.NoError(t, resp.Request.Context().Err())
		_, ok = pool.ViaOf(&http.Response{Request: req})
		require.False(t, ok)

		e := via.Endpoint().Endpoint
		require.True(t, p.Report(e, "target.test:80", pool.Failed))
		require.Equal(t, 1, p.Stats().Resting)
		for _, a := range p.Addresses() {
			if a.Proxy.String() == via.Proxy {
				require.Equal(t, pool.StateResting, a.State)
				require.NotEmpty(t, a.Reason)
				require.Equal(t, time.Now().Add(time.Second), a.Until)
			}
		}
		require.True(t, p.Report(e, "", pool.Worked))
		require.Zero(t, p.Stats().Resting)
		require.True(t, p.Drop(e))
		require.False(t, p.Drop(e))
		require.False(t, p.Report(e, "", pool.Failed))
		require.Zero(t, p.Stats().Dead)
	})
}

// The errors of reading a body are typed like the others.
func TestACutBodyIsATypedError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.raw = func(string, *http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf" }
		p := newPool(t, (&made{}).source(1), pool.WithTransport(n.transport()))
		_, err := get(t.Context(), p.Transport(), "http://target.test/")
		failed, ok := errors.AsType[*pool.Error](err)
		require.True(t, ok, "%v", err)
		require.True(t, failed.Sent)
		require.Equal(t, first, failed.Proxy)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
}
