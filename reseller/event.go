package reseller

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/proxylite/proxylite-go"
)

// EventKind is what an [Event] tells.
type EventKind string

// The kinds of event.
const (
	// EventTraffic: an account has used at least Percent of its limit.
	EventTraffic EventKind = "traffic"
	// EventTrafficRecovered: an account is clearly below Percent again, because it has
	// got more traffic or a new period has begun.
	EventTrafficRecovered EventKind = "traffic_recovered"
	// EventExpiry: an account or a plan ends within Before.
	EventExpiry EventKind = "expiry"
	// EventExpiryRecovered: its end is further away again.
	EventExpiryRecovered EventKind = "expiry_recovered"
	// EventStale: the accounts could not be listed for some time, so nothing is known
	// of them.
	EventStale EventKind = "stale"
	// EventFresh: after EventStale, they can be listed again.
	EventFresh EventKind = "fresh"
	// EventDisabled: the watch has disabled an account. About 5 minutes may pass until
	// that has an effect.
	EventDisabled EventKind = "disabled"
	// EventDisableFailed: the watch could not disable an account. It tries again at
	// each look, and tells so once.
	EventDisableFailed EventKind = "disable_failed"
)

// Event is something to tell a person or a program.
type Event struct {
	// ID is the same if an event is delivered again, which happens after a crash or an
	// error. The receiver can drop an ID that it knows.
	ID   string    `json:"id"`
	Kind EventKind `json:"kind"`
	Time time.Time `json:"time"`
	Text string    `json:"text"` // an English sentence

	Account string `json:"account,omitempty"` // without the brand's prefix
	PlanID  int64  `json:"plan_id,omitempty"` // of a purchased plan that expires

	Percent  int               `json:"percent,omitempty"` // the threshold
	Used     proxylite.Traffic `json:"used,omitempty"`    // KB, of what the limit counts
	Limit    proxylite.Traffic `json:"limit,omitempty"`   // KB
	Forecast *Forecast         `json:"forecast,omitempty"`

	Before  time.Duration `json:"before,omitempty"` // the threshold, in nanoseconds
	Expires time.Time     `json:"expires,omitzero"`
}

// eventID is the same for the same event of the same watch.
func eventID(born time.Time, subject string, number int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %d", born.UnixNano(), subject, number))
	return hex.EncodeToString(sum[:16])
}
