package purchase_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

var _ pool.Extractor = (*purchase.Buyer)(nil)

func TestExtractionsKeepTheirBudget(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  proxylitetest.Fault
		counts int
	}{
		"returned": {proxylitetest.Fault{}, 10},
		"lost":     {lost, 10}, // may be spent
		"refused":  {proxylitetest.Fault{Code: 400}, 0},
		"fewer":    {proxylitetest.Fault{Body: `{"code":200,"data":{"list":["192.0.2.1:80","192.0.2.2:80",":"]}}`}, 3},
	} {
		s := open(t, purchase.Policy{MaxIPs: 15, MaxIPsPerDay: 20})
		_, err := s.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 16})
		require.ErrorIs(t, err, purchase.ErrBudget, name)
		require.Empty(t, s.api.Calls())

		s.api.FailNext("IP.Extract", test.fault)
		_, err = s.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 10})
		require.Equal(t, name == "returned" || name == "fewer", err == nil, err)

		s.restart(t, purchase.Policy{MaxIPsPerDay: 20})
		_, err = s.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 21 - test.counts})
		require.ErrorIs(t, err, purchase.ErrBudget, name)
		x, err := s.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 20 - test.counts})
		require.NoError(t, err, name)
		require.Len(t, x.Endpoints, 20-test.counts)

		known, err := s.Purchases(t.Context())
		require.NoError(t, err)
		require.Empty(t, known, "orders only")
		settled, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.Empty(t, settled)
	}
}

// Wrong input makes no room in a budget, and is no panic.
func TestAnExtractionOfNothing(t *testing.T) {
	t.Parallel()
	s := open(t, purchase.Policy{MaxIPsPerDay: 1})
	for _, quantity := range []int{0, -5} {
		_, err := s.Extract(t.Context(), proxylite.IPExtractParams{Quantity: quantity})
		require.ErrorIs(t, err, proxylite.ErrInvalidInput)
	}
	_, err := s.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2})
	require.ErrorIs(t, err, purchase.ErrBudget)
	require.Empty(t, s.api.Calls())
}
