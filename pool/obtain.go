package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
)

// batch is what one fetch brought.
type batch struct {
	fresh   []*address
	renewed int // proxies that the pool has, with a later end of life
	asked   int
	usedUp  bool // the source has nothing that the pool has not had enough of
	late    bool // what the source brought ends before it can be given out
	err     error
}

// minLeft is the life that a proxy must have left to be of use. The default margin
// depends on the life of each, so it asks for nothing here.
func (p *Pool) minLeft() time.Duration { return max(0, p.margin) }

// obtain gets need proxies: from the stock of the store, and then from the source.
func (p *Pool) obtain(need int) (b batch) {
	m := &p.member
	want := Want{N: need, MinLeft: p.minLeft(), Ask: need}
	if p.source.Batch > 0 {
		want.Ask = min(need, p.source.Batch)
	}
	if p.source.Costs {
		want.Limit, want.Per = p.quota, p.per
	}
	b.asked = need
	var c Claim
	var begun moment
	if c, b.fresh, begun, b.err = m.claim(p.ctx, want, nil); b.err != nil || len(b.fresh) >= need {
		return b
	}
	if c.Grant == nil {
		b.err = &waitError{c.Why, time.Now().Add(c.Again)}
		return b
	}
	b.asked = len(b.fresh) + c.Grant.N
	keep, err := p.fetchWith(*c.Grant, begun, &b)
	if b.err = err; len(keep) == 0 {
		return b
	}
	want.N, want.Ask = need-len(b.fresh), 0
	_, got, _, err := m.claim(p.ctx, want, keep)
	b.fresh, b.err = append(b.fresh, got...), errors.Join(b.err, err)
	return b
}

// fetchWith uses a grant, and settles it however that ends. It returns the proxies that
// are new to the pool.
func (p *Pool) fetchWith(g Grant, begun moment, b *batch) (fresh map[string]Proxy, err error) {
	ctx := p.ctx
	if g.Left < Forever { // the store gives the right to another one then
		end := begun.mono.Add(g.Left * 9 / 10)
		inner, cancel := context.WithTimeout(ctx, end.Sub(p.now().mono))
		defer cancel()
		if ctx = inner; ctx.Err() != nil {
			return nil, errors.Join(errLate, p.member.settle(g, 0, nil))
		}
	}
	spent := g.N // if a hook or the source ends the goroutine
	var paid []Proxy
	defer func() { err = errors.Join(err, p.member.settle(g, spent, paid)) }()
	fetched, spent, err := p.ask(ctx, g.N)
	fresh = map[string]Proxy{}
	b.usedUp = len(fetched) > 0
	b.late = b.usedUp && !slices.ContainsFunc(fetched, func(proxy Proxy) bool {
		return proxy.Expires.IsZero() || time.Until(proxy.Expires) > p.minLeft()
	})
	for _, proxy := range fetched {
		switch {
		case p.renew(proxy, b):
		case p.isKnown(proxy.id()):
			if p.source.Costs {
				p.counters.wasted.Add(1)
			}
			continue
		default:
			fresh[proxy.id()] = proxy
		}
		b.usedUp = false
		paid = append(paid, proxy)
	}
	return fresh, err
}

func (p *Pool) isKnown(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known(id)
}

// renew lets a proxy that the pool has live longer.
func (p *Pool) renew(proxy Proxy, b *batch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.has(proxy.id())
	if a == nil || !a.extend(proxy.Expires, time.Now()) {
		return false
	}
	b.renewed++
	return true
}

// ask calls the source and returns what that has cost.
func (p *Pool) ask(ctx context.Context, n int) (proxies []Proxy, spent int, err error) {
	start := time.Now()
	proxies, err = p.source.Fetch(ctx, n)
	p.counters.fetches.Add(1)
	p.counters.fetched.Add(uint64(len(proxies)))
	unknown := false
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
	}
	info := Fetch{Asked: n, Got: len(proxies), Spent: spent, Unknown: unknown, Duration: time.Since(start), Err: err}
	p.hooks.fetched(info)
	level, attrs := slog.LevelDebug, []slog.Attr{
		slog.Int("asked", n), slog.Int("got", info.Got), slog.Int("spent", spent), slog.Duration("duration", info.Duration),
	}
	if err != nil {
		p.counters.fetchErrors.Add(1)
		level, attrs = slog.LevelWarn, append(attrs, slog.Any("error", err))
	}
	p.log.LogAttrs(ctx, level, "proxies fetched", attrs...)
	return proxies, spent, err
}

// probed tries the new addresses, and those that are held, and returns those that
// passed. One that failed is dropped if it was not reached, or if another one
// passed: else the probe itself may be at fault, so it is held, and tried again later.
func (p *Pool) probed(fresh []*address) ([]*address, error) {
	if p.probe == nil {
		return fresh, nil
	}
	p.mu.Lock()
	tried := slices.Concat(fresh, p.held)
	p.held = nil
	control := p.control()
	p.mu.Unlock()
	errs := p.probeAll(tried)
	var passed, failed []*address
	var held error
	for i, a := range tried {
		switch {
		case errs[i] == nil:
			passed = append(passed, a)
		case isDial(errs[i]) && !local(errs[i]):
			p.reject(a)
		default:
			failed, held = append(failed, a), errs[i]
		}
	}
	if len(failed) == 0 {
		return passed, nil
	}
	if len(passed) > 0 || control != nil && p.probeAll([]*address{control})[0] == nil {
		for _, a := range failed {
			p.reject(a)
		}
		return passed, nil
	}
	p.mu.Lock()
	p.held = failed
	p.mu.Unlock()
	p.log.Warn("the probe fails for every proxy: they are held back", slog.Int("proxies", len(failed)), slog.Any("error", held))
	return passed, fmt.Errorf("the probe fails for every proxy: %w", held)
}

// control is a proxy that works, to tell a probe that fails from proxies that do.
func (p *Pool) control() *address {
	for _, a := range p.all {
		if a.worked.Load() > 0 && !a.accused() {
			return a
		}
	}
	return nil
}

func (p *Pool) probeAll(addresses []*address) []error {
	ctx, cancel := context.WithTimeout(p.ctx, p.connecting)
	defer cancel()
	errs := make([]error, len(addresses))
	var wg sync.WaitGroup
	for i, a := range addresses {
		wg.Go(func() { errs[i] = p.probe(ctx, a.transport(fresh)) })
	}
	wg.Wait()
	return errs
}

// reject drops a new address.
func (p *Pool) reject(a *address) {
	if p.source.Costs {
		p.counters.wasted.Add(1)
	}
	a.onClose.Retired = true
	a.gone.Store(true)
	a.closeIfUnused()
}
