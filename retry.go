package proxylite

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Class says when a call may be sent again by the client.
type Class int

const (
	// ClassUnsafe is for a call that spends money or quota. It is sent again only
	// when it is certain that no byte reached the server: there was no connection.
	// Otherwise the error says that the outcome is unknown. The zero value, to be safe.
	ClassUnsafe Class = iota
	// ClassIdempotent is for a call that changes something, but a second time
	// nothing more. It is sent again after a transport failure, 429, 502, 503 and 504.
	ClassIdempotent
	// ClassSafe is for a call that changes nothing. It is sent again as an
	// idempotent one is.
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

// RetryPolicy bounds the repetition of calls. A zero field takes its default.
// Calls of class [ClassUnsafe] obey it too, but are repeated only when unsent.
type RetryPolicy struct {
	// MaxAttempts bounds the requests of one call; default 3, 1 ends retries.
	// net/http adds none of its own: what it would send again counts as well.
	MaxAttempts int
	// MinBackoff and MaxBackoff bound the wait between attempts: a random time
	// between 0 and MinBackoff, doubled for each attempt, at most MaxBackoff.
	// Defaults 250 ms and 10 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxRetryAfter is the longest Retry-After that is waited for; with a longer
	// one the call returns at once, and the error has it. Default 30 s.
	MaxRetryAfter time.Duration
	// Budget is how many retries all calls of the client together may spend
	// at once, so that an outage is not made worse: a retry takes one, ten
	// calls that succeed give one back, and so do ten seconds. When it is
	// spent, calls fail at their first failure, which then is an
	// ErrRetryBudget too. Default 100; negative for no budget.
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

// budget is a token bucket over all calls of a client. nil is without bound. A
// retry costs ten tokens; a success gives one back, and so does a second. More for
// a second would double the requests of an outage in which servers say nothing,
// since then the calls of 64 goroutines are two a second.
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
	now := time.Now()
	if !b.last.IsZero() {
		b.tokens = min(b.max, b.tokens+now.Sub(b.last).Seconds())
	}
	b.last = now
	if b.tokens < retryCost {
		return false
	}
	b.tokens -= retryCost
	return true
}

func (b *budget) succeeded() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.tokens = min(b.max, b.tokens+1)
	b.mu.Unlock()
}

// sender is what go-retryablehttp needs for one call. It is all that this package
// uses of it: a loop that makes attempts, and waits between them.
type sender struct {
	call   *call
	loop   retryablehttp.Client
	client http.Client
	req    retryablehttp.Request
}

// done is what the library and http.Client see of a response; neither changes it.
var done = &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}

// run makes attempts of the call until one succeeds, one must not be retried, or
// the context ends. The failure of the last attempt is in the call; the error is
// that of a context which ended between two attempts.
//
// The library calls CloseIdleConnections of its http.Client when a call fails,
// which would close the connections of all calls. So each call has an http.Client
// of its own whose transport, the sender, has no such method; the connections
// belong to the transport below.
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
	_, err := s.loop.Do(&s.req)
	return err
}

// RoundTrip makes one attempt. The attempt reads the response itself, within its
// timeout, so http.Client and the library see an empty one.
func (s *sender) RoundTrip(req *http.Request) (*http.Response, error) {
	s.call.failure = s.call.attempt(req)
	return done, nil
}

// retriesItself reports whether a transport is known to send requests again.
func retriesItself(rt http.RoundTripper) bool {
	_, ok := rt.(*retryablehttp.RoundTripper)
	return ok
}

// retry decides about the failure of the last attempt and, when the call is to go
// on, sets the wait before the next one.
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
	// Full jitter, so that the clients of an outage do not come back together.
	c.wait = max(e.RetryAfter, time.Duration(rand.Int64N(max(1, int64(limit)))))
	if deadline, ok := c.ctx.Deadline(); ok && time.Until(deadline) <= c.wait {
		return false
	}
	if !c.client.budget.spend() {
		e.cause = errors.Join(e.cause, ErrRetryBudget)
		return false
	}
	return true
}

// resend decides whether net/http may send a request of an attempt again by itself.
// That counts as an attempt. What an HTTP/2 server gave back costs it nothing, so
// it takes nothing from the budget. The first time there is no wait, as after the
// GOAWAY of a server that closes a connection as it should.
func (c *call) resend(givenBack bool) (wait time.Duration, ok bool) {
	n := int(c.attempts.Load())
	if n >= c.policy.MaxAttempts || !givenBack && !c.client.budget.spend() {
		return 0, false
	}
	c.attempts.Add(1)
	if n > 1 {
		base := min(c.policy.MinBackoff, time.Minute)
		wait = base + rand.N(base)
	}
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

// parseRetryAfter reads seconds or a date; the date counts from the answer's own
// Date, as the clocks may differ. Nonsense gives 0, too much the longest duration.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n > int64(math.MaxInt64/time.Second) {
			return math.MaxInt64
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
	return max(0, at.Sub(now))
}
