package purchase_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

func TestABudgetIsKept(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]purchase.Policy{
		"order": {MaxPerOrder: "18.19"}, "day": {MaxPerDay: "36.39"}, "month": {MaxPerMonth: "36.39"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy.PaysLater = waits.PaysLater
			s := open(t, policy)
			if name != "order" {
				_, err := s.Buy(t.Context(), "first", plan(traffic), upTo("18.20"))
				require.NoError(t, err)
			}
			calls := s.count("Orders.Create")
			_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("18.20"))
			require.ErrorIs(t, err, purchase.ErrBudget)
			require.ErrorContains(t, err, name)
			require.Equal(t, calls, s.count("Orders.Create"))
			_, err = s.Buy(t.Context(), "a", plan(traffic), upTo("18.19"))
			require.ErrorIs(t, err, purchase.ErrAboveLimit, "closed: it counts nothing")
			_, err = s.Buy(t.Context(), "b", plan(traffic), upTo("18.19"))
			require.ErrorIs(t, err, purchase.ErrAboveLimit)
		})
	}
}

// A purchase whose fee is not known counts what it may cost at most.
func TestAnOpenPurchaseCountsItsLimit(t *testing.T) {
	t.Parallel()
	s := open(t, purchase.Policy{PaysLater: waits.PaysLater, MaxPerDay: "50"})
	s.api.FailNext("Orders.Create", lost)
	s.api.FailNext("Orders.List", proxylitetest.Fault{}, proxylitetest.Fault{Code: 400})
	_, err := s.Buy(t.Context(), "a", plan(traffic), upTo("40"))
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	_, err = s.Buy(t.Context(), "b", plan(traffic), upTo("18.20"))
	require.ErrorIs(t, err, purchase.ErrBudget)
	require.ErrorContains(t, err, "may cost 58.2, and the budget is 50")
	_, err = s.Buy(t.Context(), "a", plan(traffic), upTo("40"))
	require.NoError(t, err)
	_, err = s.Buy(t.Context(), "b", plan(traffic), upTo("18.20"))
	require.NoError(t, err, "now it counts its fee")
}

// Ten orders of 0.10 are 1, which is not so for floating-point numbers.
func TestMoneyIsExact(t *testing.T) {
	t.Parallel()
	s := open(t, purchase.Policy{MaxPerDay: "1"})
	s.api.Update(func(st *proxylitetest.State) { st.Catalog[1].Price = "0.10" })
	params := plan(traffic)
	params.PaymentMethodID = new(int64(balance))
	limit := purchase.Limit{MaxPay: "0.1", AcceptImmediatePayment: true}
	for n := range 10 {
		_, err := s.Buy(t.Context(), fmt.Sprint(n), params, limit)
		require.NoError(t, err)
	}
	_, err := s.Buy(t.Context(), "one more", params, purchase.Limit{MaxPay: "0.0000001", AcceptImmediatePayment: true})
	require.ErrorIs(t, err, purchase.ErrBudget)
	require.ErrorContains(t, err, "1.0000001")
}

// Days and months are those of the policy's zone.
func TestABudgetBeginsAnew(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+8", 8*60*60)
	now := time.Now().In(zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, zone)
	for _, test := range []struct {
		policy purchase.Policy
		at     time.Time
		fits   bool
	}{
		{purchase.Policy{MaxPerDay: "20"}, today, false},
		{purchase.Policy{MaxPerDay: "20"}, today.Add(-time.Second), true},
		{purchase.Policy{MaxPerMonth: "20"}, month, false},
		{purchase.Policy{MaxPerMonth: "20"}, month.Add(-time.Second), true},
	} {
		s := open(t, waits)
		require.NoError(t, os.WriteFile(s.path, fmt.Appendf(nil, `{"seq":1,"intent":1,"time":%q,"state":"unknown","open":{"key":"old","product_id":901,"max_pay":"18.20"}}
{"seq":2,"intent":1,"time":%[1]q,"state":"made","order":{"trade_no":"1","pay_fee":"18.20","status":1}}
`, test.at.Format(time.RFC3339)), 0o600))
		test.policy.PaysLater, test.policy.Zone = waits.PaysLater, zone
		s.restart(t, test.policy)
		_, err := s.Buy(t.Context(), "new", plan(traffic), upTo("18.20"))
		if test.fits {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, purchase.ErrBudget)
		}
	}
}

// Buyers that share a journal share a budget, however they race for it.
func TestBuyersShareABudget(t *testing.T) {
	t.Parallel()
	policy := purchase.Policy{PaysLater: waits.PaysLater, MaxPerDay: "60", MaxIPsPerDay: 25}
	s := open(t, policy)
	other, err := purchase.New(s.client, s.journal, policy, quick()...)
	require.NoError(t, err)
	var all sync.WaitGroup
	for n := range 12 {
		all.Go(func() {
			buyer := []*purchase.Buyer{s.Buyer, other}[n%2]
			_, _ = buyer.Buy(t.Context(), fmt.Sprint(n), plan(traffic), upTo("18.20"))
			_, _ = buyer.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 10})
		})
	}
	all.Wait()
	require.Len(t, s.orders(), 3)
	require.Equal(t, 2, s.count("IP.Extract"))
}

// Where clocks are set back at midnight, the first hour of the day is part of it.
func TestADayMayBeginTwice(t *testing.T) {
	t.Parallel()
	amman, err := time.LoadLocation("Asia/Amman")
	if err != nil {
		t.Skip(err) // no time zones on this machine
	}
	path := filepath.Join(t.TempDir(), "j")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2000, 9, 28, 20, 59, 0, 0, time.UTC))) // 23:59 there
		client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithTransport(roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"code":200,"data":{"list":["192.0.2.1:80"]}}`)), Request: r,
			}, nil
		})))
		require.NoError(t, err)
		buyer, err := purchase.New(client, openFile(t, path), purchase.Policy{MaxIPsPerDay: 2, Zone: amman})
		require.NoError(t, err)
		perDay := map[int]int{}
		for range 4 * 26 {
			if _, err := buyer.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1}); err == nil {
				perDay[time.Now().In(amman).Day()]++
			} else {
				require.ErrorIs(t, err, purchase.ErrBudget)
			}
			time.Sleep(15 * time.Minute)
		}
		require.Equal(t, map[int]int{28: 1, 29: 2, 30: 2}, perDay)
	})
}
