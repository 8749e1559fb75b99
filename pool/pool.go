package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/clock"
)

// Pool keeps proxies and hands them out. It is safe for concurrent use. At rest it
// has no goroutine and fetches nothing. Close it.
type Pool struct {
	settings
	source Source
	ctx    context.Context // of fetches; Close ends it
	cancel context.CancelFunc
	born   time.Time // the origin of the monotonic instants

	// What picking reads. It takes no lock.
	live     atomic.Pointer[snapshot]
	turns    atomic.Uint64 // of the rotation
	detours  atomic.Uint64 // turns of proxies that are out, given to the others
	sessions sessions
	changed  atomic.Pointer[chan struct{}]

	counters counters
	traffic  traffic
	doubt    doubt // see health.go
	member   membership

	mu      sync.Mutex // for all below: what is rare
	running sync.WaitGroup
	busy    bool // a refill is running
	closed  bool
	all     []*address               // given out, or out for a while
	byID    map[string]*address      // of all
	held    []*address               // failed a probe, which may be the probe's fault
	gone    map[string]clock.Instant // ids that never come back, until then
	events  []func()                 // hooks to call when mu is free
	supply  supply
}

// moment is now, on both clocks. Lives end by the wall clock, as the vendor counts
// them; rests and pauses go by the monotonic one.
type moment struct{ mono, wall clock.Instant }

func (p *Pool) now() moment {
	t := time.Now()
	return moment{clock.Since(p.born, t), clock.Wall(t)}
}

// snapshot is the state that picks work on. It is never changed, only replaced.
type snapshot struct {
	proxies []*address
	next    clock.Instant // monotonic: no refill before
	needAt  clock.Instant // wall: from then on, a pick starts a refill
	growAt  uint64        // or from that use on
}

// New returns a pool over a source. It fetches nothing before the first use.
func New(source Source, opts ...Option) (*Pool, error) {
	if source.err != nil {
		return nil, source.err
	}
	if source.Fetch == nil {
		return nil, errors.New("pool: Source.Fetch is required: see Extract, Static, Fixed and Gateway")
	}
	p := &Pool{source: source, born: time.Now(), gone: map[string]clock.Instant{}, byID: map[string]*address{}}
	if err := p.apply(source, opts); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.supply.target = p.size
	p.sessions.init(p.sessionLimit)
	shared := p.store
	if source.Rotating { // its exits are nobody's
		shared = nil
	}
	p.member.init(p, shared, cmp.Or(p.namespace, source.Name, "default"))
	p.live.Store(&snapshot{needAt: clock.Past, growAt: math.MaxUint64})
	p.changed.Store(new(make(chan struct{})))
	return p, nil
}

// Get returns a lease on a proxy. It waits for one until ctx ends, or fails at
// once with [WithFailFast]. Call Done when the proxy is not used any more.
func (p *Pool) Get(ctx context.Context) (*Lease, error) { return p.GetFor(ctx, "") }

// GetFor is [Pool.Get] for a target, for [PerHost] and for proxies that are out for
// it. The target is a host name, host:port or a URL, in any spelling.
func (p *Pool) GetFor(ctx context.Context, target string) (*Lease, error) {
	return p.lease(ctx, newQuery(ctx, targetOf(target)))
}

// lease waits for a proxy.
func (p *Pool) lease(ctx context.Context, q query) (*Lease, error) {
	for {
		changed := *p.changed.Load() // before the pick, so that no change is missed
		now := p.now()
		l, err := p.pick(now, q)
		if l != nil || err != nil {
			return l, err
		}
		p.refill(now)
		wait, err := p.outlook(now, q)
		if err != nil {
			return nil, err
		}
		if err := p.wait(ctx, changed, wait); err != nil {
			return nil, err
		}
	}
}

// outlook says how long to wait for a proxy if nothing else happens, or why waiting
// is of no use.
func (p *Pool) outlook(now moment, q query) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, ErrClosed
	}
	wait := time.Hour
	if s := p.live.Load(); s.next != clock.Never {
		wait = min(wait, max(s.next.Sub(now.mono), s.needAt.Sub(now.wall)))
	}
	alive := false
	p.endOutage(now, q)
	for _, a := range p.all {
		if now.wall < a.deadlineAt() {
			alive = true
			if until := a.outUntil(q); until > now.mono {
				wait = min(wait, until.Sub(now.mono))
			}
			wait = min(wait, a.deadlineAt().Sub(now.wall))
		}
	}
	switch {
	case p.supply.stopped != nil && !alive:
		return 0, fmt.Errorf("pool: %w: %w", ErrStopped, p.supply.stopped)
	case p.failFast && !(p.busy && p.source.final): // a list that is known is there at once
		return 0, p.supply.noProxy(nil)
	}
	return max(wait, 1), nil
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
	s := &snapshot{next: clock.Never, needAt: clock.Never, growAt: math.MaxUint64}
	if !p.closed {
		s.proxies = slices.Clone(p.all)
	}
	if !p.busy && !p.closed && p.supply.stopped == nil {
		s.next, s.needAt, s.growAt = p.supply.next, p.needAt(), p.growAt()
	}
	p.live.Store(s)
	p.wake()
}

// wake lets who waits for a proxy look again.
func (p *Pool) wake() { close(*p.changed.Swap(new(make(chan struct{})))) }

// unlock frees mu and then calls the hooks of what has happened.
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
	if p.all = slices.DeleteFunc(p.all, func(b *address) bool { return a == b }); p.byID[a.id] == a {
		delete(p.byID, a.id)
	}
	p.member.retired(a, p.dropOf(a, why))
	a.gone.Store(true)
	p.acquit(a)
	uses := a.uses.Load()
	p.counters.uses.Add(uses)
	switch {
	case why == ReasonExpired:
		p.counters.expired.Add(1)
	case why != ReasonClosed && why != ReasonLost:
		if why != ReasonUsedUp {
			p.counters.dead.Add(1)
		}
		if !p.source.Disposable { // its next ones are others
			p.gone[a.id] = a.expiresAt()
		}
	}
	if p.source.Costs && uses == 0 && why != ReasonClosed && why != ReasonLost {
		p.counters.wasted.Add(1)
		if why == ReasonExpired {
			p.supply.target = max(1, p.supply.target-1) // one less is needed
		}
	}
	p.events = append(p.events, func() {
		a.closeIfUnused()
		if why != ReasonClosed {
			p.log.Info("proxy retired", slog.String("proxy", a.String()), slog.String("reason", string(why)), slog.Uint64("uses", uses))
		}
		p.hooks.retired(Retirement{Proxy: a.String(), Reason: why, Uses: uses, Up: a.up.Load(), Down: a.down.Load()})
	})
}

// Close ends the pool: nothing is given out any more, callers that wait get
// ErrClosed, a fetch that is under way is canceled (and counts as spent), and
// every goroutine of the pool has ended when it returns. Leases and requests in
// flight finish, and close their connections then. Proxies that nobody holds go
// back to the store of [WithStore]; the others do when the pool's lease on them ends,
// which cuts what is still in flight.
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
	rest := slices.Concat(p.all, p.held)
	p.all, p.held = nil, nil
	for _, a := range rest {
		p.retire(a, ReasonClosed)
	}
	p.publish()
	p.unlock()
	if err := p.member.leave(); err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	return nil
}

// dropOf says what becomes of the claim on an address that is retired.
func (p *Pool) dropOf(a *address, why Reason) Drop {
	switch why {
	case ReasonExpired: // another pool may have paid for more of its life
		return Drop{MinLeft: a.expiresAt().Sub(p.now().wall) + time.Second}
	case ReasonLost:
		return Drop{}
	case ReasonClosed:
		if !a.accused() {
			return Drop{}
		}
	}
	d := Drop{Retired: true}
	if !p.source.Disposable {
		if d.For = Forever; a.expiresAt() != clock.Never {
			d.For = max(0, a.expiresAt().Sub(p.now().wall))
		}
	}
	return d
}

// String tells how many proxies there are, and no more.
func (p *Pool) String() string {
	return fmt.Sprintf("pool.Pool(%d proxies)", len(p.live.Load().proxies))
}

// GoString is String.
func (p *Pool) GoString() string { return p.String() }

// LogValue is String, for slog.
func (p *Pool) LogValue() slog.Value { return slog.StringValue(p.String()) }
