package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pool keeps proxies and hands them out. It is safe for concurrent use. At rest it
// has no goroutine and fetches nothing. Close it.
type Pool struct {
	settings
	source Source
	ctx    context.Context // of fetches; Close ends it
	cancel context.CancelFunc

	// What picking reads. It takes no lock.
	live     atomic.Pointer[snapshot]
	turns    atomic.Uint64 // of the rotation
	sessions sync.Map      // session or host → *address
	changed  atomic.Pointer[chan struct{}]

	counters counters

	mu      sync.Mutex // for all below: what is rare
	running sync.WaitGroup
	busy    bool // a refill is running
	closed  bool
	all     []*address       // given out, or out for a while
	gone    map[string]int64 // ids that never come back, until then
	events  []func()         // hooks to call when mu is free
	supply  supply
}

// snapshot is the state that picks work on. It is never changed, only replaced.
type snapshot struct {
	proxies  []*address
	refillAt int64  // from then on, a pick starts a refill
	growAt   uint64 // from that turn on, too, if it is not before next
	next     int64
}

// New returns a pool over a source. It fetches nothing before the first use.
func New(source Source, opts ...Option) (*Pool, error) {
	if source.err != nil {
		return nil, source.err
	}
	if source.Fetch == nil {
		return nil, errors.New("pool: Source.Fetch is required: see Extract, Static, Fixed and Gateway")
	}
	p := &Pool{source: source, gone: map[string]int64{}}
	if err := p.apply(source, opts); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.supply.target = p.size
	p.live.Store(&snapshot{growAt: math.MaxUint64})
	p.changed.Store(new(make(chan struct{})))
	return p, nil
}

// Get returns a lease on a proxy. It waits for one until ctx ends, or fails at
// once with [WithFailFast]. Call Done when the proxy is not used any more.
func (p *Pool) Get(ctx context.Context) (*Lease, error) { return p.GetFor(ctx, "") }

// GetFor is [Pool.Get] for a target host, for [PerHost] and for proxies that are
// out for that host.
func (p *Pool) GetFor(ctx context.Context, host string) (*Lease, error) {
	return p.lease(ctx, query{host: host, session: sessionOf(ctx)})
}

func (p *Pool) lease(ctx context.Context, q query) (*Lease, error) {
	for {
		changed := *p.changed.Load() // before the pick, so that no change is missed
		now := time.Now().UnixNano()
		if a := p.pick(now, q); a != nil {
			return &Lease{pool: p, a: a, host: q.host, start: now}, nil
		}
		p.refill(now)
		wake, err := p.outlook(now, q.host)
		if err != nil {
			return nil, err
		}
		if err := p.wait(ctx, changed, time.Duration(wake-now)); err != nil {
			return nil, err
		}
	}
}

// outlook says when a proxy may be there for host without anything else happening,
// or why to wait is of no use.
func (p *Pool) outlook(now int64, host string) (wake int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, ErrClosed
	}
	wake = min(now+int64(time.Hour), max(p.due(), now+1))
	alive := false
	for _, a := range p.all {
		if now < a.deadline {
			alive = true
			wake = min(wake, max(a.outUntil(host), now+1))
		}
	}
	switch {
	case p.supply.stopped != nil && !alive:
		return 0, fmt.Errorf("pool: %w: %w", ErrStopped, p.supply.stopped)
	case p.failFast:
		return 0, p.supply.noProxy(nil)
	}
	return wake, nil
}

func (p *Pool) wait(ctx context.Context, changed chan struct{}, d time.Duration) error {
	p.counters.waiting.Add(1)
	defer p.counters.waiting.Add(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.supply.noProxy(context.Cause(ctx))
	}
	return nil
}

// publish makes the state under mu what picks see, and wakes who waits.
func (p *Pool) publish() {
	s := &snapshot{refillAt: p.due(), growAt: math.MaxUint64}
	if !p.closed {
		s.proxies = slices.Clone(p.all)
	}
	if !p.busy && p.supply.stopped == nil {
		s.next, s.growAt = p.supply.next, p.growAt()
	}
	p.live.Store(s)
	close(*p.changed.Swap(new(make(chan struct{}))))
}

// unlock frees mu and calls the hooks that wait for it.
func (p *Pool) unlock() {
	events := p.events
	p.events = nil
	p.mu.Unlock()
	for _, event := range events {
		event()
	}
}

// retire takes an address out for good. Its leases finish.
func (p *Pool) retire(a *address, why Reason) {
	p.all = slices.DeleteFunc(p.all, func(b *address) bool { return a == b })
	a.gone.Store(true)
	uses := a.uses.Load()
	p.counters.uses.Add(uses)
	switch {
	case why == ReasonExpired:
		p.counters.expired.Add(1)
	case why != ReasonClosed:
		p.counters.dead.Add(1)
		p.gone[a.id()] = a.end().UnixNano()
	}
	if p.source.Costs && uses == 0 && why != ReasonClosed {
		p.counters.wasted.Add(1)
		if why == ReasonExpired {
			p.supply.target = max(1, p.supply.target-1) // one less is needed
		}
	}
	p.sessions.Range(func(key, pinned any) bool {
		if pinned == any(a) {
			p.sessions.CompareAndDelete(key, pinned)
		}
		return true
	})
	p.events = append(p.events, func() {
		a.closeIfUnused()
		if why != ReasonClosed {
			p.log.Info("proxy retired", slog.Any("proxy", a.Proxy), slog.String("reason", string(why)), slog.Uint64("uses", uses))
		}
		if p.hooks.Retired != nil {
			p.hooks.Retired(Retirement{Proxy: a.String(), Reason: why, Uses: uses})
		}
	})
}

// Close ends the pool: nothing is given out any more, callers that wait get
// ErrClosed, a fetch that is under way is canceled (and counts as spent), and
// every goroutine of the pool has ended when it returns. Leases and requests in
// flight finish, and close their connections then. Proxies that nobody holds go
// back to the store.
func (p *Pool) Close() error {
	p.cancel()
	p.mu.Lock()
	if p.closed {
		p.unlock()
		p.running.Wait()
		return nil
	}
	p.closed = true
	p.publish()
	p.unlock()
	p.running.Wait()

	p.mu.Lock()
	var left []Proxy
	for _, a := range slices.Clone(p.all) {
		p.retire(a, ReasonClosed)
		if a.inFlight.Load() == 0 && a.strikes == 0 && time.Now().UnixNano() < a.deadline {
			left = append(left, a.Proxy)
		}
	}
	p.publish()
	p.unlock()
	if len(left) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.store.Put(ctx, left); err != nil {
		return fmt.Errorf("pool: putting %d proxies back into the store: %w", len(left), err)
	}
	return nil
}

// String tells how many proxies there are, and no more.
func (p *Pool) String() string {
	return fmt.Sprintf("pool.Pool(%d proxies)", len(p.live.Load().proxies))
}

// GoString is String.
func (p *Pool) GoString() string { return p.String() }

// LogValue is String, for slog.
func (p *Pool) LogValue() slog.Value { return slog.StringValue(p.String()) }
