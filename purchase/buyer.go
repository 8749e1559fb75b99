package purchase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Buyer buys within a policy, and writes each purchase to a journal before it sends it.
// It is safe for concurrent use.
type Buyer struct {
	client  *proxylite.Client
	journal Journal
	policy  Policy

	sendTimeout time.Duration
	listDelay   time.Duration
	newestFirst bool

	mu     sync.Mutex
	book   book
	flying map[int64]bool // purchases that a goroutine of this buyer is sending
}

// Option configures a [Buyer].
type Option func(*Buyer)

// WithListDelay sets how long after the end of the call the API may take to place the
// order and to list it: a request that a proxy holds back can arrive when its client has
// given up. Only when this time has passed, an order that is not listed counts as not
// made. The default is 2 minutes, which is our choice: the vendor documents none.
func WithListDelay(d time.Duration) Option { return func(b *Buyer) { b.listDelay = d } }

// WithClockMargin sets by how much clocks may differ: the vendor's, those of the machines
// that share the journal, and one machine's before and after a restart. The default is 5
// minutes.
func WithClockMargin(d time.Duration) Option { return func(b *Buyer) { b.book.margin = d } }

// WithSendTimeout sets the longest time for placing an order, retries of what was not
// sent included. The default is 1 minute. After a crash the order counts as under way
// for this time.
func WithSendTimeout(d time.Duration) Option { return func(b *Buyer) { b.sendTimeout = d } }

// WithNewestFirst says that the API lists the newest orders first, so that the buyer
// need not read the whole list for each purchase. The vendor does not document the order
// of the list: look at yours before you use this.
func WithNewestFirst() Option { return func(b *Buyer) { b.newestFirst = true } }

// New returns a buyer. Call [Buyer.Reconcile] before the first purchase.
func New(client *proxylite.Client, journal Journal, policy Policy, opts ...Option) (*Buyer, error) {
	if client == nil || journal == nil {
		return nil, errors.New("purchase: New needs a client and a journal")
	}
	if err := policy.validate(); err != nil {
		return nil, err
	}
	b := &Buyer{
		client: client, journal: journal, policy: policy, flying: map[int64]bool{},
		sendTimeout: time.Minute, listDelay: 2 * time.Minute, book: book{margin: 5 * time.Minute},
	}
	for _, opt := range opts {
		opt(b)
	}
	if b.sendTimeout <= 0 || b.listDelay < 0 || b.book.margin < 0 || b.book.margin > lookBack {
		return nil, fmt.Errorf("purchase: the send timeout %s must be positive, the list delay %s not negative, and the clock margin %s from 0 to %s",
			b.sendTimeout, b.listDelay, b.book.margin, lookBack)
	}
	return b, nil
}

// Purchase is an order that was or may have been placed.
type Purchase struct {
	Key       string
	ProductID int64
	State     State
	Order     proxylite.Order // as last seen; zero if the state is NotSent or Unknown
	MaxPay    proxylite.Decimal
	Begun     time.Time
	Note      string // why the state is what it is, for a person
	// Renews has the static IPs that the order renews, with their expiry before it.
	Renews map[string]time.Time
	// Candidates are orders of which one may be this purchase, if the outcome is
	// ambiguous. It is set by Buy and Reconcile, as far as they looked.
	Candidates []proxylite.Order
}

func (i *intent) purchase() Purchase {
	return Purchase{
		Key: i.Key, ProductID: i.ProductID, State: i.state, Order: i.order, MaxPay: i.MaxPay,
		Begun: i.opened, Note: i.note, Renews: i.Renews,
	}
}

// String describes the purchase in a line.
func (p Purchase) String() string {
	s := fmt.Sprintf("purchase %q: %s", p.Key, p.State)
	if p.Order.TradeNo != "" {
		s += ", " + p.Order.String()
	}
	if len(p.Candidates) > 0 {
		s += fmt.Sprintf(", may be one of %d orders", len(p.Candidates))
	}
	return s
}

// err is what is wrong with a purchase that has an order.
func (p Purchase) err() error {
	above := !within(p.Order.PayFee, p.MaxPay)
	switch {
	case p.State == Made && above:
		return fmt.Errorf("purchase: key %q: %w %s: %s", p.Key, ErrPaidAboveLimit, p.MaxPay, p.Order)
	case p.State != Made && above:
		return fmt.Errorf("purchase: key %q: %w %s: %s", p.Key, ErrAboveLimit, p.MaxPay, p.Order)
	case p.State == Closed:
		return fmt.Errorf("purchase: key %q: %w: %s", p.Key, ErrClosed, p.Order)
	}
	return nil
}

// settled reports whether an order can no longer be closed.
func settled(s proxylite.OrderStatus) bool {
	return s == proxylite.OrderPaid || gone(s)
}

// gone reports whether nothing is owed for an order.
func gone(s proxylite.OrderStatus) bool {
	return s == proxylite.OrderCancelled || s == proxylite.OrderRefunded
}

// Buy places an order, unless the key was bought before, and returns it. An order that
// costs more than the limit is closed: then the error is [ErrAboveLimit].
//
// The key names the purchase, in at most 200 bytes. With the key of an earlier purchase
// Buy sends no second order: it returns what became of that one, and first finds it out
// if that is not known. A key can be bought again if the state was NotSent.
//
// After an unknown outcome Buy looks for the order until the outcome is certain or ctx
// ends; with the default options that takes up to 3 minutes. An error for which
// errors.Is(err, [proxylite.ErrOutcomeUnknown]) is true leaves the purchase open: call
// Buy with the same key again, or [Buyer.Reconcile]. With [ErrAmbiguous] look at
// Purchase.Candidates, and call [Buyer.Settle].
//
// It calls Orders.All before, Orders.Create once, and Orders.Close and Orders.All as far
// as it must.
func (b *Buyer) Buy(ctx context.Context, key string, params proxylite.OrderCreateParams, limit Limit) (Purchase, error) {
	return b.buy(ctx, key, params, limit, nil)
}

func (b *Buyer) buy(ctx context.Context, key string, params proxylite.OrderCreateParams, limit Limit, renews map[string]time.Time) (Purchase, error) {
	if key == "" || len(key) > 200 {
		return Purchase{}, fmt.Errorf("purchase: the key has %d bytes: it must have from 1 to 200", len(key))
	}
	if err := errors.Join(params.Validate(), checkAmount("Limit.MaxPay", limit.MaxPay)); err != nil {
		return Purchase{}, err
	}
	hash, err := fingerprint(params)
	if err != nil {
		return Purchase{}, err
	}
	open := Opening{
		Key: key, Params: hash, ProductID: params.ProductID, PaymentMethod: *params.PaymentMethodID,
		Quantity: params.Quantity, MaxPay: limit.MaxPay, Renews: renews,
	}
	for {
		i, err := b.get(ctx, key)
		if err != nil {
			return Purchase{}, err
		}
		if i != nil && i.state != NotSent {
			if i.Params != open.Params {
				return i.purchase(), fmt.Errorf("purchase: key %q: %w at %s: its parameters are others", key, ErrKeyUsed, i.opened.Format(time.DateTime))
			}
			p, err := b.resume(ctx, i)
			if !errors.Is(err, ErrNotMade) {
				return p, err
			}
			continue // the key can be bought again
		}
		seq, deadline, err := b.open(ctx, open, limit)
		if errors.Is(err, errOpened) {
			continue
		}
		if err != nil {
			return Purchase{}, err
		}
		return b.send(ctx, seq, deadline, params)
	}
}

// get returns a copy of the last purchase with the key, nil if there is none.
func (b *Buyer) get(ctx context.Context, key string) (*intent, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.sync(ctx); err != nil {
		return nil, err
	}
	if i := b.book.byKey[key]; i != nil {
		return new(*i), nil
	}
	return nil, nil //nolint:nilnil // none is no error
}

// fingerprint is a hash of the parameters that are set, so that it stays the same when a
// later version has more of them.
func fingerprint(params proxylite.OrderCreateParams) (string, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return "", err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return "", err
	}
	maps.DeleteFunc(fields, func(_ string, value json.RawMessage) bool {
		return slices.Contains([]string{"0", `""`, "null", "[]"}, string(value))
	})
	if text, err = json.Marshal(fields); err != nil { // in the order of the names
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// resume returns what became of an earlier purchase.
func (b *Buyer) resume(ctx context.Context, i *intent) (Purchase, error) {
	if i.state == Unknown {
		return b.look(ctx, i.seq)
	}
	return b.finish(ctx, i.seq, i.purchase())
}

// errOpened says that the key was opened by somebody else in the meantime.
var errOpened = errors.New("purchase: the key is being bought")

// open writes the first record of a purchase. All that could forbid it is checked
// against the very journal that the record is added to. Other buyers count on it that
// nothing is sent after the deadline.
func (b *Buyer) open(ctx context.Context, open Opening, limit Limit) (seq int64, deadline time.Time, err error) {
	if err := b.policy.admits(&book{}, &open, limit, time.Now()); err != nil {
		return 0, deadline, err // before the list is read
	}
	listed, err := b.list(ctx, time.Now().Add(-lookBack))
	if err != nil {
		return 0, deadline, fmt.Errorf("purchase: nothing was sent, as the orders before it can't be listed: %w", err)
	}
	for _, o := range listed {
		open.Before = append(open.Before, orderKey(o))
	}
	reopened := false
	seq, err = b.write(ctx, func(now time.Time) (*Record, error) {
		if i := b.book.byKey[open.Key]; i != nil {
			if i.state != NotSent {
				return nil, errOpened
			}
			if reopened = len(b.book.late(i, listed)) > 0; reopened {
				return i.reopen(), nil
			}
		}
		for id, expires := range open.Renews {
			if i := b.book.renewed(id, expires); i != nil {
				return nil, fmt.Errorf("purchase: static IP %s: %w %q", id, ErrRenewed, i.Key)
			}
		}
		if err := b.policy.admits(&b.book, &open, limit, now); err != nil {
			return nil, err
		}
		deadline = time.Now().Add(b.sendTimeout)
		open.Until = now.Add(b.sendTimeout)
		b.flying[b.book.seq+1] = true
		return &Record{State: Unknown, Open: &open}, nil
	})
	if err == nil && reopened {
		err = errOpened
	}
	return seq, deadline, err
}

// reopen is the record of a purchase whose order may have appeared late.
func (i *intent) reopen() *Record {
	return &Record{Intent: i.seq, State: Unknown, Unseen: true, Note: "an order appeared late that may be it"}
}

// list returns the orders created since then, those that don't say when, and the newest
// one of the others.
func (b *Buyer) list(ctx context.Context, since time.Time) ([]proxylite.Order, error) {
	var listed []proxylite.Order
	var older proxylite.Order
	var raw proxylite.RawResponse
	page := proxylite.OrderListParams{PageParams: proxylite.PageParams{Size: 100}}
	for o, err := range b.client.Orders.All(ctx, page, proxylite.CallRaw(&raw)) {
		if err != nil {
			return nil, err
		}
		switch {
		case o.CreatedAt.IsZero() || !o.CreatedAt.Before(since):
			listed = append(listed, o)
			continue
		case o.CreatedAt.After(older.CreatedAt):
			older = o
		}
		if b.newestFirst {
			break
		}
	}
	if !older.CreatedAt.IsZero() {
		listed = append(listed, older)
	}
	return listed, clockError(raw)
}

// clockError says that this machine's clock is too wrong to tell by their dates which
// orders are new.
func clockError(raw proxylite.RawResponse) error {
	date, err := http.ParseTime(raw.Header.Get("Date"))
	if err == nil && time.Since(date).Abs() > lookBack/2 {
		return fmt.Errorf("purchase: this machine's clock is %s off the API's: set it", time.Since(date).Round(time.Minute))
	}
	return nil
}

// send places the order of an opened purchase.
func (b *Buyer) send(ctx context.Context, seq int64, deadline time.Time, params proxylite.OrderCreateParams) (Purchase, error) {
	defer b.landed(seq)
	sending, cancel := context.WithDeadline(ctx, deadline)
	order, err := b.client.Orders.Create(sending, params)
	cancel()
	var e *proxylite.Error
	switch {
	case err == nil && order.TradeNo != "":
		return b.made(ctx, seq, order)
	case errors.As(err, &e) && (e.Outcome == proxylite.OutcomeNotSent || e.Outcome == proxylite.OutcomeRejected):
		p, bookErr := b.note(ctx, seq, NotSent, err.Error())
		return p, errors.Join(err, bookErr)
	case err == nil:
		err = fmt.Errorf("purchase: the order %d has no number: %w", order.ID, proxylite.ErrOutcomeUnknown)
	}
	if p, bookErr := b.note(ctx, seq, Unknown, err.Error()); bookErr != nil {
		return p, errors.Join(err, bookErr)
	}
	b.landed(seq)
	p, lookErr := b.look(ctx, seq)
	if errors.Is(lookErr, ErrNotMade) {
		return p, fmt.Errorf("%w: %v", lookErr, err) //nolint:errorlint // its outcome is known now
	}
	if lookErr != nil {
		return p, fmt.Errorf("%w, after: %w", lookErr, err)
	}
	return p, nil
}

// landed says that the purchase is no longer being sent.
func (b *Buyer) landed(seq int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.flying, seq)
}

// Purchases returns all orders of the journal, oldest first, as they were last seen.
func (b *Buyer) Purchases(ctx context.Context) ([]Purchase, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.sync(ctx); err != nil {
		return nil, err
	}
	all := []Purchase{}
	for _, i := range b.book.intents {
		if !i.extraction() {
			all = append(all, i.purchase())
		}
	}
	return all, nil
}

// sync reads what was added to the journal. It needs the lock.
func (b *Buyer) sync(ctx context.Context) error {
	records, err := b.journal.Read(ctx, b.book.seq)
	if err != nil {
		return fmt.Errorf("purchase: read the journal: %w", err)
	}
	for _, r := range records {
		b.book.apply(r)
	}
	return nil
}

// write adds the record that next makes of the book, which is up to date and locked. A
// nil record adds nothing. If another writer was faster, next is called again.
func (b *Buyer) write(ctx context.Context, next func(now time.Time) (*Record, error)) (seq int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		if err := b.sync(ctx); err != nil {
			return 0, err
		}
		now := time.Now().Round(0)
		r, err := next(now)
		if r == nil || err != nil {
			return 0, err
		}
		r.Seq, r.Time = b.book.seq+1, now
		if r.Open != nil {
			r.Intent = r.Seq
		}
		err = b.journal.Append(ctx, *r)
		if err == nil {
			b.book.apply(*r)
			return r.Seq, nil
		}
		if r.Open != nil {
			delete(b.flying, r.Seq)
		}
		if !errors.Is(err, ErrConflict) {
			return 0, fmt.Errorf("purchase: write the journal: %w", err)
		}
	}
}

// bookTimeout bounds writing an outcome after the caller's context has ended.
const bookTimeout = 30 * time.Second

// note writes a state without an order.
func (b *Buyer) note(ctx context.Context, seq int64, state State, why string) (Purchase, error) {
	return b.settle(ctx, seq, func(i *intent) (*Record, error) {
		if i.state != Unknown {
			return nil, nil //nolint:nilnil // it is known already
		}
		return &Record{State: state, Note: why}, nil
	})
}

// settle writes what became of a purchase, and returns how it stands then. It writes
// even if ctx has ended, as the deed is done.
func (b *Buyer) settle(ctx context.Context, seq int64, next func(*intent) (*Record, error)) (Purchase, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTimeout)
	defer cancel()
	var p Purchase
	_, err := b.write(ctx, func(time.Time) (*Record, error) {
		i := b.book.bySeq[seq]
		if i == nil {
			return nil, fmt.Errorf("purchase: the journal has lost record %d", seq)
		}
		p = i.purchase()
		r, err := next(i)
		if r != nil {
			r.Intent = seq
			p.State, p.Note = r.State, r.Note
			if r.Order != nil {
				p.Order = *r.Order
			}
		}
		return r, err
	})
	return p, err
}
