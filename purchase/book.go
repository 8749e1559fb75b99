package purchase

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// book is what the records of a journal add up to.
type book struct {
	margin  time.Duration // by how much clocks may differ
	seq     int64         // of the last record
	intents []*intent
	bySeq   map[int64]*intent
	byKey   map[string]*intent // the last one of each key
	learned map[int64]int64    // the product that orders of a pid were seen to name
}

// intent is a purchase as the records tell it.
type intent struct {
	Opening
	seq    int64
	opened time.Time
	state  State
	order  proxylite.Order
	ips    int
	note   string
	unseen bool // see Record.Unseen
	// ends is when the call has ended at the latest. It is measured from when this buyer
	// read the record, on the clock that nobody sets.
	ends time.Time
}

func (b *book) apply(r Record) {
	if b.bySeq == nil {
		b.bySeq, b.byKey, b.learned = map[int64]*intent{}, map[string]*intent{}, map[int64]int64{}
	}
	b.seq = r.Seq
	i := b.bySeq[r.Intent]
	switch {
	case r.Open != nil:
		i = &intent{Opening: *r.Open, seq: r.Seq, opened: r.Time, ips: r.Open.Quantity}
		b.intents = append(b.intents, i)
		b.bySeq[r.Seq] = i
		if i.Key != "" {
			b.byKey[i.Key] = i
		}
	case i == nil: // its first record is no longer kept
		return
	case r.State == Unknown: // the call had ended by then
		if r.Time.Before(i.Until) {
			i.Until = r.Time
		}
	default:
		i.ips = r.IPs
	}
	if r.State == Unknown {
		// The clocks of two machines, or of one before and after it was set, are compared
		// only as far as the margin allows.
		now := time.Now()
		i.ends = now.Add(min(i.Until.Sub(r.Time), i.Until.Sub(now)+b.margin))
	}
	i.state, i.note, i.unseen = r.State, cmp.Or(r.Note, i.note), r.Unseen
	if r.Order != nil {
		i.order = *r.Order
		if i.order.ProductID != 0 {
			b.learned[i.ProductID] = i.order.ProductID
		}
	}
}

// open reports whether an order of the purchase may exist that is not known yet.
func (i *intent) open() bool { return i.state == Unknown && !i.extraction() }

// unsettled reports whether the list of orders can tell more about the purchase.
func (i *intent) unsettled(now time.Time) bool {
	switch i.state {
	case Made:
		return !i.extraction() && !settled(i.order.Status)
	case NotSent:
		return i.unseen && now.Sub(i.opened) < lookBack
	case Unknown, ClosePending:
		return !i.extraction()
	default:
		return false
	}
}

// owner returns the purchase that an order belongs to, nil if none.
func (b *book) owner(tradeNo string) *intent {
	for _, i := range b.intents {
		if i.order.TradeNo == tradeNo && tradeNo != "" && i.state != Unknown {
			return i
		}
	}
	return nil
}

// lookBack is how far from the time of a call the order that it made may be dated,
// whatever is wrong with clocks and time zones.
const lookBack = 48 * time.Hour

// fit says how an order fits a purchase.
type fit int

const (
	no       fit = iota
	possible     // it can't be ruled out
	likely       // right product, right time
)

// fits judges an order that belongs to no purchase yet.
func (b *book) fits(i *intent, o proxylite.Order) fit {
	if slices.Contains(i.Before, orderKey(o)) {
		return no
	}
	from, to := i.opened, i.Until
	if at := o.CreatedAt; !at.IsZero() && (at.Before(from.Add(-lookBack)) || at.After(to.Add(lookBack))) {
		return no
	}
	product, known := b.learned[i.ProductID]
	if !known {
		product = i.ProductID
	}
	switch {
	case o.ProductID == product && o.TradeNo != "" && !o.CreatedAt.Before(from.Add(-b.margin)) && !o.CreatedAt.After(to.Add(b.margin)):
		return likely
	case o.ProductID == product, o.ProductID == 0, !known && !b.names(o.ProductID):
		return possible // an order might name its product by another number than its pid
	}
	return no
}

// names reports whether a product is one that the journal has bought or tried to.
func (b *book) names(product int64) bool {
	return slices.ContainsFunc(b.intents, func(i *intent) bool {
		return !i.extraction() && (i.ProductID == product || i.order.ProductID == product)
	})
}

// orderKey is what an order is known by among those listed before.
func orderKey(o proxylite.Order) string {
	if o.TradeNo == "" {
		return "id " + big.NewInt(o.ID).String()
	}
	return o.TradeNo
}

// whole says what a list lacks that it had before the purchase.
func (i *intent) whole(listed []proxylite.Order) error {
	there := make(map[string]bool, len(listed))
	for _, o := range listed {
		there[orderKey(o)] = true
	}
	for _, before := range i.Before {
		if !there[before] {
			return fmt.Errorf("purchase: the list of orders lacks %s, which it had before the purchase: it may lack others", before)
		}
	}
	return nil
}

// candidates returns the orders that the purchase may have made. found is the one that
// it has made, nil if that is not certain enough.
func (b *book) candidates(i *intent, listed []proxylite.Order) (all []proxylite.Order, found *proxylite.Order) {
	count := 0
	for _, o := range listed {
		how := b.fits(i, o)
		if how == no || b.owner(o.TradeNo) != nil {
			continue
		}
		all = append(all, o)
		if how == likely {
			count++
			found = new(o)
		}
	}
	if count != 1 {
		return all, nil
	}
	for _, other := range b.intents {
		if other != i && other.open() && b.fits(other, *found) != no {
			return all, nil
		}
	}
	return all, found
}

// late returns the orders that may be a purchase whose order did not appear in time.
func (b *book) late(i *intent, listed []proxylite.Order) (all []proxylite.Order) {
	if i.state != NotSent || !i.unseen {
		return nil
	}
	for _, o := range listed {
		if b.fits(i, o) == likely && b.owner(o.TradeNo) == nil {
			all = append(all, o)
		}
	}
	return all
}

// money returns what purchases cost that were begun since then: their fee, and the
// limit of those whose fee is not known.
func (b *book) money(since time.Time) *big.Rat {
	sum := new(big.Rat)
	for _, i := range b.intents {
		if i.extraction() || i.opened.Before(since) {
			continue
		}
		limit, _ := amount(i.MaxPay)
		fee, readable := amount(i.order.PayFee)
		switch i.state {
		case Made, ClosePending:
			if !readable {
				fee = limit
			}
			sum.Add(sum, fee)
		case Unknown:
			sum.Add(sum, limit)
		}
	}
	return sum
}

// extracted returns how many IPs extractions cost that were begun since then. One that
// was refused counts 0.
func (b *book) extracted(since time.Time) int {
	sum := 0
	for _, i := range b.intents {
		if i.extraction() && !i.opened.Before(since) {
			sum += i.ips
		}
	}
	return sum
}

// renewed returns the purchase that renews a static IP for the term that ends then, nil
// if there is none.
func (b *book) renewed(id string, expires time.Time) *intent {
	for _, i := range b.intents {
		end, ok := i.Renews[id]
		if ok && i.state != NotSent && i.state != Closed && expires.Before(end.Add(sameTerm)) {
			return i
		}
	}
	return nil
}

// sameTerm is more than the time of an expiry may move without a renewal, and less than
// the shortest term.
const sameTerm = 12 * time.Hour
