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
	"github.com/proxylite/proxylite-go/internal/clock"
)

// batch is what one fetch brought.
type batch struct {
	fresh   []Proxy
	renewed int // proxies that the pool has, with a later end of life
	asked   int
	err     error
}

// obtain gets need proxies: from the store, and then from the source.
func (p *Pool) obtain(need int) (b batch) { //nolint:cyclop // the steps of one extraction, in order
	ctx := p.ctx
	b.asked = need
	take := func() error {
		more, err := p.store.Take(ctx, need-len(b.fresh), clock.AddTo(time.Now(), max(0, p.margin)))
		for _, proxy := range more {
			if !p.renew(proxy, &b) {
				b.fresh = append(b.fresh, proxy)
			}
		}
		return err
	}
	if b.err = take(); b.err != nil || len(b.fresh) >= need {
		return b
	}
	unlock, err := p.store.Lock(ctx)
	if err != nil {
		b.err = err
		return b
	}
	defer unlock()
	if b.err = take(); b.err != nil || len(b.fresh) >= need { // another pool may have fetched
		return b
	}
	ask := need - len(b.fresh)
	if p.source.Batch > 0 {
		ask = min(ask, p.source.Batch)
	}
	b.asked = len(b.fresh) + ask
	if p.source.Costs && p.quota > 0 {
		booked, again, err := p.store.Spend(ctx, ask, p.quota, p.per)
		if err != nil {
			b.err = err
			return b
		}
		if booked == 0 {
			b.err = &quotaError{again}
			return b
		}
		ask = booked
	}
	fetched, err := p.ask(ctx, ask)
	b.err = err
	var fresh []Proxy
	for _, proxy := range fetched {
		switch {
		case p.renew(proxy, &b):
		case p.isKnown(proxy.id()):
			if p.source.Costs {
				p.counters.wasted.Add(1)
			}
		default:
			fresh = append(fresh, proxy)
		}
	}
	if len(fresh) > 0 {
		b.err = errors.Join(b.err, p.store.Put(ctx, fresh), take())
	}
	return b
}

func (p *Pool) isKnown(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known(id)
}

// renew extends the life of an address that the pool has and that has come again.
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
	p.hooks.fetched(info)
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
	a.gone.Store(true)
	a.closeIfUnused()
}
