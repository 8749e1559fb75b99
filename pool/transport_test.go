package pool_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// target is a server that counts what reaches it.
var quiet = log.New(io.Discard, "", 0)

type target struct {
	*httptest.Server
	hits atomic.Int64
}

func newTarget(t *testing.T, secure bool, h http.HandlerFunc) *target {
	t.Helper()
	s := &target{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		if h != nil {
			h(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	s.Config.ErrorLog = quiet
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func trusting(site *target) pool.Option { return pool.WithTransport(templateFor(site)) }

// templateFor trusts the target.
func templateFor(site *target) *http.Transport {
	tr := proxylite.NewTransport()
	if site.TLS != nil {
		tr.TLSClientConfig = &tls.Config{RootCAs: rootCAs(site)}
	}
	return tr
}

func rootCAs(site *target) *x509.CertPool {
	return site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
}

func proxies(t *testing.T, n int, opts proxylitetest.ProxyOptions) (list []*proxylitetest.Proxy, source pool.Source) {
	t.Helper()
	var endpoints []proxylite.Endpoint
	for range n {
		p := proxylitetest.NewProxy(t, opts)
		list, endpoints = append(list, p), append(endpoints, p.Endpoint())
	}
	return list, pool.Fixed(endpoints...)
}

func tunnels(list []*proxylitetest.Proxy) (n []int) {
	for _, p := range list {
		n = append(n, p.Stats().Tunnels)
	}
	return n
}

func requests(list []*proxylitetest.Proxy) (n int) {
	for _, p := range list {
		n += p.Stats().Requests
	}
	return n
}

// The first trap: whatever the target speaks, one after the other goes through
// another proxy.
func TestEachRequestGoesThroughAnotherProxy(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, rotation := range []pool.Rotation{pool.RoundRobin, pool.PerRequest} {
		list, source := proxies(t, 3, proxylitetest.ProxyOptions{})
		p := newPool(t, source, trusting(site), pool.WithRotation(rotation))
		for range 9 {
			body, err := get(t.Context(), p.Transport(), site.URL)
			require.NoError(t, err)
			require.Equal(t, "hello", body)
		}
		if rotation == pool.PerRequest {
			require.Equal(t, []int{3, 3, 3}, tunnels(list), "a connection for each request")
		} else {
			require.Equal(t, []int{1, 1, 1}, tunnels(list), "a connection for each proxy")
		}
		require.EqualValues(t, 9, p.Stats().Worked)
	}

	// And this is what the trap looks like: one tunnel for each proxy over
	// HTTP/1.1, and one for all over HTTP/2.
	for _, http2 := range []bool{false, true} {
		list, source := proxies(t, 3, proxylitetest.ProxyOptions{})
		naive := &http.Transport{Proxy: newPool(t, source).Proxy, ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{RootCAs: rootCAs(site)}}
		for range 9 {
			_, err := get(t.Context(), naive, site.URL)
			require.NoError(t, err)
		}
		naive.CloseIdleConnections()
		require.Equal(t, map[bool]int{false: 3, true: 1}[http2], sum(tunnels(list)))
	}
}

func sum(n []int) (s int) {
	for _, x := range n {
		s += x
	}
	return s
}

// The second trap: net/http's text for a refusal is its reason phrase, "OK".
func TestARefusalToConnectIsATypedError(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, tt := range []struct {
		status int
		want   error
		text   string
		left   int // proxies of the two that are still there for another host
	}{
		{407, pool.ErrProxyAuth, "check account and password", 0},
		{401, pool.ErrProxyAuth, "check account and password", 0},
		{495, pool.ErrProxyTLS, "TLS trouble", 0},
		{509, pool.ErrProxyDead, "its life is over", 0},
		{512, pool.ErrNotAllowed, "not on the allow list, or no stock", 0},
		{502, nil, "refused to connect: status 502", 2},
		{403, nil, "refused to connect: status 403", 2},
	} {
		list, source := proxies(t, 2, proxylitetest.ProxyOptions{})
		for _, p := range list {
			p.SetFault(proxylitetest.ProxyFault{Status: tt.status, Body: "because"})
		}
		p := newPool(t, source, trusting(site), pool.WithAttempts(2), pool.WithCoolDown(time.Minute, time.Minute))
		_, err := get(t.Context(), p.Transport(), site.URL)
		require.ErrorContains(t, err, tt.text, tt.status)
		if tt.want != nil {
			require.ErrorIs(t, err, tt.want)
		}
		refused, ok := errors.AsType[*pool.ConnectError](err)
		require.True(t, ok)
		require.Equal(t, []any{tt.status, "because\n"}, []any{refused.Status, refused.Body})
		failed, ok := errors.AsType[*pool.Error](err)
		require.True(t, ok)
		require.False(t, failed.Sent)
		require.Equal(t, 2, failed.Attempts)
		require.Equal(t, refused.Proxy, failed.Proxy)
		require.Equal(t, 1, list[0].Stats().Requests)
		require.Equal(t, 1, list[1].Stats().Requests)
		require.Equal(t, tt.left, p.Stats().Live, tt.status)
		require.Zero(t, site.hits.Load())
	}
}

// Through a tunnel every status is the target's. Without one only 407 and the
// gateway's "509 OK" are the proxy's.
func TestTheTargetsOwnStatusIsTheTargets(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
	}
	for _, site := range []*target{newTarget(t, true, echo), newTarget(t, false, echo)} {
		_, source := proxies(t, 2, proxylitetest.ProxyOptions{})
		p := newPool(t, source, trusting(site))
		for _, status := range []int{401, 403, 407, 495, 502, 509, 512} {
			if status == 407 && site.TLS == nil {
				continue
			}
			_, err := get(t.Context(), p.Transport(), fmt.Sprintf("%s/%d", site.URL, status))
			require.EqualError(t, err, fmt.Sprintf("status %d", status))
			require.Equal(t, 2, p.Stats().Live)
		}
	}
	t.Run("plain", func(t *testing.T) {
		site := newTarget(t, false, nil)
		for status, want := range map[int]error{407: pool.ErrProxyAuth, 509: pool.ErrProxyDead} {
			list, source := proxies(t, 2, proxylitetest.ProxyOptions{})
			list[0].SetFault(proxylitetest.ProxyFault{Status: status})
			p := newPool(t, source, pool.WithAttempts(1))
			var refused error
			for range 4 {
				if _, err := get(t.Context(), p.Transport(), site.URL); err != nil {
					require.NoError(t, refused)
					refused = err
				}
			}
			require.ErrorIs(t, refused, want)
			require.Equal(t, 2, p.Stats().Live, "it may be the target's, so it is out for that only")
		}
	})
}

// No request ever goes out without a proxy: not to localhost, not with NO_PROXY,
// not when every proxy is dead.
func TestNoRequestGoesOutWithoutAProxy(t *testing.T) {
	t.Parallel()
	site := newTarget(t, false, nil)
	local := strings.Replace(site.URL, "127.0.0.1", "localhost", 1)
	list, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	p := newPool(t, source)
	for _, url := range []string{site.URL, local} {
		_, err := get(t.Context(), p.Transport(), url)
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, site.hits.Load())
	require.Equal(t, 2, list[0].Stats().Requests)

	list[0].Close()
	for _, rt := range []http.RoundTripper{p.Transport(), &http.Transport{Proxy: p.Proxy, DisableKeepAlives: true}} {
		for _, url := range []string{site.URL, local} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := get(ctx, rt, url)
			require.Error(t, err)
			cancel()
		}
	}
	require.NoError(t, p.Close())
	for _, rt := range []http.RoundTripper{p.Transport(), &http.Transport{Proxy: p.Proxy, DisableKeepAlives: true}} {
		_, err := get(t.Context(), rt, local)
		require.ErrorIs(t, err, pool.ErrClosed)
	}
	_, err := p.DialContext(t.Context(), "tcp", site.Listener.Addr().String())
	require.ErrorIs(t, err, pool.ErrClosed)
	require.EqualValues(t, 2, site.hits.Load())
}

func send(t *testing.T, rt http.RoundTripper, req *http.Request) error {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func post(ctx context.Context, t *testing.T, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	return req
}

// Whatever became of its answer, a POST reaches a target once. As long as nothing
// was sent it goes on through another proxy.
func TestAPostIsSentOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var bodies []string
	site := newTarget(t, true, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		bodies = append(bodies, string(body))
		mu.Unlock()
		panic(http.ErrAbortHandler) // over HTTP/2: a stream error
	})
	plainSite := newTarget(t, false, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	list, source := proxies(t, 3, proxylitetest.ProxyOptions{})
	p := newPool(t, source, trusting(site), pool.WithCoolDown(time.Nanosecond, time.Nanosecond))
	for _, s := range []*target{site, plainSite} {
		for _, body := range []string{"order", ""} {
			for range 3 {
				before := s.hits.Load()
				req := post(t.Context(), t, s.URL, body)
				req.Header.Set("Idempotency-Key", "net/http would send it again")
				err := send(t, p.Transport(), req)
				if s == site {
					failed, ok := errors.AsType[*pool.Error](err)
					require.True(t, ok, "%v", err)
					require.True(t, failed.Sent)
					require.Equal(t, 1, failed.Attempts)
				}
				require.EqualValues(t, 1, s.hits.Load()-before)
			}
		}
	}

	// Even where the proxy closes each connection after an answer without a word.
	n := newNetwork()
	n.answer = func(addr string, req *http.Request) *http.Response {
		req.Close = true
		return plain(200, addr)
	}
	quiet := newPool(t, (&made{}).source(1), pool.WithTransport(n.transport()))
	for range 20 {
		_, err := get(t.Context(), quiet.Transport(), "http://target.test/")
		require.NoError(t, err)
		require.NoError(t, send(t, quiet.Transport(), post(t.Context(), t, "http://target.test/", "order")))
	}
	require.Equal(t, 40, n.hitsOf("10.0.0.1:1000"))

	// The first two refuse: nothing was sent.
	mu.Lock()
	bodies = nil
	mu.Unlock()
	for _, broken := range list[:2] {
		broken.SetFault(proxylitetest.ProxyFault{Status: 502})
	}
	p = newPool(t, source, trusting(site), pool.WithAttempts(6))
	for range 2 { // the first one may begin with the third proxy
		err := send(t, p.Transport(), post(t.Context(), t, site.URL, "order"))
		failed, _ := errors.AsType[*pool.Error](err)
		require.True(t, failed.Sent)
	}
	require.NotZero(t, p.Stats().Retries)
	require.Equal(t, []string{"order", "order"}, bodies)

	// Unless its body can't be had again.
	p = newPool(t, pool.Fixed(list[0].Endpoint(), list[1].Endpoint()), trusting(site))
	req := post(t.Context(), t, site.URL, "order")
	req.GetBody = nil
	err := send(t, p.Transport(), req)
	failed, _ := errors.AsType[*pool.Error](err)
	require.Equal(t, []any{false, 1}, []any{failed.Sent, failed.Attempts})
}

// Over HTTP/2 net/http sends a request again when the stream is reset with
// PROTOCOL_ERROR, whatever its method, so what must not be sent twice does without it:
// also many at once, which could not be sent again where the target refuses streams.
func TestAPostGoesOverHTTP1(t *testing.T) {
	t.Parallel()
	var protos sync.Map
	site := newTarget(t, true, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		protos.Store(r.Method+" "+r.Proto, true)
	})
	site.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1}
	_, source := proxies(t, 2, proxylitetest.ProxyOptions{})
	p := newPool(t, source, trusting(site))
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			for range 10 {
				require.NoError(t, send(t, p.Transport(), post(t.Context(), t, site.URL, "order")))
				_, err := get(t.Context(), p.Transport(), site.URL)
				require.NoError(t, err)
			}
		})
	}
	work.Wait()
	require.EqualValues(t, 320, site.hits.Load())
	for proto, want := range map[string]bool{"POST HTTP/1.1": true, "POST HTTP/2.0": false, "GET HTTP/2.0": true} {
		_, got := protos.Load(proto)
		require.Equal(t, want, got, proto)
	}
}

func TestWhatMayBeRepeatedGoesOnThroughAnotherProxy(t *testing.T) {
	t.Parallel()
	var lose atomic.Int32
	var bodies sync.Map
	site := newTarget(t, true, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies.Store(string(body), true)
		if lose.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
	})
	_, source := proxies(t, 3, proxylitetest.ProxyOptions{})
	for _, req := range []*http.Request{
		httptest.NewRequest(http.MethodGet, site.URL, nil),
		post(pool.Repeatable(t.Context()), t, site.URL, "again"),
	} {
		req.RequestURI = ""
		for lost, want := range []int64{1, 2, 3} {
			p := newPool(t, source, trusting(site))
			lose.Store(int32(lost))
			before := site.hits.Load()
			require.NoError(t, send(t, p.Transport(), req))
			require.Equal(t, want, site.hits.Load()-before)
			require.EqualValues(t, lost, p.Stats().Retries)
		}
		p := newPool(t, source, trusting(site))
		lose.Store(3)
		before := site.hits.Load()
		err := send(t, p.Transport(), req)
		failed, ok := errors.AsType[*pool.Error](err)
		require.True(t, ok)
		require.Equal(t, []any{true, 3}, []any{failed.Sent, failed.Attempts})
		require.EqualValues(t, 3, site.hits.Load()-before)
		require.Equal(t, 3, p.Stats().Live, "it may be the target's fault")
		if req.GetBody != nil {
			body, err := req.GetBody()
			require.NoError(t, err)
			req.Body = body
		}
	}
	_, again := bodies.Load("again")
	require.True(t, again)
}

func TestADeadProxyIsLeftAloneAndDropped(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	list, source := proxies(t, 3, proxylitetest.ProxyOptions{})
	list[0].SetFault(proxylitetest.ProxyFault{Dead: true})
	list[1].SetFault(proxylitetest.ProxyFault{Status: 509})
	fetch := source.Fetch
	source.Fetch = func(ctx context.Context, n int) ([]pool.Proxy, error) {
		got, err := fetch(ctx, n)
		for i := range got {
			got[i].Expires = time.Now().Add(time.Hour)
		}
		return got, err
	}
	var mu sync.Mutex
	var gone []pool.Retirement
	p := newPool(t, source, trusting(site), pool.WithCoolDown(time.Nanosecond, time.Nanosecond), pool.WithHooks(pool.Hooks{
		Retired: func(r pool.Retirement) {
			mu.Lock()
			defer mu.Unlock()
			gone = append(gone, r)
		},
	}))
	for range 50 {
		_, err := get(t.Context(), p.Transport(), site.URL)
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, p.Stats().Dead)
	require.LessOrEqual(t, p.Stats().Retries, uint64(15), "it hangs up without a word, so that half of its failures count")
	for i, r := range gone {
		if r.Reason == pool.ReasonDead {
			require.NotZero(t, r.Up)
		} else { // a connection may break before anything is written to it
			require.GreaterOrEqual(t, r.Uses, uint64(3))
			gone[i].Uses = 3
		}
		gone[i].Up, gone[i].Down = 0, 0
	}
	require.ElementsMatch(t, []pool.Retirement{
		{Proxy: list[0].Endpoint().Addr(), Reason: pool.ReasonFailed, Uses: 3},
		{Proxy: list[1].Endpoint().Addr(), Reason: pool.ReasonDead, Uses: 1},
	}, gone)
}

// A proxy that hangs is given up in time for another.
func TestAProxyThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil) // for its certificate
	for _, hangs := range []string{"dial", "connect"} {
		t.Run(hangs, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var both atomic.Bool
				n.tls = &tls.Config{Certificates: site.TLS.Certificates}
				n.answer = func(addr string, req *http.Request) *http.Response {
					if hangs == "connect" && req.Method == http.MethodConnect && (both.Load() || addr == first) {
						<-t.Context().Done()
					}
					return plain(200, addr)
				}
				template := n.transport()
				template.TLSClientConfig = &tls.Config{RootCAs: rootCAs(site)}
				dial := template.DialContext
				template.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if hangs == "dial" && (both.Load() || addr == first) {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return dial(ctx, network, addr)
				}
				p := newPool(t, (&made{}).source(2), pool.WithTransport(template), pool.WithConnectTimeout(3*time.Second), pool.WithCoolDown(time.Hour, time.Hour))
				begin := time.Now()
				for range 4 {
					require.NoError(t, send(t, p.Transport(), post(t.Context(), t, "https://example.com/", "x")))
				}
				require.Equal(t, 3*time.Second, time.Since(begin))
				require.Equal(t, map[string]int{"dial": 1, "connect": 0}[hangs], p.Stats().Resting, "it may be the target that hangs")

				both.Store(true)
				p = newPool(t, (&made{}).source(2), pool.WithTransport(template), pool.WithConnectTimeout(3*time.Second), pool.WithAttempts(2))
				begin = time.Now()
				_, err := get(t.Context(), p.Transport(), "https://example.com/")
				require.ErrorIs(t, err, pool.ErrConnectTimeout)
				failed, _ := errors.AsType[*pool.Error](err)
				require.True(t, failed.Timeout())
				require.Equal(t, 6*time.Second, time.Since(begin))
			})
		})
	}
}

func TestTheTargetsAnswerCanBanAProxy(t *testing.T) {
	t.Parallel()
	var banned sync.Map // proxy's own address as the target sees it
	site := newTarget(t, false, func(w http.ResponseWriter, r *http.Request) {
		if _, ok := banned.Load(r.Header.Get("Via-Test")); ok {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, "robot? "+strings.Repeat("x", 1<<16))
	})
	list, source := proxies(t, 3, proxylitetest.ProxyOptions{})

	t.Run("status", func(t *testing.T) {
		n := newNetwork()
		n.answer = func(addr string, req *http.Request) *http.Response {
			if addr == "10.0.0.1:1000" && req.Host == "strict.test" {
				return plain(403, "no")
			}
			return plain(200, addr)
		}
		p := newPool(t, (&made{}).source(3), pool.WithTransport(n.transport()), pool.WithBanStatus(403, 429))
		for range 9 {
			body, err := get(t.Context(), p.Transport(), "http://strict.test/")
			require.NoError(t, err)
			require.NotEqual(t, "10.0.0.1:1000", body)
		}
		require.Equal(t, 1, n.hitsOf("10.0.0.1:1000"), "out for this host")
		seen := map[string]bool{}
		for range 3 {
			body, err := get(t.Context(), p.Transport(), "http://easy.test/")
			require.NoError(t, err)
			seen[body] = true
		}
		require.Len(t, seen, 3, "but for no other")
	})

	t.Run("body", func(t *testing.T) {
		judged := 0
		p := newPool(t, source, pool.WithAttempts(2), pool.WithJudge(func(resp *http.Response) pool.Verdict {
			judged++
			head := make([]byte, 6)
			_, err := io.ReadFull(resp.Body, head)
			require.NoError(t, err)
			if string(head) == "robot?" {
				return pool.Dead
			}
			return pool.Unjudged
		}))
		body, err := get(t.Context(), p.Transport(), site.URL)
		require.NoError(t, err, "the last answer is the caller's")
		require.Len(t, body, 7+1<<16, "with the whole body")
		require.Equal(t, 2, judged)
		require.EqualValues(t, 2, p.Stats().Dead)
		require.Equal(t, 2, requests(list))
	})
}

// A login that all share and one proxy refuses is wrong everywhere.
func TestAWrongLoginStopsTheGateway(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	proxy := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Auth: func(user, password string) bool {
		return strings.HasPrefix(user, "pl-bob_area-US_session-") && password == "right"
	}})
	gateway := pool.Gateway{Account: "bob", Password: proxylite.NewPassword("right"), Host: proxy.Endpoint().Addr(), Area: "US"}
	p := newPool(t, gateway.Sessions(5), trusting(site))
	for range 10 {
		_, err := get(t.Context(), p.Transport(), site.URL)
		require.NoError(t, err)
	}
	users := map[string]bool{}
	for _, r := range proxy.Requests() {
		users[r.Username] = true
	}
	require.Len(t, users, 5, "sessions at once")

	gateway.Password = proxylite.NewPassword("wrong")
	before := proxy.Stats().Requests
	p = newPool(t, gateway.Sessions(5), trusting(site))
	for range 3 {
		_, err := get(t.Context(), p.Transport(), site.URL)
		require.ErrorIs(t, err, pool.ErrStopped)
		require.ErrorIs(t, err, pool.ErrProxyAuth)
	}
	require.Equal(t, 2, proxy.Stats().Requests-before)
}

// One refusal does not stop a new pool of a login that works.
func TestOneRefusedLoginStopsNoNewPool(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	g := pool.Gateway{Account: "bob", Password: proxylite.NewPassword("pw"), Host: "10.0.0.1:1000"}
	for _, source := range []pool.Source{g.Sessions(5), g.Rotating()} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			var connects atomic.Int64
			n.answer = func(addr string, req *http.Request) *http.Response {
				if req.Method == http.MethodConnect && connects.Add(1)%50 == 1 {
					return plain(407, "")
				}
				return plain(200, addr)
			}
			p := newPool(t, source, pool.WithTransport(n.secure(site)), pool.WithRotation(pool.PerRequest))
			var work sync.WaitGroup
			for range 16 {
				work.Go(func() {
					for range 20 {
						_, err := get(t.Context(), p.Transport(), "https://target.test/")
						require.NoError(t, err)
					}
				})
			}
			work.Wait()
			require.Zero(t, p.Stats().Dead)
		})
	}
}

// Two logins of a list are two: the other one goes on.
func TestAWrongLoginOfOneProxyIsItsOwn(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	good := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "a", Password: "b"})
	bad := good.Endpoint()
	bad.Password = proxylite.NewPassword("x")
	p := newPool(t, pool.Fixed(bad, good.Endpoint()), trusting(site))
	_, err := get(t.Context(), p.Transport(), site.URL)
	require.NoError(t, err)
	p = newPool(t, pool.Fixed(bad), trusting(site))
	_, err = get(t.Context(), p.Transport(), site.URL)
	require.ErrorIs(t, err, pool.ErrProxyAuth)
	require.ErrorIs(t, err, pool.ErrStopped)
}

// Where a library has its own transport, it can tell the pool of refusals.
func TestTheProxyFuncWithItsHook(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	list, source := proxies(t, 2, proxylitetest.ProxyOptions{Username: "u", Password: "pass-word"})
	list[0].SetFault(proxylitetest.ProxyFault{Status: 509})
	p := newPool(t, source)
	alone, err := p.Proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: "target.test"}})
	require.NoError(t, err)
	require.NotNil(t, alone)
	tr := &http.Transport{
		Proxy: p.Proxy, OnProxyConnectResponse: p.OnProxyConnectResponse,
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: rootCAs(site)},
	}
	refused := 0
	for range 6 {
		if _, err := get(t.Context(), tr, site.URL); err != nil {
			require.ErrorIs(t, err, pool.ErrProxyDead)
			refused++
		}
	}
	require.Equal(t, 1, refused)
	require.EqualValues(t, 5, p.Stats().Worked)
	require.EqualValues(t, 1, p.Stats().Dead)

	// Of proxies that the pool does not know any more, too.
	list[1].SetFault(proxylitetest.ProxyFault{Status: 512})
	proxy := list[1].Endpoint().HTTP()
	tr.Proxy = http.ProxyURL(proxy)
	require.NoError(t, p.Close())
	_, err = get(t.Context(), tr, site.URL)
	require.ErrorIs(t, err, pool.ErrNotAllowed)
}

// A session keeps its proxy, and its connection, while that works.
func TestASessionKeepsItsProxy(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	list, source := proxies(t, 4, proxylitetest.ProxyOptions{})
	for _, rotation := range []pool.Rotation{pool.RoundRobin, pool.PerRequest, pool.LeastUsed, pool.Weighted} {
		before := tunnels(list)
		p := newPool(t, source, trusting(site), pool.WithRotation(rotation))
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b"} {
			ctx := pool.WithSession(t.Context(), key)
			first, err := p.Get(ctx)
			require.NoError(t, err)
			for range 4 {
				wg.Go(func() {
					for range 5 {
						l, err := p.Get(ctx)
						require.NoError(t, err)
						require.Equal(t, first.String(), l.String())
						l.Done(pool.Worked)
					}
				})
			}
			wg.Wait()
			for range 5 {
				_, err = get(ctx, p.Transport(), site.URL)
				require.NoError(t, err)
			}
			first.Done(pool.Dead)
			next, err := p.Get(ctx)
			require.NoError(t, err)
			require.NotEqual(t, first.String(), next.String())
			next.Done(pool.Worked)
		}
		require.Equal(t, 2, sum(tunnels(list))-sum(before), rotation)
	}
}

func TestAHostKeepsItsProxy(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	p := newPool(t, (&made{}).source(10), pool.WithTransport(n.transport()), pool.WithRotation(pool.PerHost))
	seen := map[string]string{}
	for range 5 {
		for _, host := range []string{"a.test", "b.test", "A.TEST", "c.test:81"} {
			body, err := get(t.Context(), p.Transport(), "http://"+host+"/")
			require.NoError(t, err)
			host = strings.ToLower(host)
			if seen[host] == "" {
				seen[host] = body
			}
			require.Equal(t, seen[host], body)
		}
	}
	require.Len(t, seen, 3)
	require.NotEqual(t, seen["a.test"], seen["b.test"])
	l, err := p.GetFor(t.Context(), "b.test")
	require.NoError(t, err)
	require.Equal(t, seen["b.test"], l.String())
	l.Done(pool.Worked)
}

func TestTheLeastUsedIsNext(t *testing.T) {
	t.Parallel()
	p := newPool(t, (&made{}).source(3), pool.WithRotation(pool.LeastUsed))
	var held []*pool.Lease
	count := map[string]int{}
	for range 9 {
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		held = append(held, l)
		count[l.String()]++
	}
	require.Equal(t, map[string]int{"10.0.0.1:1000": 3, "10.0.0.1:1001": 3, "10.0.0.1:1002": 3}, count)
	held[4].Done(pool.Worked)
	l, err := p.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, held[4].String(), l.String())
	l.Done(pool.Worked)
	require.Equal(t, 8, p.Stats().InFlight)
}

func TestWhatWorkedMoreOftenIsPreferred(t *testing.T) {
	t.Parallel()
	p := newPool(t, (&made{}).source(2), pool.WithRotation(pool.Weighted))
	count := map[string]int{}
	for range 2000 {
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		count[l.String()]++
		if l.String() == "10.0.0.1:1000" {
			l.Done(pool.FailedForHost - 1) // Failed
			continue
		}
		l.Done(pool.Worked)
	}
	require.Less(t, count["10.0.0.1:1000"], 200)
}

// A lease is a transport of its own, with one connection through one proxy, until
// the proxy's life is over.
func TestALeaseIsATransport(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	list, source := proxies(t, 3, proxylitetest.ProxyOptions{})
	p := newPool(t, source, trusting(site))
	l, err := p.Get(t.Context())
	require.NoError(t, err)
	for range 5 {
		_, err := get(t.Context(), l, site.URL)
		require.NoError(t, err)
	}
	require.Equal(t, 1, sum(tunnels(list)))
	require.Equal(t, 1, p.Stats().InFlight)
	l.Done(pool.Worked)
	l.Done(pool.Dead) // no more
	require.Zero(t, p.Stats().Dead)
}

func TestALeaseEndsWithTheLifeOfItsProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, (&made{life: time.Hour}).source(1))
		l, err := p.Get(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		_, err = get(t.Context(), l, "http://example.com")
		require.ErrorIs(t, err, pool.ErrExpired)
		l.Done(pool.Worked)
	})
}

// Close does not cut what is under way.
func TestRequestsInFlightFinishAfterClose(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		proceed := make(chan struct{})
		site := newTarget(t, secure, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-proceed
			_, _ = io.WriteString(w, "the rest")
		})
		_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
		p := newPool(t, source, trusting(site))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL, nil)
		require.NoError(t, err)
		resp, err := p.Transport().RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		close(proceed)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "the rest", string(body))
		require.NoError(t, resp.Body.Close())
	}
}

// Switching protocols gives a body that can be written to.
func TestAWebSocketPassesThrough(t *testing.T) {
	t.Parallel()
	site := newTarget(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.CopyN(conn, rw, 4)
	})
	_, source := proxies(t, 1, proxylitetest.ProxyOptions{})
	p := newPool(t, source, pool.WithScheme("socks5"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := p.Transport().RoundTrip(req)
	require.NoError(t, err)
	_, err = io.WriteString(resp.Body.(io.Writer), "ping")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "ping", string(body))
	require.NoError(t, resp.Body.Close())
	require.Zero(t, p.Stats().InFlight)
}
