package purchase_test

import (
	"testing"

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
}

func TestAnOrderAboveItsLimitIsClosed(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("18.19"))
	require.ErrorIs(t, err, purchase.ErrAboveLimit)
	require.Equal(t, purchase.Closed, p.State)
	require.Equal(t, []proxylite.OrderStatus{proxylite.OrderCancelled}, s.orders())
}

// Whatever becomes of the response, there is one order, and the key brings it back.
func TestALostOrderIsFound(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
	p, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, s.api.State().Orders[0].TradeNo, p.Order.TradeNo)

	s.restart(t, waits)
	again, err := s.Buy(t.Context(), "a", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Equal(t, p.Order.TradeNo, again.Order.TradeNo)
	require.Equal(t, 1, s.count("Orders.Create"))
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
