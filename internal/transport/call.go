package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// Call is what this package needs to know about a call. All attempts share it.
type Call struct {
	Unsafe    bool     // the call must reach the server at most once
	KeyInBody bool     // the app_key goes into the JSON body
	Passwords []string // passwords of accounts that the call sends

	// Resend is called before net/http sends a request again by itself. givenBack
	// means that an HTTP/2 server returned the request unprocessed or reset its
	// stream. Resend returns how long to wait first, and whether the request may be
	// sent again; if not, the attempt fails.
	Resend func(givenBack bool) (time.Duration, bool)

	mu   sync.Mutex
	sent *redact.Set // credentials that were sent
	hide *redact.Set // everything that Hide returns
	of   *redact.Set // the set of the secret that hide was made from
}

// Hide returns what no text of the call may contain: the current credential, the
// credentials that the call has sent, and the passwords of accounts.
func (c *Call) Hide(s *Secret) *redact.Set {
	now := s.hide.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hide == nil || c.of != now {
		c.of, c.hide = now, now
		if c.sent != nil && c.sent != now {
			c.hide = c.hide.With(c.sent.Secrets()...)
		}
		c.hide = c.hide.With(c.Passwords...)
	}
	return c.hide
}

// hasSent records a credential that the call is about to send.
func (c *Call) hasSent(set *redact.Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.sent {
	case set:
		return
	case nil:
		c.sent = set
	default:
		c.sent = c.sent.With(set.Secrets()...)
	}
	c.of = nil
}

// Attempt is one attempt of a call. It is the context of its requests, so that the
// credential layer below the caller's middleware finds it. A middleware may send several
// requests, concurrently, and even after it has returned.
type Attempt struct {
	context.Context
	call   *Call
	cancel context.CancelFunc

	mu      sync.Mutex
	over    bool   // the attempt has ended
	running int    // round trips of the base transport that have not returned
	sent    bool   // a request of a round trip that returned may have been sent
	reject  func() // tells the source that the API refused the secret

	first sending // saves an allocation
	taken atomic.Bool
}

// Begin starts an attempt of c. The cancel function must cancel ctx.
func (a *Attempt) Begin(ctx context.Context, cancel context.CancelFunc, c *Call) {
	a.Context, a.cancel, a.call = ctx, cancel, c
}

// End ends the attempt, so that no more requests are sent for it. It reports whether a
// request may have reached the server, or still may.
func (a *Attempt) End() (sent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.sent || a.running > 0
}

// Reject tells the source of the credential that the API refused the credential.
func (a *Attempt) Reject() {
	a.mu.Lock()
	reject := a.reject
	a.mu.Unlock()
	if reject != nil {
		reject()
	}
}

// claim asks for permission to send a request. An unsafe call gets it for one request,
// and again only if that request was provably not sent.
func (a *Attempt) claim(reject func()) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return refuse("the call is over; a middleware sent a request after it had returned")
	case a.call.Unsafe && (a.sent || a.running > 0):
		return refuse("a middleware resent a call that must be sent once")
	}
	a.running++
	a.reject = reject
	return nil
}

// release records that the round trip of a claim has returned.
func (a *Attempt) release(sent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	a.sent = a.sent || sent
}

type attemptKey struct{}

// String keeps fmt from reading fields that change. All contexts of package context have
// this method.
func (a *Attempt) String() string { return "proxylite.Attempt" }

// Value lets contexts derived from the attempt find it.
func (a *Attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}
