package proxylite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// sentinel has all that is written differently in URLs, JSON and headers.
const sentinel = `k+/=&"\<é%20~key`

// An answer that is cut within the secret shows none of it.
func TestACutAnswerShowsNoPartOfTheCredential(t *testing.T) {
	t.Parallel()
	for shown := 4; shown <= len(apitest.Key); shown++ {
		body := strings.Repeat("x", 4096-shown) + apitest.Key
		c, _ := apitest.Mocked(t, 500, body, apitest.TryOnce, proxylite.WithMaxResponse(4096))
		var raw proxylite.RawResponse
		_, err := c.Accounts.List(t.Context(), proxylite.CallRaw(&raw))
		want := strings.Repeat("x", 4096-shown) + "[REDACTED]"
		require.Equal(t, want, string(apitest.AsError(t, err).Body))
		require.Equal(t, want, string(raw.Body))

		c, _ = apitest.Mocked(t, 403, "<title>"+strings.Repeat("x", 80-shown)+apitest.Key+"</title>", apitest.TryOnce)
		_, err = c.Accounts.List(t.Context())
		require.NotContains(t, err.Error(), apitest.Key[:4])
	}
}

// recorder keeps the bytes that connections carry away.
type recorder struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (r *recorder) transport() *http.Transport {
	tr := proxylite.NewTransport()
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return recorded{conn, r}, err
	}
	return tr
}

type recorded struct {
	net.Conn
	to *recorder
}

func (c recorded) Write(p []byte) (int, error) {
	c.to.mu.Lock()
	c.to.bytes.Write(p)
	c.to.mu.Unlock()
	return c.Conn.Write(p)
}

// The bytes on the wire, for every operation and both kinds of credential: the
// secret stands where the document puts it, once, and nowhere else.
func TestCredentialPlacementOnTheWire(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"code":200,"data":{"id":1,"list":[]}}`)
	}))
	t.Cleanup(server.Close)
	inBody := 0
	for _, op := range apitest.Operations {
		for kind, credential := range map[string]proxylite.Credential{"key": proxylite.AppKey(apitest.Key), "bearer": proxylite.BearerToken(apitest.Key)} {
			rec := &recorder{}
			tr := rec.transport()
			c, err := proxylite.NewClient(credential, proxylite.WithTransport(tr), proxylite.WithBaseURL(server.URL))
			require.NoError(t, err)
			_, err = op.Call(t.Context(), c)
			require.NoError(t, err)
			tr.CloseIdleConnections()

			head, body, ok := strings.Cut(rec.bytes.String(), "\r\n\r\n")
			require.True(t, ok)
			line, headers, _ := strings.Cut(head, "\r\n")
			require.Equal(t, 1, strings.Count(head+body, apitest.Key), "%s %s", op.Name, kind)
			switch {
			case kind == "bearer":
				require.Contains(t, headers, "Authorization: Bearer "+apitest.Key)
				require.NotContains(t, head+body, "app_key", op.Name)
			case op.KeyInBody:
				inBody++
				require.True(t, strings.HasPrefix(body, `{"app_key":"`+apitest.Key+`",`), "%s: %s", op.Name, body)
				require.NotContains(t, head, "app_key", op.Name)
			default:
				require.Regexp(t, `^`+op.Method+` /end-point\S+[?&]app_key=`+apitest.Key+` HTTP/1\.1$`, line, op.Name)
			}
			if kind == "key" {
				require.NotContains(t, headers, "Authorization", op.Name)
			}
			if op.Method == http.MethodGet {
				require.Empty(t, body, op.Name)
				require.NotContains(t, headers, "Content-", op.Name) // a plain GET, guarded or not
				require.NotContains(t, headers, "Transfer-", op.Name)
			}
		}
	}
	require.Equal(t, 7, inBody, "the seven account POSTs")
}

// The key keeps its value however it has to be written, also in an empty body.
func TestCredentialIsEscaped(t *testing.T) {
	t.Parallel()
	var query url.Values
	var body map[string]any
	mock := apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		query, body = r.URL.Query(), map[string]any{}
		if r.Body != nil {
			_ = json.Unmarshal([]byte(apitest.BodyOf(t, r)), &body)
		}
		return httpmock.NewStringResponse(200, `{"code":0}`), nil
	})
	c, err := proxylite.NewClient(proxylite.AppKey(sentinel), proxylite.WithTransport(mock))
	require.NoError(t, err)
	op := proxylite.Operation{Name: "X", Method: "POST", Path: "/x"}
	_, err = proxylite.Call[any](t.Context(), c, op, url.Values{"a": {"&"}}, nil)
	require.NoError(t, err)
	require.Equal(t, url.Values{"a": {"&"}, "app_key": {sentinel}}, query)

	op.KeyInBody = true
	_, err = proxylite.Call[any](t.Context(), c, op, nil, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"app_key": sentinel}, body)
	require.Empty(t, query)

	_, err = proxylite.Call[any](t.Context(), c, op, nil, []int{1}) // nowhere to put it
	require.ErrorContains(t, err, "must be a JSON object")
	require.Equal(t, proxylite.KindConfig, apitest.AsError(t, err).Kind)
	require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome)
}

// Redirects are never followed: another host would get the key in a Referer, a
// query or a body.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed.Add(1)
		_, _ = io.WriteString(w, `{"code":200,"data":{"id":1,"list":[]}}`)
	}))
	t.Cleanup(target.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			http.Redirect(w, r, target.URL+r.URL.Path, status)
		}))
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithHTTPClient(client))
		require.NoError(t, err)
		for _, op := range apitest.Operations {
			_, err := op.Call(t.Context(), c)
			e := apitest.AsError(t, err)
			require.Equal(t, proxylite.KindRedirect, e.Kind, op.Name)
			require.Equal(t, status, e.Status)
			require.ErrorContains(t, err, "redirects are not followed")
		}
		server.Close()
		require.EqualValues(t, len(apitest.Operations), asked.Load())
	}
	require.Zero(t, followed.Load())
}

// A middleware can't lead the credential elsewhere, nor a spent call out twice.
func TestMiddlewareCanNotMisleadTheCredential(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request) *http.Request{
		"host":   func(r *http.Request) *http.Request { r.URL.Host = "evil.example.com"; return r },
		"port":   func(r *http.Request) *http.Request { r.URL.Host += ":444"; return r },
		"scheme": func(r *http.Request) *http.Request { r.URL.Scheme = "http"; return r },
		"header": func(r *http.Request) *http.Request { r.Host = "evil.example.com"; return r },
		"context": func(r *http.Request) *http.Request {
			return r.WithContext(context.Background())
		},
	} {
		closed := false
		c, mock := apitest.Mocked(t, 200, `{"code":0,"data":{"id":1,"list":[]}}`, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				r = change(r.Clone(r.Context()))
				if r.Body != nil {
					r.Body = body{func() { closed = true }}
				}
				return next.RoundTrip(r)
			})
		}))
		_, err := c.User.Info(t.Context())
		require.ErrorContains(t, err, "not sent: a middleware", name)
		require.False(t, closed, name)
		err = c.Accounts.Enable(t.Context(), []string{"bob"})
		require.ErrorContains(t, err, "not sent: a middleware", name)
		require.True(t, closed, name)
		e := apitest.AsError(t, err)
		require.Equal(t, proxylite.KindConfig, e.Kind, name)
		require.Equal(t, proxylite.OutcomeNotSent, e.Outcome, name)
		require.Zero(t, mock.GetTotalCallCount(), name)
	}
}

func TestAMiddlewareWithABodyThatBreaks(t *testing.T) {
	t.Parallel()
	c, mock := apitest.Mocked(t, 200, apitest.Fine, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			r.Body = io.NopCloser(apitest.ReaderFunc(func([]byte) (int, error) { return 0, errors.New("disk") }))
			return next.RoundTrip(r)
		})
	}))
	err := c.Accounts.Enable(t.Context(), []string{"bob"})
	require.ErrorContains(t, err, "not sent: the request body can't be read")
	require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome)
	require.Zero(t, mock.GetTotalCallCount())
}

func TestAMiddlewareWithABodyThatBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		c, mock := apitest.Mocked(t, 200, apitest.Fine, apitest.TryOnce, proxylite.WithAttemptTimeout(time.Minute), proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				blocked := make(chan struct{})
				r.Body = body{func() { closed++; close(blocked) }}
				r.Body = struct {
					io.Reader
					io.Closer
				}{apitest.ReaderFunc(func([]byte) (int, error) { <-blocked; return 0, io.EOF }), r.Body}
				return next.RoundTrip(r)
			})
		}))
		begin := time.Now()
		err := c.Accounts.Enable(t.Context(), []string{"bob"})
		require.Equal(t, time.Minute, time.Since(begin))
		e := apitest.AsError(t, err)
		require.Equal(t, []any{proxylite.KindTimeout, proxylite.OutcomeNotSent}, []any{e.Kind, e.Outcome}, "%v", err)
		require.Equal(t, 1, closed)
		require.Zero(t, mock.GetTotalCallCount())
	})
}

// A redirect to nowhere is an error of net/http, which quotes where to.
func TestABadLocationIsNotShown(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		closed := false
		_, err := op.Call(t.Context(), apitest.Playing(func(*http.Request) (*http.Response, error) {
			resp, _ := apitest.Reply(302, "", "Location", "://%zz?app_key="+apitest.Key)(nil)
			resp.Body = body{func() { closed = true }}
			return resp, nil
		}).Client(t, apitest.TryOnce))
		require.ErrorContains(t, err, "redirects are not followed", op.Name)
		require.Equal(t, op.Unclear(), apitest.AsError(t, err).Outcome)
		require.NotContains(t, err.Error(), apitest.Key)
		require.True(t, closed)
	}
}

// net/http tells of a bad Location with a part of it, and with the quotes of Go.
func TestPartsOfABadLocationAreNotShown(t *testing.T) {
	t.Parallel()
	for secret, location := range map[string]string{
		"a9Zk4PqT77WmX2sVbN":       "http://[::%s]/", // hexadecimal at first: the parser stops within
		"ключсекрет123":            "/%%zz%s",
		"k3y\"b\\cdefgh1234\u00e9": "/%%zz%s",
	} {
		c, err := proxylite.NewClient(proxylite.BearerToken(secret), apitest.TryOnce,
			proxylite.WithTransport(apitest.RoundTripper(apitest.Reply(302, "", "Location", fmt.Sprintf(location, secret)))))
		require.NoError(t, err)
		_, err = c.User.Info(t.Context())
		require.ErrorContains(t, err, "redirects are not followed")
		for _, part := range []string{secret[len(secret)-8:], secret[len(secret)/2:]} {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), part)
		}
	}
}

// A number in a header may be the key. It is taken out of a copy: the transport may
// give the same answer to many.
func TestRetryAfterIsNotTheKey(t *testing.T) {
	t.Parallel()
	const key = "123456" // as short as one may be
	header := http.Header{"Retry-After": {key}, "X-Many": {"a", key, key + "0" + key}, "X-Fine": {"b"}}
	given := header.Clone()
	c, err := proxylite.NewClient(proxylite.AppKey(key), apitest.TryOnce, proxylite.WithTransport(apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Header: header, Body: http.NoBody}, nil
	})))
	require.NoError(t, err)
	_, err = c.User.Info(t.Context())
	e := apitest.AsError(t, err)
	require.Zero(t, e.RetryAfter)
	require.Equal(t, http.Header{"Retry-After": {"[REDACTED]"}, "X-Many": {"a", "[REDACTED]", "[REDACTED]0[REDACTED]"}, "X-Fine": {"b"}}, e.Header)
	require.Equal(t, given, header)
}

// What hides the secret in a text keeps what the failure was.
func TestACleanedErrorKeepsItsKind(t *testing.T) {
	t.Parallel()
	pass := func(next http.RoundTripper) http.RoundTripper { return apitest.RoundTripper(next.RoundTrip) }
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithMiddleware(pass),
		proxylite.WithTransport(apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
			return nil, &net.DNSError{Err: "no such host", Name: apitest.Key, IsNotFound: true}
		})))
	require.NoError(t, err)
	_, err = c.User.Info(t.Context())
	require.Equal(t, proxylite.KindDNS, apitest.AsError(t, err).Kind)
	require.NotContains(t, err.Error(), apitest.Key)
}

// The place of an error is made of the server's names, long ones are cut.
func TestNamesInAnAnswerAreNotShown(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"k3yWithoutAnythingOdd", "k3y/with~marks/%s"} {
		for before := range 220 {
			c, err := proxylite.NewClient(proxylite.AppKey(key), proxylite.WithTransport(apitest.RoundTripper(apitest.Reply(200,
				fmt.Sprintf(`{"code":200,"data":{"list":{"%s%s":1}}}`, strings.Repeat("x", before), key)))))
			require.NoError(t, err)
			_, err = c.Accounts.List(t.Context())
			require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
			for n := 6; n < len(key); n++ {
				require.NotContains(t, err.Error(), key[:n], before)
				require.NotContains(t, err.Error(), strings.NewReplacer("~", "~0", "/", "~1").Replace(key[:n]), before)
			}
		}
	}
}

func TestSecretsThatCanNotBe(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		credential proxylite.Credential
		want       string
	}{
		{proxylite.Credential{}, "no credential: use AppKey"},
		{proxylite.AppKey(""), "app_key is empty"},
		{proxylite.AppKey("k3y12"), "app_key is too short (5 bytes"},
		{proxylite.AppKey("k3y123 "), "app_key has a space"},
		{proxylite.BearerToken(""), "token is empty"},
		{proxylite.BearerToken("k3y123\n"), "token has a control character (U+000A) at byte 6"},
		{proxylite.BearerToken("k3y\x7f123"), "token has a control character (U+007F) at byte 3"},
		{proxylite.TokenFrom(nil), "token source is nil"},
	} {
		c, err := proxylite.NewClient(tt.credential)
		require.ErrorContains(t, err, tt.want)
		require.NotContains(t, err.Error(), "k3y")
		require.Nil(t, c)
	}
}

// A middleware sees no secret in trailers, in their names neither, over both protocols.
func TestTrailersShowNoSecret(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, apitest.Fine)
			_ = http.NewResponseController(w).Flush() // or it has a length, and HTTP/1.1 no trailers
			w.Header().Set(http.TrailerPrefix+"X-Echo", "key "+r.URL.RawQuery)
			w.Header().Set(http.TrailerPrefix+"X-"+apitest.Key, "1")
		}))
		server.EnableHTTP2 = http2
		server.StartTLS()
		t.Cleanup(server.Close)
		var trailer http.Header
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(server.Client().Transport),
			proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
				return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
					resp, err := next.RoundTrip(r)
					if err != nil {
						return nil, err
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body = io.NopCloser(bytes.NewReader(body))
					trailer = resp.Trailer
					return resp, err
				})
			}))
		require.NoError(t, err)
		_, err = c.User.Info(t.Context())
		require.NoError(t, err)
		require.Len(t, trailer, 2)
		require.NotContains(t, strings.ToLower(fmt.Sprint(trailer)), apitest.Key)
		require.Contains(t, fmt.Sprint(trailer), "key app_key=[REDACTED]")
	}
}

func TestShortestCredential(t *testing.T) {
	t.Parallel()
	_, err := proxylite.NewClient(proxylite.AppKey("123456"))
	require.NoError(t, err)
	_, err = proxylite.NewClient(proxylite.AppKey("12345"))
	require.ErrorContains(t, err, "too short")
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

// A token source is asked once when many calls at a time find the token refused,
// whether by code 3 or by status 401, and once when they find it expired.
func TestManyCallsThatAreRefusedAskForATokenOnce(t *testing.T) {
	t.Parallel()
	for _, refusal := range []struct {
		status int
		body   string
	}{{200, `{"code":3}`}, {401, apitest.WebPage}} {
		synctest.Test(t, func(t *testing.T) {
			var asked, refused atomic.Int32
			c, err := proxylite.NewClient(
				proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) {
					apitest.Pass(time.Second)
					return proxylite.NewToken(fmt.Sprintf("token-%d", asked.Add(1)), time.Now().Add(time.Hour)), nil
				}),
				proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
					apitest.Pass(time.Second) // all of them are under way before the first answer
					if r.Header.Get("Authorization") == "Bearer token-1" {
						refused.Add(1)
						return httpmock.NewStringResponse(refusal.status, refusal.body), nil
					}
					return httpmock.NewStringResponse(200, apitest.Fine), nil
				})))
			require.NoError(t, err)
			burst := func(check func(error)) {
				var wg sync.WaitGroup
				for range many {
					wg.Go(func() { _, err := c.Accounts.List(t.Context()); check(err) })
				}
				wg.Wait()
			}
			burst(func(err error) { assert.Error(t, err) })
			require.EqualValues(t, many, refused.Load())
			require.EqualValues(t, 1, asked.Load())
			burst(func(err error) { assert.NoError(t, err) })
			require.EqualValues(t, 2, asked.Load())
			apitest.Pass(time.Hour)
			burst(func(err error) { assert.NoError(t, err) })
			require.EqualValues(t, 3, asked.Load())
			require.EqualValues(t, many, refused.Load())
		})
	}
}

// A token that is in use while the next one is fetched stays hidden.
func TestTheLastTokenStaysHidden(t *testing.T) {
	t.Parallel()
	var c *proxylite.Client
	asked := 0
	c, err := proxylite.NewClient(proxylite.TokenFrom((&tokens{}).get), proxylite.WithTransport(apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
		if asked++; asked == 1 { // meanwhile the token is refused to another call, and a third has a new one
			_, err := c.Accounts.List(t.Context())
			require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
			_, err = c.Accounts.List(t.Context())
			require.ErrorContains(t, err, "code 9")
		}
		code := "9"
		if asked == 2 {
			code = "3"
		}
		return httpmock.NewStringResponse(200, `{"code":`+code+`,"msg":"token-1 and token-2"}`), nil
	})))
	require.NoError(t, err)
	_, err = c.Accounts.List(t.Context())
	require.Equal(t, "[REDACTED] and [REDACTED]", apitest.AsError(t, err).Message)
	require.Equal(t, 3, asked)
}

func TestTokenIsRedacted(t *testing.T) {
	t.Parallel()
	token := proxylite.NewToken(sentinel, apitest.Start)
	asJSON, err := json.Marshal(token) //nolint:staticcheck // that it has nothing to show is the point
	require.NoError(t, err)
	text := fmt.Sprintf("%v %+v %#v %s %s", token, token, &token, token, asJSON)
	require.NotContains(t, text, "key")
	require.Contains(t, text, "REDACTED")
}

// tokens is a source that counts how often it is asked.
type tokens struct {
	asked atomic.Int32
	life  time.Duration
	delay time.Duration
}

func (s *tokens) get(ctx context.Context) (proxylite.Token, error) {
	n := s.asked.Add(1)
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return proxylite.Token{}, ctx.Err()
	}
	var expiry time.Time
	if s.life > 0 {
		expiry = time.Now().Add(s.life)
	}
	return proxylite.NewToken(fmt.Sprintf("token-%d", n), expiry), nil
}

func TestManyCallsAskForATokenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &tokens{life: time.Minute, delay: time.Second}
		var last atomic.Value
		c, err := proxylite.NewClient(proxylite.TokenFrom(source.get), proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			last.Store(r.Header.Get("Authorization"))
			return httpmock.NewStringResponse(200, `{"code":0,"data":{"id":1,"list":[]}}`), nil
		})))
		require.NoError(t, err)
		burst := func() {
			var wg sync.WaitGroup
			for range many {
				wg.Go(func() { _, err := c.Accounts.List(t.Context()); assert.NoError(t, err) })
			}
			wg.Wait()
		}
		burst()
		require.EqualValues(t, 1, source.asked.Load())
		apitest.Pass(29 * time.Second) // 30 more until it expires
		burst()
		require.EqualValues(t, 1, source.asked.Load())
		apitest.Pass(2 * time.Second)
		burst()
		require.EqualValues(t, 2, source.asked.Load())
		require.Equal(t, "Bearer token-2", last.Load())

		// A call that gives up waiting for its turn leaves the others alone.
		apitest.Pass(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(burst)
		synctest.Wait()
		_, err = c.Accounts.List(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome)
		wg.Wait()
		require.EqualValues(t, 3, source.asked.Load())
	})
}

func TestARefusedTokenIsAskedForAnew(t *testing.T) {
	t.Parallel()
	for _, refusal := range []struct {
		status int
		body   string
	}{{200, `{"code":3}`}, {401, apitest.WebPage}} {
		source := &tokens{}
		c, err := proxylite.NewClient(proxylite.TokenFrom(source.get), proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				return httpmock.NewStringResponse(refusal.status, refusal.body), nil
			}
			return httpmock.NewStringResponse(200, `{"code":0,"data":{"id":1,"list":[]}}`), nil
		})))
		require.NoError(t, err)
		_, err = c.Accounts.List(t.Context())
		require.Error(t, err)
		for range 3 {
			_, err = c.Accounts.List(t.Context())
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, source.asked.Load())
	}
}

func TestAFailingTokenSourceEndsTheCallUnsent(t *testing.T) {
	t.Parallel()
	cause := errors.New("vault is sealed")
	for _, token := range []func() (proxylite.Token, error){
		func() (proxylite.Token, error) { return proxylite.Token{}, cause },
		func() (proxylite.Token, error) { return proxylite.NewToken("short", time.Time{}), nil },
	} {
		mock := httpmock.NewMockTransport()
		c, err := proxylite.NewClient(proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) { return token() }), proxylite.WithTransport(mock))
		require.NoError(t, err)
		_, err = c.Accounts.List(t.Context())
		e := apitest.AsError(t, err)
		require.Equal(t, proxylite.KindConfig, e.Kind)
		require.Equal(t, proxylite.OutcomeNotSent, e.Outcome)
		require.Equal(t, 1, e.Attempts)
		require.Zero(t, mock.GetTotalCallCount())
		if _, err := token(); err != nil {
			require.ErrorIs(t, e, cause)
		}
	}
}

// A refusal of an old token that comes late must not throw away the new one.
func TestALateRefusalKeepsTheNewToken(t *testing.T) {
	t.Parallel()
	asked, sent := 0, 0
	var c *proxylite.Client
	c, err := proxylite.NewClient(
		proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) {
			asked++
			return proxylite.NewToken([]string{"old-token", "new-token", "third-token"}[asked-1], time.Time{}), nil
		}), apitest.TryOnce,
		proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			old := strings.HasSuffix(r.Header.Get("Authorization"), "old-token")
			if sent++; sent == 1 { // while this one is under way, another finds the token refused
				require.ErrorIs(t, c.Accounts.Enable(r.Context(), []string{"bob"}), proxylite.ErrInvalidAppKey)
				require.NoError(t, c.Accounts.Enable(r.Context(), []string{"bob"}))
			}
			body := `{"code":200}`
			if old {
				body = `{"code":3}`
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})))
	require.NoError(t, err)
	require.ErrorIs(t, c.Accounts.Enable(t.Context(), []string{"bob"}), proxylite.ErrInvalidAppKey)
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"bob"}))
	require.Equal(t, 2, asked, "the new token was thrown away")
}
