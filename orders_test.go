package proxylite_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A success that names no order may have placed one: it must not pass for an order.
func TestACreatedOrderHasAName(t *testing.T) {
	t.Parallel()
	for data, ok := range map[string]bool{
		`{"pay_fee":12}`: false, `{"id":0,"trade_no":"","pay_fee":12}`: false, `{"id":null,"trade_no":null,"status":0}`: false,
		`{"status":1}`: false, `{"id":1}`: true, `{"trade_no":"T1"}`: true, `{"id":"1","trade_no":20220513}`: true,
	} {
		c, mock := apitest.Mocked(t, 200, `{"code":0,"data":`+data+`}`)
		order, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
		require.Equal(t, 1, mock.GetTotalCallCount())
		if ok {
			require.NoError(t, err, data)
			continue
		}
		require.Zero(t, order, data)
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse, data)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, data)
		require.ErrorContains(t, err, "names no order", data)
		e := apitest.AsError(t, err)
		require.Equal(t, 200, e.Status)
		require.JSONEq(t, `{"code":0,"data":`+data+`}`, string(e.Body))
	}
	// In a list, such a row is what the API knows of an order.
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"status":1}]}}`)
	orders, err := c.Orders.List(t.Context(), proxylite.OrderListParams{})
	require.NoError(t, err)
	require.Equal(t, proxylite.OrderPaid, orders.Items[0].Status)
}

func TestOrdersInTexts(t *testing.T) {
	t.Parallel()
	var none proxylite.Order
	require.Equal(t, "no order no order no order", fmt.Sprintf("%v %s %+v", none, none, none))
	order := proxylite.Order{ID: 5, TradeNo: "20220513", ProductName: "1 GB", TotalFee: "18.20", PayFee: "18.10", Status: proxylite.OrderAwaitingPayment}
	require.Equal(t, `order 20220513 (id 5, "1 GB", to pay 18.10, awaiting payment)`, fmt.Sprint(order))
	require.Equal(t, `order without a number (id 5, "", to pay ?, absent)`, fmt.Sprint(proxylite.Order{ID: 5, Status: proxylite.OrderStatusAbsent}))
}

// The document has no answer body for Orders.Close: nothing at all is success,
// with a success status only.
func TestCloseOrderTakesAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 204: true, 404: false, 500: false} {
		c, _ := apitest.Mocked(t, status, "", apitest.TryOnce)
		require.Equal(t, ok, c.Orders.Close(t.Context(), "1") == nil, status)
	}
}
