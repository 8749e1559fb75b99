package proxylite

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"
)

// DefaultBaseURL is the URL of the API unless [WithBaseURL] sets another.
const DefaultBaseURL = "https://api.proxylite.com"

// Option configures a client; see [NewClient].
type Option func(*settings) error

// Middleware wraps the transport. It sees each attempt of each call before the
// credential is added. The context of the request that it passes on must derive from
// the context of the request that it gets.
type Middleware func(next http.RoundTripper) http.RoundTripper

// Limiter limits the rate of requests, such as a *rate.Limiter of
// golang.org/x/time/rate. Wait blocks until a request may be sent.
type Limiter interface{ Wait(context.Context) error }

type settings struct {
	base        *url.URL
	transport   http.RoundTripper
	timeout     time.Duration
	policy      RetryPolicy
	middleware  []Middleware
	logger      *slog.Logger
	observers   []Observer
	zone        *time.Location
	limiter     Limiter
	maxResponse int64
	vendorRules bool
	userAgent   string
	envProxy    bool
}

// WithBaseURL sets the URL of the API. If the URL has no path, such as
// https://api.example.com, the client adds the documented prefix /end-point. A path is
// kept as it is written, including escapes such as %2F. The scheme must be https, since
// requests contain the credential; http is allowed for loopback only.
func WithBaseURL(rawURL string) Option {
	return func(s *settings) error {
		u, err := url.Parse(strings.TrimSpace(rawURL))
		switch {
		case err != nil:
			return errors.New("proxylite: the base URL can't be parsed") // its text might hold a secret
		case u.Hostname() == "" || u.Opaque != "":
			return errors.New("proxylite: the base URL must be absolute, such as " + DefaultBaseURL)
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return errors.New("proxylite: the base URL must have no user, query or fragment")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return errors.New("proxylite: the base URL must be https (http is for loopback only), not http://" + u.Host)
		case u.Scheme != "http" && u.Scheme != "https":
			return errors.New("proxylite: the base URL must be https, not " + u.Scheme)
		}
		if _, ok := parsePort(u.Port()); u.Port() != "" && !ok {
			return errors.New("proxylite: the base URL names port " + u.Port() + ": want 1 to 65535")
		}
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
		if u.Path == "" {
			u.Path = "/end-point"
		}
		s.base = u
		return nil
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// WithTransport sets the transport. The default is [NewTransport]. The transport sees
// the credential. To see or change requests without it, use [WithMiddleware].
//
// Calls of [ClassUnsafe] use a clone of a *http.Transport, with its proxy, dialer and
// TLS configuration, and open a new HTTP/1.1 connection for each call.
// MaxConnsPerHost limits these connections separately from those of other calls.
//
// A transport that is not a *http.Transport, or that has a registered protocol or its
// own TLSNextProto, is not cloned. If it returns an error, the client can't prove that
// nothing was sent, so a call of [ClassUnsafe] then always has [OutcomeUnknown] and is
// not retried. Such a transport must not retry requests itself.
func WithTransport(rt http.RoundTripper) Option {
	return func(s *settings) error {
		if rt == nil {
			return errors.New("proxylite: the transport is nil")
		}
		s.transport = rt
		return nil
	}
}

// WithHTTPClient uses the transport and the timeout of an http.Client, which is not
// changed. The timeout becomes the attempt timeout. The client never follows redirects
// and keeps no cookies, whatever the http.Client does. See [WithTransport] for the
// requirements of the transport.
func WithHTTPClient(c *http.Client) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("proxylite: the http.Client is nil")
		}
		if c.Transport != nil {
			s.transport = c.Transport
		}
		if c.Timeout > 0 {
			s.timeout = c.Timeout
		}
		return nil
	}
}

// WithMiddleware adds middleware around the transport. The first one is the outermost.
// If the option is given more than once, all middleware apply.
func WithMiddleware(m ...Middleware) Option {
	return func(s *settings) error {
		for _, m := range m {
			if m != nil {
				s.middleware = append(s.middleware, m)
			}
		}
		return nil
	}
}

// WithAttemptTimeout sets the timeout of one attempt, from its start to the last byte
// of the response. The default is 30 s. Use a context to limit the whole call.
func WithAttemptTimeout(d time.Duration) Option {
	return func(s *settings) error {
		if d <= 0 {
			return errors.New("proxylite: the attempt timeout must be positive")
		}
		s.timeout = d
		return nil
	}
}

// WithRetry sets the retry policy.
func WithRetry(p RetryPolicy) Option {
	return func(s *settings) error {
		if p.MaxAttempts < 0 || p.MinBackoff < 0 || p.MaxBackoff < 0 || p.MaxRetryAfter < 0 {
			return errors.New("proxylite: the attempts and times of a retry policy must not be negative (MaxAttempts: 1 ends retries)")
		}
		s.policy = p
		return nil
	}
}

// WithLogger logs one line for each call, at level debug if it succeeded and at level
// warn if it failed. The line has no query, body or credential. By default nothing is
// logged.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) error { s.logger = l; return nil }
}

// Observer is called at the start of each call. The call uses the context that it
// returns, which must derive from ctx: a span in it becomes the parent of the spans of
// the attempts. A nil context means ctx. The function that it returns is called at the
// end of the call; it may be nil. Both functions must be fast and safe for concurrent
// use.
type Observer func(ctx context.Context, start CallInfo) (context.Context, func(end CallInfo))

// WithObserver adds an observer, for metrics and traces. If the option is given
// more than once, all observers see each call: the first one is called first at its start
// and last at its end.
func WithObserver(o Observer) Option {
	return func(s *settings) error {
		if o == nil {
			return errors.New("proxylite: the observer is nil")
		}
		s.observers = append(s.observers, o)
		return nil
	}
}

// WithTimeZone sets the time zone of times that the API sends or expects without a
// zone. The vendor does not document it; the default is UTC+8.
func WithTimeZone(zone *time.Location) Option {
	return func(s *settings) error {
		if zone == nil {
			return errors.New("proxylite: the time zone is nil")
		}
		s.zone = zone
		return nil
	}
}

// WithLimiter makes each attempt wait for l first. The attempt timeout starts after the
// wait. The vendor documents no rate limit.
func WithLimiter(l Limiter) Option {
	return func(s *settings) error { s.limiter = l; return nil }
}

// WithMaxResponse sets the maximum size of a response, after decompression. The default
// is 64 MiB. A larger response is an [ErrResponseTooLarge].
func WithMaxResponse(bytes int64) Option {
	return func(s *settings) error {
		if bytes <= 0 {
			return errors.New("proxylite: the maximum response size must be positive")
		}
		s.maxResponse = bytes
		return nil
	}
}

// WithoutVendorRules disables the checks of rules that the vendor may relax: the
// characters of names and passwords, the length of remarks, the highest traffic limit
// and the form of country codes. Input that would change the meaning of a request is
// still refused.
func WithoutVendorRules() Option {
	return func(s *settings) error { s.vendorRules = false; return nil }
}

// WithUserAgent adds a name to the front of the User-Agent header.
func WithUserAgent(name string) Option {
	return func(s *settings) error {
		if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errors.New("proxylite: the user agent must be printable ASCII")
		}
		s.userAgent = strings.TrimSpace(name + " " + s.userAgent)
		return nil
	}
}

// NewTransport returns a new default transport: HTTP/2 with pings, up to 128 idle
// connections, a timeout for each phase of a connection, and no proxy from the
// environment. You may change it before its first use.
func NewTransport() *http.Transport {
	dial := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	if runtime.GOOS == "js" {
		dial = nil // else net/http does not use the browser's fetch
	}
	return &http.Transport{
		DialContext:         dial,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 128,
		// Below the usual keep-alive timeout of servers, so that few reused
		// connections turn out to be closed.
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
}

// CallOption configures one call.
type CallOption func(*callOptions)

// CallRaw stores the response of the last attempt as it was received, also if the call
// fails. If it contains the credential or a password that the call sent, that is
// redacted. The search for them takes time if the body is large.
func CallRaw(raw *RawResponse) CallOption {
	return func(o *callOptions) {
		o.checks.must(raw != nil, "CallRaw", "", "must not be nil")
		if o.raw = raw; raw != nil {
			*raw = RawResponse{}
		}
	}
}

// RawResponse is a response before decoding, with secrets redacted; see [CallRaw].
type RawResponse struct {
	Status int
	Header http.Header
	Body   []byte // up to the size of WithMaxResponse
}

// CallTimeout sets the attempt timeout of the call; see [WithAttemptTimeout].
func CallTimeout(d time.Duration) CallOption {
	return func(o *callOptions) {
		o.checks.must(d > 0, "CallTimeout", d.String(), "must be positive")
		o.timeout = d
	}
}

// CallAttempts sets [RetryPolicy.MaxAttempts] for the call; 1 disables retries.
func CallAttempts(n int) CallOption {
	return func(o *callOptions) {
		o.checks.must(n > 0, "CallAttempts", "", "must be positive")
		o.policy.MaxAttempts = n
	}
}

// CallQuery adds a query parameter that the SDK has no field for, such as language. A
// parameter that the call already has is an [ErrInvalidInput], and so is app_key.
func CallQuery(name, value string) CallOption {
	return func(o *callOptions) {
		o.checks.must(name != "" && name != "app_key", "CallQuery", name, "must name a parameter other than app_key")
		o.checks.must(!o.query.Has(name), "CallQuery", name, "is given twice")
		if o.query == nil {
			o.query = url.Values{}
		}
		o.query.Set(name, value)
	}
}

// CallBody adds a field to the JSON body of a call, one that the SDK has no field for.
// The value is encoded by encoding/json. A field that the body already has is an
// [ErrInvalidInput], and so are app_key and a call without a JSON body.
func CallBody(name string, value any) CallOption {
	return func(o *callOptions) {
		o.checks.must(name != "" && name != "app_key", "CallBody", name, "must name a field other than app_key")
		_, twice := o.body[name]
		o.checks.must(!twice, "CallBody", name, "is given twice")
		if o.body == nil {
			o.body = map[string]any{}
		}
		o.body[name] = value
	}
}

// CallInfo describes a call, for metrics and spans. At the start of a call only
// Operation, Method and Route are set. All fields but Duration and Err have few values,
// so they can be metric labels.
type CallInfo struct {
	Operation string // e.g. "Accounts.List"
	Method    string
	Route     string // path without the query

	Status   int // HTTP status of the last response; 0 without one
	Code     int // error code of the API in the last response; 0 if there was none
	Attempts int // number of attempts, sent or not
	Duration time.Duration
	Kind     Kind    // empty on success
	Outcome  Outcome // set if Err is not nil
	Err      error   // nil on success
}
