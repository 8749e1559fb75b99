package pool

import (
	"context"
	"math/rand/v2"
	"time"
)

// Rotation says which proxy is next.
type Rotation int

// The rotations. But for PerRequest, connections are kept and used again.
const (
	// RoundRobin hands out one after the other.
	RoundRobin Rotation = iota
	// PerRequest is RoundRobin with a new connection for each request.
	PerRequest
	// PerHost keeps one proxy for a target host while that works.
	PerHost
	// LeastUsed takes the proxy with the fewest uses in flight; of more than 32
	// proxies it looks at 32.
	LeastUsed
	// Weighted prefers the proxies that worked more often.
	Weighted
	// Fastest takes the quicker one of two at random, by a smoothed time to the
	// response, weighed with the uses in flight.
	Fastest
)

// query is what is asked of a pick.
type query struct {
	target
	session *sessionContext // nil without
}

func newQuery(ctx context.Context, t target) query {
	s, _ := ctx.Value(sessionKey{}).(*sessionContext)
	return query{t, s}
}

// pick returns a lease, or nil if no proxy is free.
func (p *Pool) pick(now moment, q query) (*Lease, error) {
	s := p.live.Load()
	picks := p.counters.picks.Add(1)
	if now.mono >= s.next && (now.wall >= s.needAt || picks >= s.growAt) {
		p.refill(now)
	}
	if p.overBudget() {
		return nil, ErrByteBudget
	}
	switch {
	case q.session != nil:
		return p.pickSession(now, q, q.session.key)
	case p.rotation == PerHost:
		return p.pickSession(now, q, hostKey(q.host))
	}
	if a := p.rotate(s, now, q); a != nil {
		return p.newLease(a, q, now), nil
	}
	return nil, nil
}

func (p *Pool) newLease(a *address, q query, now moment) *Lease {
	return &Lease{pool: p, a: a, target: q.target, start: now.mono}
}

// rotate returns an address, held for one use, or nil.
func (p *Pool) rotate(s *snapshot, now moment, q query) *address {
	n := uint64(len(s.proxies))
	if n == 0 {
		return nil
	}
	turn := p.turns.Add(1)
	var a *address
	switch p.rotation {
	case LeastUsed:
		a = leastUsed(s.proxies, turn, now, q)
	case Weighted:
		a = weighted(s.proxies, now, q)
	case Fastest:
		a = fastest(s.proxies, now, q)
	default:
		a = s.proxies[turn%n]
	}
	if a != nil && a.usable(now, q) && a.hold() {
		return a
	}
	// The turns of those that are out go to all others in turn, not to a neighbor.
	for range n {
		if a := s.proxies[p.detours.Add(1)%n]; a.usable(now, q) && a.hold() {
			return a
		}
	}
	return nil
}

func leastUsed(proxies []*address, turn uint64, now moment, q query) (best *address) {
	n := uint64(len(proxies))
	for i := range min(n, 32) {
		a := proxies[(turn+i)%n]
		if a.usable(now, q) && (best == nil || a.inFlight.Load() < best.inFlight.Load()) {
			if best = a; a.inFlight.Load() == 0 {
				break
			}
		}
	}
	return best
}

// weighted takes a proxy with the chance that it works, as far as one knows.
func weighted(proxies []*address, now moment, q query) *address {
	for range min(len(proxies), 8) {
		a := proxies[rand.IntN(len(proxies))]
		worked, failed := float64(a.worked.Load()), float64(a.failed.Load())
		if a.usable(now, q) && rand.Float64() < (worked+1)/(worked+failed+1) {
			return a
		}
	}
	return nil
}

func fastest(proxies []*address, now moment, q query) *address {
	a, b := proxies[rand.IntN(len(proxies))], proxies[rand.IntN(len(proxies))]
	switch {
	case !a.usable(now, q):
		return b
	case b.usable(now, q) && b.cost() < a.cost():
		return b
	}
	return a
}

// cost is how long a new use would take: one that is not known is tried first.
func (a *address) cost() float64 {
	return float64(a.latency.Load()) * float64(1+a.inFlight.Load())
}

// took smooths the time to a response: each new one counts for a fifth.
func (a *address) took(d time.Duration) {
	old := a.latency.Load()
	if old == 0 {
		a.latency.Store(max(1, int64(d)))
		return
	}
	a.latency.Store(max(1, old+(int64(d)-old)/5))
}
