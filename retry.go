package proxylite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Class says when the client may retry a call. The terms are those of RFC 9110.
type Class int

const (
	// ClassUnsafe is for a call that spends money or quota. It is retried only if
	// provably no byte of it was sent. After any other failure the call returns at
	// once; see [Error.Outcome]. ClassUnsafe is the zero value.
	ClassUnsafe Class = iota
	// ClassIdempotent is for a call that has the same effect however often it is sent.
	// It is retried after a transport failure and after status 429, 502, 503 and 504.
	ClassIdempotent
	// ClassSafe is for a call that changes nothing. It is retried like an idempotent
	// call.
	ClassSafe
)

// String returns "unsafe", "idempotent" or "safe".
func (r Class) String() string {
	switch r {
	case ClassIdempotent:
		return "idempotent"
	case ClassSafe:
		return "safe"
	default:
		return "unsafe"
	}
}

// RetryPolicy limits retries. A field that is zero has its default value. Calls of
// [ClassUnsafe] also obey the policy, but are retried only if nothing was sent.
type RetryPolicy struct {
	// MaxAttempts is the maximum number of requests of one call, including those that
	// net/http sends again by itself. The default is 3; 1 disables retries. Up to five
	// that an HTTP/2 server gave back while it answered other calls do not count.
	MaxAttempts int
	// MinBackoff and MaxBackoff limit the wait between attempts. The first wait is a
	// random time up to MinBackoff. That maximum doubles with each attempt, up to
	// MaxBackoff. The defaults are 250 ms and 10 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxRetryAfter is the longest Retry-After that a call waits for. If the server
	// asks for more, the call fails at once with [Error.RetryAfter] set. The default
	// is 30 s.
	MaxRetryAfter time.Duration
	// Budget is the number of retries that all calls of the client share, so that
	// retries don't make an outage worse. Each retry takes one. Ten successful calls
	// give one back, and so do ten seconds. While the budget is spent, a call that
	// would be retried fails instead, and its error matches [ErrRetryBudget]. The
	// default is 100; a negative value means no limit.
	Budget int
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = 3
	}
	def(&p.MinBackoff, 250*time.Millisecond)
	def(&p.MaxBackoff, 10*time.Second)
	def(&p.MaxRetryAfter, 30*time.Second)
	if p.Budget == 0 {
		p.Budget = 100
	}
	return p
}

// budget is a token bucket shared by all calls of a client. A nil budget has no limit.
// A retry costs ten tokens; a success gives one back, and so does a second. A faster
// refill would double the load of an outage in which servers hang: 64 goroutines then
// make only two calls a second.
type budget struct {
	mu     sync.Mutex
	max    float64
	tokens float64
	last   time.Time
}

const retryCost = 10

func newBudget(size int) *budget {
	if size < 0 {
		return nil
	}
	return &budget{max: retryCost * float64(size), tokens: retryCost * float64(size)}
}

func (b *budget) spend() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	if b.tokens < retryCost {
		return false
	}
	b.tokens -= retryCost
	return true
}

// refill adds what the time since the last one gives back. The caller holds mu.
func (b *budget) refill() {
	now := time.Now()
	if !b.last.IsZero() {
		b.tokens = min(b.max, b.tokens+now.Sub(b.last).Seconds())
	}
	b.last = now
}

func (b *budget) succeeded() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.tokens = min(b.max, b.tokens+1)
	b.mu.Unlock()
}

// sender runs the attempts of one call with go-retryablehttp. Nothing else in this
// package uses that library: it is the loop that makes attempts and waits between
// them.
type sender struct {
	call   *call
	loop   retryablehttp.Client
	client http.Client
	req    retryablehttp.Request
}

// emptyResponse is what http.Client and the library see of each response. Neither
// changes it.
var emptyResponse = &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}

// run makes attempts until one succeeds, one must not be retried, or the context ends.
// It leaves the failure of the last attempt in call.failure. It returns an error only
// if the context ends between two attempts.
//
// When a call fails, the library calls CloseIdleConnections of its http.Client. That
// would close connections that other calls could reuse. So each call has its own
// http.Client, with the sender as its transport, which has no such method.
func (s *sender) run() error {
	s.client = http.Client{Transport: s}
	s.loop = retryablehttp.Client{
		HTTPClient: &s.client,
		RetryMax:   s.call.policy.MaxAttempts - 1,
		CheckRetry: func(context.Context, *http.Response, error) (bool, error) {
			return s.call.failure != nil && s.call.retry(), nil
		},
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return s.call.wait },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, err := s.loop.Do(&s.req) //nolint:bodyclose // emptyResponse has none
	return err
}

// RoundTrip makes one attempt. The attempt reads the response within its timeout, so
// http.Client and the library see an empty one.
func (s *sender) RoundTrip(req *http.Request) (*http.Response, error) {
	s.call.failure = s.call.attempt(req)
	return emptyResponse, nil
}

// retriesItself reports whether a transport is known to retry requests.
func retriesItself(rt http.RoundTripper) bool {
	_, ok := rt.(*retryablehttp.RoundTripper)
	return ok
}

// retry reports whether to retry after the failure of the last attempt. If so, it sets
// the wait before the next one.
func (c *call) retry() bool {
	e, p := c.failure, &c.policy
	attempts := int(c.attempts.Load())
	if c.ctx.Err() != nil || attempts >= p.MaxAttempts || !mayRetry(c.op.Class, e) || e.RetryAfter > p.MaxRetryAfter {
		return false
	}
	limit := p.MaxBackoff
	if shift := attempts - 1; shift < 30 && p.MinBackoff <= limit>>shift {
		limit = p.MinBackoff << shift
	}
	// Full jitter, so that clients do not all return at once after an outage.
	c.wait = max(e.RetryAfter, time.Duration(rand.Int64N(max(1, int64(limit)))))
	if deadline, ok := c.ctx.Deadline(); ok && time.Until(deadline) <= c.wait {
		return false
	}
	if !c.client.budget.spend() {
		if e.cause == nil {
			e.cause = ErrRetryBudget
		} else {
			e.cause = fmt.Errorf("%w; %w", e.cause, ErrRetryBudget)
		}
		return false
	}
	return true
}

// maxGivenBack is how many requests of a call an HTTP/2 server may give back, beyond
// MaxAttempts, while other calls succeed.
const maxGivenBack = 5

// resend reports whether net/http may send a request again by itself, and how long it
// must wait. This counts as an attempt. A request that an HTTP/2 server gave back cost
// the server nothing, so it takes nothing from the budget. If other calls have succeeded
// meanwhile, the server works, and the call only met its limit of streams or of requests
// per connection: that is no attempt either. There is no wait the first time, which is
// most often the GOAWAY of a graceful shutdown.
func (c *call) resend(givenBack bool) (wait time.Duration, ok bool) {
	again := c.resent.Add(1)
	if again > 1 {
		base := min(c.policy.MinBackoff, time.Minute)
		wait = base/2 + rand.N(base/2+1)
	}
	if givenBack && again <= maxGivenBack && c.client.worked.Load() > c.before {
		return wait, true
	}
	if int(c.attempts.Load()) >= c.policy.MaxAttempts || !givenBack && !c.client.budget.spend() {
		return 0, false
	}
	c.attempts.Add(1)
	return wait, true
}

func mayRetry(class Class, e *Error) bool {
	if class == ClassUnsafe && e.Outcome != OutcomeNotSent {
		return false
	}
	switch e.Kind {
	case KindRateLimited, KindTransport, KindTruncated, KindTimeout, KindDial:
		return true
	case KindDNS:
		var dns *net.DNSError
		return errors.As(e.cause, &dns) && !dns.IsNotFound
	}
	switch e.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// longestRetryAfter can be added to without overflow.
const longestRetryAfter = 100 * 365 * 24 * time.Hour

// parseRetryAfter reads a Retry-After header in seconds or as a date. A date is relative
// to the Date of the response, as the clocks may differ. An invalid value gives 0.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n > int64(longestRetryAfter/time.Second) {
			return longestRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, at.Sub(now)), longestRetryAfter)
}
