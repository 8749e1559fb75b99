// Package storetest tests whether a [pool.Store] does what pools rely on.
//
//	func TestMyStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness {
//			return storetest.Harness{Store: pool.NewMemoryStore(), Advance: time.Sleep} // your own
//		})
//	}
package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// Harness is a store under test.
type Harness struct {
	// Store is new and empty, without a hold.
	Store pool.Store
	// Advance lets time pass for the store: time.Sleep where it has the machine's
	// clock, within a bubble of testing/synctest too.
	Advance func(time.Duration)
}

// Run tests the stores that open returns, a new one for each subtest. The subtests
// wait a few times for as long as a lease of the store lasts.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	RunIn(t, func(t *testing.T, test func(*testing.T, Harness)) { test(t, open(t)) })
}

// RunIn is Run where each test is to run within something, such as a bubble of
// testing/synctest: within calls test with a new store.
//
//	storetest.RunIn(t, func(t *testing.T, test func(*testing.T, storetest.Harness)) {
//		synctest.Test(t, func(t *testing.T) {
//			test(t, storetest.Harness{Store: newMyStore(), Advance: time.Sleep})
//		})
//	})
func RunIn(t *testing.T, within func(t *testing.T, test func(*testing.T, Harness))) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			within(t, func(t *testing.T, h Harness) {
				t.Helper()
				test.run(&suite{t, h})
			})
		})
	}
}

var tests = []struct {
	name string
	run  func(*suite)
}{
	{"stock", stock},
	{"endpoints keep their login", logins},
	{"claims are exclusive", exclusive},
	{"claims end with the lease", lapse},
	{"leases are renewed", renewal},
	{"a full report replaces claims", full},
	{"one fetch at a time", oneFetch},
	{"a late deposit is fenced", fenced},
	{"deposits are repeatable", repeatable},
	{"quota", quota},
	{"a booking that is never settled is spent", unsettled},
	{"what is delivered beyond the booking is booked", overDelivery},
	{"retired proxies", tombstones},
	{"ends of life", ends},
	{"namespaces", namespaces},
	{"sessions", sessions},
	{"many at once", storm},
	{"many proxies", bulk},
}

type suite struct {
	*testing.T
	Harness
}

// member is a pool as the store sees it.
type member struct {
	*suite
	pool.Member
	ttl time.Duration
}

func (s *suite) join(id string) *member {
	s.Helper()
	return s.joinIn("stock", id)
}

func (s *suite) joinIn(namespace, id string) *member {
	s.Helper()
	m := &member{suite: s, Member: pool.Member{Namespace: namespace, ID: id}}
	m.sync(pool.Report{Full: true})
	if m.ttl <= 0 {
		s.Fatalf("Standing.TTL = %v: leases must end", m.ttl)
	}
	return m
}

func (m *member) sync(r pool.Report) (lost []string) {
	m.Helper()
	st, err := m.Store.Sync(m.Context(), m.Member, r)
	if err != nil {
		m.Fatalf("Sync(%s): %v", m.ID, err)
	}
	if st.Epoch == 0 {
		m.Fatalf("Sync(%s): the epoch is 0", m.ID)
	}
	m.Epoch, m.ttl = st.Epoch, st.TTL
	return st.Lost
}

func (m *member) ask(w pool.Want) pool.Claim {
	m.Helper()
	c, err := m.Store.Claim(m.Context(), m.Member, w)
	if err != nil {
		m.Fatalf("Claim(%s): %v", m.ID, err)
	}
	return c
}

// claim takes n proxies and returns their hosts.
func (m *member) claim(n int) []string {
	m.Helper()
	return hosts(m.ask(pool.Want{N: n}).Got)
}

func hosts(list []pool.Holding) []string {
	got := []string{}
	for _, h := range list {
		got = append(got, h.Endpoint.Host)
	}
	return got
}

func (m *member) grant(w pool.Want) pool.Grant {
	m.Helper()
	c := m.ask(w)
	if c.Grant == nil {
		m.Fatalf("Claim(%s) gave no grant, but %q", m.ID, c.Why)
	}
	return *c.Grant
}

func (m *member) deposit(g pool.Grant, spent int, got ...pool.Holding) {
	m.Helper()
	if err := m.Store.Deposit(m.Context(), m.Member, g, spent, got); err != nil {
		m.Fatalf("Deposit(%s): %v", m.ID, err)
	}
}

// stock puts proxies into the stock.
func (m *member) stock(got ...pool.Holding) {
	m.Helper()
	g := m.grant(pool.Want{N: 1000, MinLeft: 1000 * time.Hour, Ask: len(got)})
	m.deposit(g, len(got), got...)
}

// proxy makes one with as many hours to live as its name has letters.
func proxy(name string) pool.Holding { return living(name, time.Duration(len(name))*time.Hour) }

func living(name string, left time.Duration) pool.Holding {
	e := proxylite.Endpoint{Host: name, Port: 8080, Username: "user-" + name, Password: proxylite.NewPassword("password of " + name)}
	return pool.Holding{ID: e.Username + "@" + e.Addr(), Endpoint: e, Left: left}
}

func (s *suite) equal(got, want any, what string) {
	s.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func (s *suite) sorted(got []string, want ...string) {
	s.Helper()
	slices.Sort(got)
	slices.Sort(want)
	s.equal(got, want, "proxies")
}

func stock(s *suite) {
	a := s.join("a")
	s.equal(a.claim(3), []string{}, "a new store")
	a.stock(proxy("x"), proxy("xxxx"), proxy("xx"), proxy("xxx"), living("forever", pool.Forever))
	c := a.ask(pool.Want{N: 2})
	s.equal(hosts(c.Got), []string{"forever", "xxxx"}, "those that live longest")
	s.equal(c.Got[0].Left == pool.Forever, true, "no end")
	if left := c.Got[1].Left; left > 4*time.Hour || left < 4*time.Hour-time.Minute {
		s.Errorf("Left = %v, want 4h", left)
	}
	s.equal(hosts(a.ask(pool.Want{N: 9, MinLeft: 150 * time.Minute}).Got), []string{"xxx"}, "MinLeft")
	c = a.ask(pool.Want{N: 3, Ask: 10})
	s.equal(hosts(c.Got), []string{"xx", "x"}, "the rest")
	if c.Grant == nil || c.Grant.N != 1 {
		s.Errorf("Grant = %v, want one of what is missing", c.Grant)
	}
}

func logins(s *suite) {
	a := s.join("a")
	want := living("x", time.Hour)
	a.stock(want)
	got := a.ask(pool.Want{N: 1}).Got
	if len(got) != 1 {
		s.Fatalf("got %d proxies, want 1", len(got))
	}
	e := got[0].Endpoint
	s.equal([]any{e.Host, e.Port, e.Username, e.Password.Reveal()}, []any{"x", 8080, "user-x", "password of x"}, "endpoint")
	if got[0].ID == "" {
		s.Error("no ID")
	}
}

func exclusive(s *suite) {
	a, b := s.join("a"), s.join("b")
	a.stock(proxy("x"), proxy("xx"))
	s.equal(a.claim(1), []string{"xx"}, "a")
	b.stock(proxy("xx")) // a source delivers it again
	s.equal(b.claim(9), []string{"x"}, "b")
	s.equal(a.claim(9), []string{}, "a")
}

func lapse(s *suite) {
	a, b := s.join("a"), s.join("b")
	a.stock(proxy("x"), proxy("xx"))
	got := a.ask(pool.Want{N: 2}).Got
	s.Advance(a.ttl / 2)
	s.equal(b.claim(9), []string{}, "within the lease")
	b.sync(pool.Report{Alive: true})
	s.Advance(a.ttl * 3 / 4)
	s.equal(b.claim(1), []string{"xx"}, "after the lease")
	if _, err := s.Store.Sync(s.Context(), a.Member, pool.Report{}); !errors.Is(err, pool.ErrRejoin) {
		s.Errorf("Sync after the lease: %v, want ErrRejoin", err)
	}
	if _, err := s.Store.Claim(s.Context(), a.Member, pool.Want{N: 1}); !errors.Is(err, pool.ErrRejoin) {
		s.Errorf("Claim after the lease: %v, want ErrRejoin", err)
	}
	s.equal(a.sync(pool.Report{Full: true, Held: got}), []string{got[0].ID}, "lost")
	s.equal(b.claim(9), []string{}, "the other one was still free, and is a's again")
}

func renewal(s *suite) {
	a, b := s.join("a"), s.join("b")
	a.stock(proxy("x"))
	a.claim(1)
	for range 4 {
		s.Advance(a.ttl / 2)
		s.equal(a.sync(pool.Report{Alive: true}), []string{}, "lost")
		b.sync(pool.Report{Alive: true})
		s.equal(b.claim(1), []string{}, "b")
	}
}

func full(s *suite) {
	a, b := s.join("a"), s.join("b")
	a.stock(proxy("x"), proxy("xx"))
	got := a.ask(pool.Want{N: 2}).Got
	s.equal(a.sync(pool.Report{Full: true, Alive: true, Held: got[:1]}), []string{}, "lost")
	s.equal(b.claim(9), []string{"x"}, "what a does not know of")
	s.equal(a.sync(pool.Report{Full: true, Alive: true, Held: got}), []string{got[1].ID}, "lost")
	stranger := pool.Member{Namespace: "stock", ID: "stranger", Epoch: a.Epoch}
	if _, err := s.Store.Claim(s.Context(), stranger, pool.Want{N: 1}); !errors.Is(err, pool.ErrRejoin) {
		s.Errorf("Claim of a stranger: %v, want ErrRejoin", err)
	}
	if _, err := s.Store.Sync(s.Context(), stranger, pool.Report{}); !errors.Is(err, pool.ErrRejoin) {
		s.Errorf("Sync of a stranger: %v, want ErrRejoin", err)
	}
}

func oneFetch(s *suite) {
	a, b := s.join("a"), s.join("b")
	want := pool.Want{N: 5, Ask: 5}
	g := a.grant(want)
	s.equal(g.N, 5, "N")
	if g.Left <= 0 || g.Left > a.ttl {
		s.Errorf("Grant.Left = %v, want at most %v", g.Left, a.ttl)
	}
	for _, m := range []*member{a, b} {
		c := m.ask(want)
		if c.Grant != nil || c.Why != pool.WaitFetch || c.Again <= 0 || c.Again > a.ttl {
			s.Errorf("second claim: %+v, want to wait for the fetch", c)
		}
	}
	a.deposit(g, 1, proxy("x"))
	c := b.ask(want)
	s.equal(hosts(c.Got), []string{"x"}, "from the stock")
	if c.Grant == nil || c.Grant.N != 4 {
		s.Errorf("Grant = %+v, want one of 4", c.Grant)
	}
}

func fenced(s *suite) {
	a, b := s.join("a"), s.join("b")
	want := pool.Want{N: 5, Ask: 5}
	first := a.grant(want)
	s.Advance(a.ttl / 2)
	a.sync(pool.Report{Alive: true})
	b.sync(pool.Report{Alive: true})
	s.Advance(a.ttl * 3 / 4)
	second := b.grant(want) // a's has ended
	if err := s.Store.Deposit(s.Context(), a.Member, first, 1, []pool.Holding{proxy("x")}); !errors.Is(err, pool.ErrFenced) {
		s.Errorf("late deposit: %v, want ErrFenced", err)
	}
	a.sync(pool.Report{Alive: true})
	if c := a.ask(pool.Want{N: 2, Ask: 5}); c.Grant != nil || c.Why != pool.WaitFetch || len(c.Got) != 1 {
		s.Errorf("after a late deposit: %+v, want the proxy, and the other grant untouched", c)
	}
	b.deposit(second, 0)
}

func repeatable(s *suite) {
	a := s.join("a")
	const limit, per = 10, 1000 * time.Hour
	g := a.grant(pool.Want{N: 4, Ask: 4, Limit: limit, Per: per})
	a.deposit(g, 2, proxy("x"), proxy("xx"))
	for range 2 {
		if err := s.Store.Deposit(s.Context(), a.Member, g, 2, []pool.Holding{proxy("x"), proxy("xx")}); err != nil && !errors.Is(err, pool.ErrFenced) {
			s.Errorf("repeated deposit: %v", err)
		}
	}
	c := a.ask(pool.Want{N: 99, Ask: 99, Limit: limit, Per: per})
	s.equal(hosts(c.Got), []string{"xx", "x"}, "stock")
	if c.Grant == nil || c.Grant.N != 8 {
		s.Errorf("Grant = %+v, want one of 8", c.Grant)
	}
}

func quota(s *suite) {
	a, b := s.join("a"), s.join("b")
	per := 3 * a.ttl
	want := pool.Want{N: 7, Ask: 7, Limit: 10, Per: per}
	g := a.grant(want)
	s.equal(g.N, 7, "N")
	a.deposit(g, 7)
	s.Advance(a.ttl / 2)
	g = b.grant(want)
	s.equal(g.N, 3, "what is left")
	b.deposit(g, 3)
	a.sync(pool.Report{Alive: true})
	c := a.ask(want)
	if c.Grant != nil || c.Why != pool.WaitQuota || c.Again > per || c.Again < per/2 {
		s.Errorf("%+v, want to wait for the quota for %v at most", c, per)
	}
	for range 6 {
		s.Advance(a.ttl / 2)
		a.sync(pool.Report{Alive: true})
	}
	g = a.grant(want)
	if g.N < 7 {
		s.Errorf("N = %d after the interval, want 7", g.N)
	}
	a.deposit(g, 1) // the rest was not sold
	if g = a.grant(want); g.N < 6 {
		s.Errorf("N = %d, want 6 or 7: what was not sold is not spent", g.N)
	}
}

func unsettled(s *suite) {
	a := s.join("a")
	per := 4 * a.ttl
	want := pool.Want{N: 7, Ask: 7, Limit: 10, Per: per}
	s.equal(a.grant(want).N, 7, "N")
	for range 3 {
		s.Advance(a.ttl / 2)
		a.sync(pool.Report{Alive: true})
	}
	g := a.grant(want)
	s.equal(g.N, 3, "beside what may have been spent")
	a.deposit(g, 3)
	for range 6 { // the first one counts from the end of its grant
		s.Advance(a.ttl / 2)
		a.sync(pool.Report{Alive: true})
	}
	if c := a.ask(want); c.Grant != nil || c.Why != pool.WaitQuota {
		s.Errorf("%+v, want to wait for the quota", c)
	}
}

func overDelivery(s *suite) {
	a := s.join("a")
	want := pool.Want{N: 5, Ask: 5, Limit: 10, Per: 1000 * time.Hour}
	g := a.grant(want)
	var got []pool.Holding
	for i := range 30 {
		got = append(got, proxy(strings.Repeat("x", i+1)))
	}
	a.deposit(g, len(got), got...)
	s.equal(len(a.claim(99)), 30, "stock")
	if c := a.ask(want); c.Grant != nil || c.Why != pool.WaitQuota {
		s.Errorf("%+v, want to wait for the quota", c)
	}
}

func tombstones(s *suite) {
	a, b := s.join("a"), s.join("b")
	a.stock(proxy("x"), proxy("xx"), proxy("xxx"))
	ids := map[string]string{}
	for _, h := range a.ask(pool.Want{N: 9}).Got {
		ids[h.Endpoint.Host] = h.ID
	}
	drops := []pool.Drop{{ID: ids["x"]}, {ID: ids["xx"], Retired: true, For: a.ttl}, {ID: ids["xxx"], MinLeft: 4 * time.Hour}}
	for range 2 {
		s.equal(a.sync(pool.Report{Alive: true, Drop: drops}), []string{}, "lost")
	}
	b.stock(proxy("xx"))
	s.sorted(b.claim(9), "x")
	s.equal(a.sync(pool.Report{Alive: true, Drop: drops}), []string{}, "lost")
	s.equal(a.claim(9), []string{}, "b's is not a's to drop")
	s.Advance(a.ttl / 2)
	a.sync(pool.Report{Alive: true})
	b.sync(pool.Report{Alive: true})
	s.Advance(a.ttl * 3 / 4)
	a.sync(pool.Report{Full: true})
	a.stock(proxy("xx"), proxy("xxx"))
	s.sorted(a.claim(9), "xx", "xxx")
}

func ends(s *suite) {
	a, b := s.join("a"), s.join("b")
	short := a.ttl / 2
	a.stock(living("short", short), living("shorter", short/2), living("over", -time.Second))
	got := a.ask(pool.Want{N: 1}).Got
	s.equal(hosts(got), []string{"short"}, "a")
	b.stock(living("short", 2*a.ttl)) // paid for again
	s.Advance(a.ttl * 3 / 4)
	s.equal(b.claim(9), []string{}, "the end has come")
	s.equal(a.sync(pool.Report{Alive: true, Drop: []pool.Drop{{ID: got[0].ID, MinLeft: a.ttl / 4}}}), []string{}, "lost")
	s.equal(b.claim(9), []string{"short"}, "it lives on, as b had paid for more")
}

func namespaces(s *suite) {
	a, other := s.joinIn("one", "a"), s.joinIn("two", "b")
	limited := pool.Want{N: 6, Ask: 6, Limit: 10, Per: 1000 * time.Hour}
	g := a.grant(limited)
	a.deposit(g, 6, proxy("x"))
	s.equal(other.claim(9), []string{}, "another stock")
	g = other.grant(limited)
	s.equal(g.N, 4, "one ledger")
	other.deposit(g, 4, proxy("x"))
	s.equal(other.claim(9), []string{"x"}, "two")
	s.equal(a.claim(9), []string{"x"}, "one")
}

func sessions(s *suite) {
	a, b := s.join("a"), s.join("b")
	a.stock(proxy("x"), proxy("xx"), proxy("xxx"))
	ids := map[string]string{}
	for _, h := range a.ask(pool.Want{N: 9}).Got {
		ids[h.Endpoint.Host] = h.ID
	}
	a.sync(pool.Report{Alive: true, Pins: map[string]string{"bob": ids["x"], "eve": ids["xx"], "mia": ids["xx"], "joe": ids["xxx"]}})
	c := b.ask(pool.Want{Sessions: []string{"bob", "nobody"}})
	s.equal([]any{len(c.Got), c.Homes}, []any{0, map[string]string{}}, "a has it")
	a.sync(pool.Report{Alive: true, Pins: map[string]string{"joe": ""}, Drop: []pool.Drop{{ID: ids["x"]}, {ID: ids["xx"], Retired: true, For: time.Hour}, {ID: ids["xxx"]}}})
	c = b.ask(pool.Want{Sessions: []string{"bob", "nobody", "eve", "joe"}})
	s.equal(hosts(c.Got), []string{"x"}, "the home of bob")
	s.equal(slices.Collect(maps.Keys(c.Homes)), []string{"bob"}, "homes")
	if len(c.Got) > 0 {
		s.equal(c.Homes["bob"], c.Got[0].ID, "home")
	}
	c = b.ask(pool.Want{Sessions: []string{"bob"}})
	s.equal([]any{len(c.Got), len(c.Homes)}, []any{0, 1}, "b has it already")
}

// storm lets many members claim, drop and deposit at once, and watches that no proxy
// has two of them.
func storm(s *suite) {
	var mu sync.Mutex
	owner := map[string]string{}
	first := s.join("first")
	var list []pool.Holding
	for i := range 40 {
		list = append(list, living(fmt.Sprintf("proxy-%d", i), time.Hour))
	}
	first.stock(list...)
	var wg sync.WaitGroup
	for i := range 8 {
		m := s.join(fmt.Sprint("member ", i))
		wg.Go(func() {
			for round := range 15 {
				c, err := s.Store.Claim(s.Context(), m.Member, pool.Want{N: 7})
				if err != nil {
					s.Errorf("Claim: %v", err)
					return
				}
				var drop []pool.Drop
				mu.Lock()
				for _, h := range c.Got {
					if other := owner[h.ID]; other != "" {
						s.Errorf("%s was claimed by %s and %s", h.Endpoint.Host, other, m.ID)
					}
					owner[h.ID] = m.ID
					drop = append(drop, pool.Drop{ID: h.ID})
				}
				mu.Unlock()
				if round%5 == 4 {
					if c, err := s.Store.Claim(s.Context(), m.Member, pool.Want{N: 99, Ask: 5}); err == nil && c.Grant != nil {
						err = s.Store.Deposit(s.Context(), m.Member, *c.Grant, 5, list[:20])
						if err != nil {
							s.Errorf("Deposit: %v", err)
						}
					}
					m2 := pool.Report{Full: true, Alive: true}
					mu.Lock()
					for id, o := range owner {
						if o == m.ID {
							delete(owner, id)
						}
					}
					mu.Unlock()
					if _, err := s.Store.Sync(s.Context(), m.Member, m2); err != nil {
						s.Errorf("Sync: %v", err)
					}
					continue
				}
				mu.Lock()
				for _, d := range drop {
					delete(owner, d.ID)
				}
				mu.Unlock()
				if _, err := s.Store.Sync(s.Context(), m.Member, pool.Report{Alive: true, Drop: drop}); err != nil {
					s.Errorf("Sync: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s.equal(len(s.join("last").claim(99)), 40, "proxies at the end")
}

// bulk moves thousands of proxies. What takes longer than its lease fails.
func bulk(s *suite) {
	a := s.join("a")
	const n = 1000
	var list []pool.Holding
	for i := range n {
		list = append(list, living(fmt.Sprintf("proxy-%d", i), time.Hour+time.Duration(i)*time.Second))
	}
	a.stock(list...)
	a.sync(pool.Report{Full: true, Alive: true})
	got := a.ask(pool.Want{N: n}).Got
	s.equal(len(got), n, "proxies")
	s.equal(a.sync(pool.Report{Full: true, Alive: true, Held: got}), []string{}, "lost")
	var drop []pool.Drop
	for _, h := range got {
		drop = append(drop, pool.Drop{ID: h.ID})
	}
	a.sync(pool.Report{Alive: true, Drop: drop})
	s.equal(len(a.claim(n)), n, "proxies")
}
