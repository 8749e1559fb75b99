package reseller

import (
	"context"
	"sync"
)

// breaker ends a run in which nothing works any more.
type breaker struct {
	mu      sync.Mutex
	stopped error // why the run ended early
	streak  int   // failures in a row that are not refusals
}

// broken decides whether a failure ends the run: one that all requests would share,
// or ten in a row that are not refusals. It is called for each failure.
func (b *breaker) broken(ctx context.Context, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !refused(err) {
		b.streak++
	}
	if b.stopped == nil && (ctx.Err() != nil || forAll(err) || b.streak >= 10) {
		b.stopped = err
	}
	return b.stopped != nil
}

func (b *breaker) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streak = 0
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
