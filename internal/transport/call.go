package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// Call is what this package needs to know of a call, over all of its attempts.
type Call struct {
	Unsafe    bool     // must reach the server at most once
	KeyInBody bool     // the app_key goes into the JSON body
	Passwords []string // of accounts, which the call sends

	// Resend is asked before net/http sends a request again by itself. The
	// argument says that an HTTP/2 server gave the request back unprocessed,
	// or reset its stream. It returns how long to wait before that, and whether
	// it is allowed; else the attempt ends.
	Resend func(givenBack bool) (time.Duration, bool)

	mu   sync.Mutex
	sent *redact.Set // the credentials that were sent
	hide *redact.Set // all that the call keeps out of texts
	of   *redact.Set // what hide was made from
}

// Hide returns what no text of the call may show: the credential of the moment,
// those that it sent, and the passwords of accounts.
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

// sends notes a credential that the call is about to send.
func (c *Call) sends(set *redact.Set) {
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

// Attempt is one attempt of a call. It is the context of the requests of the
// attempt, so that the layers below the caller's middleware find it. A middleware
// may send several requests, also at the same time, and after it has returned.
type Attempt struct {
	context.Context
	call   *Call
	cancel context.CancelFunc

	mu      sync.Mutex
	over    bool
	running int    // round trips of the base transport that have not returned
	sent    bool   // one of those that have may have reached the server
	reject  func() // tells the source that the API refused its secret

	first sending // saves an allocation
	taken atomic.Bool
}

// Begin begins an attempt. The cancel function ends ctx.
func (a *Attempt) Begin(ctx context.Context, cancel context.CancelFunc, c *Call) {
	a.Context, a.cancel, a.call = ctx, cancel, c
}

// End ends the attempt: nothing more is sent for it. It reports whether a request
// may have reached the server, which is also so while one is still being sent.
func (a *Attempt) End() (sent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.sent || a.running > 0
}

// Reject tells the source of the credential that the API refused it.
func (a *Attempt) Reject() {
	a.mu.Lock()
	reject := a.reject
	a.mu.Unlock()
	if reject != nil {
		reject()
	}
}

// claim takes the right to send a request. A call that must not be sent twice has
// one, which it gets back when that request has provably not been sent.
func (a *Attempt) claim(reject func()) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return refuse("the call is over; a middleware sent a request after it had returned")
	case a.call.Unsafe && (a.sent || a.running > 0):
		return refuse("a middleware sent a call again that must be sent once")
	}
	a.running++
	a.reject = reject
	return nil
}

// release says that the round trip of a claim has returned.
func (a *Attempt) release(sent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	a.sent = a.sent || sent
}

type attemptKey struct{}

// Value makes the attempt findable in contexts derived from it.
func (a *Attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}
