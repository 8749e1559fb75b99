package purchase

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Policy is what a [Buyer] may spend. Amounts are in the API's currency, which it does
// not name; empty amounts and counts of 0 are no limit. Days and months are those of
// Zone, and count what was begun in them: the fee of an order, but the MaxPay of one
// whose fee is not known. Orders that were closed, refunded or not paid in time count
// nothing.
type Policy struct {
	// PaysLater are the IDs of the payment methods that you know to wait for payment:
	// an order is made and can be closed before it costs anything. The API does not say
	// which ones do, so try each once with a cheap order. The balance pays at once.
	PaysLater []int64

	MaxPerOrder proxylite.Decimal // the highest MaxPay of a purchase
	MaxPerDay   proxylite.Decimal
	MaxPerMonth proxylite.Decimal

	MaxIPs       int // IPs of one extraction
	MaxIPsPerDay int

	Zone *time.Location // nil is UTC
}

// Limit is what one purchase may cost.
type Limit struct {
	// MaxPay is the highest fee ([proxylite.Order].PayFee); required. An order that
	// costs more, or whose fee is absent or can't be read, is closed.
	MaxPay proxylite.Decimal
	// AcceptImmediatePayment allows a payment method that is not one of the policy's
	// PaysLater. It may pay at once: then the money is spent, whatever MaxPay says, and
	// Buy returns [ErrPaidAboveLimit].
	AcceptImmediatePayment bool
}

// Errors to branch on with errors.Is. Errors of the API pass through: see
// [proxylite.Error].
var (
	// ErrAboveLimit: the order costs more than MaxPay, or an amount that can't be read.
	// It is closed, or will be by [Buyer.Reconcile] if the state is ClosePending.
	ErrAboveLimit = errors.New("above the limit")
	// ErrPaidAboveLimit: the order costs more than MaxPay and is paid already.
	ErrPaidAboveLimit = errors.New("paid above the limit")
	// ErrClosed: the order of this key was closed, refunded or not paid in time. Buy
	// again with another key.
	ErrClosed = errors.New("order closed")
	// ErrBudget: the purchase does not fit into the [Policy]. Nothing was sent.
	ErrBudget = errors.New("over budget")
	// ErrImmediatePayment: the payment method may pay at once. Nothing was sent.
	ErrImmediatePayment = errors.New("payment method may pay at once")
	// ErrKeyUsed: the key belongs to a purchase of something else. Nothing was sent.
	ErrKeyUsed = errors.New("key used for another purchase")
	// ErrRenewed: another purchase renews the static IP for this term. Nothing was sent.
	ErrRenewed = errors.New("static IP renewed by another purchase")
	// ErrAmbiguous: one or more orders may be this purchase, and it is not certain which.
	// The purchase stays open: see [Buyer.Settle].
	ErrAmbiguous = errors.New("ambiguous outcome")
	// ErrNotMade: the response was lost, and the order did not appear in the list in
	// time. The key can be bought again.
	ErrNotMade = errors.New("order not made")
)

func (p *Policy) validate() error {
	for _, a := range []struct {
		name string
		d    proxylite.Decimal
	}{{"MaxPerOrder", p.MaxPerOrder}, {"MaxPerDay", p.MaxPerDay}, {"MaxPerMonth", p.MaxPerMonth}} {
		if a.d != "" {
			if err := checkAmount("Policy."+a.name, a.d); err != nil {
				return err
			}
		}
	}
	if p.MaxIPs < 0 || p.MaxIPsPerDay < 0 {
		return fmt.Errorf("purchase: Policy.MaxIPs is %d and MaxIPsPerDay %d: they must not be negative", p.MaxIPs, p.MaxIPsPerDay)
	}
	return nil
}

// day and month begin at or before now.
func (p *Policy) day(now time.Time) time.Time { return p.first(now, now.In(p.zone()).Day()) }

func (p *Policy) month(now time.Time) time.Time { return p.first(now, 1) }

// first returns the beginning of a day of this month. Where clocks are set back at
// midnight it comes twice, and [time.Date] may return the second one.
func (p *Policy) first(now time.Time, day int) time.Time {
	now = now.In(p.zone())
	start := time.Date(now.Year(), now.Month(), day, 0, 0, 0, 0, now.Location())
	const step = 15 * time.Minute
	for start.Add(-step).Day() == day {
		start = start.Add(-step)
	}
	return start
}

func (p *Policy) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}

// admits says why an order may not be placed.
func (p *Policy) admits(b *book, o *Opening, limit Limit, now time.Time) error {
	if !limit.AcceptImmediatePayment && !slices.Contains(p.PaysLater, o.PaymentMethod) {
		return fmt.Errorf("purchase: payment method %d: %w: add it to Policy.PaysLater if you know that it waits for payment, or set Limit.AcceptImmediatePayment", o.PaymentMethod, ErrImmediatePayment)
	}
	if p.MaxPerOrder != "" && !within(o.MaxPay, p.MaxPerOrder) {
		return fmt.Errorf("purchase: %w: MaxPay is %s, and an order may cost %s", ErrBudget, o.MaxPay, p.MaxPerOrder)
	}
	pay, _ := amount(o.MaxPay)
	for _, budget := range []struct {
		name  string
		max   proxylite.Decimal
		since time.Time
	}{{"day", p.MaxPerDay, p.day(now)}, {"month", p.MaxPerMonth, p.month(now)}} {
		if budget.max == "" {
			continue
		}
		spent, most := b.money(budget.since), budget.max.Rat()
		if spent.Add(spent, pay).Cmp(most) > 0 {
			return fmt.Errorf("purchase: %w: with MaxPay %s the purchases of this %s may cost %s, and the budget is %s",
				ErrBudget, o.MaxPay, budget.name, shown(spent), budget.max)
		}
	}
	return nil
}

// admitsIPs says why an extraction may not be made.
func (p *Policy) admitsIPs(b *book, quantity int, now time.Time) error {
	if p.MaxIPs > 0 && quantity > p.MaxIPs {
		return fmt.Errorf("purchase: %w: %d IPs, and an extraction may have %d", ErrBudget, quantity, p.MaxIPs)
	}
	if sum := b.extracted(p.day(now)) + quantity; p.MaxIPsPerDay > 0 && sum > p.MaxIPsPerDay {
		return fmt.Errorf("purchase: %w: with %d more, %d IPs would be extracted this day, and the budget is %d", ErrBudget, quantity, sum, p.MaxIPsPerDay)
	}
	return nil
}
