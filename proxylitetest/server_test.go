package proxylitetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestAddedAccountsAreListedUntilTheyAreDeleted(t *testing.T) {
	t.Parallel()
	s := proxylitetest.NewServer(t, proxylitetest.WithState(proxylitetest.State{}))
	c := s.Client()
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AddAccountsParams{
		Accounts: []proxylite.NewAccount{{Username: "bob", Password: "pass"}, {Username: "eve", Password: "word"}}, Remark: "爬虫",
	}))
	accounts, err := c.Accounts.List(t.Context())
	require.NoError(t, err)
	require.Len(t, accounts, 2)
	require.Equal(t, "pl-bob", accounts[0].Username)
	require.NoError(t, c.Accounts.Delete(t.Context(), []string{"bob", "pl-eve"}))
	accounts, err = c.Accounts.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, accounts)
}

func TestAnOrderAwaitsPaymentUntilItIsClosed(t *testing.T) {
	t.Parallel()
	s := proxylitetest.NewServer(t)
	c := s.Client()
	o, err := c.Orders.Create(t.Context(), proxylite.CreateOrderParams{ProductID: 901, PaymentMethodID: new(int64(1))})
	require.NoError(t, err)
	require.Equal(t, proxylite.OrderAwaitingPayment, o.Status)
	page, err := c.Orders.List(t.Context(), proxylite.ListOrdersParams{TradeNo: o.TradeNo})
	require.NoError(t, err)
	require.Equal(t, []proxylite.Order{o}, page.Items)
	require.NoError(t, c.Orders.Close(t.Context(), o.TradeNo))
	require.Equal(t, proxylite.OrderCancelled, func() proxylite.OrderStatus {
		page, err := c.Orders.List(t.Context(), proxylite.ListOrdersParams{TradeNo: o.TradeNo})
		require.NoError(t, err)
		return page.Items[0].Status
	}())
}
