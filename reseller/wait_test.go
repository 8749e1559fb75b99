package reseller_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// Five minutes pass until disabling and deleting have their effect; here each look at
// the clock takes a minute.
func TestWaitForEffects(t *testing.T) {
	t.Parallel()
	var minutes atomic.Int64
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	server := empty(t, proxylitetest.WithLag(5*time.Minute), proxylitetest.WithNow(func() time.Time {
		return begin.Add(time.Duration(minutes.Add(1)) * time.Minute)
	}))
	m := manager(t, server)
	_, err := m.Ensure(t.Context(), wanted(3))
	require.NoError(t, err)
	require.NoError(t, m.Wait(t.Context(), reseller.Added("cust00000"), reseller.Enabled("cust00000"), reseller.Limited("pl-cust00001", 2*proxylite.GB)))
	client := server.Client()
	t.Cleanup(client.CloseIdleConnections)
	require.NoError(t, client.Accounts.Disable(t.Context(), []string{"cust00000"}))
	require.NoError(t, client.Accounts.Delete(t.Context(), []string{"cust00001"}))
	before := count(server)["Accounts.List"]
	require.NoError(t, m.Wait(t.Context(), reseller.Disabled("cust00000"), reseller.Deleted("pl-cust00001")))
	require.Greater(t, count(server)["Accounts.List"], before+2)
	state := server.State()
	require.Equal(t, proxylite.AccountDisabled, state.Accounts[0].Status)
	require.Len(t, state.Accounts, 2)
}

func TestWaitSaysWhatIsNotMet(t *testing.T) {
	t.Parallel()
	server := empty(t)
	m := manager(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := m.Wait(ctx, reseller.Deleted("bob"), reseller.Disabled("bob"), reseller.Limited("eve", proxylite.GB))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "bob is not disabled, eve is not limited to 1 GB")

	server = empty(t) // no request of the first one is under way to it
	server.FailNext("Accounts.List", proxylitetest.Fault{Code: 3})
	require.ErrorIs(t, manager(t, server).Wait(t.Context(), reseller.Added("bob")), proxylite.ErrInvalidAppKey)
}
