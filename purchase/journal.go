package purchase

import (
	"context"
	"errors"
	"time"

	"github.com/proxylite/proxylite-go"
)

// State says what became of a purchase.
type State string

// The states. A purchase begins as Unknown, before anything is sent.
const (
	// NotSent means that nothing was bought: the order was never sent, was refused, or
	// has not appeared in the list in time. The key can be bought again.
	NotSent State = "not sent"
	// Unknown means that the order was or is about to be sent, and that it may exist.
	Unknown State = "unknown"
	// Made means that the order exists, or that IPs were extracted.
	Made State = "made"
	// ClosePending means that the order exists and costs more than its limit, or an
	// amount that can't be read, and is still to be closed.
	ClosePending State = "close pending"
	// Closed means that the order is closed, was not paid in time, or was refunded.
	Closed State = "closed"
)

// Record is an entry of a journal. The first record of a purchase is written before
// the order is sent; each later one repeats what is known by then. A record has no
// credential, coupon code or proxy login in it.
type Record struct {
	// Seq numbers the records of a journal from 1 on. Numbers can be missing in an old
	// journal, but they always rise.
	Seq    int64     `json:"seq"`
	Intent int64     `json:"intent"` // Seq of the purchase's first record
	Time   time.Time `json:"time"`
	State  State     `json:"state"`

	Open  *Opening         `json:"open,omitempty"`  // in the first record only
	Order *proxylite.Order `json:"order,omitempty"` // unless the state is NotSent or Unknown
	IPs   int              `json:"ips,omitempty"`   // of an extraction: how many were returned
	Note  string           `json:"note,omitempty"`  // why, for a person
	// Unseen says that the order did not appear in the list in time. It may still come: then
	// the state is Unknown again, and a person decides.
	Unseen bool `json:"unseen,omitempty"`
}

// Opening is what the first record of a purchase says about it.
type Opening struct {
	Key           string            `json:"key,omitempty"`            // empty for an extraction
	Params        string            `json:"params,omitempty"`         // a hash of all parameters
	ProductID     int64             `json:"product_id,omitempty"`     // 0 for an extraction
	PaymentMethod int64             `json:"payment_method,omitempty"` // its ID
	Quantity      int               `json:"quantity,omitempty"`       // of an extraction: the IPs asked for
	MaxPay        proxylite.Decimal `json:"max_pay,omitempty"`
	Until         time.Time         `json:"until,omitzero"` // when the call has ended at the latest
	// Before has the numbers of the orders of the last two days that were listed before
	// the order was sent, and that of the newest one before these.
	Before []string `json:"before,omitempty"`
	// Renews has the static IPs that the order renews, with the time at which they
	// expired when it was placed.
	Renews map[string]time.Time `json:"renews,omitempty"`
}

// extraction reports whether the purchase is not an order.
func (o *Opening) extraction() bool { return o.ProductID == 0 }

// ErrConflict is returned by [Journal.Append] if another writer was faster.
var ErrConflict = errors.New("purchase: the journal has a newer record")

// Journal keeps the records. Its methods are called by many goroutines.
//
// A [File] serves the buyers of one process. Let buyers on several machines share a
// Journal of your own, on a database: "never twice" then holds for all of them, and
// budgets count all of them. With a file on each machine both hold for each machine
// alone.
type Journal interface {
	// Read returns the records whose Seq is above after, in order.
	Read(ctx context.Context, after int64) ([]Record, error)
	// Append adds a record whose Seq is one above that of the last. For any other Seq it
	// returns ErrConflict and adds nothing: in SQL, an INSERT into a table whose primary
	// key is the Seq. When Append returns nil, the record must survive a crash of the
	// machine. After any other error the record may have been added or not.
	Append(ctx context.Context, r Record) error
}
