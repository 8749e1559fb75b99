package pool

import "time"

// Hooks are called for metrics; each may be nil. They must be quick and safe for
// concurrent use. They may call the pool, but for Close.
type Hooks struct {
	Fetched func(Fetch)      // after a call of the source
	Used    func(Use)        // after each use, failed ones that were repeated too
	Moved   func(Move)       // when a session has another proxy
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
	Target   string // the same with its port
	Session  string // of [WithSession]
	Verdict  Verdict
	Duration time.Duration // until the verdict
	Err      error
}

// Move describes a session that has another proxy.
type Move struct {
	Session  string
	From, To string // host:port
}

// Retirement describes the end of a proxy in the pool.
type Retirement struct {
	Proxy    string // host:port
	Reason   Reason
	Uses     uint64
	Up, Down int64 // bytes
}

// Reason is why a proxy was retired, fit for a metric's label.
type Reason string

// The reasons.
const (
	ReasonExpired Reason = "expired" // its life, less the margin, is over; told when the pool next fetches
	ReasonDead    Reason = "dead"    // refused the login, said so itself, or judged so
	ReasonFailed  Reason = "failed"  // fails where others work
	ReasonUsedUp  Reason = "used up" // had its uses, or was dropped by the caller
	ReasonClosed  Reason = "closed"  // the pool was closed
	ReasonLost    Reason = "lost"    // the store of WithStore has given it to others, or forgotten it
)

// allHooks are the hooks of all calls of WithHooks.
type allHooks struct {
	list     []Hooks
	wantUsed bool
}

func call[T any](list []Hooks, hook func(Hooks) func(T), v T) {
	for _, h := range list {
		if f := hook(h); f != nil {
			f(v)
		}
	}
}

func (h *allHooks) fetched(v Fetch) { call(h.list, func(h Hooks) func(Fetch) { return h.Fetched }, v) }
func (h *allHooks) used(v Use)      { call(h.list, func(h Hooks) func(Use) { return h.Used }, v) }
func (h *allHooks) moved(v Move)    { call(h.list, func(h Hooks) func(Move) { return h.Moved }, v) }
func (h *allHooks) retired(v Retirement) {
	call(h.list, func(h Hooks) func(Retirement) { return h.Retired }, v)
}

func (h *allHooks) stopped(v error) { call(h.list, func(h Hooks) func(error) { return h.Stopped }, v) }
