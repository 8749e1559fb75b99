package pool

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Store is what several pools share: the stock of proxies that are paid for and
// used by nobody, the claims of each pool on those it uses, the right to fetch, and
// the ledger of what was spent. [NewMemoryStore] is one for the pools of a process;
// the module pool/redisstore has one for many machines. Package pool/storetest tests
// a store of your own.
//
// A claim belongs to a [Member] and ends with the member's lease, which Sync renews.
// Until then nobody else gets the proxy. A pool stops using a proxy before its claim
// ends, and never asks the store when it picks, so a store may be far away.
//
// Each method is atomic. All times are relative: no clock is compared with another
// one. A pool makes one call at a time for its member. After any error it does not
// know what happened, and calls Sync with Full next. Its context has a deadline, and
// a call must not take effect much later than that.
type Store interface {
	// Sync renews the lease of the member, applies what it reports, and tells which
	// of its claims are lost. A member that is not known joins with a full report.
	Sync(ctx context.Context, m Member, r Report) (Standing, error)
	// Claim takes proxies out of the stock. If there are too few, it may grant the
	// right to fetch the rest, which one member has at a time.
	Claim(ctx context.Context, m Member, w Want) (Claim, error)
	// Deposit ends a grant: it settles the booking with what was spent and adds what
	// was fetched to the stock. Repeating it changes nothing. If the grant has ended
	// before, it does the same and returns ErrFenced.
	Deposit(ctx context.Context, m Member, g Grant, spent int, got []Holding) error
}

// Member is one life of one pool.
type Member struct {
	// Namespace is the stock it shares: pools with the same one must have the same
	// source. See WithNamespace.
	Namespace string
	// ID is random and never used again.
	ID string
	// Epoch is that of the last Standing, 0 before the first.
	Epoch int64
}

// Forever is the life of a proxy without a known end.
const Forever = time.Duration(math.MaxInt64)

// Holding is a proxy in a store.
type Holding struct {
	// ID tells proxies apart. In Deposit it is the pool's; in what Claim returns it is
	// the store's, which the pool gives back in reports.
	ID       string
	Endpoint proxylite.Endpoint // with its login
	Left     time.Duration      // until the end of its life, or Forever
}

// GoString keeps the login out of %#v.
func (h Holding) GoString() string { return "pool.Holding(" + h.Endpoint.Addr() + ")" }

// Report is what a member tells the store.
type Report struct {
	// Full means that Held is all that the member claims: what the store has beyond
	// that goes back to the stock. Without it Held is empty.
	Full bool
	// Alive means that the member's lease had not ended when it sent this. After the
	// store has lost data, only such a list is believed.
	Alive bool
	Held  []Holding
	// Drop lists claims that are given up.
	Drop []Drop
	// Pins are sessions that have a new home: key to ID, or "" if the session ended.
	Pins map[string]string
	// Bookings is what the member has spent, for a ledger that was lost; only with Full.
	Bookings []Booking
}

// Drop gives up a claim.
type Drop struct {
	ID string
	// Retired means that nobody is to use the proxy any more. Otherwise it goes back
	// to the stock.
	Retired bool
	// For is how long a retired proxy is refused when a source delivers it again.
	For time.Duration
	// MinLeft is for one that is not retired: with less life left it is forgotten.
	MinLeft time.Duration
}

// Booking is what one grant has cost.
type Booking struct {
	Token string
	N     int
	Ago   time.Duration
	Per   time.Duration // of the Want
}

// Standing is what the store tells a member.
type Standing struct {
	// Epoch changes when the store has lost data. It is never 0.
	Epoch int64
	// TTL is how long the lease lasts from when the call was sent; 0 means for good.
	TTL time.Duration
	// Lost are claims of the report, or of before, that the member does not have.
	Lost []string
}

// Want is what a member asks for.
type Want struct {
	// N is how many proxies, with at least MinLeft to live.
	N       int
	MinLeft time.Duration
	// Ask is how many may be fetched at once to make up the rest; 0 means none.
	Ask int
	// Limit is the most that all may spend in any interval Per; 0 means that nothing
	// is booked.
	Limit int
	Per   time.Duration
	// Sessions are keys whose pinned proxies are claimed, too, if they are in stock.
	Sessions []string
}

// Claim is what a member got.
type Claim struct {
	// Got are the proxies, those that live longest first.
	Got []Holding
	// Homes are the sessions of the Want whose proxies the member has: key to ID.
	Homes map[string]string
	// Grant is the right to fetch, if not nil.
	Grant *Grant
	// If Got is too few and there is no Grant, Again is when to ask again and Why says
	// what it waits for.
	Again time.Duration
	Why   Wait
}

// Wait is what a member waits for.
type Wait string

// What a member may wait for.
const (
	WaitFetch Wait = "fetch" // another member is fetching
	WaitQuota Wait = "quota" // the limit is reached
	WaitHold  Wait = "hold"  // the store is new or has lost data: claims that it does not know may be alive
)

// Grant is the right to fetch. At most N proxies are to be asked for, before Left has
// passed. They are booked. What is never settled counts as spent.
type Grant struct {
	Token string
	N     int
	Left  time.Duration // from when the Claim was sent
	Per   time.Duration // of the Want
}

// The errors of a store, with errors.Is. A pool takes any other error for a store that
// was not reached: it uses what it has until its claims end, and buys nothing.
var (
	// ErrRejoin: the store does not know the member's epoch: a full Sync is due.
	ErrRejoin = errors.New("store does not know this member: it must sync in full")
	// ErrFenced: the grant had ended before the deposit. The proxies were added.
	ErrFenced = errors.New("the right to fetch had ended before the deposit")
	// ErrStoreConfig: the store is used with another configuration by others. The pool
	// stops.
	ErrStoreConfig = errors.New("store is used with another configuration")
	// ErrStore: the store of the pool failed. It is in the chain of what the pool
	// returns and reports, with the store's own error beside it.
	ErrStore = errors.New("store of the pool failed")
)
