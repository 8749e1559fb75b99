package proxylite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

func TestPaymentMethodsOfAllGroupsInOneList(t *testing.T) {
	t.Parallel()
	var asked []string
	s := apitest.Playing(apitest.Reply(200, `{"code":0,"data":{"list":[{"items":[{"id":0},{"id":4,"disabled":true}]},{"items":null},{"items":[{"id":7}]}]}}`),
		apitest.Reply(200, `{"code":0,"data":{"list":[]}}`), apitest.Reply(200, `{"code":3}`))
	c := s.Client(t, proxylite.WithMiddleware(apitest.RecordQueries(&asked)))
	methods, err := c.Payment.Methods(t.Context(), proxylite.PaymentGroupsParams{TradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, []proxylite.PaymentMethod{{ID: 0}, {ID: 4, Disabled: true}, {ID: 7}}, methods)
	require.Equal(t, []string{"trade_no=T1"}, asked)

	methods, err = c.Payment.Methods(t.Context(), proxylite.PaymentGroupsParams{})
	require.NoError(t, err)
	require.NotNil(t, methods)
	require.Empty(t, methods)

	methods, err = c.Payment.Methods(t.Context(), proxylite.PaymentGroupsParams{})
	require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
	require.Nil(t, methods)
}
