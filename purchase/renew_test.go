package purchase_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
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

var week = purchase.Renewal{Within: 7 * 24 * time.Hour}

func renewParams() proxylite.OrderCreateParams {
	return proxylite.OrderCreateParams{ProductID: renewal, PaymentMethodID: new(int64(alipay)), RenewDuration: "1"}
}

// renewed returns the static IPs of each order that the API took.
func (s *shop) renewed(t *testing.T) (orders [][]string) {
	t.Helper()
	for _, c := range s.api.Calls() {
		if c.Operation == "Orders.Create" && c.Code == 0 {
			var body struct {
				UpIDs string `json:"upids"`
			}
			require.NoError(t, json.Unmarshal([]byte(c.Body), &body))
			ids := strings.Split(body.UpIDs, ",")
			slices.Sort(ids)
			orders = append(orders, ids)
		}
	}
	return orders
}

// expiring are the IPs of the demo data that expire within a week.
var expiring = []string{"7003", "7008", "7011", "7016", "7019", "7024"}

func TestIPsAreRenewedOncePerTerm(t *testing.T) {
	t.Parallel()
	for _, fault := range []proxylitetest.Fault{{}, lost, {Cut: true}} {
		s := open(t, waits)
		s.api.FailNext("Orders.Create", fault)
		first, err := s.Renew(t.Context(), renewParams(), week, upTo("27"))
		if errors.Is(err, purchase.ErrNotMade) {
			first, err = s.Renew(t.Context(), renewParams(), week, upTo("27"))
		}
		require.NoError(t, err)
		require.Len(t, first, 1)
		require.Len(t, first[0].Renews, 6)
		require.Equal(t, proxylite.Decimal("27.00"), first[0].Order.PayFee)

		for range 2 { // unpaid, and paid
			s.restart(t, waits)
			again, err := s.Renew(t.Context(), renewParams(), week, upTo("27"))
			require.NoError(t, err)
			require.Empty(t, again)
			s.pay(first[0])
		}
		require.Len(t, s.orders(), 1)

		// The next term.
		next, err := s.Renew(t.Context(), renewParams(), purchase.Renewal{Within: 35 * 24 * time.Hour}, upTo("200"))
		require.NoError(t, err)
		require.Len(t, next, 1)
		for _, id := range expiring {
			require.Contains(t, next[0].Renews, id)
		}
	}
}

func TestRenewalsAreGrouped(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	r := week
	r.PerOrder = 4
	orders, err := s.Renew(t.Context(), renewParams(), r, upTo("18"))
	require.NoError(t, err)
	require.Len(t, orders, 2)
	groups := s.renewed(t)
	require.Len(t, groups, 2)
	require.Len(t, groups[0], 4)
	all := slices.Concat(groups...)
	slices.Sort(all)
	require.Equal(t, expiring, all)
}

// An order that was closed or not paid in time renews nothing: the next run orders again.
func TestAClosedRenewalIsOrderedAgain(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	for n := range 3 {
		orders, err := s.Renew(t.Context(), renewParams(), week, upTo("27"))
		require.NoError(t, err)
		require.Len(t, orders, 1)
		require.Len(t, s.orders(), n+1)
		require.NoError(t, s.client.Orders.Close(t.Context(), orders[0].Order.TradeNo))
	}
	_, err := s.Renew(t.Context(), renewParams(), week, upTo("26"))
	require.ErrorIs(t, err, purchase.ErrAboveLimit)
	require.Equal(t, proxylite.OrderCancelled, s.orders()[3])
}

// While it is not known whether a renewal was made, its IPs are left alone, and it is
// returned.
func TestAnOpenRenewalIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.restart(t, waits, purchase.WithListDelay(time.Hour))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{Cut: true})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Renew(ctx, renewParams(), week, upTo("27"))
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)

	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	orders, err := s.Renew(ctx, renewParams(), week, upTo("27"))
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, purchase.Unknown, orders[0].State)
	require.Len(t, orders[0].Renews, 6)
	require.Equal(t, 1, s.count("Orders.Create"))
}

// Two machines that share a journal renew each IP once.
func TestRenewalsInParallel(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	other, err := purchase.New(s.client, s.journal, waits, quick()...)
	require.NoError(t, err)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			r := week
			r.PerOrder = 1 + n
			_, err := []*purchase.Buyer{s.Buyer, other}[n%2].Renew(t.Context(), renewParams(), r, upTo("27"))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	ids := slices.Concat(s.renewed(t)...)
	slices.Sort(ids)
	require.Equal(t, slices.Compact(slices.Clone(ids)), ids, "no IP twice")
}

// Where the entry has its expiry elsewhere, the caller says where. Without a time an IP is
// left out.
func TestTheExpiryMayBeElsewhere(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	r := week
	r.ExpiresAt = func(ip proxylite.StaticIP) time.Time {
		if ip.ID == "7001" {
			return time.Now().Add(time.Hour)
		}
		return time.Time{}
	}
	_, err := s.Renew(t.Context(), renewParams(), r, upTo("27"))
	require.NoError(t, err)
	require.Equal(t, [][]string{{"7001"}}, s.renewed(t))
}

func TestRenewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	given := renewParams()
	given.StaticIPs = []string{"7001"}
	for _, test := range []struct {
		params proxylite.OrderCreateParams
		r      purchase.Renewal
	}{{renewParams(), purchase.Renewal{}}, {renewParams(), purchase.Renewal{Within: time.Hour, PerOrder: -1}}, {given, week}} {
		_, err := s.Renew(t.Context(), test.params, test.r, upTo("27"))
		require.ErrorContains(t, err, "Renewal.Within is")
	}
	require.Empty(t, s.api.Calls())
}

// A renewal that comes late is not ordered again, also if the group is another by then.
func TestALateRenewalIsNotOrderedAgain(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Create", proxylitetest.Fault{Cut: true})
	_, err := s.Renew(t.Context(), renewParams(), week, upTo("27"))
	require.ErrorIs(t, err, purchase.ErrNotMade)
	params := renewParams()
	params.StaticIPs = expiring
	_, err = s.client.Orders.Create(t.Context(), params)
	require.NoError(t, err)
	for range 2 {
		s.restart(t, waits)
		r := week
		r.PerOrder = 2
		orders, err := s.Renew(t.Context(), renewParams(), r, upTo("27"))
		require.NoError(t, err)
		require.Len(t, orders, 1)
		require.Equal(t, purchase.Unknown, orders[0].State)
		require.Len(t, orders[0].Candidates, 1)
	}
	require.Len(t, s.orders(), 1)
}
