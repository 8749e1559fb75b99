package proxylite

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/transport"
)

// Version is the version of this module, as sent in the User-Agent header.
const Version = "0.1.0"

// Client calls the ProxyLite API. It is safe for concurrent use. Create one and
// share it, so that calls reuse its connections.
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
	secret *transport.Secret
	chain  chain
	budget *budget
	worked *atomic.Int64 // calls that succeeded
}

// NewClient returns a client that uses the credential. It sends nothing. The error
// says which option or credential is invalid and never contains a secret.
func NewClient(credential Credential, opts ...Option) (*Client, error) {
	if credential.open == nil {
		return nil, errors.New("proxylite: no credential: use AppKey, BearerToken or TokenFrom")
	}
	secret, err := credential.open()
	if err != nil {
		return nil, err
	}
	c := &Client{secret: secret, settings: settings{
		timeout: 30 * time.Second, zone: defaultTimeZone, maxResponse: 64 << 20,
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
	c.budget, c.worked = newBudget(c.policy.Budget), new(atomic.Int64)
	if c.transport == nil {
		t := NewTransport()
		if c.envProxy {
			t.Proxy = http.ProxyFromEnvironment
		}
		c.transport = t
	}
	if retriesItself(c.transport) {
		return nil, errors.New("proxylite: the transport is a *retryablehttp.RoundTripper, which sends requests again by itself, orders too: pass the transport under it (HTTPClient.Transport of its client) and set retries by WithRetry")
	}
	if c.chain, err = newChain(&c.settings, secret); err != nil {
		return nil, err
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

// NewClientFromEnv returns a client configured by the environment. It needs either
// PROXYLITE_APP_KEY or PROXYLITE_TOKEN; PROXYLITE_BASE_URL is optional. The default
// transport also obeys HTTPS_PROXY, HTTP_PROXY and NO_PROXY. The options are applied
// after the environment and override it.
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

// CloseIdleConnections closes the connections that are not in use. A client needs no
// other cleanup.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// String returns the base URL in a short description, without the credential.
func (c Client) String() string { return "proxylite.Client(" + c.base.String() + ")" }

// GoString returns the same text as String, for %#v.
func (c Client) GoString() string { return c.String() }

// LogValue returns the same text as String, for slog.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// chain is the layers that a request goes through, from an attempt to the base
// transport.
type chain struct {
	first      http.RoundTripper
	credential *transport.Credential
	direct     bool        // there is no middleware: first is the credential layer
	header     http.Header // sent with every request
}

// newChain assembles the layers below an attempt. A request goes through them in this
// order:
//
//	the caller's middleware, the first one outermost
//	the credential layer, which adds the secret
//	the base transport
//
// Above them, call.attempt waits for the limiter and starts the timeout, and retry.go
// runs the attempts.
func newChain(s *settings, secret *transport.Secret) (chain, error) {
	credential := transport.NewCredential(s.transport, s.base, secret)
	ch := chain{
		credential: credential, direct: len(s.middleware) == 0, first: credential,
		header: http.Header{"User-Agent": {s.userAgent}, "Accept": {"application/json"}},
	}
	if runtime.GOOS == "js" { // the browser's fetch would follow redirects
		ch.header["js.fetch:redirect"] = []string{"manual"}
	}
	for _, m := range slices.Backward(s.middleware) {
		if ch.first = m(ch.first); ch.first == nil {
			return chain{}, errors.New("proxylite: a middleware returned nil: it must return a transport that calls next")
		}
	}
	return ch, nil
}

// roundTrip sends a request down the chain. Without middleware nobody else holds the
// request, so it calls the credential layer directly. That saves a copy of the request
// and of its header: with a middleware that does nothing, a call takes 4.6 KB instead of
// 3.8 KB.
func (ch *chain) roundTrip(a *transport.Attempt, req *http.Request, hasBody bool) (*http.Response, error) {
	header := ch.header
	if hasBody || !ch.direct {
		header = header.Clone()
	}
	if hasBody {
		header["Content-Type"] = []string{"application/json"}
	}
	if ch.direct {
		return ch.credential.Send(a, a, req, header)
	}
	req = req.WithContext(a)
	req.Header = header
	return ch.first.RoundTrip(req)
}

// observe tells the observers that a call starts. The function that it returns tells
// them and the logger that it has ended.
func (c *Client) observe(cl *call) (ended func(*Error)) {
	if len(c.observers) == 0 && c.logger == nil {
		return func(*Error) {}
	}
	start := time.Now()
	info := CallInfo{Operation: cl.op.Name, Method: cl.op.Method, Route: cl.route()}
	var ends []func(CallInfo)
	for _, observer := range c.observers {
		ctx, end := observer(cl.ctx, info)
		if ctx != nil {
			cl.ctx = ctx
		}
		if end != nil {
			ends = append(ends, end)
		}
	}
	return func(err *Error) {
		info.Status, info.Code, info.Attempts, info.Duration = cl.status, cl.code, int(cl.attempts.Load()), time.Since(start)
		if err != nil {
			info.Kind, info.Outcome, info.Err = err.Kind, err.Outcome, err
		}
		for _, end := range slices.Backward(ends) {
			end(info)
		}
		c.log(cl.ctx, &info)
	}
}

func (c *Client) log(ctx context.Context, info *CallInfo) {
	if c.logger == nil {
		return
	}
	level, msg := slog.LevelDebug, "proxylite call"
	attrs := []slog.Attr{
		slog.String("operation", info.Operation), slog.Int("attempts", info.Attempts),
		slog.Duration("duration", info.Duration), slog.Int("status", info.Status),
	}
	if info.Err != nil {
		level, msg = slog.LevelWarn, "proxylite call failed"
		attrs = append(attrs, slog.Any("error", info.Err))
	}
	c.logger.LogAttrs(ctx, level, msg, attrs...)
}
