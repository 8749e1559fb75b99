package pool

import (
	"container/heap"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go/internal/clock"
)

// NewMemoryStore returns a store for the pools of one process. The lease of a pool
// lasts 30 seconds, so that what a forgotten one holds comes back.
func NewMemoryStore() Store { return newMemoryStore(30 * time.Second) }

// newMemoryStore returns a store whose leases last ttl, or for good if that is 0.
func newMemoryStore(ttl time.Duration) *memoryStore {
	return &memoryStore{ttl: ttl, born: time.Now(), spaces: map[string]*namespace{}}
}

type memoryStore struct {
	ttl  time.Duration
	born time.Time

	mu     sync.Mutex
	spaces map[string]*namespace
	ledger []entry
	keep   time.Duration
	tokens int
}

// entry is a booking or what it was settled with.
type entry struct {
	token string
	n     int
	at    clock.Instant // an open booking counts from the end of its grant
}

// namespace is one stock.
type namespace struct {
	owners map[string]*owner
	items  map[string]*item
	tombs  map[string]clock.Instant
	homes  map[string]string // session → item
	byEnd  expiring          // all items, soonest first
	free   lasting           // those of the stock, longest first
	swept  int               // tombs from which the old ones are looked for
	token  string            // of the grant
	until  clock.Instant     // its end
}

type owner struct {
	until clock.Instant
	held  map[string]*item
}

type item struct {
	Holding
	end   clock.Instant
	owner *owner // nil: in stock
	keys  map[string]struct{}
}

// mark is an item in a heap, as of then: what has changed since is skipped.
type mark struct {
	it  *item
	end clock.Instant
}

type marks []mark

func (h marks) Len() int      { return len(h) }
func (h marks) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *marks) Push(x any)   { *h = append(*h, x.(mark)) }
func (h *marks) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = mark{}
	*h = (*h)[:last]
	return m
}

type (
	expiring struct{ marks }
	lasting  struct{ marks }
)

func (h expiring) Less(i, j int) bool { return h.marks[i].end < h.marks[j].end }
func (h lasting) Less(i, j int) bool  { return h.marks[i].end > h.marks[j].end }

// enter begins a call: it ends leases and lives that are over.
func (s *memoryStore) enter(name string) (*namespace, clock.Instant) {
	now := clock.Since(s.born, time.Now())
	ns := s.spaces[name]
	if ns == nil {
		ns = &namespace{
			owners: map[string]*owner{}, items: map[string]*item{}, tombs: map[string]clock.Instant{},
			homes: map[string]string{}, swept: 64,
		}
		s.spaces[name] = ns
	}
	for id, o := range ns.owners {
		if o.until <= now {
			for _, it := range o.held {
				ns.release(it)
			}
			delete(ns.owners, id)
		}
	}
	for len(ns.byEnd.marks) > 0 && ns.byEnd.marks[0].end <= now {
		if m := heap.Pop(&ns.byEnd).(mark); ns.items[m.it.ID] == m.it && m.it.end == m.end {
			ns.remove(m.it)
		}
	}
	if len(ns.tombs) >= ns.swept {
		for id, until := range ns.tombs {
			if until <= now {
				delete(ns.tombs, id)
			}
		}
		ns.swept = max(64, 2*len(ns.tombs))
	}
	return ns, now
}

func (ns *namespace) release(it *item) {
	it.owner = nil
	heap.Push(&ns.free, mark{it, it.end})
	if len(ns.free.marks) > 2*len(ns.items)+64 { // most of them are stale
		ns.free.marks = ns.free.marks[:0]
		for _, it := range ns.items {
			if it.owner == nil {
				ns.free.marks = append(ns.free.marks, mark{it, it.end})
			}
		}
		heap.Init(&ns.free)
	}
}

func (ns *namespace) inStock(m mark) bool {
	return ns.items[m.it.ID] == m.it && m.it.owner == nil && m.it.end == m.end
}

func (ns *namespace) hold(it *item, o *owner) {
	it.owner = o
	o.held[it.ID] = it
}

func (ns *namespace) remove(it *item) {
	delete(ns.items, it.ID)
	if it.owner != nil {
		delete(it.owner.held, it.ID)
	}
	for key := range it.keys {
		delete(ns.homes, key)
	}
}

func (ns *namespace) pin(key, id string) {
	if old := ns.items[ns.homes[key]]; old != nil {
		delete(old.keys, key)
	}
	delete(ns.homes, key)
	if it := ns.items[id]; it != nil {
		if it.keys == nil {
			it.keys = map[string]struct{}{}
		}
		it.keys[key] = struct{}{}
		ns.homes[key] = id
	}
}

func (s *memoryStore) Sync(_ context.Context, m Member, r Report) (Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, now := s.enter(m.Namespace)
	o := ns.owners[m.ID]
	if o == nil {
		if !r.Full {
			return Standing{}, ErrRejoin
		}
		o = &owner{held: map[string]*item{}}
		ns.owners[m.ID] = o
	}
	o.until = clock.Never
	if s.ttl > 0 {
		o.until = now.Add(s.ttl)
	}
	for _, d := range r.Drop {
		ns.drop(o, d, now)
	}
	st := Standing{Epoch: 1, TTL: s.ttl}
	if r.Full {
		had := o.held
		o.held = map[string]*item{}
		for _, h := range r.Held {
			it := ns.items[h.ID]
			if it == nil || it.owner != nil && it.owner != o {
				st.Lost = append(st.Lost, h.ID)
				continue
			}
			ns.hold(it, o)
		}
		for id, it := range had {
			if o.held[id] == nil {
				ns.release(it)
			}
		}
	}
	for key, id := range r.Pins {
		ns.pin(key, id)
	}
	return st, nil
}

func (ns *namespace) drop(o *owner, d Drop, now clock.Instant) {
	it := ns.items[d.ID]
	mine := it != nil && it.owner == o
	if mine {
		delete(o.held, d.ID)
	}
	switch {
	case d.Retired:
		if mine || it != nil && it.owner == nil {
			ns.remove(it)
		}
		if d.For > 0 {
			ns.tombs[d.ID] = now.Add(d.For)
		}
	case mine && it.end.Sub(now) < d.MinLeft:
		ns.remove(it)
	case mine:
		ns.release(it)
	}
}

func (s *memoryStore) Claim(_ context.Context, m Member, w Want) (Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, now := s.enter(m.Namespace)
	o := ns.owners[m.ID]
	if o == nil || m.Epoch != 1 {
		return Claim{}, ErrRejoin
	}
	c := Claim{Homes: map[string]string{}}
	take := func(it *item) {
		ns.hold(it, o)
		h := it.Holding
		h.Left = it.end.Sub(now)
		c.Got = append(c.Got, h)
	}
	for _, key := range w.Sessions {
		it := ns.items[ns.homes[key]]
		if it == nil || it.owner != nil && it.owner != o {
			continue
		}
		if it.owner == nil {
			take(it)
		}
		c.Homes[key] = it.ID
	}
	n := 0
	for ; n < w.N && len(ns.free.marks) > 0; n++ {
		for len(ns.free.marks) > 0 && !ns.inStock(ns.free.marks[0]) {
			heap.Pop(&ns.free)
		}
		if len(ns.free.marks) == 0 || ns.free.marks[0].end.Sub(now) <= w.MinLeft {
			break
		}
		take(heap.Pop(&ns.free).(mark).it)
	}
	if missing := min(w.N-n, w.Ask); missing > 0 {
		s.grant(&c, ns, w, missing, now)
	}
	return c, nil
}

func (s *memoryStore) grant(c *Claim, ns *namespace, w Want, n int, now clock.Instant) {
	if ns.token != "" && ns.until > now {
		c.Why, c.Again = WaitFetch, min(ns.until.Sub(now), 200*time.Millisecond)
		return
	}
	if w.Limit > 0 {
		s.keep = max(s.keep, w.Per)
		s.ledger = slices.DeleteFunc(s.ledger, func(e entry) bool { return now.Sub(e.at) >= s.keep })
		left, again := w.Limit, clock.Never
		for _, e := range s.ledger {
			switch {
			case e.at > now: // open: it may cost less
				left -= e.n
				again = min(again, now.Add(time.Second))
			case now.Sub(e.at) < w.Per:
				left -= e.n
				again = min(again, e.at.Add(w.Per))
			}
		}
		if left <= 0 {
			c.Why, c.Again = WaitQuota, again.Sub(now)
			return
		}
		n = min(n, left)
	}
	s.tokens++
	ns.token, ns.until = strconv.Itoa(s.tokens), clock.Never
	c.Grant = &Grant{Token: ns.token, N: n, Left: Forever, Per: w.Per}
	if s.ttl > 0 {
		ns.until, c.Grant.Left = now.Add(s.ttl), s.ttl
	}
	if w.Limit > 0 {
		s.ledger = append(s.ledger, entry{ns.token, n, ns.until})
	}
}

func (s *memoryStore) Deposit(_ context.Context, m Member, g Grant, spent int, got []Holding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, now := s.enter(m.Namespace)
	fenced := ns.token != g.Token || ns.until <= now
	if !fenced {
		ns.token = ""
	}
	if i := slices.IndexFunc(s.ledger, func(e entry) bool { return e.token == g.Token }); i >= 0 {
		s.ledger[i].n, s.ledger[i].at = spent, min(s.ledger[i].at, now)
	}
	for _, h := range got {
		ns.add(h, now)
	}
	if fenced {
		return ErrFenced
	}
	return nil
}

// add puts a proxy into the stock, or lets one that is there live longer.
func (ns *namespace) add(h Holding, now clock.Instant) {
	end := clock.Never
	if h.Left < Forever {
		end = now.Add(h.Left)
	}
	if end <= now || ns.tombs[h.ID] > now {
		return
	}
	it := ns.items[h.ID]
	if it == nil {
		it = &item{Holding: h}
		ns.items[h.ID] = it
	}
	later := end > it.end
	if it.owner == nil {
		it.Endpoint = h.Endpoint
	}
	if !later {
		return
	}
	if it.end = end; it.owner == nil {
		ns.release(it)
	}
	if end != clock.Never {
		heap.Push(&ns.byEnd, mark{it, end})
	}
}
