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

// DefaultBaseURL is where the API is, unless [WithBaseURL] says otherwise.
const DefaultBaseURL = "https://api.proxylite.com"

// Option sets up a client; see [NewClient].
type Option func(*settings) error

// Middleware wraps the transport. It sees every attempt of every call, before
// the credential is added, and must pass on a context derived from the request's.
type Middleware func(next http.RoundTripper) http.RoundTripper

// Limiter paces requests; *rate.Limiter of golang.org/x/time/rate is one.
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

// WithBaseURL sets where the API is. An origin alone ("https://api.example.com")
// gets the documented prefix /end-point; a URL with a path keeps its own path.
// It must be https; http is for loopback only, since the credential travels in it.
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

// WithTransport replaces the transport, [NewTransport] by default. It necessarily
// sees the credential.
//
// Calls that must be sent once use a clone of a *http.Transport, with its proxy,
// dialer and TLS configuration, but a fresh HTTP/1.1 connection for each call.
// MaxConnsPerHost limits these connections and those of other calls separately.
//
// A transport that is not a *http.Transport, or one with a registered protocol or
// a TLSNextProto of its own, is used as it is. The client can't prove that it sent
// nothing, so a failed call of [ClassUnsafe] then has [OutcomeUnknown] in every
// case. Such a transport must not send requests again by itself. To see or change
// requests, use [WithMiddleware].
func WithTransport(rt http.RoundTripper) Option {
	return func(s *settings) error {
		if rt == nil {
			return errors.New("proxylite: the transport is nil")
		}
		s.transport = rt
		return nil
	}
}

// WithHTTPClient takes the transport and the timeout of an http.Client, which is
// not changed. The timeout is that of an attempt. Redirects are never followed and
// cookies are not kept, whatever the http.Client says. For what its transport must
// be see [WithTransport].
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

// WithMiddleware wraps the transport; the first one is the outermost.
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

// WithAttemptTimeout bounds one attempt, from its start to the last byte of the
// answer; default 30 s. The context bounds the whole call.
func WithAttemptTimeout(d time.Duration) Option {
	return func(s *settings) error {
		if d <= 0 {
			return errors.New("proxylite: the attempt timeout must be positive")
		}
		s.timeout = d
		return nil
	}
}

// WithRetry sets how calls are repeated.
func WithRetry(p RetryPolicy) Option {
	return func(s *settings) error {
		if p.MaxAttempts < 0 || p.MinBackoff < 0 || p.MaxBackoff < 0 || p.MaxRetryAfter < 0 {
			return errors.New("proxylite: the attempts and times of a retry policy must not be negative (MaxAttempts: 1 ends retries)")
		}
		s.policy = p
		return nil
	}
}

// WithLogger logs one line for each call: debug when it succeeded, warn when it
// failed. No line has a query, a body or the credential. By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) error { s.logger = l; return nil }
}

// Observer is called at the start of each call, with what is known of it by then.
// The context that it returns is that of the call, so it can carry a span that is
// the parent of the attempts; it must derive from ctx, and nil means ctx. The
// function that it returns is called at the end of the call; it may be nil. Both
// must be quick and safe for concurrent use.
type Observer func(ctx context.Context, start CallInfo) (context.Context, func(end CallInfo))

// WithObserver has the calls observed, for metrics and traces. Given twice, both
// observe: the first one starts first and ends last.
func WithObserver(o Observer) Option {
	return func(s *settings) error {
		if o == nil {
			return errors.New("proxylite: the observer is nil")
		}
		s.observers = append(s.observers, o)
		return nil
	}
}

// WithTimeZone sets the zone of the API's zoneless times, in answers and in
// requests. The document names none; the default, UTC+8, is our choice.
func WithTimeZone(zone *time.Location) Option {
	return func(s *settings) error {
		if zone == nil {
			return errors.New("proxylite: the time zone is nil")
		}
		s.zone = zone
		return nil
	}
}

// WithLimiter makes each attempt wait for l first.
func WithLimiter(l Limiter) Option {
	return func(s *settings) error { s.limiter = l; return nil }
}

// WithMaxResponse bounds the size of an answer, after decompression; default 64 MiB.
func WithMaxResponse(bytes int64) Option {
	return func(s *settings) error {
		if bytes <= 0 {
			return errors.New("proxylite: the bound of an answer must be positive")
		}
		s.maxResponse = bytes
		return nil
	}
}

// WithoutVendorRules ends the checks of rules that the vendor may relax one day:
// the characters of names and passwords, the length of remarks, the highest
// limit, the form of country codes. What would garble a request is still refused.
func WithoutVendorRules() Option {
	return func(s *settings) error { s.vendorRules = false; return nil }
}

// WithUserAgent puts a name in front of the User-Agent header.
func WithUserAgent(name string) Option {
	return func(s *settings) error {
		if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errors.New("proxylite: the user agent must be printable ASCII")
		}
		s.userAgent = strings.TrimSpace(name + " " + s.userAgent)
		return nil
	}
}

// NewTransport returns a new transport as a client has by default: HTTP/2 with
// pings, an idle pool for 128 concurrent calls, a clock on every phase, and no
// proxy from the environment. Change it before its first use.
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
		// Below the usual keep-alive of servers, so that few connections are
		// found dead: a call that spends can't tell that from a lost answer.
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
}

// CallOption changes one call.
type CallOption func(*callOptions)

// CallRaw stores the answer as it came, of the last attempt, also when the call
// fails. The credential is hidden should the server echo it.
func CallRaw(raw *RawResponse) CallOption {
	return func(o *callOptions) {
		o.checks.must(raw != nil, "CallRaw", "", "must not be nil")
		if o.raw = raw; raw != nil {
			*raw = RawResponse{}
		}
	}
}

// RawResponse is an answer before it was decoded.
type RawResponse struct {
	Status int
	Header http.Header
	Body   []byte // up to the bound of WithMaxResponse
}

// CallTimeout replaces the attempt timeout.
func CallTimeout(d time.Duration) CallOption {
	return func(o *callOptions) {
		o.checks.must(d > 0, "CallTimeout", d.String(), "must be positive")
		o.timeout = d
	}
}

// CallAttempts replaces [RetryPolicy.MaxAttempts]; 1 sends the call once.
func CallAttempts(n int) CallOption {
	return func(o *callOptions) {
		o.checks.must(n > 0, "CallAttempts", "", "must be positive")
		o.policy.MaxAttempts = n
	}
}

// CallQuery adds a query parameter that the SDK does not know, such as language. A
// parameter that the call already has is refused, and so is app_key.
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

// CallBody adds a field to the JSON body of a call, one that the SDK does not know.
// The value is written by encoding/json. A field that the body already has is
// refused, and so are app_key and a call without a body.
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

// CallInfo describes a call, for metrics and spans. Its words are few, fit for
// labels. At the start of a call only the first three fields are set.
type CallInfo struct {
	Operation string // e.g. "Accounts.List"
	Method    string
	Route     string // the path without query

	Status   int // HTTP status of the last response; 0 without one
	Code     int // envelope code of the last response; 0 for success or without one
	Attempts int // requests that were tried
	Duration time.Duration
	Kind     Kind    // empty on success
	Outcome  Outcome // of a failure
	Err      error   // nil on success
}
