package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// Secret holds the credential of a client.
type Secret struct {
	Bearer bool // sent in the Authorization header
	get    func(context.Context) (held, error)
	reject func(secret string)
	hide   atomic.Pointer[redact.Set]
}

// held is a secret and the set that redacts it.
type held struct {
	value  string
	expiry time.Time // zero: valid until the API refuses it
	hide   *redact.Set
}

// Fixed returns a secret that never changes.
func Fixed(secret string, bearer bool) *Secret {
	h := held{value: secret, hide: redact.New(secret)}
	s := &Secret{
		Bearer: bearer,
		get:    func(context.Context) (held, error) { return h, nil },
		reject: func(string) {},
	}
	s.hide.Store(h.hide)
	return s
}

// early is how long before its expiry a token is replaced.
const early = 30 * time.Second

// Tokens returns a secret that expires and is renewed by a source. The source is never
// called concurrently, and all callers that wait share its result.
func Tokens(source func(context.Context) (value string, expiry time.Time, err error)) *Secret {
	t := &tokens{source: source, secret: &Secret{Bearer: true}}
	t.secret.get, t.secret.reject = t.get, t.reject
	return t.secret
}

type tokens struct {
	source func(context.Context) (string, time.Time, error)
	secret *Secret

	mu      sync.Mutex
	current *held
	asking  *question
}

// question is one call of the source, and the callers that wait for it.
type question struct {
	waiting   int
	cancel    context.CancelFunc
	abandoned bool          // nobody waits anymore
	done      chan struct{} // closed when the fields below are set
	token     held
	err       error
	void      bool // it failed because it was abandoned
}

func (t *tokens) get(ctx context.Context) (held, error) {
	for {
		token, q := t.join(ctx)
		if q == nil {
			return token, nil
		}
		select {
		case <-q.done:
			if q.void {
				continue
			}
			return q.token, q.err
		case <-ctx.Done():
			t.leave(q)
			return held{}, ctx.Err()
		}
	}
}

// join returns the token if it is valid. Otherwise it returns the question to wait for.
func (t *tokens) join(ctx context.Context) (held, *question) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.current; c != nil && (c.expiry.IsZero() || time.Until(c.expiry) > early) {
		return *c, nil
	}
	if t.asking == nil {
		// A source may ignore its context, so it runs in its own goroutine and can't
		// block the calls. Its context lasts while at least one call waits.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		t.asking = &question{cancel: cancel, done: make(chan struct{})}
		go t.ask(ctx, t.asking)
	}
	if !t.asking.abandoned {
		t.asking.waiting++
	}
	return held{}, t.asking
}

func (t *tokens) leave(q *question) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.abandoned {
		return
	}
	if q.waiting--; q.waiting == 0 {
		q.abandoned = true
		q.cancel()
	}
}

func (t *tokens) ask(ctx context.Context, q *question) {
	token, err := held{}, errors.New("the token source ended its goroutine")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the token source panicked: %v", p)
		}
		q.cancel()
		t.mu.Lock()
		defer t.mu.Unlock()
		if err == nil {
			token.hide = redact.New(token.value)
			if t.current != nil { // a call may still be using the old token
				t.secret.hide.Store(token.hide.With(t.current.value))
			} else {
				t.secret.hide.Store(token.hide)
			}
			t.current = &token
		}
		q.token, q.err, q.void = token, err, q.abandoned && err != nil
		t.asking = nil
		close(q.done)
	}()
	token.value, token.expiry, err = t.source(ctx)
	token.expiry = token.expiry.Round(0) // use the wall clock, as the machine may sleep
}

func (t *tokens) reject(secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && t.current.value == secret {
		t.current.expiry = time.Unix(0, 0)
	}
}
