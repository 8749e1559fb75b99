package pool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/clock"
)

// membership is the pool's part in its store: its lease, and the addresses it claims.
// A pool without a shared store has a store of its own, where nothing ever lapses.
type membership struct {
	pool   *Pool
	store  Store
	shared bool

	// The lease ends then, on either clock: the monotonic one may stop while a machine
	// sleeps. Only a response of the store moves it. Who reads it looks at gone of the
	// address afterwards, and who writes it sets gone of those that are lost before.
	until, untilWall atomic.Int64

	call    sync.Mutex // one call of the store at a time; taken before Pool.mu and mu
	self    Member
	ttl     time.Duration
	pending *deposit

	mu       sync.Mutex // no other lock is taken under it
	unsure   bool       // what the store believes is not known: the next Sync is full
	claimed  map[string]*address
	drops    map[string]Drop
	pins     map[string]string
	bookings []spending
	asking   map[string]*session // sessions whose homes the store is to be asked for
	beat     *time.Timer         // renews the lease
	next     clock.Instant       // of it; Never: not set
	end      *time.Timer         // of the lease
	left     bool                // the pool is closed
}

// deposit is one that the store has not confirmed.
type deposit struct {
	grant Grant
	spent int
	got   []Holding
	at    time.Time
}

type spending struct {
	Booking
	at clock.Instant
}

// errClaimEnded is why a use is cut: it is not the proxy's fault.
var errClaimEnded = fmt.Errorf("%w: this pool's claim on it has ended, as the store was not reached in time or gave it to another pool", ErrExpired)

func (m *membership) init(p *Pool, store Store, namespace string) {
	m.pool, m.store, m.shared = p, store, store != nil
	m.self = Member{Namespace: namespace, ID: rand.Text()}
	m.claimed, m.drops, m.pins = map[string]*address{}, map[string]Drop{}, map[string]string{}
	m.asking = map[string]*session{}
	m.next = clock.Never
	if !m.shared {
		m.store = newMemoryStore(0)
		m.until.Store(int64(clock.Never))
		m.untilWall.Store(int64(clock.Never))
	}
}

// holds tells that the claims of the pool have not ended.
func (m *membership) holds(now moment) bool {
	return int64(now.mono) < m.until.Load() && int64(now.wall) < m.untilWall.Load()
}

// bar returns an error if the address must not be used, by any use.
func (a *address) bar() error {
	if m := &a.pool.member; m.shared && (!m.holds(a.pool.now()) || a.lost.Load()) {
		return errClaimEnded
	}
	return nil
}

// cut closes all connections at once.
func (a *address) cut() {
	a.mu.Lock()
	conns := slices.Collect(maps.Keys(a.conns))
	a.mu.Unlock()
	for _, c := range conns {
		_ = c.Conn.Close()
	}
}

// timeout bounds a call of the store.
func (m *membership) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case !m.shared:
		return ctx, func() {}
	case m.ttl == 0:
		return context.WithTimeout(ctx, 3*time.Second)
	}
	return context.WithTimeout(ctx, min(max(m.ttl/5, 200*time.Millisecond), 3*time.Second))
}

// sync makes the store and the pool agree, under call.
func (m *membership) sync(ctx context.Context) error {
	lost, err := m.report(ctx)
	if errors.Is(err, ErrRejoin) {
		lost, err = m.report(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	for _, a := range lost {
		m.pool.lose(a)
	}
	return nil
}

// report makes one call of Sync. It returns the addresses that are lost, which are gone.
func (m *membership) report(ctx context.Context) (lost []*address, err error) {
	now := m.pool.now()
	m.mu.Lock()
	r := Report{Full: m.unsure || m.self.Epoch == 0, Alive: m.holds(now), Drop: slices.Collect(maps.Values(m.drops)), Pins: m.pins}
	m.pins = map[string]string{}
	if r.Full {
		m.fill(&r, now)
	}
	m.mu.Unlock()

	sent := m.pool.now()
	ctx, cancel := m.timeout(ctx)
	defer cancel()
	st, err := m.store.Sync(ctx, m.self, r)

	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.unsure = true
		maps.Copy(r.Pins, m.pins) // what is newer counts
		m.pins = r.Pins
		return nil, err
	}
	m.unsure = false
	for _, d := range r.Drop {
		if m.drops[d.ID] == d {
			delete(m.drops, d.ID)
		}
		delete(m.claimed, d.ID)
	}
	for _, id := range st.Lost {
		if a := m.claimed[id]; a != nil {
			a.lost.Store(true)
			a.gone.Store(true)
			delete(m.claimed, id)
			lost = append(lost, a)
		}
	}
	m.self.Epoch, m.ttl = st.Epoch, st.TTL
	m.extend(sent)
	return lost, nil
}

// fill makes the report a full one, under mu.
func (m *membership) fill(r *Report, now moment) {
	for id, a := range m.claimed {
		if _, dropped := m.drops[id]; !dropped {
			left := Forever
			if end := a.expiresAt(); end != clock.Never {
				left = end.Sub(now.wall)
			}
			r.Held = append(r.Held, Holding{id, a.endpoint, left})
		}
	}
	m.bookings = slices.DeleteFunc(m.bookings, func(b spending) bool { return now.mono.Sub(b.at) >= b.Per })
	for _, b := range m.bookings {
		b.Ago = now.mono.Sub(b.at)
		r.Bookings = append(r.Bookings, b.Booking)
	}
}

// extend moves the end of the lease and plans its renewal, under mu.
func (m *membership) extend(sent moment) {
	if !m.shared {
		return
	}
	until, wall := clock.Never, clock.Never
	if m.ttl > 0 {
		until, wall = sent.mono.Add(m.ttl*9/10), sent.wall.Add(m.ttl*9/10)
	}
	m.untilWall.Store(int64(wall))
	m.until.Store(int64(until))
	if m.ttl == 0 {
		return
	}
	if m.beat == nil {
		m.beat = time.AfterFunc(time.Hour, m.renew)
		m.end = time.AfterFunc(time.Hour, m.lapse)
	}
	m.end.Reset(until.Sub(m.pool.now().mono))
	m.plan(m.interval())
}

// interval is the time between renewals: at rest, one a second at most.
func (m *membership) interval() time.Duration { return max(m.ttl/6, min(time.Second, m.ttl/3)) }

// plan lets the next renewal be in d, or not at all if there is nothing to renew,
// under mu.
func (m *membership) plan(d time.Duration) {
	m.next = clock.Never
	if m.left || len(m.claimed)+len(m.drops)+len(m.pins) == 0 {
		m.beat.Stop()
		return
	}
	m.next = m.pool.now().mono.Add(d)
	m.beat.Reset(d)
}

// soon brings the next renewal forward, as there is something to tell, under mu.
func (m *membership) soon() {
	if d := min(time.Second, m.interval()); m.beat != nil && m.next > m.pool.now().mono.Add(d) {
		m.plan(d)
	}
}

// renew is what the timer calls.
func (m *membership) renew() {
	p := m.pool
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.running.Add(1)
	p.mu.Unlock()
	defer p.running.Done()

	m.call.Lock()
	had := m.holds(p.now())
	err := m.sync(p.ctx)
	if err != nil {
		m.mu.Lock()
		m.plan(min(max(m.ttl/30, 100*time.Millisecond), time.Second))
		m.mu.Unlock()
	}
	m.call.Unlock()

	p.mu.Lock()
	defer p.unlock()
	switch {
	case errors.Is(err, ErrStoreConfig):
		p.stop(err)
		p.publish()
	case err != nil:
		p.supply.lastErr = err
		p.log.Warn("store not reached: claims are used to their end", "error", err)
	case !had:
		p.publish()
	}
}

// lapse cuts what is open at the end of the lease.
func (m *membership) lapse() {
	if m.holds(m.pool.now()) {
		return
	}
	m.mu.Lock()
	claimed := slices.Collect(maps.Values(m.claimed))
	m.mu.Unlock()
	for _, a := range claimed {
		a.cut()
	}
}

// ready syncs if that is due before other calls, under call.
func (m *membership) ready(ctx context.Context) error {
	if err := m.flush(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	due := m.unsure || m.self.Epoch == 0 || len(m.drops) > 0
	m.mu.Unlock()
	if now := m.pool.now(); !due && m.holds(moment{now.mono.Add(m.ttl / 3), now.wall}) {
		return nil
	}
	return m.sync(ctx)
}

// claim asks the store for proxies, which are the pool's when it returns.
func (m *membership) claim(ctx context.Context, w Want, origin map[string]Proxy) (c Claim, got []*address, begun moment, err error) {
	m.call.Lock()
	defer m.call.Unlock()
	for try := range 2 {
		if err = m.ready(ctx); err != nil {
			return c, nil, begun, err
		}
		begun = m.pool.now()
		inner, cancel := m.timeout(ctx)
		c, err = m.store.Claim(inner, m.self, w)
		cancel()
		if err == nil {
			break
		}
		m.mu.Lock()
		m.unsure = true
		m.mu.Unlock()
		if !errors.Is(err, ErrRejoin) || try > 0 {
			return Claim{}, nil, begun, fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	at := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range c.Got {
		proxy := Proxy{Endpoint: h.Endpoint}
		if h.Left < Forever {
			proxy.Expires = clock.AddTo(at, h.Left-m.pool.now().mono.Sub(begun.mono))
		}
		if own, ok := origin[proxy.id()]; ok && (proxy.Expires.Before(own.Expires) || own.Expires.IsZero()) {
			proxy.Expires = own.Expires // as exact as it was
		}
		a := m.pool.newAddress(proxy, at)
		a.claim = h.ID
		m.claimed[h.ID] = a
		got = append(got, a)
	}
	if m.beat != nil && m.next == clock.Never {
		m.plan(m.interval())
	}
	return c, got, begun, nil
}

// settle settles a grant and adds what it brought to the stock.
func (m *membership) settle(g Grant, spent int, fetched []Proxy) error {
	now := time.Now()
	d := &deposit{grant: g, spent: spent, at: now}
	for _, proxy := range fetched {
		h := Holding{proxy.id(), proxy.Endpoint, Forever}
		if !proxy.Expires.IsZero() {
			h.Left = clock.Wall(proxy.Expires).Sub(clock.Wall(now))
		}
		d.got = append(d.got, h)
	}
	m.call.Lock()
	defer m.call.Unlock()
	m.pending = d
	if spent > 0 && g.Per > 0 && m.shared {
		m.mu.Lock()
		m.bookings = append(m.bookings, spending{Booking{Token: g.Token, N: spent, Per: g.Per}, m.pool.now().mono})
		m.mu.Unlock()
	}
	return m.flush(context.Background()) // the pool's may have ended, and this was paid for
}

// flush makes the pending deposit, under call.
func (m *membership) flush(ctx context.Context) error {
	d := m.pending
	if d == nil {
		return nil
	}
	var err error
	for tries := 0; tries == 0 || tries < 3 && ctx.Err() == nil; tries++ {
		got := slices.Clone(d.got)
		for i := range got {
			if got[i].Left < Forever {
				got[i].Left -= time.Since(d.at)
			}
		}
		inner, cancel := m.timeout(ctx)
		err = m.store.Deposit(inner, m.self, d.grant, d.spent, got)
		cancel()
		if err == nil || errors.Is(err, ErrFenced) {
			m.pending = nil
			return nil
		}
	}
	m.mu.Lock()
	m.unsure = true
	m.mu.Unlock()
	return fmt.Errorf("%w: %d fetched proxies are not in the store yet: %w", ErrStore, len(d.got), err)
}

// retired remembers what is to become of a claim whose address is out for good.
// Nobody else may have it before its last use has ended, unless nobody may have it.
func (m *membership) retired(a *address, d Drop) {
	a.onClose = d
	if d.Retired {
		m.drop(a)
	}
}

// drop tells the store, in time, that the claim is given up.
func (m *membership) drop(a *address) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.claimed[a.claim] != a || m.left {
		return
	}
	if _, ok := m.drops[a.claim]; !ok {
		d := a.onClose
		d.ID = a.claim
		m.drops[a.claim] = d
		m.soon()
	}
}

// pin tells the store, in time, where a session lives: nowhere if a is nil.
func (m *membership) pin(s *session, a *address) {
	key, ok := s.key.(string)
	if !m.shared || !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins[key] = ""; a != nil {
		m.pins[key] = a.claim
	}
	m.soon()
}

// asks tells that the store is being asked for the home of a session, which is new here.
func (m *membership) asks(s *session) bool {
	key, ok := s.key.(string)
	if !m.shared || !ok || s.asked.Load() == answered {
		return false
	}
	if s.asked.CompareAndSwap(0, asked) {
		m.mu.Lock()
		m.asking[key] = s
		m.mu.Unlock()
	}
	return true
}

const asked, answered = 1, 2

func (m *membership) asked() bool {
	if !m.shared {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.asking) > 0
}

// recall asks the store where new sessions live, and lets them go on there. If it
// does not know, or is not reached, they get any address.
func (p *Pool) recall() {
	m := &p.member
	m.mu.Lock()
	asking := m.asking
	m.asking = map[string]*session{}
	m.mu.Unlock()
	if len(asking) == 0 {
		return
	}
	c, got, _, err := m.claim(p.ctx, Want{Sessions: slices.Collect(maps.Keys(asking))}, nil)
	p.mu.Lock()
	defer p.unlock()
	if err != nil {
		p.supply.lastErr = err
	}
	p.admit(got, p.now())
	for key, s := range asking {
		m.mu.Lock()
		a := m.claimed[c.Homes[key]]
		m.mu.Unlock()
		if a != nil && !a.gone.Load() {
			p.sessions.move(s, nil, a)
		}
		s.asked.Store(answered)
	}
	p.publish()
}

// admit adds new addresses, under mu, and returns how many. Those that the pool has had
// enough of are given up.
func (p *Pool) admit(fresh []*address, now moment) (added int) {
	for _, a := range fresh {
		if p.known(a.id) || now.wall >= a.deadlineAt() {
			if p.source.Costs {
				p.counters.wasted.Add(1)
			}
			a.gone.Store(true)
			p.events = append(p.events, a.closeIfUnused)
			continue
		}
		p.all, p.byID[a.id] = append(p.all, a), a
		added++
	}
	return added
}

// lose takes an address out that the store has given to others, or forgotten.
func (p *Pool) lose(a *address) {
	a.cut()
	p.mu.Lock()
	defer p.unlock()
	if slices.Contains(p.all, a) || slices.Contains(p.held, a) {
		p.held = slices.DeleteFunc(p.held, func(b *address) bool { return a == b })
		p.retire(a, ReasonLost)
		p.publish()
	}
}

// leave ends the membership: what is not used goes back at once, the rest with the end
// of the lease, which cuts what is open then.
func (m *membership) leave() error {
	m.call.Lock()
	defer m.call.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := m.flush(ctx)
	m.mu.Lock()
	n := len(m.drops)
	rest := len(m.claimed) > n
	m.left = true
	if m.beat != nil {
		m.beat.Stop()
		if !rest {
			m.end.Stop()
		}
	}
	m.mu.Unlock()
	if n == 0 || !m.shared {
		return err
	}
	if e := m.sync(ctx); e != nil {
		err = errors.Join(err, fmt.Errorf("giving %d proxies back, which are free when the lease ends: %w", n, e))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end != nil && !rest {
		m.end.Stop()
	}
	return err
}
