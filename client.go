package proxylite

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go/internal/transport"
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
	secret *transport.Secret
	chain  chain
	budget *budget
}

// NewClient returns a client for one credential. It sends nothing; an error says
// which option or credential is unusable, never with its secret.
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
	c.budget = newBudget(c.policy.Budget)
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

// chain is the way of a request from an attempt to the base transport.
type chain struct {
	first      http.RoundTripper
	credential *transport.Credential
	direct     bool        // first is the credential layer
	header     http.Header // of all requests
}

// newChain assembles the layers, in the order in which a request goes through them:
// the caller's middleware, the credential, and the base transport. Before them, an
// attempt waits for the limiter and starts its timeout; around them is retry.go.
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

// send sends a request down the chain. Without a middleware, nobody else holds the
// request, so one copy of it and of the header fields is enough: this saves
// FIGURE of a call's memory.
func (ch *chain) send(a *transport.Attempt, req *http.Request, hasBody bool) (*http.Response, error) {
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

// observe tells the observers and the logger of a call, and returns what to do at
// its end.
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
