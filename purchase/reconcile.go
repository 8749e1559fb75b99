package purchase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Reconcile finds out what became of the purchases that are not settled, and returns
// them as they are now: it looks once for orders whose outcome is unknown, closes those
// that wait to be closed, and notes which orders were paid, cancelled or refunded. Call
// it when the program starts, and from time to time.
//
// A purchase whose state is still Unknown is ambiguous if it has Candidates: see
// [Buyer.Settle]. Without any, its order may yet appear in the list: call Reconcile
// again, or Buy with the same key, which waits for it. The error is of calls and of the
// journal; a purchase that is not settled yet is no error.
//
// For two days Reconcile also looks for orders that appear after their purchase counted
// as not made. Such a purchase is Unknown again, with Candidates. If its key has been
// bought again in the meantime it stays NotSent, and the Candidates are orders that may
// be one too many: look at them in the dashboard.
//
// It calls Orders.All once, and Orders.Close and Orders.All for each order to close.
func (b *Buyer) Reconcile(ctx context.Context) ([]Purchase, error) {
	var todo []intent
	at := time.Now()
	since := at
	b.mu.Lock()
	err := b.sync(ctx)
	for _, i := range b.book.intents {
		if i.unsettled(at) {
			todo = append(todo, *i)
			if i.opened.Before(since) {
				since = i.opened
			}
		}
	}
	b.mu.Unlock()
	if err != nil || len(todo) == 0 {
		return []Purchase{}, err
	}
	at = time.Now()
	listed, err := b.list(ctx, since.Add(-2*lookBack))
	if err != nil {
		return nil, err
	}
	all := []Purchase{}
	var failed []error
	for _, i := range todo {
		p, err := b.judge(ctx, i.seq, listed, at)
		if p.State == ClosePending && err == nil {
			p, err = b.close(ctx, i.seq, p.Order)
		}
		failed = append(failed, err)
		if i.state != NotSent || len(p.Candidates) > 0 {
			all = append(all, p)
		}
	}
	return all, errors.Join(failed...)
}

// look finds out what became of one purchase, and waits until that is certain.
func (b *Buyer) look(ctx context.Context, seq int64) (Purchase, error) {
	for wait := b.listDelay / 8; ; wait *= 2 {
		b.mu.Lock()
		i := *b.book.bySeq[seq]
		flying := b.flying[seq]
		b.mu.Unlock()
		p, at := i.purchase(), time.Now()
		var err error
		if !flying {
			var listed []proxylite.Order
			if i.state == Unknown {
				listed, err = b.list(ctx, i.opened.Add(-2*lookBack))
			}
			if err == nil {
				p, err = b.judge(ctx, seq, listed, at)
			}
			if err != nil {
				return i.purchase(), fmt.Errorf("purchase: key %q: %w: %w", i.Key, proxylite.ErrOutcomeUnknown, err)
			}
			late := at.After(i.ends.Add(b.listDelay))
			if p.State != Unknown || late && len(p.Candidates) > 0 {
				return b.finish(ctx, seq, p)
			}
		}
		left := time.Until(i.ends.Add(b.listDelay))
		timer := time.NewTimer(max(min(wait, left), 0) + time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			why := ctx.Err()
			if cause := context.Cause(ctx); cause != why {
				why = fmt.Errorf("%w: %w", why, cause)
			}
			return p, fmt.Errorf("purchase: key %q: %w: no certainty in time: %w", i.Key, proxylite.ErrOutcomeUnknown, why)
		}
	}
}

// finish returns the result of a purchase that was judged, and closes its order if it
// must.
func (b *Buyer) finish(ctx context.Context, seq int64, p Purchase) (Purchase, error) {
	switch p.State {
	case NotSent:
		return p, fmt.Errorf("purchase: key %q: %w", p.Key, ErrNotMade)
	case Unknown:
		return p, fmt.Errorf("purchase: key %q: %w: %w: %d orders may be it", p.Key, proxylite.ErrOutcomeUnknown, ErrAmbiguous, len(p.Candidates))
	case ClosePending:
		var failed error
		p, failed = b.close(ctx, seq, p.Order)
		return p, errors.Join(p.err(), failed)
	default:
		return p, p.err()
	}
}

// judge compares a purchase with the orders that were listed at a time, and writes what
// that proves.
func (b *Buyer) judge(ctx context.Context, seq int64, listed []proxylite.Order, at time.Time) (Purchase, error) {
	var candidates []proxylite.Order
	p, err := b.settle(ctx, seq, func(i *intent) (*Record, error) {
		switch {
		case i.state == Made && !settled(i.order.Status):
			for _, o := range listed {
				if o.TradeNo == i.order.TradeNo && settled(o.Status) {
					return &Record{State: i.verdict(o), Order: &o, Note: "is " + o.Status.String()}, nil
				}
			}
		case i.state == Unknown && !b.flying[seq]:
			r, all, err := b.prove(i, listed, at)
			candidates = all
			return r, err
		default:
			candidates = b.book.late(i, listed)
			if len(candidates) > 0 && b.book.byKey[i.Key] == i {
				return i.reopen(), nil
			}
		}
		return nil, nil //nolint:nilnil // nothing is proved
	})
	p.Candidates = candidates
	return p, err
}

// prove compares a purchase whose outcome is unknown with the orders that were listed at
// a time. r is nil if that proves nothing: then the purchase may be one of all.
func (b *Buyer) prove(i *intent, listed []proxylite.Order, at time.Time) (r *Record, all []proxylite.Order, err error) {
	if err := i.whole(listed); err != nil {
		return nil, nil, err
	}
	all, found := b.book.candidates(i, listed)
	switch {
	case found != nil && !i.unseen: // one that came late is for a person
		return &Record{State: i.verdict(*found), Order: found, Note: "found in the list of orders"}, nil, nil
	case len(all) == 0 && at.After(i.ends.Add(b.listDelay)):
		return &Record{State: NotSent, Unseen: true, Note: "did not appear in the list of orders"}, nil, nil
	}
	return nil, all, nil
}

// verdict is the state of a purchase with this order.
func (i *intent) verdict(o proxylite.Order) State {
	switch {
	case gone(o.Status):
		return Closed
	case o.Status == proxylite.OrderPaid || within(o.PayFee, i.MaxPay):
		return Made
	}
	return ClosePending
}

// made writes the order that the API returned for a purchase. It overrides what others
// may have found in the list.
func (b *Buyer) made(ctx context.Context, seq int64, order proxylite.Order) (Purchase, error) {
	p, err := b.settle(ctx, seq, func(i *intent) (*Record, error) {
		if i.order.TradeNo == order.TradeNo {
			return nil, nil //nolint:nilnil // it is known already
		}
		return &Record{State: i.verdict(order), Order: &order}, nil
	})
	if err != nil {
		if p.State == ClosePending { // the money matters more than the books
			err = errors.Join(err, b.client.Orders.Close(ctx, order.TradeNo))
		}
		return p, err
	}
	return b.finish(ctx, seq, p)
}

// close closes an order, and trusts no more than what the list then says about it.
func (b *Buyer) close(ctx context.Context, seq int64, order proxylite.Order) (Purchase, error) {
	closeErr := b.client.Orders.Close(ctx, order.TradeNo)
	now, lookErr := b.find(ctx, order.TradeNo)
	p, err := b.settle(ctx, seq, func(i *intent) (*Record, error) {
		if i.state != ClosePending || !settled(now.Status) {
			return nil, nil //nolint:nilnil // nothing has changed
		}
		o := i.order // with the fee that it is closed for
		o.Status = now.Status
		return &Record{State: i.verdict(o), Order: &o, Note: "costs more than its limit; is " + o.Status.String()}, nil
	})
	if p.State != ClosePending {
		closeErr, lookErr = nil, nil
	}
	return p, errors.Join(closeErr, lookErr, err)
}

// find returns the order with a number.
func (b *Buyer) find(ctx context.Context, tradeNo string) (proxylite.Order, error) {
	for o, err := range b.client.Orders.All(ctx, proxylite.OrderListParams{TradeNo: tradeNo}) {
		if err != nil {
			return proxylite.Order{Status: proxylite.OrderStatusAbsent}, err
		}
		if o.TradeNo == tradeNo {
			return o, nil
		}
	}
	return proxylite.Order{Status: proxylite.OrderStatusAbsent}, fmt.Errorf("purchase: order %s is not in the list", tradeNo)
}

// Settle decides a purchase whose outcome is unknown, as a person would after looking at
// the dashboard: tradeNo is the number of its order, or empty if there is none, and then
// the key can be bought again. It returns what Buy would have returned for the order,
// and closes it if it costs too much.
func (b *Buyer) Settle(ctx context.Context, key, tradeNo string) (Purchase, error) {
	i, err := b.get(ctx, key)
	if err != nil {
		return Purchase{}, err
	}
	if i == nil {
		return Purchase{}, fmt.Errorf("purchase: there is no purchase with the key %q", key)
	}
	record := Record{State: NotSent, Note: "settled by hand"}
	if tradeNo != "" {
		o, err := b.find(ctx, tradeNo)
		if err != nil {
			return i.purchase(), err
		}
		record.State, record.Order = i.verdict(o), &o
	}
	p, err := b.settle(ctx, i.seq, func(i *intent) (*Record, error) {
		if i.state != Unknown || b.flying[i.seq] {
			return nil, fmt.Errorf("purchase: key %q is not to be settled: it is %s", key, i.state)
		}
		if other := b.book.owner(tradeNo); other != nil {
			return nil, fmt.Errorf("purchase: order %s is that of the key %q", tradeNo, other.Key)
		}
		return new(record), nil
	})
	if err != nil || p.State == NotSent {
		return p, err
	}
	return b.finish(ctx, i.seq, p)
}
