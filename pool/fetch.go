package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
)

// supply is the state of fetching, under Pool.mu.
type supply struct {
	target   int           // proxies to keep: the size, less what turned out to be unused
	next     int64         // no fetch before
	took     time.Duration // the last fetch
	strikes  int           // fetches in a row that brought nothing of use
	refusals int           // by the API, in a row
	lastErr  error         // of the last fetch, or of a proxy that died since
	stopped  error         // why there will be no more

	worked, turns uint64 // successes and picks, at the last fetch
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

// barren tells that nothing works: more proxies would hardly help, and cost.
func (p *Pool) barren() bool { return p.counters.streak.Load() >= outage }

// ends returns, in order, when the proxies that can be counted on want to be
// replaced: as long before their end as a fetch takes.
func (p *Pool) ends() []int64 {
	ends := make([]int64, 0, len(p.all))
	for _, a := range p.all {
		if a.strikes >= strikesOut {
			continue
		}
		end := a.deadline
		if end != forever {
			end -= int64(min(max(2*p.supply.took, time.Second), a.life/20))
		}
		ends = append(ends, end)
	}
	slices.Sort(ends)
	return ends
}

// due returns when the next fetch is due.
func (p *Pool) due() int64 {
	sp := &p.supply
	if p.busy || p.closed || sp.stopped != nil {
		return forever
	}
	if ends := p.ends(); len(ends) >= sp.target && !p.outgrown() {
		return max(sp.next, ends[len(ends)-sp.target])
	}
	return sp.next
}

// outgrown tells that more is used than was thought when the target was lowered.
func (p *Pool) outgrown() bool { return p.turns.Load() >= p.growAt() }

func (p *Pool) growAt() uint64 {
	if p.supply.target >= p.size {
		return math.MaxUint64
	}
	return p.supply.turns + 2*uint64(p.supply.target)
}

// refill starts the fetching of what is missing, unless it is under way or it is
// too early.
func (p *Pool) refill(now int64) {
	p.mu.Lock()
	defer p.unlock()
	if now < p.due() {
		return
	}
	p.busy = true
	p.publish()
	p.running.Go(func() {
		returned := false
		var work sync.WaitGroup
		work.Go(func() { // so that its end is seen, however it comes
			for p.fetch() {
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
func (p *Pool) plan(now int64) (need int) {
	for _, a := range slices.Clone(p.all) {
		if now >= a.deadline {
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
		sp.target, sp.turns = min(p.size, 2*sp.target), p.turns.Load()
	}
	need = sp.target
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
	need := p.plan(start.UnixNano())
	barren := p.barren()
	p.unlock()
	if need <= 0 || p.ctx.Err() != nil {
		return false
	}
	proxies, asked, err := p.obtain(need)
	now := time.Now()
	var fresh []*address
	for _, proxy := range proxies {
		fresh = append(fresh, p.newAddress(proxy, start))
	}
	fresh = p.probed(fresh)

	p.mu.Lock()
	defer p.unlock()
	sp := &p.supply
	added := 0
	for _, a := range fresh {
		if p.known(a.id()) || now.UnixNano() >= a.deadline {
			if p.source.Costs {
				p.counters.wasted.Add(1)
			}
			continue
		}
		p.all = append(p.all, a)
		added++
	}
	lost := sp.lastErr
	sp.took, sp.lastErr = now.Sub(start), err
	if err == nil && len(proxies) == 0 {
		sp.lastErr = errNone
	}
	sp.worked, sp.turns = p.counters.worked.Load(), p.turns.Load()
	if p.ctx.Err() == nil {
		p.settle(err, added, barren, lost)
	}
	p.publish()
	return err == nil && added == asked && asked < need
}

func (p *Pool) known(id string) bool {
	_, gone := p.gone[id]
	return gone || slices.ContainsFunc(p.all, func(a *address) bool { return a.id() == id })
}

// settle draws the conclusions of a fetch: when the next one may be, if any.
func (p *Pool) settle(err error, added int, barren bool, lost error) {
	sp := &p.supply
	pause := time.Second
	if err != nil || added == 0 || barren {
		sp.strikes++
		pause = time.Minute
		if sp.strikes < 6 {
			pause = time.Second << sp.strikes
		}
		pause = pause/2 + rand.N(pause/2+1)
	} else {
		sp.strikes = 0
	}
	now := time.Now()
	sp.next = now.Add(pause).UnixNano()

	var limit *quotaError
	var answer *proxylite.Error
	switch {
	case err == nil:
		sp.refusals = 0
	case errors.As(err, &limit):
		sp.strikes = 0
		sp.next = max(limit.again.UnixNano(), now.UnixNano()+1)
	case errors.As(err, &answer):
		sp.next = max(sp.next, now.Add(min(answer.RetryAfter, time.Hour)).UnixNano())
		if answer.Kind != proxylite.KindAPI {
			break
		}
		// The code of an exhausted balance is not documented: a refusal that is
		// repeated is taken for one.
		if sp.refusals++; sp.refusals >= 3 {
			p.stop(err)
		}
	}
	for _, final := range []error{
		proxylite.ErrInvalidAppKey, proxylite.ErrNotVerified, proxylite.ErrVerificationNeeded,
		proxylite.ErrIPNotAllowed, proxylite.ErrInvalidInput, ErrExhausted,
	} {
		if errors.Is(err, final) {
			p.stop(err)
		}
	}
	if p.source.final && added == 0 && len(p.all) == 0 {
		p.stop(fmt.Errorf("all proxies of the source are out for good: %w", lost))
	}
	if err != nil && p.stopOn != nil && p.stopOn(err) {
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
		if p.hooks.Stopped != nil {
			p.hooks.Stopped(err)
		}
	})
}

// Resume goes on fetching after a stop, when its reason is gone: the balance is
// paid, the IP is on the allow list.
func (p *Pool) Resume() {
	p.mu.Lock()
	defer p.unlock()
	sp := &p.supply
	sp.stopped, sp.lastErr, sp.next, sp.strikes, sp.refusals = nil, nil, 0, 0, 0
	p.publish()
}

var errNone = errors.New("the source had no proxy to give")

type quotaError struct{ again time.Time }

func (e *quotaError) Error() string {
	return ErrQuota.Error() + " until " + e.again.Format(time.TimeOnly)
}
func (e *quotaError) Unwrap() error { return ErrQuota }

// obtain gets need proxies: from the store, and then from the source.
func (p *Pool) obtain(need int) (got []Proxy, asked int, err error) {
	ctx := p.ctx
	take := func() error {
		more, err := p.store.Take(ctx, need-len(got), time.Now().Add(max(0, p.margin)))
		got = append(got, more...)
		return err
	}
	if err := take(); err != nil || len(got) >= need {
		return got, need, err
	}
	unlock, err := p.store.Lock(ctx)
	if err != nil {
		return got, need, err
	}
	defer unlock()
	if err := take(); err != nil || len(got) >= need { // another pool may have fetched
		return got, need, err
	}
	ask := need - len(got)
	if p.source.Batch > 0 {
		ask = min(ask, p.source.Batch)
	}
	asked = len(got) + ask
	if p.source.Costs && p.quota > 0 {
		booked, again, err := p.store.Spend(ctx, ask, p.quota, p.per)
		if err != nil {
			return got, asked, err
		}
		if booked == 0 {
			return got, asked, &quotaError{again}
		}
		ask = booked
	}
	fetched, err := p.ask(ctx, ask)
	p.mu.Lock()
	fresh := slices.DeleteFunc(fetched, func(proxy Proxy) bool { return p.known(proxy.id()) })
	p.mu.Unlock()
	if p.source.Costs {
		p.counters.wasted.Add(uint64(len(fetched) - len(fresh)))
	}
	if len(fresh) > 0 {
		err = errors.Join(err, p.store.Put(ctx, fresh), take())
	}
	return got, asked, err
}

// ask calls the source and keeps the books.
func (p *Pool) ask(ctx context.Context, n int) ([]Proxy, error) {
	start := time.Now()
	proxies, err := p.source.Fetch(ctx, n)
	p.counters.fetches.Add(1)
	p.counters.fetched.Add(uint64(len(proxies)))
	spent, unknown := 0, false
	if p.source.Costs {
		spent = len(proxies)
		if err != nil {
			var answer *proxylite.Error
			if unknown = !errors.As(err, &answer) || answer.Outcome == proxylite.OutcomeUnknown; unknown {
				spent = max(spent, n)
				p.counters.unknown.Add(uint64(spent))
			}
		}
		p.counters.spent.Add(uint64(spent))
		if back := n - spent; p.quota > 0 && back > 0 {
			err = errors.Join(err, p.store.Refund(ctx, back))
		}
	}
	info := Fetch{Asked: n, Got: len(proxies), Spent: spent, Unknown: unknown, Duration: time.Since(start), Err: err}
	if p.hooks.Fetched != nil {
		p.hooks.Fetched(info)
	}
	level, attrs := slog.LevelDebug, []slog.Attr{
		slog.Int("asked", n), slog.Int("got", info.Got), slog.Int("spent", spent), slog.Duration("duration", info.Duration),
	}
	if err != nil {
		p.counters.fetchErrors.Add(1)
		level, attrs = slog.LevelWarn, append(attrs, slog.Any("error", err))
	}
	p.log.LogAttrs(ctx, level, "proxies fetched", attrs...)
	return proxies, err
}

// probed returns the addresses that pass the probe, if there is one.
func (p *Pool) probed(fresh []*address) []*address {
	if p.probe == nil {
		return fresh
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.connecting)
	defer cancel()
	passed := make([]bool, len(fresh))
	var wg sync.WaitGroup
	for i, a := range fresh {
		wg.Go(func() { passed[i] = p.probe(ctx, p.transport(a, false)) == nil })
	}
	wg.Wait()
	var good []*address
	for i, a := range fresh {
		if passed[i] {
			good = append(good, a)
			continue
		}
		if p.source.Costs {
			p.counters.wasted.Add(1)
		}
		a.gone.Store(true)
		a.closeIfUnused()
	}
	return good
}
