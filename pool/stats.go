package pool

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type counters struct {
	waiting                               atomic.Int64
	picks                                 atomic.Uint64
	uses                                  atomic.Uint64 // of retired proxies
	worked, failed, retries               atomic.Uint64
	fetches, fetchErrors, fetched         atomic.Uint64
	streak                                atomic.Uint64 // of proxies not reached
	spent, unknown, wasted, dead, expired atomic.Uint64
}

// Stats is a pool in figures. Those below Waiting only grow.
type Stats struct {
	Live     int // proxies that can be used now
	Resting  int // proxies that are out for a while
	InFlight int // leases and requests under way, on proxies that are not retired
	Waiting  int // callers that wait for a proxy

	Uses    uint64 // proxies given out
	Worked  uint64 // uses that worked
	Failed  uint64 // uses that failed: a request that was repeated counts each time
	Retries uint64 // requests and dials that went on through another proxy
	Up      int64  // bytes sent to proxies, with their protocol and TLS
	Down    int64  // bytes received

	Fetches     uint64 // calls of the source
	FetchErrors uint64 // those that failed
	Fetched     uint64 // proxies they brought
	Spent       uint64 // proxies paid for, with those of unknown outcome
	Unknown     uint64 // of Spent: nobody knows whether they were paid for
	Wasted      uint64 // paid for, and never used
	Dead        uint64 // proxies taken out for good, but for those used up
	Expired     uint64 // proxies that reached the end of their life, as seen at a fetch
}

// Stats returns the figures of now. It takes no lock.
func (p *Pool) Stats() Stats {
	c := &p.counters
	s := Stats{
		Waiting: int(c.waiting.Load()), Uses: c.uses.Load(),
		Worked: c.worked.Load(), Failed: c.failed.Load(), Retries: c.retries.Load(),
		Up: p.traffic.all.up.Load(), Down: p.traffic.all.down.Load(),
		Fetches: c.fetches.Load(), FetchErrors: c.fetchErrors.Load(), Fetched: c.fetched.Load(),
		Spent: c.spent.Load(), Unknown: c.unknown.Load(), Wasted: c.wasted.Load(),
		Dead: c.dead.Load(), Expired: c.expired.Load(),
	}
	now := p.now()
	for _, a := range p.live.Load().proxies {
		s.InFlight += int(a.inFlight.Load())
		s.Uses += a.uses.Load()
		switch {
		case now.wall >= a.deadlineAt(), !p.member.holds(now):
		case a.until.Load() > int64(now.mono):
			s.Resting++
		default:
			s.Live++
		}
	}
	return s
}

// Address is one proxy of the pool.
type Address struct {
	Proxy    Proxy // with its login; its String has none
	State    State
	Until    time.Time     // when a resting one is tried again, about
	Reason   string        // why it rests: what was found last
	Sessions int           // that live there
	InFlight int           // uses under way
	Uses     uint64        // times it was given out
	Worked   uint64        // uses that worked
	Failed   uint64        // uses that failed
	Latency  time.Duration // until a response, smoothed; 0 is unknown
	Up, Down int64         // bytes
}

// State is what an address can be used for.
type State string

// The states.
const (
	StateLive    State = "live"
	StateResting State = "resting" // out for a while
	StateExpired State = "expired" // near the end of its life: for sessions and leases it has no more
	StateTaken   State = "taken"   // of an exclusive session
)

// Addresses lists the proxies of now, for a page or a table.
func (p *Pool) Addresses() []Address {
	now, at := p.now(), time.Now()
	list := []Address{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.all {
		info := Address{
			Proxy: a.proxy(), State: StateLive, Sessions: int(a.keys.Load()), InFlight: int(a.inFlight.Load()),
			Uses: a.uses.Load(), Worked: a.worked.Load(), Failed: a.failed.Load(),
			Latency: time.Duration(a.latency.Load()), Up: a.up.Load(), Down: a.down.Load(),
		}
		switch until := a.until.Load(); {
		case now.wall >= a.deadlineAt():
			info.State = StateExpired
		case until > int64(now.mono):
			info.State, info.Until, info.Reason = StateResting, at.Add(time.Duration(until-int64(now.mono))), a.record.why()
		case a.owner.Load() != nil:
			info.State = StateTaken
		}
		list = append(list, info)
	}
	return list
}

// why says what the address rests for.
func (r *record) why() string {
	switch {
	case r.refusals > 0:
		return ErrNotAllowed.Error()
	case r.logins > 0:
		return ErrProxyAuth.Error()
	case r.guilty:
		return "fails where others work"
	case r.missed > 0:
		return "not reached, or judged failed"
	}
	return "failed for several targets"
}

// Usage is the traffic of one session or host.
type Usage struct {
	Name     string
	Proxy    string // of a session: host:port
	Up, Down int64  // bytes
}

// Sessions lists the sessions that the pool remembers, most traffic first.
func (p *Pool) Sessions() []Usage {
	list := []Usage{}
	p.sessions.each(func(s *session) {
		name := s.name()
		if home := s.home.Load(); name != "" && home != nil {
			list = append(list, Usage{name, home.String(), s.meter.up.Load(), s.meter.down.Load()})
		}
	})
	return byTraffic(list)
}

// Hosts lists the traffic of target hosts, most first: of the first thousand, and of
// all others under an empty name. Several hosts in one connection (over http:// and
// HTTP/2) count for the one that used it last.
func (p *Pool) Hosts() []Usage {
	list := []Usage{}
	add := func(name string, m *meter) {
		if up, down := m.up.Load(), m.down.Load(); up+down > 0 {
			list = append(list, Usage{Name: name, Up: up, Down: down})
		}
	}
	p.traffic.hosts.Range(func(k, v any) bool { add(k.(string), v.(*meter)); return true })
	add("", &p.traffic.others)
	return byTraffic(list)
}

func byTraffic(list []Usage) []Usage {
	slices.SortFunc(list, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(b.Up+b.Down, a.Up+a.Down), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// meter counts bytes.
type meter struct {
	name     string // of a host
	up, down atomic.Int64
}

func (m *meter) add(up, down int64) {
	if m == nil {
		return
	}
	if up > 0 {
		m.up.Add(up)
	}
	if down > 0 {
		m.down.Add(down)
	}
}

// traffic is what went through all proxies.
type traffic struct {
	all    meter
	begun  atomic.Int64 // bytes when the budget began
	hosts  sync.Map     // name → *meter
	n      atomic.Int64 // of them
	others meter
}

const mostHosts = 1000 // whose traffic is counted

func (t *traffic) host(name string) *meter {
	if m, ok := t.hosts.Load(name); ok {
		return m.(*meter)
	}
	if name == "" || t.n.Load() >= mostHosts {
		return &t.others
	}
	m, had := t.hosts.LoadOrStore(name, &meter{name: name})
	if !had {
		t.n.Add(1)
	}
	return m.(*meter)
}

func (t *traffic) total() int64 { return t.all.up.Load() + t.all.down.Load() }

func (t *traffic) restart() { t.begun.Store(t.total()) }

// overBudget tells that the byte budget is spent.
func (p *Pool) overBudget() bool {
	return p.byteBudget > 0 && p.traffic.total()-p.traffic.begun.Load() >= p.byteBudget
}
