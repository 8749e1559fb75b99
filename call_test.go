package proxylite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/assert"
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

// Many calls that wait for a token share what the source says, a failure too, and
// wait no longer than they may.
func TestATokenSourceIsAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		down := errors.New("identity provider is down")
		source := func(context.Context) (proxylite.Token, error) {
			asked.Add(1)
			apitest.Pass(2 * time.Second) // whatever its context says
			return proxylite.Token{}, down
		}
		c, err := proxylite.NewClient(proxylite.TokenFrom(source), proxylite.WithTransport(apitest.Playing(apitest.Reply(200, apitest.Fine))))
		require.NoError(t, err)
		begin := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := c.User.Info(t.Context())
				assert.ErrorIs(t, err, down)
				assert.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome)
			})
		}
		wg.Wait()
		require.Equal(t, 2*time.Second, time.Since(begin))
		require.EqualValues(t, 1, asked.Load())

		begin = time.Now()
		_, err = c.User.Info(t.Context(), proxylite.CallTimeout(time.Second), proxylite.CallAttempts(1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		apitest.Pass(time.Minute)
	})
}

// A source whose call was given up is not the reason why a later call fails, and a
// panic of it fails the calls that wait.
func TestATokenSourceThatIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		source := func(ctx context.Context) (proxylite.Token, error) {
			switch asked.Add(1) {
			case 1:
				<-ctx.Done()
				apitest.Pass(time.Second) // slow to notice
				return proxylite.Token{}, ctx.Err()
			case 2:
				return proxylite.NewToken("token-2", time.Time{}), nil
			}
			panic("no more tokens")
		}
		c, err := proxylite.NewClient(proxylite.TokenFrom(source), proxylite.WithTransport(apitest.Playing(apitest.Reply(200, apitest.Fine), apitest.Reply(401, ""))))
		require.NoError(t, err)
		_, err = c.User.Info(t.Context(), proxylite.CallTimeout(time.Second), proxylite.CallAttempts(1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = c.User.Info(t.Context(), proxylite.CallAttempts(1))
		require.NoError(t, err)
		_, err = c.User.Info(t.Context())
		require.Equal(t, 401, apitest.AsError(t, err).Status)
		_, err = c.User.Info(t.Context())
		require.ErrorContains(t, err, "the token source panicked: no more tokens")
	})
}

// A response in an encoding that was not asked for is named.
func TestAnEncodingThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"br", "zstd", "gzip, br", strings.Repeat("x", 200)} {
		_, err := apitest.Playing(apitest.Reply(200, "\x0b\x02\x80", "Content-Encoding", coding)).Client(t).Accounts.List(t.Context())
		require.ErrorContains(t, err, fmt.Sprintf("encoded as %q", coding[:min(len(coding), 8)])[:15])
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
		require.Less(t, len(err.Error()), 300)
	}
	_, err := apitest.Playing(apitest.Reply(200, apitest.Fine, "Content-Encoding", "identity")).Client(t).Accounts.List(t.Context())
	require.NoError(t, err)
	_, err = apitest.Playing(apitest.Reply(403, "\x0b\x02\x80", "Content-Encoding", "br")).Client(t).Accounts.List(t.Context())
	require.Equal(t, proxylite.KindEdge, apitest.AsError(t, err).Kind)
}

// A server that allows few streams is no failure, from the first call on.
func TestFewStreams(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, apitest.Fine)
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 10}
	server.TLS = apitest.TLSServer(t, nil).TLS.Clone()
	server.Config.ErrorLog = apitest.Quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	c := apitest.Client(t, apitest.TrustingTransport(), server.URL, proxylite.WithRetry(proxylite.RetryPolicy{Budget: 1}))
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { _, err := c.User.Info(t.Context()); assert.NoError(t, err) })
	}
	wg.Wait()
}

// A header that is longer than an HTTP/2 server takes is not sent.
func TestAHeaderListThatIsTooLong(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, func(r *http.Request) {
		if r.ContentLength != 0 {
			t.Error("sent")
		}
	})
	c := apitest.Client(t, apitest.TrustingTransport(), server.URL, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost {
				r = r.Clone(r.Context())
				r.Header.Set("X-Long", fmt.Sprintf("%02000000d", 1))
			}
			return next.RoundTrip(r)
		})
	}))
	_, err := c.User.Info(t.Context()) // so that the client knows the server's settings
	require.NoError(t, err)
	err = c.Accounts.Enable(t.Context(), []string{"bob"})
	require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome, "%v", err)
}

// A transport that retries by itself would send orders twice.
func TestATransportThatRetriesIsRefused(t *testing.T) {
	t.Parallel()
	_, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithHTTPClient(retryablehttp.NewClient().StandardClient()))
	require.ErrorContains(t, err, "sends requests again by itself")
	_, err = proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(&retryablehttp.RoundTripper{}))
	require.ErrorContains(t, err, "WithRetry")
}
