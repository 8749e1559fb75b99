package purchase_test

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

var lost = proxylitetest.Fault{After: true, Cut: true}

// rival places an order without the journal, as a person in the dashboard does, while the
// next order of the shop is under way.
func rival(t *testing.T, product int64) func(*shop) proxylite.Option {
	return func(s *shop) proxylite.Option {
		var once sync.Once
		return proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/end-point/order/create" {
					once.Do(func() {
						client := s.api.Client()
						defer client.CloseIdleConnections()
						_, err := client.Orders.Create(t.Context(), plan(product))
						assert.NoError(t, err)
					})
				}
				return next.RoundTrip(r)
			})
		})
	}
}

// with gives a shop another client.
func (s *shop) with(t *testing.T, opt proxylite.Option, opts ...purchase.Option) {
	t.Helper()
	s.client = s.api.Client(quickRetry, opt)
	t.Cleanup(s.client.CloseIdleConnections)
	s.restart(t, waits, opts...)
}

// Two orders that may be it: neither is taken, nothing is sent again, a person decides.
func TestTwoCandidatesAreForAPerson(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.with(t, rival(t, traffic)(s))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{}, lost)
	for range 2 {
		p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		require.ErrorIs(t, err, purchase.ErrAmbiguous)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		require.Equal(t, purchase.Unknown, p.State)
		require.Len(t, p.Candidates, 2)
		require.Contains(t, p.String(), "may be one of 2 orders")
	}
	all, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Len(t, all[0].Candidates, 2)
	require.Len(t, s.orders(), 2)

	orders := s.api.State().Orders
	_, err = s.Settle(t.Context(), "a", "123")
	require.ErrorContains(t, err, "order 123 is not in the list")
	p, err := s.Settle(t.Context(), "a", orders[1].TradeNo)
	require.NoError(t, err)
	require.Equal(t, purchase.Made, p.State)
	p, err = s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, orders[1].TradeNo, p.Order.TradeNo)
	_, err = s.Settle(t.Context(), "a", "")
	require.ErrorContains(t, err, "not to be settled: it is made")
	_, err = s.Settle(t.Context(), "b", "")
	require.ErrorContains(t, err, `no purchase with the key "b"`)
	require.Len(t, s.orders(), 2)
}

// A person may say that there is no order, or name one that costs too much.
func TestAPersonMaySettleOtherwise(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.with(t, rival(t, traffic)(s))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{}, lost)
	_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
	require.ErrorIs(t, err, purchase.ErrAmbiguous)
	p, err := s.Settle(t.Context(), "a", "")
	require.NoError(t, err)
	require.Equal(t, purchase.NotSent, p.State)

	s.api.FailNext("Orders.Create", lost)
	s.api.FailNext("Orders.List", proxylitetest.Fault{}, proxylitetest.Fault{Code: 400})
	_, err = s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	made := s.api.State().Orders[2].TradeNo
	_, err = s.Settle(t.Context(), "a", made)
	require.ErrorIs(t, err, purchase.ErrAboveLimit)
	require.Equal(t, proxylite.OrderCancelled, s.orders()[2])

	s.api.FailNext("Orders.Create", lost)
	s.api.FailNext("Orders.List", proxylitetest.Fault{}, proxylitetest.Fault{Code: 400})
	_, err = s.Buy(t.Context(), "b", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	_, err = s.Settle(t.Context(), "b", made)
	require.ErrorContains(t, err, `is that of the key "a"`)
}

// Somebody's order of another product is not taken. It is told from an order of ours that
// names its product by another number once one of ours was seen.
func TestAnOrderOfAnotherProduct(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.with(t, rival(t, 902)(s))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{}, lost)
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, int64(traffic), p.Order.ProductID)

	s.with(t, rival(t, 902)(s))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{}, proxylitetest.Fault{Cut: true})
	_, err = s.Buy(t.Context(), "b", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, purchase.ErrNotMade, "products of this plan are known")

	s.with(t, rival(t, 1401)(s))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{}, proxylitetest.Fault{Cut: true})
	_, err = s.Buy(t.Context(), "c", plan(2501), upTo("20"))
	require.ErrorIs(t, err, purchase.ErrAmbiguous, "this plan was never bought")
}

// An order that is dated otherwise than the margin allows is not taken, but nothing is
// bought again while it is there.
func TestClocksMayDiffer(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-8 * time.Hour, -6 * time.Minute, -3 * time.Minute, 3 * time.Minute, 6 * time.Minute, 8 * time.Hour} {
		state := proxylitetest.DemoState(time.Now())
		state.Orders = nil
		api := proxylitetest.NewServer(t, proxylitetest.WithState(state), proxylitetest.WithNow(func() time.Time { return time.Now().Add(skew) }))
		s := open(t, waits)
		s.api = api
		s.with(t, nil)
		api.FailNext("Orders.Create", lost)
		_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		if skew.Abs() > 5*time.Minute {
			require.ErrorIs(t, err, purchase.ErrAmbiguous, skew)
			s.restart(t, waits, purchase.WithClockMargin(9*time.Hour))
			_, err = s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		}
		require.NoError(t, err, skew)
		require.Len(t, s.orders(), 1)
	}
}

// A clock that is days off would hide the order that was made: nothing is bought by it.
func TestAClockThatIsDaysOffBuysNothing(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-25 * time.Hour, 25 * time.Hour} {
		s := open(t, waits, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil {
					resp.Header.Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				}
				return resp, err
			})
		}))
		_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		require.ErrorContains(t, err, "clock is")
		require.Empty(t, s.orders())
	}
}

// meet lets the responses of two orders come only when both were sent.
func meet() proxylite.Option {
	var both sync.WaitGroup
	var count atomic.Int32
	both.Add(2)
	return proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/end-point/order/create" && count.Add(1) <= 2 {
				both.Done()
				both.Wait()
			}
			return next.RoundTrip(r)
		})
	})
}

// together buys the keys at once.
func together(t *testing.T, s *shop, keys ...string) (found []purchase.Purchase, errs []error) {
	t.Helper()
	found, errs = make([]purchase.Purchase, len(keys)), make([]error, len(keys))
	var all sync.WaitGroup
	for n, key := range keys {
		all.Go(func() { found[n], errs[n] = s.Buy(t.Context(), key, plan(traffic), upTo("20")) })
	}
	all.Wait()
	return found, errs
}

// An order that two open purchases may have made is ambiguous for both.
func TestTwoOpenPurchasesShareNoOrder(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]proxylitetest.Fault{"both made": lost, "one made": {Cut: true}} {
		s := open(t, waits)
		s.with(t, meet())
		s.api.FailNext("Orders.Create", lost, second)
		found, errs := together(t, s, "a", "b")
		made := len(s.api.State().Orders)
		for n := range found {
			require.ErrorIs(t, errs[n], purchase.ErrAmbiguous, name)
			require.Len(t, found[n].Candidates, made, name)
		}
		// Once the first is settled, the second is certain.
		p, err := s.Settle(t.Context(), "a", s.api.State().Orders[0].TradeNo)
		require.NoError(t, err)
		q, err := s.Buy(t.Context(), "b", plan(traffic), upTo("20"))
		require.NoError(t, err)
		require.NotEqual(t, p.Order.TradeNo, q.Order.TradeNo)
		require.Len(t, s.orders(), 2)
	}
}

// While another purchase is under way its order is not taken; when that one has its
// response, the lost one is certain.
func TestAPurchaseUnderWayIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.with(t, meet(), purchase.WithListDelay(2*time.Second), purchase.WithSendTimeout(5*time.Second))
	s.api.FailNext("Orders.Create", lost, proxylitetest.Fault{After: true, Delay: 100 * time.Millisecond})
	found, errs := together(t, s, "a", "b")
	require.NoError(t, errors.Join(errs...))
	require.NotEqual(t, found[0].Order.TradeNo, found[1].Order.TradeNo)
	require.Len(t, s.orders(), 2)
}

// Somebody's order that looks like one that is being sent is neither taken nor closed.
func TestReconcileLeavesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.with(t, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/end-point/order/create" {
				client := s.api.Client()
				defer client.CloseIdleConnections()
				_, err := client.Orders.Create(t.Context(), plan(traffic))
				assert.NoError(t, err)
				_, err = s.Reconcile(t.Context())
				assert.NoError(t, err)
				_, err = s.Settle(t.Context(), "a", "")
				assert.ErrorContains(t, err, "not to be settled")
			}
			return next.RoundTrip(r)
		})
	}))
	_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
	require.ErrorIs(t, err, purchase.ErrAboveLimit)
	require.Equal(t, []proxylite.OrderStatus{proxylite.OrderAwaitingPayment, proxylite.OrderCancelled}, s.orders())
}

// What the API says to the one who ordered counts more than what another machine has found.
func TestTheResponseOverridesTheList(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	var other *purchase.Buyer
	s.with(t, onCreate(func(body []byte) []byte {
		s.api.Update(func(st *proxylitetest.State) { // the list has another order at that moment
			st.Orders[0].ID, st.Orders[0].TradeNo = 77, "77"
		})
		found, err := other.Reconcile(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, "77", found[0].Order.TradeNo)
		return body
	}))
	var err error
	other, err = purchase.New(s.client, s.journal, waits, quick()...)
	require.NoError(t, err)
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.NotEqual(t, "77", p.Order.TradeNo)
	known, err := s.Purchases(t.Context())
	require.NoError(t, err)
	require.Equal(t, p.Order.TradeNo, known[0].Order.TradeNo)
}

// What can't be closed stays in the books, until a later start closes it.
func TestAClosePendingIsClosedLater(t *testing.T) {
	t.Parallel()
	refuse := proxylitetest.Fault{Code: 500}
	for name, faults := range map[string][]proxylitetest.Fault{
		"refused":              {refuse},
		"not done":             {{Status: 200}}, // an empty 200 that means nothing
		"no response":          {{Cut: true}, {Cut: true}, {Cut: true}},
		"refused and not done": {refuse, {Status: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, waits)
			s.api.FailNext("Orders.Close", faults...)
			p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
			require.ErrorIs(t, err, purchase.ErrAboveLimit)
			require.Equal(t, purchase.ClosePending, p.State)
			require.Equal(t, []proxylite.OrderStatus{proxylite.OrderAwaitingPayment}, s.orders())
			for range 2 {
				s.restart(t, waits)
				_, _ = s.Reconcile(t.Context())
			}
			require.Equal(t, []proxylite.OrderStatus{proxylite.OrderCancelled}, s.orders())
			p, err = s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
			require.ErrorIs(t, err, purchase.ErrAboveLimit)
			require.Equal(t, purchase.Closed, p.State)
		})
	}
}

// An order that was paid before it could be closed is in the books as that.
func TestAnOrderMayBePaidBeforeItIsClosed(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Close", proxylitetest.Fault{Code: 500})
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
	require.ErrorIs(t, err, purchase.ErrAboveLimit)
	s.pay(p)
	p, err = s.Buy(t.Context(), "a", plan(traffic), upTo("10"))
	require.ErrorIs(t, err, purchase.ErrPaidAboveLimit)
	require.Equal(t, purchase.Made, p.State)
	require.Equal(t, proxylite.OrderPaid, p.Order.Status)
}

func (s *shop) pay(p purchase.Purchase) {
	s.api.Update(func(st *proxylitetest.State) { st.Pay(p.Order.TradeNo, time.Now()) })
}

// Reconcile notes what becomes of orders that await payment.
func TestReconcileFollowsOrders(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	paid, err := s.Buy(t.Context(), "paid", plan(traffic), upTo("20"))
	require.NoError(t, err)
	late, err := s.Buy(t.Context(), "late", plan(traffic), upTo("20"))
	require.NoError(t, err)
	_, err = s.Buy(t.Context(), "waits", plan(traffic), upTo("20"))
	require.NoError(t, err)
	s.pay(paid)
	require.NoError(t, s.client.Orders.Close(t.Context(), late.Order.TradeNo))

	all, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, proxylite.OrderPaid, all[0].Order.Status)
	require.Equal(t, purchase.Closed, all[1].State)
	require.Equal(t, purchase.Made, all[2].State)
	_, err = s.Buy(t.Context(), "late", plan(traffic), upTo("20"))
	require.ErrorIs(t, err, purchase.ErrClosed)
	again, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, again, 1, "settled ones are not looked at again")
}

// Nothing that is open costs no call.
func TestReconcileOfNothingSendsNothing(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	all, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
	require.Empty(t, s.api.Calls())
}

// With the newest first, old orders are not read.
func TestNewestFirstReadsNoOldOrders(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.Update(func(st *proxylitetest.State) {
		for n := range 1000 {
			st.Orders = append(st.Orders, proxylite.Order{
				ID: int64(n + 1), TradeNo: time.Now().Format("0102150405") + string(rune('a'+n%26)) + time.Duration(n).String(),
				ProductID: traffic, PayFee: "1", Status: proxylite.OrderPaid, CreatedAt: time.Now().AddDate(0, 0, -n),
			})
		}
	})
	for pages, opts := range map[int][]purchase.Option{10: nil, 1: {purchase.WithNewestFirst()}} {
		s.restart(t, waits, opts...)
		before := s.count("Orders.List")
		_, err := s.Buy(t.Context(), time.Now().String(), plan(traffic), upTo("20"))
		require.NoError(t, err)
		require.InDelta(t, pages, s.count("Orders.List")-before, 1)
	}
}

// An order that comes when its purchase counted as not made already is not bought again:
// a person decides. If it was bought again before, Reconcile shows the order.
func TestAnOrderMayComeLate(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T) *shop {
		t.Helper()
		s := open(t, waits)
		s.api.FailNext("Orders.Create", proxylitetest.Fault{Cut: true})
		_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		require.ErrorIs(t, err, purchase.ErrNotMade)
		return s
	}
	comes := func(t *testing.T, s *shop) string {
		t.Helper()
		o, err := s.client.Orders.Create(t.Context(), plan(traffic))
		require.NoError(t, err)
		return o.TradeNo
	}
	t.Run("before it is bought again", func(t *testing.T) {
		t.Parallel()
		s := late(t)
		tradeNo := comes(t, s)
		for range 2 {
			s.restart(t, waits)
			p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
			require.ErrorIs(t, err, purchase.ErrAmbiguous)
			require.Len(t, p.Candidates, 1)
		}
		_, err := s.Settle(t.Context(), "a", tradeNo)
		require.NoError(t, err)
		p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		require.NoError(t, err)
		require.Equal(t, tradeNo, p.Order.TradeNo)
		require.Len(t, s.orders(), 1)
	})
	t.Run("seen by Reconcile", func(t *testing.T) {
		t.Parallel()
		s := late(t)
		all, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.Empty(t, all, "not made, and nothing has changed that")
		comes(t, s)
		for range 2 {
			all, err = s.Reconcile(t.Context())
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Equal(t, purchase.Unknown, all[0].State)
			require.Len(t, all[0].Candidates, 1)
		}
		_, err = s.Settle(t.Context(), "a", "")
		require.NoError(t, err)
		p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		require.NoError(t, err, "it is not asked again")
		require.Equal(t, s.api.State().Orders[1].TradeNo, p.Order.TradeNo)
		require.Len(t, s.orders(), 2)
	})
	t.Run("when it was bought again", func(t *testing.T) {
		t.Parallel()
		s := late(t)
		_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
		require.NoError(t, err)
		tradeNo := comes(t, s)
		all, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, purchase.NotSent, all[0].State)
		require.Len(t, all[0].Candidates, 1)
		require.Equal(t, tradeNo, all[0].Candidates[0].TradeNo)
		require.Equal(t, purchase.Made, all[1].State)
		require.Empty(t, all[1].Candidates)
	})
}

// How long an order may still come is not told from clocks that may differ: a call that
// seems to have ended a while ago is waited for as long as the margin allows, and one that
// seems to be in the future not for longer than a call takes.
func TestAnotherClockDoesNotEndACall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		begun time.Duration // from now
		lasts time.Duration
		ends  bool
	}{
		{-4 * time.Minute, time.Minute, false},
		{-5 * time.Minute, time.Minute, false},
		{-7 * time.Minute, time.Minute, true},
		{10 * time.Hour, time.Millisecond, true},
		{10 * time.Hour, time.Minute, false},
	} {
		s := open(t, waits)
		begun := time.Now().Add(test.begun)
		appendAll(t, s.journal, purchase.Record{
			Seq: 1, Intent: 1, Time: begun, State: purchase.Unknown,
			Open: &purchase.Opening{Key: "a", Params: "f00d", ProductID: traffic, MaxPay: "20", Until: begun.Add(test.lasts)},
		})
		s.restart(t, waits)
		if test.ends { // the list has had its time, if the call has ended
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			<-time.After(50 * time.Millisecond)
		}
		all, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		if test.ends {
			all, err = s.Purchases(t.Context())
			require.NoError(t, err)
			require.Equal(t, purchase.NotSent, all[0].State, test)
		} else {
			require.Equal(t, purchase.Unknown, all[0].State, test)
		}
	}
}

// A list that lacks what it had before proves nothing, whether all of it is missing or a
// page.
func TestAListMayLackOrders(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]time.Duration{"new": time.Hour, "old": 100 * 24 * time.Hour} {
		for _, opts := range [][]purchase.Option{nil, {purchase.WithNewestFirst()}} {
			s := open(t, waits)
			for n := range 3 {
				s.api.Update(func(st *proxylitetest.State) {
					st.Orders = append(st.Orders, proxylite.Order{
						ID: int64(n + 1), TradeNo: strconv.Itoa(n + 1), ProductID: traffic, PayFee: "1",
						Status: proxylite.OrderPaid, CreatedAt: time.Now().Add(-age),
					})
				})
			}
			s.restart(t, waits, append(opts, purchase.WithListDelay(0))...)
			s.api.FailNext("Orders.Create", lost)
			empty := proxylitetest.Fault{Body: `{"code":0,"data":{"list":[]}}`}
			s.api.FailNext("Orders.List", proxylitetest.Fault{}, empty, empty)
			_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
			require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, name)
			require.ErrorContains(t, err, "the list of orders lacks")
			all, err := s.Reconcile(t.Context())
			require.ErrorContains(t, err, "the list of orders lacks", name)
			require.Equal(t, purchase.Unknown, all[0].State)
			p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
			require.NoError(t, err)
			require.Equal(t, purchase.Made, p.State)
			require.Len(t, s.orders(), 4)
		}
	}
}
