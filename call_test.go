package proxylite_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// What the SDK does not know is added to the query or the body. What it knows already
// can't be given a second time.
func TestCallOptionsAddWhatTheSDKDoesNotKnow(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	c := apitest.Client(t, apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		got, body = r, apitest.BodyOf(t, r)
		return apitest.Reply(200, `{"code":0,"data":{"id":1,"trade_no":"1"}}`)(r)
	}), "https://example.com")
	create := func(opts ...proxylite.CallOption) error {
		_, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 7, PaymentMethodID: new(int64)}, opts...)
		return err
	}
	require.NoError(t, create(proxylite.CallQuery("lang", "en"), proxylite.CallBody("etd", 3), proxylite.CallBody("team_id", "t\"1")))
	require.JSONEq(t, `{"pid":7,"pm_id":0,"etd":3,"team_id":"t\"1"}`, body)
	require.Equal(t, "lang=en&app_key="+apitest.Key, got.URL.RawQuery)

	raw := func(query url.Values, body any, opts ...proxylite.CallOption) error {
		op := proxylite.Operation{Name: "X", Method: "POST", Path: "/a%2Fb/c", KeyInBody: true}
		_, err := proxylite.Call[any](t.Context(), c, op, query, body, opts...)
		return err
	}
	require.NoError(t, raw(nil, nil, proxylite.CallBody("a", []int{1})))
	require.JSONEq(t, `{"app_key":"`+apitest.Key+`","a":[1]}`, body)
	require.Equal(t, "/end-point/a%2Fb/c", got.URL.EscapedPath(), "an escaped slash of an ID stays escaped")

	for says, err := range map[string]error{
		`CallBody: is already a field of the body (got "pid")`:                create(proxylite.CallBody("pid", 8)),
		`CallBody: is given twice (got "x")`:                                  create(proxylite.CallBody("x", 1), proxylite.CallBody("x", 2)),
		`CallBody: must name a field other than app_key (got "app_key")`:      create(proxylite.CallBody("app_key", 1)),
		`CallBody: must be writable as JSON`:                                  create(proxylite.CallBody("x", make(chan int))),
		`CallQuery: is given twice (got "x")`:                                 create(proxylite.CallQuery("x", "1"), proxylite.CallQuery("x", "2")),
		`CallQuery: is already a parameter of the call (got "a")`:             raw(url.Values{"a": {"1"}}, nil, proxylite.CallQuery("a", "2")),
		`CallQuery: must name a parameter other than app_key (got "app_key")`: create(proxylite.CallQuery("app_key", "k")),
		`body: must not have app_key: the client adds it`:                     raw(nil, map[string]any{"app_key": "k"}),
		`CallBody: needs a body that is a JSON object`:                        raw(nil, []int{1}, proxylite.CallBody("x", 1)),
		`CallBody: needs a call with a JSON body`:                             func() error { _, err := c.Accounts.List(t.Context(), proxylite.CallBody("x", 1)); return err }(),
		`Operation.Path: has a % that does not begin an escape (got "/50%off")`: func() error {
			_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/50%off"}, nil, nil)
			return err
		}(),
		`T: `: func() error {
			_, err := proxylite.Call[chan int](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/x"}, nil, nil)
			return err
		}(),
	} {
		require.ErrorContains(t, err, says)
		require.ErrorIs(t, err, proxylite.ErrInvalidInput)
		require.Zero(t, apitest.AsError(t, err).Attempts)
	}
}

// A context that ends says so, and why, wherever the call is and whatever the
// layers below return.
func TestAContextThatEndsIsTheReason(t *testing.T) {
	t.Parallel()
	shop := errors.New("shop closed")
	waits := func(then error) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			if then == nil {
				return nil, context.Cause(r.Context())
			}
			return nil, then
		}
	}
	inBody := func(r *http.Request) (*http.Response, error) {
		resp, _ := apitest.Reply(200, "")(r)
		resp.Body = io.NopCloser(apitest.ReaderFunc(func([]byte) (int, error) { <-r.Context().Done(); return 0, context.Cause(r.Context()) }))
		return resp, nil
	}
	for name, step := range map[string]func(*http.Request) (*http.Response, error){
		"cause": waits(nil), "another error": waits(io.ErrUnexpectedEOF), "in the body": inBody,
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, op := range apitest.Operations {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, shop)
				_, err := op.Call(ctx, apitest.Playing(step).Client(t))
				require.ErrorIs(t, err, context.DeadlineExceeded, name)
				require.ErrorIs(t, err, shop, name)
				require.Equal(t, proxylite.KindTimeout, apitest.AsError(t, err).Kind, name)
				cancel()

				ctx, stop := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { stop(shop) })
				_, err = op.Call(ctx, apitest.Playing(step).Client(t))
				require.ErrorIs(t, err, context.Canceled, name)
				require.ErrorIs(t, err, shop, name)
				require.Equal(t, proxylite.KindCanceled, apitest.AsError(t, err).Kind, name)
			}
		})
	}
}

func TestCallRefusesAPathThatIsNone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"order/list", "/order/list?x=1", "/order/list#x", ""} {
		c, mock := apitest.Mocked(t, 200, `{"code":0}`)
		_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Name: "X", Method: "GET", Path: path}, nil, nil)
		require.ErrorIs(t, err, proxylite.ErrInvalidInput, path)
		require.Zero(t, mock.GetTotalCallCount())
	}
}

// Invariant 4. A call ends: by the clock of its attempts, with its context, even
// between two attempts.
func TestACallEnds(t *testing.T) {
	t.Parallel()
	slowBody := func(r *http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(200, "")
		resp.Body = io.NopCloser(apitest.ReaderFunc(func([]byte) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }))
		return resp, nil
	}
	synctest.Test(t, func(t *testing.T) {
		never := proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1})
		for name, step := range map[string]func(*http.Request) (*http.Response, error){"no answer": apitest.Hangs, "no body": slowBody} {
			begin := time.Now()
			_, err := apitest.Playing(step).Client(t, never).Accounts.List(t.Context())
			e := apitest.AsError(t, err)
			require.Equal(t, proxylite.KindTimeout, e.Kind, name)
			require.True(t, e.Timeout())
			require.ErrorContains(t, err, "response within 30s", name)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 3, e.Attempts, name)
			require.InDelta(t, 90*time.Second, time.Since(begin), float64(time.Microsecond), "30 s an attempt")

			begin = time.Now()
			_, err = apitest.Playing(step).Client(t, proxylite.WithAttemptTimeout(time.Hour)).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1}, proxylite.CallTimeout(2*time.Second))
			require.Equal(t, 1, apitest.AsError(t, err).Attempts, name)
			require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
			require.Equal(t, 2*time.Second, time.Since(begin))

			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("request over"))
			begin = time.Now()
			_, err = apitest.Playing(step).Client(t).Accounts.List(ctx)
			require.Equal(t, 5*time.Second, time.Since(begin))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "request over", name)
			require.Equal(t, 1, apitest.AsError(t, err).Attempts)
			cancel()

			ctx, cancelNow := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancelNow)
			begin = time.Now()
			_, err = apitest.Playing(step).Client(t).Accounts.List(ctx)
			require.Equal(t, time.Second, time.Since(begin))
			require.Equal(t, proxylite.KindCanceled, apitest.AsError(t, err).Kind)
			require.ErrorIs(t, err, context.Canceled)
		}

		// A context ends the wait at once, and the last failure is not lost.
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("shop closed")) })
		begin := time.Now()
		s := apitest.Playing(apitest.Breaks(io.ErrUnexpectedEOF))
		s.Steps[0] = apitest.Reply(503, `{"code":77,"msg":"busy"}`, "Retry-After", "20")
		err := s.Client(t).Accounts.Enable(ctx, []string{"bob"})
		require.Equal(t, time.Second, time.Since(begin))
		e := apitest.AsError(t, err)
		require.Equal(t, proxylite.KindCanceled, e.Kind)
		require.Equal(t, []any{77, "busy", 503, 1, 20 * time.Second}, []any{e.Code, e.Message, e.Status, e.Attempts, e.RetryAfter})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "shop closed")
		require.ErrorContains(t, err, "while waiting to retry the call after: api")

		// A wait that would outlast the context is not begun.
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		begin = time.Now()
		_, err = s.Client(t).Accounts.List(ctx)
		require.Zero(t, time.Since(begin))
		require.Equal(t, 77, apitest.AsError(t, err).Code)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	})
}

// The hatch has the same credential, retries, envelope and errors.
func TestCallReachesAnyEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		step := func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.Method+" "+r.URL.RequestURI()+" "+apitest.BodyOf(t, r))
			return httpmock.NewStringResponse(200, `{"code":0,"data":{"list":null,"n":"7","at":"2022-08-01"}}`), nil
		}
		c := apitest.Playing(apitest.Reply(503, ""), step).Client(t)
		type answer struct {
			List []string  `json:"list"`
			N    int       `json:"n"`
			At   time.Time `json:"at"`
		}
		want := answer{[]string{}, 7, apitest.At(2022, 8, 1, 0, 0, 0)}
		op := proxylite.Operation{Name: "Coupons.List", Method: "GET", Path: "/coupon/list", Class: proxylite.ClassSafe}
		query := url.Values{"q": {"1"}}
		got, err := proxylite.Call[answer](t.Context(), c, op, query, nil)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, url.Values{"q": {"1"}}, query)

		op.Method, op.KeyInBody = "POST", true
		pointer, err := proxylite.Call[*answer](t.Context(), c, op, query, map[string]int{"id": 1})
		require.NoError(t, err)
		require.Equal(t, &want, pointer)
		require.Equal(t, []string{
			"GET /end-point/coupon/list?q=1&app_key=" + apitest.Key + " ", `POST /end-point/coupon/list?q=1 {"app_key":"` + apitest.Key + `","id":1}`,
		}, sent)

		c = apitest.Playing(apitest.Reply(503, "")).Client(t)
		op.Class = 0
		_, err = proxylite.Call[answer](t.Context(), c, op, nil, nil)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "proxylite: Coupons.List: Service Unavailable (status 503")
		require.Equal(t, 1, apitest.AsError(t, err).Attempts, "the zero class is the safe one")
	})
}

// A trace of the caller's own sees every attempt, once.
func TestACallersTraceSeesEachAttemptOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(server.Close)
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL),
		proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 3, MinBackoff: 1, MaxBackoff: 1}))
	require.NoError(t, err)
	var asked, got, written atomic.Int32
	_, err = c.Accounts.List(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:      func(string) { asked.Add(1) },
		GotConn:      func(httptrace.GotConnInfo) { got.Add(1) },
		WroteRequest: func(httptrace.WroteRequestInfo) { written.Add(1) },
	}))
	require.Equal(t, 3, apitest.AsError(t, err).Attempts)
	require.Equal(t, proxylite.OutcomeSafe, apitest.AsError(t, err).Outcome)
	c.CloseIdleConnections()
	require.Equal(t, []int32{3, 3, 3}, []int32{asked.Load(), got.Load(), written.Load()})
}

// The cause of a context, and a key in the wrong place, show no secret and fit a line.
func TestWhatTheCallerGivesIsHiddenToo(t *testing.T) {
	t.Parallel()
	c := apitest.Client(t, apitest.Playing(apitest.Hangs), "https://example.com")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.Join(errors.New("sibling"), &url.Error{Op: "Get", URL: "https://x/?app_key=" + apitest.Key, Err: io.EOF}))
	_, err := c.Accounts.List(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "proxylite: Accounts.List: context canceled: sibling; EOF (outcome not sent)")

	_, err = proxylite.Call[any](t.Context(), c, proxylite.Operation{Name: "X", Method: "GET", Path: "/x?app_key=" + apitest.Key}, nil, nil)
	require.ErrorIs(t, err, proxylite.ErrInvalidInput)
	asJSON, errJSON := json.Marshal(err)
	require.NoError(t, errJSON)
	require.NotContains(t, err.Error()+string(asJSON), apitest.Key)

	_, err = proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "POST", Path: "/x"}, nil, badJSON{})
	require.ErrorIs(t, err, proxylite.ErrInvalidInput)
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), "\x1b")
}

type badJSON struct{}

func (badJSON) MarshalJSON() ([]byte, error) {
	return nil, errors.Join(errors.New("first"), errors.New("second\x1b[31m"))
}

// Escapes in a path stay as they are, beside characters that need one.
func TestEscapesInPathsStay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, path, want string }{
		{"/x", "/a b%2Fc", "/x/a%20b%2Fc"},
		{"/a%2Fb", "/x y", "/a%2Fb/x%20y"},
		{"/a%2Fb", "/优惠/list", "/a%2Fb/%E4%BC%98%E6%83%A0/list"},
		{"/x y%2Fz", "/q", "/x%20y%2Fz/q"},
		{"/x", "/q", "/x/q"},
	} {
		got := ""
		c := apitest.Client(t, apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			got = r.URL.EscapedPath()
			return apitest.Reply(200, apitest.Fine)(r)
		}), "https://example.com"+tt.base)
		_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: tt.path}, nil, nil)
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
}

// The body of a 101 is the connection, which does not obey a context.
func TestSwitchingProtocolsEndsTheCall(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	t.Cleanup(open.Wait)
	t.Cleanup(func() { _ = ln.Close() })
	open.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn) // until the client has left
			})
		}
	})
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL("http://"+ln.Addr().String()), apitest.TryOnce)
	require.NoError(t, err)
	var raw proxylite.RawResponse
	_, err = c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)}, proxylite.CallRaw(&raw))
	require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	require.Equal(t, 101, raw.Status)
	_, err = c.User.Info(t.Context())
	require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
}
