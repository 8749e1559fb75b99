package pool

import (
	"sync/atomic"
	"time"
)

type counters struct {
	waiting                               atomic.Int64
	uses                                  atomic.Uint64 // of retired proxies
	worked, failed, retries               atomic.Uint64
	fetches, fetchErrors, fetched         atomic.Uint64
	streak                                atomic.Uint64 // of failures
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

	Fetches     uint64 // calls of the source
	FetchErrors uint64 // those that failed
	Fetched     uint64 // proxies they brought
	Spent       uint64 // proxies paid for, with those of unknown outcome
	Unknown     uint64 // of Spent: nobody knows whether they were paid for
	Wasted      uint64 // paid for, and never used
	Dead        uint64 // proxies taken out for good
	Expired     uint64 // proxies that reached the end of their life
}

// Stats returns the figures of now. It takes no lock.
func (p *Pool) Stats() Stats {
	c := &p.counters
	s := Stats{
		Waiting: int(c.waiting.Load()), Uses: c.uses.Load(),
		Worked: c.worked.Load(), Failed: c.failed.Load(), Retries: c.retries.Load(),
		Fetches: c.fetches.Load(), FetchErrors: c.fetchErrors.Load(), Fetched: c.fetched.Load(),
		Spent: c.spent.Load(), Unknown: c.unknown.Load(), Wasted: c.wasted.Load(),
		Dead: c.dead.Load(), Expired: c.expired.Load(),
	}
	now := time.Now().UnixNano()
	for _, a := range p.live.Load().proxies {
		s.InFlight += int(a.inFlight.Load())
		s.Uses += a.uses.Load()
		switch {
		case now >= a.deadline:
		case a.until.Load() > now:
			s.Resting++
		default:
			s.Live++
		}
	}
	return s
}

// Hooks are called for metrics; each may be nil. They must be quick and safe for
// concurrent use. They may call the pool, but for Close.
type Hooks struct {
	Fetched func(Fetch)      // after a call of the source
	Used    func(Use)        // after each use, failed ones that were repeated too
	Retired func(Retirement) // when a proxy is out for good
	Stopped func(error)      // when the pool has stopped fetching
}

// Fetch describes a call of the source.
type Fetch struct {
	Asked    int
	Got      int
	Spent    int  // proxies it cost; 0 for a free source
	Unknown  bool // Spent is a guess: the outcome is not known
	Duration time.Duration
	Err      error
}

// Use describes one use of a proxy.
type Use struct {
	Proxy    string // host:port
	Host     string // of the target, where it is known
	Verdict  Verdict
	Duration time.Duration // until the verdict
	Err      error
}

// Retirement describes the end of a proxy in the pool.
type Retirement struct {
	Proxy  string // host:port
	Reason Reason
	Uses   uint64
}

// Reason is why a proxy was retired, fit for a metric's label.
type Reason string

// The reasons.
const (
	ReasonExpired Reason = "expired" // its life, less the margin, is over
	ReasonDead    Reason = "dead"    // refused the login, said so itself, or judged so
	ReasonFailed  Reason = "failed"  // three failures in a row while others worked
	ReasonClosed  Reason = "closed"  // the pool was closed
)
