package pool

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Store is what pools share: the stock of proxies that are paid for and held by
// nobody, and the ledger of what was spent. All fetched proxies go through it. A
// pool takes a batch at a time and never asks the store when it picks, so a store
// may be far away. Each method must be atomic, which one script of a Redis is.
//
// A proxy that is taken is the taker's alone until it expires or is put back.
type Store interface {
	// Take removes up to n proxies that expire after the given time, or never,
	// and returns them, those that last longest first.
	Take(ctx context.Context, n int, after time.Time) ([]Proxy, error)
	// Put adds proxies; each leaves the stock by itself when it expires. One that
	// is there already (same endpoint and user name) is replaced.
	Put(ctx context.Context, proxies []Proxy) error
	// Lock waits for the right to fetch, which one pool has at a time. A store
	// that is shared by processes must end the right of one that died.
	Lock(ctx context.Context) (unlock func(), err error)
	// Spend books up to n against a ceiling of limit in any interval per, and
	// returns how many it booked; if none, when to ask again.
	Spend(ctx context.Context, n, limit int, per time.Duration) (booked int, again time.Time, err error)
	// Refund takes back the n that were booked last, as nothing was spent.
	Refund(ctx context.Context, n int) error
}

// NewMemoryStore returns a store for the pools of one process.
func NewMemoryStore() Store {
	return &memoryStore{turn: make(chan struct{}, 1)}
}

type memoryStore struct {
	turn chan struct{}

	mu     sync.Mutex
	stock  []Proxy
	ledger []booking // oldest first
}

type booking struct {
	at time.Time
	n  int
}

func (s *memoryStore) Take(_ context.Context, n int, after time.Time) ([]Proxy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.stock = slices.DeleteFunc(s.stock, func(p Proxy) bool { return !p.end().After(now) })
	slices.SortStableFunc(s.stock, func(a, b Proxy) int { return b.end().Compare(a.end()) })
	fit := slices.IndexFunc(s.stock, func(p Proxy) bool { return !p.end().After(after) })
	if fit < 0 {
		fit = len(s.stock)
	}
	taken := slices.Clone(s.stock[:min(n, fit)])
	s.stock = slices.Delete(s.stock, 0, len(taken))
	return taken, nil
}

func (s *memoryStore) Put(_ context.Context, proxies []Proxy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range proxies {
		s.stock = append(slices.DeleteFunc(s.stock, func(old Proxy) bool { return old.id() == p.id() }), p)
	}
	return nil
}

func (s *memoryStore) Lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *memoryStore) Spend(_ context.Context, n, limit int, per time.Duration) (booked int, again time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.ledger = slices.DeleteFunc(s.ledger, func(b booking) bool { return now.Sub(b.at) >= per })
	left := limit
	for _, b := range s.ledger {
		left -= b.n
	}
	if left <= 0 {
		return 0, s.ledger[0].at.Add(per), nil
	}
	booked = min(n, left)
	s.ledger = append(s.ledger, booking{now, booked})
	return booked, time.Time{}, nil
}

func (s *memoryStore) Refund(_ context.Context, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n > 0 && len(s.ledger) > 0 {
		last := &s.ledger[len(s.ledger)-1]
		back := min(n, last.n)
		n, last.n = n-back, last.n-back
		if last.n == 0 {
			s.ledger = s.ledger[:len(s.ledger)-1]
		}
	}
	return nil
}
