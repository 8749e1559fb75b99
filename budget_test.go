package proxylite_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// What RetryBudget says is what calls may still do, time included, and asking takes
// nothing from it.
func TestRetryBudgetLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := apitest.Playing(apitest.Reply(502, "")).Client(t,
			proxylite.WithRetry(proxylite.RetryPolicy{Budget: 3, MinBackoff: 1, MaxBackoff: 1}))
		left := func() int {
			n, limited := c.RetryBudget()
			require.True(t, limited)
			return n
		}
		require.Equal(t, 3, left())
		_, err := c.Accounts.List(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, left(), "a call of three attempts took two")
		apitest.Pass(10 * time.Second)
		require.Equal(t, 2, left())
		require.Equal(t, 2, left())
		apitest.Pass(time.Hour)
		require.Equal(t, 3, left(), "it does not grow beyond its size")
	})
}

func TestABudgetWithoutLimit(t *testing.T) {
	t.Parallel()
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithRetry(proxylite.RetryPolicy{Budget: -1}))
	require.NoError(t, err)
	_, limited := c.RetryBudget()
	require.False(t, limited)
}
