package proxylite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Version of this module, as sent in the User-Agent header.
const Version = "0.1.0"

// Client calls the ProxyLite API. It is safe for concurrent use, starts no
// goroutine, and keeps connections: make one and share it.
type Client struct {
	Accounts  *AccountsService  // proxy accounts: list, add, delete, limits
	Usage     *UsageService     // traffic used, by day
	Products  *ProductsService  // purchased plans
	IP        *IPService        // extraction, locations, static IPs
	Orders    *OrdersService    // orders: list, create, close
	User      *UserService      // the owner of the credential
	Payment   *PaymentService   // payment methods
	Marketing *MarketingService // recharge bonuses

	settings
	http   *http.Client
	keeper *keeper
	budget *budget
}

// NewClient returns a client for one credential. It sends nothing; an error says
// which option or credential is unusable, never with its secret.
func NewClient(credential Credential, opts ...Option) (*Client, error) {
	if credential.open == nil {
		return nil, errors.New("proxylite: no credential: use AppKey, BearerToken or TokenFrom")
	}
	keeper, err := credential.open()
	if err != nil {
		return nil, err
	}
	c := &Client{keeper: keeper, settings: settings{
		timeout: 30 * time.Second, zone: defaultTimeZone, maxAnswer: 64 << 20,
		vendorRules: true, userAgent: "proxylite-go/" + Version,
	}}
	for _, opt := range append([]Option{WithBaseURL(DefaultBaseURL)}, opts...) {
		if opt == nil {
			continue
		}
		if err := opt(&c.settings); err != nil {
			return nil, err
		}
	}
	c.policy = c.policy.withDefaults()
	c.budget = newBudget(c.policy.Budget)

	if c.transport == nil {
		t := NewTransport()
		if c.envProxy {
			t.Proxy = http.ProxyFromEnvironment
		}
		c.transport = t
	}
	std, _ := c.transport.(*http.Transport)
	var rt http.RoundTripper = &credentialLayer{c.transport, std, c.base, keeper}
	for _, m := range slices.Backward(c.middleware) {
		if m != nil {
			if rt = m(rt); rt == nil {
				return nil, errors.New("proxylite: a middleware returned nil: it must return a transport that calls next")
			}
		}
	}
	// The attempt layer has no CloseIdleConnections: go-retryablehttp calls it
	// on every failed call, and one failure would empty the pool for all.
	c.http = &http.Client{
		Transport:     &attemptLayer{rt, c.limiter, http.Header{"User-Agent": {c.userAgent}}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}

	c.Accounts = &AccountsService{c}
	c.Usage = &UsageService{c}
	c.Products = &ProductsService{c}
	c.IP = &IPService{c}
	c.Orders = &OrdersService{c}
	c.User = &UserService{c}
	c.Payment = &PaymentService{c}
	c.Marketing = &MarketingService{c}
	return c, nil
}

// NewClientFromEnv is [NewClient] with the environment: PROXYLITE_APP_KEY or
// PROXYLITE_TOKEN (one of them), and PROXYLITE_BASE_URL where it is set. The
// default transport then also obeys HTTPS_PROXY and its like. Options come last.
func NewClientFromEnv(opts ...Option) (*Client, error) {
	key, token := os.Getenv("PROXYLITE_APP_KEY"), os.Getenv("PROXYLITE_TOKEN")
	credential := AppKey(key)
	switch {
	case key != "" && token != "":
		return nil, errors.New("proxylite: both PROXYLITE_APP_KEY and PROXYLITE_TOKEN are set: unset one")
	case key == "" && token == "":
		return nil, errors.New("proxylite: set PROXYLITE_APP_KEY (the app_key of the dashboard) or PROXYLITE_TOKEN")
	case key == "":
		credential = BearerToken(token)
	}
	env := []Option{func(s *settings) error { s.envProxy = true; return nil }}
	if base := os.Getenv("PROXYLITE_BASE_URL"); base != "" {
		env = append(env, WithBaseURL(base))
	}
	return NewClient(credential, append(env, opts...)...)
}

// CloseIdleConnections closes the connections that no call uses. There is nothing
// else to close.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// String names the base URL and nothing else.
func (c Client) String() string { return "proxylite.Client(" + c.base.String() + ")" }

// GoString is String; the inside of a client is of no use in a text.
func (c Client) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Operation describes an endpoint for [Call].
type Operation struct {
	Name   string // for errors, logs and metrics, e.g. "Coupons.List"
	Method string // http.MethodGet or http.MethodPost
	Path   string // below the base URL, e.g. "/coupon/list"
	Class  Class  // when it may be sent again; the zero value is the safe one
	// KeyInBody puts the app_key into the JSON body, not the query.
	KeyInBody bool
}

// Call reaches an endpoint that the SDK has no method for, with the same
// credential, retries, envelope and errors. The query may be nil; a body that is
// not nil is sent as JSON; data of the answer is decoded into T, leniently as
// everywhere: numbers in quotes, zoneless times, null lists.
func Call[T any](ctx context.Context, c *Client, op Operation, query url.Values, body any, opts ...CallOption) (T, error) {
	in := request{query: query, body: body}
	in.must(strings.HasPrefix(op.Path, "/") && !strings.ContainsAny(op.Path, "?#"), "Operation.Path", op.Path, "must begin with a slash and have no query")
	in.must(op.Method == http.MethodGet || op.Method == http.MethodPost, "Operation.Method", op.Method, "must be GET or POST")
	in.must(!op.KeyInBody || op.Method == http.MethodPost, "Operation.KeyInBody", "", "needs a POST")
	in.must(query == nil || !query.Has("app_key"), "query", "", "must not have app_key: the client adds it")
	if op.KeyInBody && body == nil {
		in.body = struct{}{}
	}
	return send[T](ctx, c, &op, &in, opts)
}

// request is the input of a call, with what was found wrong with it.
type request struct {
	checks
	query     url.Values
	body      any
	passwords []string                         // of accounts, to be kept out of what the answer echoes
	needsData bool                             // success without data is malformed
	emptyOK   bool                             // an empty 200 is success
	valid     func(out any) error              // says what is wrong with decoded data of a success
	text      func(text string, out any) error // reads an answer that is not JSON
}

func (c *Client) input() *request {
	return &request{checks: checks{vendor: c.vendorRules}}
}

// send is the one way from a service method to the wire and back.
func send[T any](ctx context.Context, c *Client, op *Operation, in *request, opts []CallOption) (T, error) {
	var out T
	if err := c.send(ctx, op, in, &out, opts); err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}

// run is send for calls whose answer has no data.
func (c *Client) run(ctx context.Context, op *Operation, in *request, opts []CallOption) error {
	return c.send(ctx, op, in, nil, opts)
}

// list is the data of an answer that lists without pages.
type list[T any] struct {
	List []T `json:"list"`
}

func sendList[T any](ctx context.Context, c *Client, op *Operation, in *request, opts []CallOption) ([]T, error) {
	out, err := send[list[T]](ctx, c, op, in, opts)
	if err != nil {
		return nil, err
	}
	if out.List == nil {
		out.List = []T{}
	}
	return out.List, nil
}

func (c *Client) send(ctx context.Context, op *Operation, in *request, out any, opts []CallOption) error {
	start := time.Now()
	in.must(ctx != nil, "ctx", "", "must not be nil")
	if ctx == nil {
		ctx = context.Background()
	}
	st := newCall(ctx, c, op, in, out)
	for _, opt := range opts {
		if opt != nil {
			opt(st)
		}
	}
	err := st.do()
	c.report(ctx, st, start, err)
	if err != nil {
		return err
	}
	return nil
}

func (st *call) do() *Error {
	req, err := st.request()
	if err != nil {
		return err
	}
	if err := st.Err(); err != nil {
		return st.fail(transportKind(err), ctxError(st.Context))
	}
	// A retryablehttp client for each call gives its hooks the state of the
	// call; it is cheap, the connections are in the shared http.Client.
	client := &st.sender
	*client = retryablehttp.Client{
		HTTPClient:   st.client.http,
		RetryMax:     st.policy.MaxAttempts - 1,
		CheckRetry:   st.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return st.wait },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, doErr := client.Do(req)
	if st.failure == nil && doErr == nil {
		st.client.budget.succeeded()
		return nil
	}
	if st.failure == nil {
		st.failure = st.fail(KindConfig, st.outside(doErr))
	}
	if ctxErr := st.Err(); ctxErr != nil && doErr == ctxErr {
		// The context ended between two attempts: the last failure is kept.
		last := st.failure.cause
		if last == nil {
			last = errors.New(string(st.failure.Kind))
		}
		st.failure.Kind = transportKind(ctxErr)
		st.failure.cause = fmt.Errorf("%w, while waiting to repeat the call after: %w", ctxError(st.Context), last)
	}
	// A refusal undoes nothing that an earlier attempt may have done; for a read
	// there is nothing to undo. But no call is unsent of which one was sent.
	if st.op.Class != ClassSafe || st.failure.Outcome == OutcomeNotSent {
		st.failure.Outcome = st.worst
	}
	return st.failure
}

// noHeader is what http.Client may clone: the fields come with the attempt.
var noHeader = http.Header{}

// request checks the input and builds the request, without the credential.
func (st *call) request() (*retryablehttp.Request, *Error) {
	in, c := st.in, st.client
	in.problems = append(in.problems, st.checks.problems...)
	if err := in.err(); err != nil {
		return nil, st.fail(KindInput, err)
	}
	u := &st.url
	*u = *c.base
	u.Path += st.op.Path
	if len(in.query)+len(st.extra) > 0 {
		u.RawQuery = in.query.Encode()
		if len(st.extra) > 0 {
			u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+st.extra.Encode(), "&")
		}
	}
	req := &st.outer
	req.Request = (&http.Request{
		Method: st.op.Method, URL: u, Host: u.Host, Header: noHeader,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(st)
	if in.body != nil {
		body, err := json.Marshal(in.body)
		if err == nil {
			err = req.SetBody(body)
		}
		if err != nil {
			return nil, st.fail(KindInput, &InputError{[]InputProblem{{Field: "body", Rule: "must be writable as JSON: " + err.Error()}}})
		}
		req.GetBody = nil
	}
	req.SetResponseHandler(st.readAnswer)
	return req, nil
}

func (c *Client) report(ctx context.Context, st *call, start time.Time, err *Error) {
	if c.observe == nil && c.logger == nil {
		return
	}
	info := CallInfo{
		Operation: st.op.Name, Method: st.op.Method, Route: st.route(), Status: st.status,
		Code: st.code, Attempts: st.attempts, Duration: time.Since(start),
	}
	if err != nil {
		info.Kind, info.Err = err.Kind, err
	}
	if c.observe != nil {
		c.observe(ctx, info)
	}
	if c.logger == nil {
		return
	}
	level, msg := slog.LevelDebug, "proxylite call"
	attrs := []slog.Attr{
		slog.String("operation", info.Operation), slog.Int("attempts", info.Attempts),
		slog.Duration("duration", info.Duration), slog.Int("status", info.Status),
	}
	if err != nil {
		level, msg = slog.LevelWarn, "proxylite call failed"
		attrs = append(attrs, slog.Any("error", err))
	}
	c.logger.LogAttrs(ctx, level, msg, attrs...)
}
