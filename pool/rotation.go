package pool

import (
	"context"
	"math/rand/v2"
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
)

type query struct {
	host    string
	session string
}

type (
	sessionKey    struct{}
	repeatableKey struct{}
	hostPin       string // a key of Pool.sessions that no session can equal
)

// WithSession makes requests with this context keep one proxy for the key, for its
// life, while it works. With sessions, connections are kept. The pool remembers
// the key as long as the proxy.
func WithSession(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, sessionKey{}, key)
}

func sessionOf(ctx context.Context) string {
	key, _ := ctx.Value(sessionKey{}).(string)
	return key
}

// pick returns an address, held for one use, or nil if none is to be had.
func (p *Pool) pick(now int64, q query) *address {
	s := p.live.Load()
	turn := p.turns.Add(1)
	if now >= s.refillAt || turn >= s.growAt && now >= s.next {
		p.refill(now)
	}
	var key any
	switch {
	case q.session != "":
		key = q.session
	case p.rotation == PerHost:
		key = hostPin(q.host)
	}
	if key == nil {
		return p.rotate(s, turn, now, q)
	}
	for {
		pinned, ok := p.sessions.Load(key)
		if ok {
			if a := pinned.(*address); a.usable(now, q) && a.hold() {
				return a
			}
		}
		a := p.rotate(s, turn, now, q)
		if a == nil {
			return nil
		}
		if ok {
			ok = p.sessions.CompareAndSwap(key, pinned, a)
		} else {
			_, taken := p.sessions.LoadOrStore(key, a)
			ok = !taken
		}
		if ok {
			if a.gone.Load() { // it went before the key was there to be forgotten
				p.sessions.CompareAndDelete(key, a)
			}
			return a
		}
		a.uses.Add(^uint64(0)) // somebody was quicker
		a.release()
	}
}

func (a *address) usable(now int64, q query) bool {
	return now < a.deadline && a.outUntil(q.host) <= now
}

func (p *Pool) rotate(s *snapshot, turn uint64, now int64, q query) *address {
	n := uint64(len(s.proxies))
	switch p.rotation {
	case LeastUsed:
		var best *address
		for i := range min(n, 32) {
			a := s.proxies[(turn+i)%n]
			if a.usable(now, q) && (best == nil || a.inFlight.Load() < best.inFlight.Load()) {
				if best = a; a.inFlight.Load() == 0 {
					break
				}
			}
		}
		if best != nil && best.hold() {
			return best
		}
	case Weighted:
		// A proxy is taken with the chance that it works, as far as one knows.
		for range min(n, 8) {
			a := s.proxies[rand.Uint64N(n)]
			worked, failed := float64(a.worked.Load()), float64(a.failed.Load())
			if a.usable(now, q) && rand.Float64() < (worked+1)/(worked+failed+1) && a.hold() {
				return a
			}
		}
	}
	for i := range n {
		if a := s.proxies[(turn+i)%n]; a.usable(now, q) && a.hold() {
			return a
		}
	}
	return nil
}
