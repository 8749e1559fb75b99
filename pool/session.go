package pool

import (
	"context"
	"sync"
	"sync/atomic"
)

// SessionOption changes what a session is; see [WithSession].
type SessionOption func(*sessionContext)

// Exclusive gives the session a proxy that no other use shares, until
// [Pool.EndSession] or the proxy's end. It waits for one that is free.
func Exclusive() SessionOption { return func(s *sessionContext) { s.exclusive = true } }

// StayOrFail makes requests of the session fail with [ErrSessionLost] when its proxy
// is gone, and wait while it rests, where the session would have moved. After
// [Pool.EndSession] the key may begin anew.
func StayOrFail() SessionOption { return func(s *sessionContext) { s.stay = true } }

type (
	sessionKey     struct{}
	hostKey        string // a key of sessions that no session can equal
	sessionContext struct {
		key             string
		exclusive, stay bool
	}
)

// WithSession makes requests with this context keep one proxy for the key. A new key
// gets the proxy with the fewest of them, and connections are kept.
//
// The session moves only when its proxy is gone, is banned by the target
// ([WithBanStatus]), or does not work where another one does; a failure of a target,
// a refused certificate or a deadline do not move it. Hooks.Moved and [ViaOf] tell.
//
// The pool remembers the keys that were used last: see [WithSessionLimit].
func WithSession(ctx context.Context, key string, opts ...SessionOption) context.Context {
	if key == "" {
		return context.WithValue(ctx, sessionKey{}, (*sessionContext)(nil))
	}
	s := &sessionContext{key: key}
	for _, opt := range opts {
		opt(s)
	}
	return context.WithValue(ctx, sessionKey{}, s)
}

// EndSession forgets a key: its proxy is free for others, and the key's next use is that
// of a new key. It may get a proxy that it had before, and does so if the pool has only
// one; [Pool.Drop] takes a proxy out for good. It returns false if the key is not known.
func (p *Pool) EndSession(key string) bool {
	s := p.sessions.remove(key)
	if s == nil {
		return false
	}
	p.member.pin(s, nil)
	p.wake()
	return true
}

// session is a key with its home.
type session struct {
	key   any
	home  atomic.Pointer[address]
	away  atomic.Pointer[address] // tried in place of a home that fails
	meter meter

	asked atomic.Int32 // of the store, for its home
	ended bool         // under sessions.mu
}

func (s *session) name() string {
	if s == nil {
		return ""
	}
	name, _ := s.key.(string)
	return name
}

// sessions are the keys that were used last, in two generations: when the young one
// is full the old one is forgotten. So looking one up takes no lock.
type sessions struct {
	limit      int
	mu         sync.Mutex // for changes
	young, old atomic.Pointer[sync.Map]
	n          int // in young
}

func (t *sessions) init(limit int) {
	t.limit = max(1, limit/2)
	t.young.Store(new(sync.Map))
	t.old.Store(new(sync.Map))
}

// get returns the session of a key, and makes one where there is none.
func (t *sessions) get(key any) *session {
	if s, ok := t.young.Load().Load(key); ok {
		return s.(*session)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.young.Load().Load(key); ok {
		return s.(*session)
	}
	v, ok := t.old.Load().LoadAndDelete(key)
	s, _ := v.(*session)
	if !ok {
		s = &session{key: key}
	}
	if t.n >= t.limit {
		t.old.Load().Range(func(_, v any) bool { v.(*session).end(); return true })
		t.old.Store(t.young.Swap(new(sync.Map)))
		t.n = 0
	}
	t.young.Load().Store(key, s)
	t.n++
	return s
}

func (t *sessions) remove(key any) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.young.Load().LoadAndDelete(key)
	if ok {
		t.n--
	} else if v, ok = t.old.Load().LoadAndDelete(key); !ok {
		return nil
	}
	s := v.(*session)
	s.end()
	return s
}

// each calls f for all sessions that are remembered.
func (t *sessions) each(f func(*session)) {
	for _, m := range []*sync.Map{t.young.Load(), t.old.Load()} {
		m.Range(func(_, v any) bool { f(v.(*session)); return true })
	}
}

// end frees the home.
func (s *session) end() {
	s.ended = true
	if home := s.home.Swap(nil); home != nil {
		home.keys.Add(-1)
		home.owner.CompareAndSwap(s, nil)
	}
}

// move gives the session another home, if it still has the old one.
func (t *sessions) move(s *session, from, to *address) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.ended || !s.home.CompareAndSwap(from, to) {
		return false
	}
	s.away.Store(nil)
	to.keys.Add(1)
	if from != nil {
		from.keys.Add(-1)
		if from.owner.CompareAndSwap(s, nil) {
			to.owner.Store(s)
		}
	}
	return true
}

// pickSession returns a lease on the session's proxy, or nil if it has to wait.
func (p *Pool) pickSession(now moment, q query, key any) (*Lease, error) {
	s := p.sessions.get(key)
	home := s.home.Load()
	if !p.lives(s, home, now, q) {
		return p.settle(s, home, now, q)
	}
	stay := q.session != nil && q.session.stay
	switch {
	case !home.open(now), home.slowedUntil(q) > now.mono:
		return nil, nil // it is full, or was told to slow down
	case !p.fails(home, now, q), stay && home.outUnproven(now):
		if home.hold() {
			return p.sessionLease(home, s, nil, q, now), nil
		}
		if home.gone.Load() {
			return p.settle(s, home, now, q)
		}
		return nil, nil
	case stay:
		return nil, nil
	}
	return p.pickAway(s, home, now, q), nil
}

// lives tells that the session has a home, and has it for itself if it wants that.
func (p *Pool) lives(s *session, home *address, now moment, q query) bool {
	if home == nil || home.gone.Load() || now.wall >= home.deadlineAt() {
		return false
	}
	owner := home.owner.Load()
	return owner == s || owner == nil && !q.exclusive() || p.sessions.claim(s, home)
}

func (q query) exclusive() bool { return q.session != nil && q.session.exclusive }

// pickAway returns a lease on another proxy than the home, which the session moves to
// if that works.
func (p *Pool) pickAway(s *session, home *address, now moment, q query) *Lease {
	away := s.away.Load()
	if away == nil || !away.usable(now, q) {
		away = p.fewest(home, q.exclusive(), now, q)
		s.away.Store(away)
	}
	switch {
	case away != nil && away.hold():
		return p.sessionLease(away, s, home, q, now)
	case away == nil && home.outUnproven(now) && home.hold():
		return p.sessionLease(home, s, nil, q, now)
	}
	s.away.CompareAndSwap(away, nil)
	return nil
}

// manyFailures in a row of a session's home, of all targets, let its requests try
// another proxy.
const manyFailures = 6

// fails tells that a session should try another proxy than its home. A failure for
// one target is not enough for that, as long as the proxy is not banned there.
func (p *Pool) fails(home *address, now moment, q query) bool {
	if q.session == nil { // of a host: that is all it is for
		return home.outUntil(q) > now.mono
	}
	f := home.out.get(q.host)
	return home.until.Load() > int64(now.mono) || f.why == outBanned && f.until > now.mono || home.record.row.Load() >= manyFailures
}

// outUnproven tells that nothing but failures of single targets speak against a.
func (a *address) outUnproven(now moment) bool { return a.until.Load() <= int64(now.mono) }

func (p *Pool) sessionLease(a *address, s *session, moved *address, q query, now moment) *Lease {
	l := p.newLease(a, q, now)
	l.moved = moved
	if q.session != nil || moved != nil {
		l.session = s
	}
	return l
}

// claim makes the home the session's own, if no other session lives there.
func (t *sessions) claim(s *session, home *address) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return home.keys.Load() == 1 && s.home.Load() == home && home.owner.CompareAndSwap(nil, s)
}

// settle finds a home for a session that has none any more.
func (p *Pool) settle(s *session, old *address, now moment, q query) (*Lease, error) {
	if old != nil && q.session != nil && q.session.stay {
		return nil, ErrSessionLost
	}
	exclusive := q.exclusive()
	if old == nil && p.member.asks(s) {
		return nil, nil
	}
	a := p.fewest(old, exclusive, now, q)
	if a == nil {
		if exclusive {
			p.grow(now)
		}
		return nil, nil
	}
	if a.keys.Load() > 0 {
		p.grow(now)
	}
	if !a.hold() {
		return nil, nil
	}
	if exclusive && !a.owner.CompareAndSwap(nil, s) || !p.sessions.move(s, old, a) {
		if exclusive {
			a.owner.CompareAndSwap(s, nil)
		}
		a.unhold()
		return p.pick(now, q) // somebody was quicker
	}
	p.member.pin(s, a)
	if old != nil {
		p.moved(s, old, a)
	}
	l := p.sessionLease(a, s, nil, q, now)
	l.moved = old
	return l, nil
}

func (p *Pool) moved(s *session, from, to *address) {
	name := s.name()
	if name == "" || from.id == to.id {
		return
	}
	p.hooks.moved(Move{Session: name, From: from.String(), To: to.String()})
}

// fewest returns the usable address with the fewest sessions: the same address as
// old, if that has come back.
func (p *Pool) fewest(old *address, exclusive bool, now moment, q query) (best *address) {
	proxies := p.live.Load().proxies
	n := uint64(len(proxies))
	if n == 0 {
		return nil
	}
	turn := p.detours.Add(1)
	for i := range n {
		a := proxies[(turn+i)%n]
		switch {
		case a == old || !a.usable(now, q):
			continue
		case exclusive && (a.keys.Load() > 0 || a.inFlight.Load() > 0):
			continue
		case old != nil && a.id == old.id:
			return a
		case best == nil || a.keys.Load() < best.keys.Load():
			best = a
		}
	}
	return best
}
