package proxylitetest_test

import (
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// With a lag, disabling, deleting and counting take effect later, by the server's
// clock.
func TestLag(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	server := proxylitetest.NewServer(t, proxylitetest.WithLag(5*time.Minute), proxylitetest.WithNow(func() time.Time { return now }),
		proxylitetest.WithState(proxylitetest.State{Accounts: []proxylite.Account{
			{ID: 1, Username: "pl-bob", LimitRaw: new(int64(1)), Status: proxylite.AccountEnabled},
			{ID: 2, Username: "pl-eve", LimitRaw: new(int64(1)), Status: proxylite.AccountEnabled},
			{ID: 3, Username: "pl-kim", LimitRaw: new(int64(1)), Status: proxylite.AccountEnabled},
		}}))
	client := server.Client()
	t.Cleanup(client.CloseIdleConnections)
	list := func() (statuses map[string]proxylite.AccountStatus, used proxylite.Traffic) {
		accounts, err := client.Accounts.List(t.Context())
		require.NoError(t, err)
		statuses = map[string]proxylite.AccountStatus{}
		for _, a := range accounts {
			statuses[a.Name()] = a.Status
			used += a.Used
		}
		return statuses, used
	}
	server.Update(func(st *proxylitetest.State) { st.Use("kim", now, proxylite.GB) })
	require.NoError(t, client.Accounts.Disable(t.Context(), []string{"bob", "kim"}))
	require.NoError(t, client.Accounts.Delete(t.Context(), []string{"eve"}))
	require.NoError(t, client.Accounts.Enable(t.Context(), []string{"kim"}))

	for _, later := range []time.Duration{0, 5*time.Minute - time.Second} {
		now = now.Add(later)
		statuses, used := list()
		require.Equal(t, map[string]proxylite.AccountStatus{"bob": 1, "eve": 1, "kim": 1}, statuses)
		require.Zero(t, used)
		days, err := client.Usage.Daily(t.Context(), proxylite.UsageDailyParams{})
		require.NoError(t, err)
		require.Empty(t, days)
		require.Len(t, server.State().Accounts, 3)
	}
	now = now.Add(time.Second)
	statuses, used := list()
	require.Equal(t, map[string]proxylite.AccountStatus{"bob": 0, "kim": 1}, statuses, "kim was enabled again in time")
	require.Equal(t, proxylite.GB, used)
	days, err := client.Usage.Daily(t.Context(), proxylite.UsageDailyParams{})
	require.NoError(t, err)
	require.Len(t, days, 1)
}

// An account goes through the gateway until its traffic is counted.
func TestLagAtTheGateway(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	begin := time.Now()
	var later atomic.Int64
	server := proxylitetest.NewServer(t, proxylitetest.WithLag(5*time.Minute), proxylitetest.WithNow(func() time.Time { return begin.Add(time.Duration(later.Load())) }),
		proxylitetest.WithState(proxylitetest.State{Accounts: []proxylite.Account{
			{ID: 1, Username: "pl-bob", Password: proxylite.NewPassword("secret"), LimitRaw: new(int64(1)), Status: proxylite.AccountEnabled},
		}}))
	server.Update(func(st *proxylitetest.State) { st.Use("bob", begin, proxylite.GB) })
	e := server.Gateway().Endpoint()
	e.Username, e.Password = "pl-bob", proxylite.NewPassword("secret")
	require.Equal(t, 200, status(t, e.HTTP(), target))
	later.Store(int64(5 * time.Minute))
	require.Equal(t, 407, status(t, e.HTTP(), target))
}
