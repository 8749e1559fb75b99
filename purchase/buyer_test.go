package purchase_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

func TestAnOrderWithinItsLimitStays(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("18.2"))
	require.NoError(t, err)
	require.Equal(t, purchase.Made, p.State)
	require.Equal(t, proxylite.Decimal("18.20"), p.Order.PayFee)
	require.Equal(t, []proxylite.OrderStatus{proxylite.OrderAwaitingPayment}, s.orders())
	require.Contains(t, p.String(), `purchase "a": made, order `+p.Order.TradeNo)
}

// A fee that is too high, absent or no number: the order is closed, and stays so.
func TestAnOrderAboveItsLimitIsClosed(t *testing.T) {
	t.Parallel()
	fee := regexp.MustCompile(`("total_fee":"?18\.20"?,)?"pay_fee":"?18\.20"?`)
	for name, test := range map[string]struct{ limit, fee string }{
		"a cent above": {"18.19", `"pay_fee":"18.20"`},
		"far above":    {"0", `"pay_fee":18.20`},
		"absent":       {"1000", `"other":1`},
		"null":         {"1000", `"pay_fee":null`},
		"empty":        {"1000", `"pay_fee":""`},
		"negative":     {"1000", `"pay_fee":-1`},
		"exponent":     {"1000", `"pay_fee":1e2`},
		"a word":       {"1000", `"pay_fee":"free"`},
		"huge":         {"1000", `"pay_fee":1e400`},
		"NaN":          {"1000", `"pay_fee":"NaN"`},
		"infinite":     {"1000", `"pay_fee":"Inf"`},
		"a comma":      {"2000", `"total_fee":"1,234.50","pay_fee":"1,234.50"`},
		"currency":     {"1000", `"pay_fee":"¥5"`},
		"fraction":     {"1000", `"pay_fee":"5/1"`},
		"a list":       {"1000", `"pay_fee":[]`},
		"an object":    {"1000", `"pay_fee":{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, waits, everywhere(func(body []byte) []byte {
				return fee.ReplaceAllLiteral(body, []byte(test.fee))
			}))
			for range 2 {
				p, err := s.Buy(t.Context(), "a", plan(traffic), upTo(proxylite.Decimal(test.limit)))
				require.ErrorIs(t, err, purchase.ErrAboveLimit)
				require.Equal(t, purchase.Closed, p.State)
			}
			require.Equal(t, []proxylite.OrderStatus{proxylite.OrderCancelled}, s.orders())
			require.Equal(t, 1, s.count("Orders.Create"))
			_, err := s.Buy(t.Context(), "b", plan(902), upTo("150"))
			require.NoError(t, err, "the list with that order can still be read")
		})
	}
}

func TestAMethodThatMayPayAtOnceIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	params := plan(traffic)
	params.PaymentMethodID = new(int64(balance))
	_, err := s.Buy(t.Context(), "a", params, upTo("100"))
	require.ErrorIs(t, err, purchase.ErrImmediatePayment)
	require.Empty(t, s.api.Calls())

	p, err := s.Buy(t.Context(), "a", params, purchase.Limit{MaxPay: "18.20", AcceptImmediatePayment: true})
	require.NoError(t, err)
	require.Equal(t, proxylite.OrderPaid, p.Order.Status)
	for range 2 {
		p, err = s.Buy(t.Context(), "b", params, purchase.Limit{MaxPay: "18.19", AcceptImmediatePayment: true})
		require.ErrorIs(t, err, purchase.ErrPaidAboveLimit)
		require.Equal(t, purchase.Made, p.State)
	}
	require.Equal(t, []proxylite.OrderStatus{proxylite.OrderPaid, proxylite.OrderPaid}, s.orders())
	require.Zero(t, s.count("Orders.Close"))
}

func TestWrongInputSendsNothing(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	for name, test := range map[string]struct {
		key    string
		params proxylite.OrderCreateParams
		limit  purchase.Limit
		says   string
	}{
		"no key":           {"", plan(traffic), upTo("1"), "the key has 0 bytes"},
		"long key":         {strings.Repeat("k", 201), plan(traffic), upTo("1"), "the key has 201 bytes"},
		"no limit":         {"a", plan(traffic), purchase.Limit{}, `Limit.MaxPay is ""`},
		"limit of words":   {"a", plan(traffic), upTo("ten"), `Limit.MaxPay is "ten"`},
		"negative limit":   {"a", plan(traffic), upTo("-1"), `Limit.MaxPay is "-1"`},
		"fraction":         {"a", plan(traffic), upTo("1/3"), `Limit.MaxPay is "1/3"`},
		"wrong parameters": {"a", proxylite.OrderCreateParams{}, upTo("1"), "ProductID: is required"},
	} {
		_, err := s.Buy(t.Context(), test.key, test.params, test.limit)
		require.ErrorContains(t, err, test.says, name)
	}
	require.Empty(t, s.api.Calls())
	known, err := s.Purchases(t.Context())
	require.NoError(t, err)
	require.Empty(t, known)
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	for says, newBuyer := range map[string]func() (*purchase.Buyer, error){
		"needs a client": func() (*purchase.Buyer, error) { return purchase.New(nil, s.journal, waits) },
		"and a journal":  func() (*purchase.Buyer, error) { return purchase.New(s.client, nil, waits) },
		`Policy.MaxPerDay is "lots"`: func() (*purchase.Buyer, error) {
			return purchase.New(s.client, s.journal, purchase.Policy{MaxPerDay: "lots"})
		},
		"MaxIPs is -1": func() (*purchase.Buyer, error) {
			return purchase.New(s.client, s.journal, purchase.Policy{MaxIPs: -1})
		},
		"must be positive": func() (*purchase.Buyer, error) {
			return purchase.New(s.client, s.journal, waits, purchase.WithSendTimeout(0))
		},
	} {
		_, err := newBuyer()
		require.ErrorContains(t, err, says)
	}
}

func TestAKeyIsForOnePurchase(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	first, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	other := plan(traffic)
	other.Quantity = 2
	p, err := s.Buy(t.Context(), "a", other, upTo("50"))
	require.ErrorIs(t, err, purchase.ErrKeyUsed)
	require.Equal(t, first.Order.TradeNo, p.Order.TradeNo)
	again, err := s.Buy(t.Context(), "a", plan(traffic), upTo("1"))
	require.NoError(t, err, "the limit is that of the first time")
	require.Equal(t, first.Order.TradeNo, again.Order.TradeNo)
	require.Equal(t, 1, s.count("Orders.Create"))
}

// What the API refuses, or what never reached it, can be bought again with the same key.
func TestARefusalPassesThrough(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Create", proxylitetest.Fault{Code: 400, Message: "no"})
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.Equal(t, purchase.NotSent, p.State)
	e, ok := errors.AsType[*proxylite.Error](err)
	require.True(t, ok)
	require.Equal(t, 400, e.Code)
	require.Contains(t, p.Note, "code 400")

	p, err = s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, purchase.Made, p.State)
}

func TestNothingIsSentIfTheOrdersBeforeAreNotKnown(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.List", proxylitetest.Fault{Code: 400})
	_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.ErrorContains(t, err, "nothing was sent")
	require.Zero(t, s.count("Orders.Create"))
	known, err := s.Purchases(t.Context())
	require.NoError(t, err)
	require.Empty(t, known)
}

// Whatever becomes of the response, there is one order, and the key brings it back.
func TestALostOrderIsFound(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]proxylitetest.Fault{
		"cut":        {After: true, Cut: true},
		"bad page":   {After: true, Status: 502},
		"web page":   {After: true, Body: "<html>"},
		"no number":  {After: true, Body: `{"code":0,"data":{"id":5}}`},
		"time's up":  {After: true, Delay: time.Minute},
		"rate limit": {After: true, Status: http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, waits)
			if fault.Delay > 0 {
				s.restart(t, waits, purchase.WithSendTimeout(300*time.Millisecond), purchase.WithListDelay(20*time.Second))
			}
			s.api.FailNext("Orders.Create", fault)
			p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
			require.NoError(t, err)
			require.Equal(t, s.api.State().Orders[0].TradeNo, p.Order.TradeNo)

			s.restart(t, waits)
			again, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
			require.NoError(t, err)
			require.Equal(t, p.Order.TradeNo, again.Order.TradeNo)
			require.Equal(t, 1, s.count("Orders.Create"))
		})
	}
}

func TestALostOrderAboveItsLimitIsClosed(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
	_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("18"))
	require.ErrorIs(t, err, purchase.ErrAboveLimit)
	require.Equal(t, []proxylite.OrderStatus{proxylite.OrderCancelled}, s.orders())
}

func TestAnOrderThatDoesNotAppearCanBeBoughtAgain(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Create", proxylitetest.Fault{Cut: true})
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, purchase.ErrNotMade)
	require.NotErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	require.Equal(t, purchase.NotSent, p.State)

	p, err = s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, purchase.Made, p.State)
	require.Len(t, s.orders(), 1)
}

// A list that shows a new order late is waited for.
func TestTheListMayBeLate(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.restart(t, waits, purchase.WithListDelay(2*time.Second))
	empty := proxylitetest.Fault{Body: `{"code":0,"data":{"list":[]}}`}
	s.api.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
	s.api.FailNext("Orders.List", empty, empty, empty)
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, purchase.Made, p.State)
	require.Len(t, s.orders(), 1)
}

// The end of the caller's context ends the wait, not the purchase.
func TestACanceledPurchaseGoesOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the user went home")
	s := open(t, waits, onCreate(func([]byte) []byte { cancel(gone); return nil }))
	buyer, err := purchase.New(s.client, obedient{s.journal}, waits, quick()...)
	require.NoError(t, err)
	p, err := buyer.Buy(ctx, "a", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	require.ErrorIs(t, err, gone)
	require.Equal(t, purchase.Unknown, p.State)
	known, err := s.Purchases(t.Context())
	require.NoError(t, err)
	require.Contains(t, known[0].Note, "canceled", "it is written all the same")

	p, err = s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, purchase.Made, p.State)
	require.Equal(t, 1, s.count("Orders.Create"))
}

// obedient is a journal that a context ends.
type obedient struct{ purchase.Journal }

func (o obedient) Append(ctx context.Context, r purchase.Record) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return o.Journal.Append(ctx, r)
}

// A call that has ended is not waited for until its timeout.
func TestALostCallHasEnded(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.restart(t, waits, purchase.WithSendTimeout(time.Hour))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{Cut: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := s.Buy(ctx, "a", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, purchase.ErrNotMade)
}

// failing is a journal that takes so many records.
type failing struct {
	purchase.Journal
	left int
}

func (f *failing) Append(ctx context.Context, r purchase.Record) error {
	if f.left--; f.left < 0 {
		return errors.New("disk full")
	}
	return f.Journal.Append(ctx, r)
}

// Without a record nothing is sent. With an outcome that can't be written, an order that
// costs too much is closed all the same, and the next start finds out.
func TestAJournalMayFail(t *testing.T) {
	t.Parallel()
	for left := range 3 {
		s := open(t, waits)
		buyer, err := purchase.New(s.client, &failing{s.journal, left}, waits, quick()...)
		require.NoError(t, err)
		_, err = buyer.Buy(t.Context(), "a", plan(traffic), upTo("10"))
		require.ErrorContains(t, err, "disk full")
		if left == 0 {
			require.Empty(t, s.orders())
			continue
		}
		require.Equal(t, []proxylite.OrderStatus{proxylite.OrderCancelled}, s.orders())
		s.restart(t, waits)
		_, err = s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
		require.ErrorIs(t, err, purchase.ErrAboveLimit)
		require.Len(t, s.orders(), 1)
	}
}

func TestOneKeyAtOnceIsOneOrder(t *testing.T) {
	t.Parallel()
	for _, fault := range []proxylitetest.Fault{{}, {After: true, Cut: true}, {Cut: true}, {Delay: 20 * time.Millisecond}} {
		s := open(t, waits)
		s.api.FailNext("Orders.Create", fault)
		other, err := purchase.New(s.client, s.journal, waits, quick()...) // a buyer on another machine
		require.NoError(t, err)
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				buyer := []*purchase.Buyer{s.Buyer, other}[n%2]
				p, err := buyer.Buy(t.Context(), "a", plan(traffic), upTo("20"))
				if errors.Is(err, purchase.ErrNotMade) {
					p, err = buyer.Buy(t.Context(), "a", plan(traffic), upTo("20"))
				}
				assert.NoError(t, err)
				assert.Equal(t, purchase.Made, p.State)
			})
		}
		all.Wait()
		require.Len(t, s.orders(), 1)
	}
}

// Goroutines that buy the same at once each get their own order, or say that they can't
// tell. The fee tells the orders apart.
func TestBuyersNeverTakeEachOthersOrder(t *testing.T) {
	t.Parallel()
	faults := []proxylitetest.Fault{{}, {After: true, Cut: true}, {Cut: true}, {After: true, Status: 502}, {Delay: 5 * time.Millisecond, After: true}}
	for seed := range 12 {
		s := open(t, waits)
		for n := range 6 {
			s.api.FailNext("Orders.Create", faults[(n*seed+n+seed/5)%len(faults)])
		}
		other, err := purchase.New(s.client, s.journal, waits, quick()...)
		require.NoError(t, err)
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				params, key := plan(traffic), fmt.Sprint(n)
				params.Quantity = n + 1
				fee := new(big.Rat).Mul(big.NewRat(int64(n+1), 1), proxylite.Decimal("18.20").Rat())
				p, err := []*purchase.Buyer{s.Buyer, other}[n%2].Buy(t.Context(), key, params, upTo("1000"))
				switch {
				case errors.Is(err, purchase.ErrNotMade):
					for _, o := range s.api.State().Orders {
						assert.NotEqual(t, fee, o.PayFee.Rat(), key)
					}
				case errors.Is(err, purchase.ErrAmbiguous):
					assert.NotEmpty(t, p.Candidates)
				default:
					assert.NoError(t, err)
					assert.Equal(t, fee, p.Order.PayFee.Rat(), key)
				}
			})
		}
		all.Wait()
	}
}

// The journal is for people to read, and has nothing in it that they must not.
func TestTheJournalHasNoSecret(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	params := plan(traffic)
	params.CouponCode, params.RegionList = "WELCOME5", "US:1"
	_, err := s.Buy(t.Context(), "a", params, upTo("20"))
	require.NoError(t, err)
	s.api.FailNext("Orders.Create", proxylitetest.Fault{Code: 400, Message: "key " + s.api.Key})
	_, err = s.Buy(t.Context(), "b", params, upTo("20"))
	require.Error(t, err)
	text := readFile(t, s.path)
	for _, secret := range []string{s.api.Key, "WELCOME5", "US:1"} {
		require.NotContains(t, text, secret)
	}
	require.Contains(t, text, `"key":"a","params":"fe30dd7d3dcd4ab6"`, "the hash of a later version must be the same")
	require.Contains(t, text, `"max_pay":"20"`)
	require.Equal(t, 4, strings.Count(text, "\n"))
}

// slow is a journal on a disk that hangs.
type slow struct {
	purchase.Journal
	by time.Duration
}

func (j slow) Append(ctx context.Context, r purchase.Record) error {
	err := j.Journal.Append(ctx, r)
	<-time.After(j.by)
	return err
}

// Other machines count on it that an order is not sent later than its record says, even
// if writing the record took longer.
func TestAnOrderIsNotSentAfterItsTime(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	buyer, err := purchase.New(s.client, slow{s.journal, 30 * time.Millisecond}, waits, purchase.WithSendTimeout(25*time.Millisecond))
	require.NoError(t, err)
	p, err := buyer.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, purchase.NotSent, p.State)
	require.Zero(t, s.count("Orders.Create"))
}
