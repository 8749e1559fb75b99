package proxylite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, sent, problem string }{
		{"https://api.example.com", "https://api.example.com/end-point/user/info", ""},
		{" https://api.example.com/ ", "https://api.example.com/end-point/user/info", ""},
		{"https://api.example.com:8443", "https://api.example.com:8443/end-point/user/info", ""},
		{"https://api.duckip.com/developers", "https://api.duckip.com/developers/user/info", ""},
		{"https://example.com/a%2Fb/c/", "https://example.com/a%2Fb/c/user/info", ""},
		{"http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x/user/info", ""},
		{"http://[::1]:8080", "http://[::1]:8080/end-point/user/info", ""},
		{"http://localhost", "http://localhost/end-point/user/info", ""},
		{"http://api.example.com", "", "must be https (http is for loopback only), not http://api.example.com"},
		{"http://127.0.0.1.example.com", "", "must be https"},
		{"http://192.168.0.1", "", "must be https"},
		{"ftp://api.example.com", "", "must be https, not ftp"},
		{"api.example.com", "", "must be absolute"},
		{"", "", "must be absolute"},
		{"mailto:x@example.com", "", "must be absolute"},
		{"https://", "", "must be absolute"},
		{"https://:8443", "", "must be absolute"},
		{"https://api.example.com:99999", "", "names port 99999: want 1 to 65535"},
		{"https://api.example.com:0", "", "names port 0: want 1 to 65535"},
		{"https://u:s3cret@example.com", "", "must have no user, query or fragment"},
		{"https://example.com?app_key=s3cret", "", "must have no user, query or fragment"},
		{"https://example.com/#s3cret", "", "must have no user, query or fragment"},
		{"https://example.com/%zz?s3cret", "", "can't be parsed"},
	} {
		var sent string
		c, err := proxylite.NewClient(proxylite.BearerToken(apitest.Key), proxylite.WithBaseURL(tt.base), proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.URL.String()
			return httpmock.NewStringResponse(200, apitest.Fine), nil
		})))
		if tt.problem != "" {
			require.ErrorContains(t, err, "proxylite: the base URL "+tt.problem, tt.base)
			require.NotContains(t, err.Error(), "s3cret")
			require.Nil(t, c)
			continue
		}
		require.NoError(t, err, tt.base)
		_, err = c.User.Info(t.Context())
		require.NoError(t, err, tt.base)
		require.Equal(t, tt.sent, sent)
	}
}

func TestOptionsThatCanNotBe(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]proxylite.Option{
		"transport is nil":                       proxylite.WithTransport(nil),
		"http.Client is nil":                     proxylite.WithHTTPClient(nil),
		"timeout must be positive":               proxylite.WithAttemptTimeout(0),
		"time zone is nil":                       proxylite.WithTimeZone(nil),
		"maximum response size must be positive": proxylite.WithMaxResponse(0),
		"user agent must be printable":           proxylite.WithUserAgent("a\nb"),
		"middleware returned nil":                proxylite.WithMiddleware(func(http.RoundTripper) http.RoundTripper { return nil }),
		"the base URL must be absolute, s":       proxylite.WithBaseURL("x"),
		"must not be negative (Max":              proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: -1}),
	} {
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), nil, opt)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "proxylite: ")
		require.Nil(t, c)
	}
}

// The zone rules both directions, and the default is UTC+8.
func TestTimeZone(t *testing.T) {
	t.Parallel()
	kolkata := time.FixedZone("IST", 5*3600+1800)
	for _, tt := range []struct {
		opts []proxylite.Option
		zone *time.Location
		sent string
	}{
		{nil, apitest.Beijing, "end_time=2022-08-02+12%3A30%3A01&start_time=2022-08-01+00%3A00%3A00"},
		{[]proxylite.Option{proxylite.WithTimeZone(time.UTC)}, time.UTC, "end_time=2022-08-02+04%3A30%3A01&start_time=2022-07-31+16%3A00%3A00"},
		{[]proxylite.Option{proxylite.WithTimeZone(kolkata)}, kolkata, "end_time=2022-08-02+10%3A00%3A01&start_time=2022-07-31+21%3A30%3A00"},
	} {
		var sent string
		mock := apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.URL.RawQuery
			return httpmock.NewStringResponse(200, apitest.Fixture(t, "full/Usage.Daily.json")), nil
		})
		c, err := proxylite.NewClient(proxylite.BearerToken(apitest.Key), append(tt.opts, proxylite.WithTransport(mock))...)
		require.NoError(t, err)
		days, err := c.Usage.Daily(t.Context(), proxylite.UsageDailyParams{Start: apitest.Start, End: apitest.End})
		require.NoError(t, err)
		require.Equal(t, tt.sent, sent)
		require.Equal(t, time.Date(2022, 8, 1, 0, 0, 0, 0, tt.zone), days[0].Day)

		// A time with a zone of its own is the same instant, shown in the client's.
		opts := append(tt.opts, proxylite.WithTransport(apitest.Playing(apitest.Reply(200, apitest.Fixture(t, "full/Orders.Create.json")))))
		c, err = proxylite.NewClient(proxylite.BearerToken(apitest.Key), opts...)
		require.NoError(t, err)
		order, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
		require.NoError(t, err)
		require.Equal(t, time.Date(2019, 8, 24, 14, 15, 22, 0, time.UTC).In(tt.zone), order.CreatedAt)
	}
}

func TestHTTPClientIsCopied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &http.Client{Transport: apitest.Playing(apitest.Hangs), Timeout: 3 * time.Second, Jar: nil}
		before := *h
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithHTTPClient(h))
		require.NoError(t, err)
		begin := time.Now()
		_, err = c.Accounts.List(t.Context())
		require.Equal(t, proxylite.KindTimeout, apitest.AsError(t, err).Kind)
		require.ErrorContains(t, err, "no response within 3s")
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.Equal(t, before, *h)
	})
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithHTTPClient(&http.Client{}))
	require.NoError(t, err, "an empty one takes the defaults")
	require.NotNil(t, c)
}

// Middleware sees every attempt, the first one outermost, before the credential.
func TestMiddlewareOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var trace []string
		layer := func(name string) proxylite.Middleware {
			return func(next http.RoundTripper) http.RoundTripper {
				return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
					trace = append(trace, name+" "+r.URL.RequestURI())
					r.Header.Set("X-"+name, "1")
					resp, err := next.RoundTrip(r)
					trace = append(trace, "/"+name)
					return resp, err
				})
			}
		}
		s := apitest.Playing(apitest.Reply(503, ""), func(r *http.Request) (*http.Response, error) {
			trace = append(trace, "base "+r.Header.Get("X-a")+r.Header.Get("X-b")+r.Header.Get("X-c"))
			return httpmock.NewStringResponse(200, apitest.Fine), nil
		})
		c := s.Client(t, proxylite.WithMiddleware(layer("a"), nil, layer("b")), proxylite.WithMiddleware(layer("c")))
		_, err := c.IP.SearchStates(t.Context(), "US")
		require.NoError(t, err)
		const path = " /end-point/ip/dynamic-states/search?country_code=US"
		attempt := []string{"a" + path, "b" + path, "c" + path}
		want := append(append([]string{}, attempt...), "/c", "/b", "/a")
		want = append(append(want, attempt...), "base 111", "/c", "/b", "/a")
		require.Equal(t, want, trace)
	})
}

func TestMiddlewareMayAnswerItself(t *testing.T) {
	t.Parallel()
	s := apitest.Playing(apitest.Reply(200, apitest.Fine))
	c := s.Client(t, proxylite.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(apitest.Reply(200, `{"code":0,"data":["Texas"]}`))
	}))
	states, err := c.IP.SearchStates(t.Context(), "US")
	require.NoError(t, err)
	require.Equal(t, []string{"Texas"}, states)
	require.Empty(t, s.Times)
}

func TestObserverSeesEveryCallOnce(t *testing.T) {
	t.Parallel()
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var seen []proxylite.CallInfo
		s := apitest.Playing(apitest.Reply(503, ""), apitest.Reply(200, `{"code":3,"msg":"no"}`), apitest.Reply(200, apitest.Fine))
		c := s.Client(t, proxylite.WithObserver(apitest.AtEnd(func(ctx context.Context, info proxylite.CallInfo) {
			require.Equal(t, "caller's", ctx.Value(key{}))
			seen = append(seen, info)
		})), proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}),
			proxylite.WithLimiter(apitest.LimiterFunc(func(context.Context) error { apitest.Pass(time.Second); return nil })))
		ctx := context.WithValue(t.Context(), key{}, "caller's")
		_, refused := c.Orders.List(ctx, proxylite.OrderListParams{})
		_, err := c.User.Info(ctx)
		require.NoError(t, err)
		wrong := c.Orders.Close(ctx, "")

		for i := range seen {
			seen[i].Duration = seen[i].Duration.Truncate(time.Millisecond)
		}
		require.Equal(t, []proxylite.CallInfo{
			{
				Operation: "Orders.List", Method: "GET", Route: "/end-point/order/list", Status: 200, Code: 3, Attempts: 2,
				Duration: 2 * time.Second, Kind: proxylite.KindAPI, Outcome: proxylite.OutcomeRejected, Err: refused,
			},
			{Operation: "User.Info", Method: "GET", Route: "/end-point/user/info", Status: 200, Attempts: 1, Duration: time.Second},
			{Operation: "Orders.Close", Method: "POST", Route: "/end-point/order/close", Kind: proxylite.KindInput, Err: wrong},
		}, seen)
	})
}

func TestLoggerGetsOneLineForACall(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := apitest.Playing(apitest.Reply(200, apitest.Fine), apitest.Reply(429, `{"code":202,"msg":"`+strings.Repeat("x", 400)+`"}`, "Retry-After", "60"))
	c := s.Client(t, proxylite.WithLogger(logger))
	_, err := c.Payment.Groups(t.Context(), proxylite.PaymentGroupsParams{TradeNo: "private"})
	require.NoError(t, err)
	_, err = c.Payment.Groups(t.Context(), proxylite.PaymentGroupsParams{TradeNo: "private"})
	require.Error(t, err)
	require.NotContains(t, out.String(), "private")

	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		delete(m, "time")
		delete(m, "duration")
		lines = append(lines, m)
	}
	require.Equal(t, []map[string]any{
		{"level": "DEBUG", "msg": "proxylite call", "operation": "Payment.Groups", "attempts": 1.0, "status": 200.0},
		{
			"level": "WARN", "msg": "proxylite call failed", "operation": "Payment.Groups", "attempts": 1.0, "status": 429.0,
			"error": map[string]any{
				"operation": "Payment.Groups", "kind": "rate_limited", "outcome": "safe", "attempts": 1.0, "status": 429.0,
				"code": 202.0, "message": strings.Repeat("x", 300) + "…", "retry_after": 60e9, "error": err.Error(),
			},
		},
	}, lines)
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]proxylite.Option{
		"proxylite-go/" + proxylite.Version:          nil,
		"shop/1.2 proxylite-go/" + proxylite.Version: {proxylite.WithUserAgent("shop/1.2")},
	} {
		s := apitest.Playing(func(r *http.Request) (*http.Response, error) {
			require.Equal(t, []string{want}, r.Header["User-Agent"])
			return httpmock.NewStringResponse(200, apitest.Fine), nil
		})
		_, err := s.Client(t, opts...).User.Info(t.Context())
		require.NoError(t, err)
	}
}

// What a middleware or a transport does to one request is not in the next one.
func TestHeadersAreOfOneRequest(t *testing.T) {
	t.Parallel()
	stamps := func(next http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			r.Header.Add("X-Stamp", "1")
			r.Header.Add("User-Agent", "more")
			return next.RoundTrip(r)
		})
	}
	for name, opts := range map[string][]proxylite.Option{
		"transport":  nil,
		"middleware": {proxylite.WithMiddleware(stamps)},
	} {
		var seen []http.Header
		transport := apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header.Clone())
			_, _ = stamps(apitest.RoundTripper(apitest.Reply(503, ""))).RoundTrip(r)
			return httpmock.NewStringResponse(503, ""), nil
		})
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), append(opts, proxylite.WithTransport(transport),
			proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 1}))...)
		require.NoError(t, err)
		for range 2 {
			_, err = c.User.Info(t.Context())
			require.Error(t, err)
		}
		require.Len(t, seen, 4, name)
		for _, header := range seen[1:] {
			require.Equal(t, seen[0], header, name)
		}
	}
}

// The hook for a proxy sees the request, and one that changes it did not hurt yet.
func TestAProxyHookChangesOneRequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"code":200,"data":{"id":%d}}`, len(r.Header["X-Pick"]))
	}))
	t.Cleanup(server.Close)
	tr := proxylite.NewTransport()
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		r.Header.Add("X-Pick", "1")
		return nil, nil
	}
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(tr))
	require.NoError(t, err)
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			user, err := c.User.Info(t.Context())
			if assert.NoError(t, err) {
				assert.EqualValues(t, 1, user.ID)
			}
		})
	}
	calls.Wait()
}

func TestCallOptionsChangeOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Playing(apitest.Hangs)
		c := s.Client(t)
		begin := time.Now()
		_, err := c.Accounts.List(t.Context(), proxylite.CallAttempts(1), proxylite.CallTimeout(time.Second))
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, 1, apitest.AsError(t, err).Attempts)
		_, err = c.Accounts.List(t.Context())
		require.Equal(t, 3, apitest.AsError(t, err).Attempts)
		require.Greater(t, time.Since(begin), 90*time.Second)
		_, err = c.Accounts.List(t.Context(), proxylite.CallAttempts(5))
		require.Equal(t, 5, apitest.AsError(t, err).Attempts)
	})
	var queries []string
	s := apitest.Playing(func(r *http.Request) (*http.Response, error) {
		queries = append(queries, r.URL.RawQuery)
		return httpmock.NewStringResponse(200, apitest.Fine), nil
	})
	c := s.Client(t)
	_, err := c.IP.SearchStates(t.Context(), "US", proxylite.CallQuery("language", "en & de"), proxylite.CallQuery("b", "1"))
	require.NoError(t, err)
	_, err = c.IP.States(t.Context(), proxylite.CallQuery("b", "2"))
	require.NoError(t, err)
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"bob"}, proxylite.CallQuery("b", "3")))
	require.Equal(t, []string{
		"country_code=US&b=1&language=en+%26+de&app_key=" + apitest.Key, "b=2&app_key=" + apitest.Key, "b=3",
	}, queries)
}

func TestDefaultTransportKeepsConnectionsUnderLoad(t *testing.T) {
	t.Parallel()
	tr := proxylite.NewTransport()
	require.GreaterOrEqual(t, tr.MaxIdleConnsPerHost, 64)
	require.GreaterOrEqual(t, tr.MaxIdleConns, tr.MaxIdleConnsPerHost)
	require.True(t, tr.ForceAttemptHTTP2)
	require.Nil(t, tr.Proxy, "no environment unless asked")
	for _, clock := range []time.Duration{tr.IdleConnTimeout, tr.TLSHandshakeTimeout, tr.HTTP2.SendPingTimeout, tr.HTTP2.PingTimeout} {
		require.Positive(t, clock)
	}
	require.NotSame(t, tr, proxylite.NewTransport())
}
