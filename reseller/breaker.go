package reseller

import (
	"context"
	"sync"
)

// breaker ends a run in which nothing works any more.
type breaker struct {
	mu       sync.Mutex
	stopped  error // why the run ended early
	failures int   // in a row
	refusals int   // in a row
}

// broken decides whether a failure ends the run: one that all requests would share,
// ten in a row, or fifty refusals of single accounts in a row. It is called for each.
func (b *breaker) broken(ctx context.Context, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused(err) {
		b.refusals++
	} else {
		b.failures++
	}
	if b.stopped == nil && (ctx.Err() != nil || forAll(err) || b.failures >= 10 || b.refusals >= 50) {
		b.stopped = err
	}
	return b.stopped != nil
}

func (b *breaker) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.refusals = 0, 0
}

// stop ends the run.
func (b *breaker) stop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped == nil {
		b.stopped = err
	}
}

func (b *breaker) going(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped == nil && ctx.Err() == nil
}
