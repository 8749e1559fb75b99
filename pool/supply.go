package pool

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/clock"
)

// supply is the state of fetching, under Pool.mu.
type supply struct {
	target   int           // proxies to keep: the size, less what turned out to be unused
	next     clock.Instant // monotonic: no fetch before
	took     time.Duration // the last fetch
	strikes  int           // fetches in a row that brought nothing of use
	refusals int           // by the API, or batches that end too early, in a row
	lastErr  error         // of the last fetch, or of a proxy that died since
	stopped  error         // why there will be no more

	worked, picks uint64 // successes and picks, at the last fetch
	resumed       uint64 // successes, when the pool was last told to go on
}

// noProxy explains an empty pool.
func (s *supply) noProxy(cause error) error {
	switch {
	case cause == nil && s.lastErr == nil:
		return fmt.Errorf("pool: %w", ErrNoProxy)
	case cause == nil:
		return fmt.Errorf("pool: %w: last failure: %w", ErrNoProxy, s.lastErr)
	case s.lastErr == nil:
		return fmt.Errorf("pool: %w: %w", ErrNoProxy, cause)
	}
	return fmt.Errorf("pool: %w: %w (last failure: %w)", ErrNoProxy, cause, s.lastErr)
}

// barren tells that no proxy is reached: more proxies would hardly help, and cost.
func (p *Pool) barren() bool { return p.counters.streak.Load() >= outage }

// ends returns, in order, when the proxies that can be counted on want to be
// replaced: as long before their end as a fetch takes.
func (p *Pool) ends() []clock.Instant {
	ends := make([]clock.Instant, 0, len(p.all))
	for _, a := range p.all {
		if a.unreliable() {
			continue
		}
		end := a.deadlineAt()
		if end != clock.Never {
			end = end.Add(-min(max(2*p.supply.took, time.Second), a.life/20))
		}
		ends = append(ends, end)
	}
	slices.Sort(ends)
	return ends
}

// needAt returns when the next fetch is due, on the wall clock, pauses aside.
func (p *Pool) needAt() clock.Instant {
	if ends := p.ends(); len(ends) >= p.supply.target && !p.outgrown() {
		return ends[len(ends)-p.supply.target]
	}
	return clock.Past
}

// outgrown tells that more is used than was thought when the target was lowered.
func (p *Pool) outgrown() bool { return p.counters.picks.Load() >= p.growAt() }

func (p *Pool) growAt() uint64 {
	if p.supply.target >= p.size {
		return math.MaxUint64
	}
	return p.supply.picks + 2*uint64(p.supply.target)
}

// grow sets the target back to the size, as sessions have to share proxies.
func (p *Pool) grow(now moment) {
	p.mu.Lock()
	grown := p.supply.target < p.size && p.source.Costs
	if grown {
		p.supply.target = p.size
		p.publish()
	}
	p.unlock()
	if grown {
		p.refill(now)
	}
}

// refill starts the fetching of what is missing, unless it is under way or it is
// too early.
func (p *Pool) refill(now moment) {
	p.mu.Lock()
	defer p.unlock()
	due := p.supply.stopped == nil && now.mono >= p.supply.next && now.wall >= p.needAt()
	if p.busy || p.closed || !due && !p.member.asked() {
		return
	}
	p.busy = true
	p.publish()
	p.running.Go(func() {
		returned := false
		var work sync.WaitGroup
		work.Go(func() { // so that its end is seen, however it comes
			p.recall()
			for due {
				due = p.fetch()
			}
			returned = true
		})
		work.Wait()
		p.mu.Lock()
		if !returned {
			p.stop(errGoexit)
		}
		p.busy = false
		p.publish()
		p.unlock()
	})
}

// errGoexit stops a pool whose waiting callers would else wait for nothing.
var errGoexit = errors.New("the source, the store or a hook ended its goroutine with runtime.Goexit, as t.FailNow does: return an error instead, or call t.Errorf")

// plan drops what has expired and returns how many proxies to get.
func (p *Pool) plan(now clock.Instant) (need int) {
	expired := func(a *address) bool { return now >= a.deadlineAt() }
	for _, list := range []*[]*address{&p.all, &p.held} {
		over := slices.DeleteFunc(slices.Clone(*list), func(a *address) bool { return !expired(a) })
		*list = slices.DeleteFunc(*list, expired)
		for _, a := range over {
			p.retire(a, ReasonExpired)
		}
	}
	for id, until := range p.gone {
		if now >= until {
			delete(p.gone, id)
		}
	}
	sp := &p.supply
	if p.outgrown() {
		sp.target, sp.picks = min(p.size, 2*sp.target), p.counters.picks.Load()
	}
	need = sp.target - len(p.held)
	for _, end := range p.ends() {
		if now < end {
			need--
		}
	}
	if p.source.Costs && p.barren() {
		need = min(need, 1)
	}
	return need
}

// fetch gets what is missing, once. It returns true if more is missing that can be
// had at once.
func (p *Pool) fetch() (more bool) {
	start := time.Now()
	p.mu.Lock()
	need := p.plan(clock.Wall(start))
	barren, held := p.barren(), len(p.held)
	p.unlock()
	if p.ctx.Err() != nil || need <= 0 && held == 0 {
		return false
	}
	var b batch
	if need > 0 {
		b = p.obtain(need)
	}
	now := time.Now()
	fresh, probeErr := p.probed(b.fresh)

	p.mu.Lock()
	defer p.unlock()
	sp := &p.supply
	added := b.renewed + p.admit(fresh, p.now())
	lost := sp.lastErr
	sp.took, sp.lastErr = now.Sub(start), errors.Join(b.err, probeErr)
	if sp.lastErr == nil && len(b.fresh)+b.renewed == 0 {
		sp.lastErr = errNone
	}
	sp.worked, sp.picks = p.counters.worked.Load(), p.counters.picks.Load()
	if p.ctx.Err() == nil {
		p.settled(b, added, barren, lost)
	}
	p.publish()
	return b.err == nil && probeErr == nil && added > 0 && added == b.asked && b.asked < need
}

// known tells that the pool has an address, or has had enough of it.
func (p *Pool) known(id string) bool {
	_, gone := p.gone[id]
	return gone || p.has(id) != nil
}

func (p *Pool) has(id string) *address {
	if a := p.byID[id]; a != nil {
		return a
	}
	for _, a := range p.held {
		if a.id == id {
			return a
		}
	}
	return nil
}

// pause returns how long to wait after so many fetches that were of no use.
func pause(strikes int, longest time.Duration) time.Duration {
	d := clock.Double(time.Second, strikes, longest)
	return d/2 + rand.N(d/2+1)
}

// settled draws the conclusions of a fetch: when the next one may be, if any.
func (p *Pool) settled(b batch, added int, barren bool, lost error) { //nolint:cyclop // one list of the ways in which a fetch ends
	sp, err := &p.supply, b.err
	wait := time.Second
	switch {
	case barren:
		sp.strikes++
		wait = pause(sp.strikes, 10*time.Minute)
	case err != nil || added == 0:
		sp.strikes++
		wait = pause(sp.strikes, time.Minute)
	default:
		sp.strikes = 0
	}
	now := p.now()
	sp.next = now.mono.Add(wait)

	var limit *waitError
	var answer *proxylite.Error
	switch {
	case err == nil && p.source.Costs && b.late:
		p.refused(fmt.Errorf("all proxies of the source end within the margin (%s), so they are paid for and not used: is the clock right?", p.minLeft()))
	case err == nil:
		sp.refusals = 0
	case errors.As(err, &limit):
		sp.strikes = 0
		sp.next = now.mono.Add(max(1, time.Until(limit.again)))
	case errors.Is(err, ErrStore):
		sp.next = min(sp.next, now.mono.Add(5*time.Second))
	case errors.As(err, &answer):
		sp.next = max(sp.next, now.mono.Add(min(answer.RetryAfter, time.Hour)))
		// The code of an exhausted balance is not documented: a refusal that is
		// repeated is taken for one, and so is a response of which nothing can be used.
		if added > 0 || answer.Kind != proxylite.KindAPI && !errors.Is(err, proxylite.ErrMalformedResponse) {
			break
		}
		p.refused(err)
	}
	for _, final := range []error{
		proxylite.ErrInvalidAppKey, proxylite.ErrNotVerified, proxylite.ErrVerificationNeeded,
		proxylite.ErrIPNotAllowed, proxylite.ErrInvalidInput, ErrExhausted, ErrStoreConfig,
	} {
		if errors.Is(err, final) {
			p.stop(err)
		}
	}
	if p.source.final && b.usedUp && added == 0 && len(p.all) == 0 {
		p.stop(fmt.Errorf("all proxies of the source are out for good: %w", lost))
	}
	if err != nil && p.stopOn != nil && p.stopOn(err) {
		p.stop(err)
	}
}

// refused stops the fetching when it comes three times in a row.
func (p *Pool) refused(err error) {
	if p.supply.refusals++; p.supply.refusals >= 3 {
		p.stop(err)
	}
}

func (p *Pool) stop(err error) {
	if p.supply.stopped != nil {
		return
	}
	p.supply.stopped = err
	p.events = append(p.events, func() {
		p.log.Error("pool has stopped fetching", slog.Any("error", err))
		p.hooks.stopped(err)
	})
}

// Resume goes on fetching after a stop, when its reason is gone: the balance is
// paid, the IP is on the allow list. It starts a new byte budget, too.
func (p *Pool) Resume() {
	p.mu.Lock()
	defer p.unlock()
	sp := &p.supply
	sp.stopped, sp.lastErr, sp.next, sp.strikes, sp.refusals = nil, nil, 0, 0, 0
	sp.resumed = p.counters.worked.Load()
	p.doubt.login = 0
	p.traffic.restart()
	p.publish()
}

var errNone = errors.New("the source had no proxy to give")

// errLate is why a grant was not used.
var errLate = errors.New("the right to fetch ended before it could be used")

// waitError is why the store has given neither proxies nor the right to fetch.
type waitError struct {
	why   Wait
	again time.Time
}

func (e *waitError) Error() string {
	switch e.why {
	case WaitQuota:
		return ErrQuota.Error() + " until " + e.again.Format(time.TimeOnly)
	case WaitHold:
		return "the store is new or has lost data, and gives nothing out until " + e.again.Format(time.TimeOnly)
	}
	return "another pool is fetching"
}

func (e *waitError) Unwrap() error {
	if e.why == WaitQuota {
		return ErrQuota
	}
	return nil
}
