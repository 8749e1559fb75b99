package reseller_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

func refusals(n int) []proxylitetest.Fault {
	return slices.Repeat([]proxylitetest.Fault{{Code: 400}}, n)
}

// A new account that can't be limited is disabled, and the others go on.
func TestWhatCannotBeLimitedIsDisabled(t *testing.T) {
	t.Parallel()
	server := empty(t)
	server.FailNext("Accounts.ChangeLimit", append(make([]proxylitetest.Fault, 3), refusals(1)...)...)
	m := manager(t, server, reseller.WithChunk(3), reseller.WithConcurrency(1))
	results, err := m.Ensure(t.Context(), wanted(9))
	require.ErrorContains(t, err, "1 of 9")
	require.Equal(t, []reseller.StepKind{reseller.StepAdd, reseller.StepDisable}, results[3].Done)
	require.NotErrorIs(t, results[3].Err, reseller.ErrLeftOpen)
	require.Equal(t, proxylite.AccountDisabled, server.State().Accounts[3].Status)
	require.Len(t, server.State().Accounts, 9)

	results, err = m.Ensure(t.Context(), wanted(9))
	require.NoError(t, err)
	require.Equal(t, []reseller.StepKind{reseller.StepLimit}, results[3].Done)
	require.Equal(t, proxylite.AccountDisabled, server.State().Accounts[3].Status, "nobody asked for it to be enabled")
}

// An account is not disabled because its limit could not be set at once.
func TestAMomentsTroubleDisablesNobody(t *testing.T) {
	t.Parallel()
	server := empty(t)
	server.FailNext("Accounts.ChangeLimit", slices.Repeat([]proxylitetest.Fault{{Status: 503}}, 6)...) // two rounds
	results, err := manager(t, server, reseller.WithConcurrency(1)).Ensure(t.Context(), wanted(1))
	require.NoError(t, err)
	require.Equal(t, []reseller.StepKind{reseller.StepAdd, reseller.StepLimit}, results[0].Done)
	requireWanted(t, server, wanted(1))
}

// If an account can be neither limited nor disabled, no other is added.
func TestNothingIsAddedBesideAnOpenAccount(t *testing.T) {
	t.Parallel()
	server := empty(t)
	server.FailNext("Accounts.ChangeLimit", refusals(2)...) // bare and as listed
	server.FailNext("Accounts.Disable", refusals(2)...)
	m := manager(t, server, reseller.WithChunk(1))
	results, err := m.Ensure(t.Context(), wanted(3))
	require.ErrorIs(t, err, reseller.ErrLeftOpen)
	require.ErrorIs(t, results[0].Err, reseller.ErrLeftOpen)
	require.ErrorIs(t, results[1].Err, reseller.ErrStopped)
	require.Len(t, server.State().Accounts, 1)

	server.FailNext("Accounts.ChangeLimit", refusals(2)...)
	server.FailNext("Accounts.Disable", refusals(2)...)
	results, err = m.Ensure(t.Context(), wanted(3))
	require.ErrorIs(t, results[0].Err, reseller.ErrLeftOpen)
	require.ErrorIs(t, err, reseller.ErrLeftOpen)
	require.Len(t, server.State().Accounts, 1, "the next run limits it first")

	_, err = m.Ensure(t.Context(), wanted(3))
	require.NoError(t, err)
	requireWanted(t, server, wanted(3))
}

// An API that accepts a limit and does not set it gets no second chunk.
func TestALimitThatIsNotListedStopsTheRun(t *testing.T) {
	t.Parallel()
	server := empty(t)
	var limits int
	client := server.Client(proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if strings.HasSuffix(r.URL.Path, "/change-limit") {
				limits++
				server.Update(func(st *proxylitetest.State) {
					for i := range st.Accounts {
						st.Accounts[i].LimitRaw = new(int64(0))
					}
				})
			}
			return resp, err
		})
	}))
	t.Cleanup(client.CloseIdleConnections)
	m, err := reseller.New(client, reseller.WithPace(0), reseller.WithSettle(0), reseller.WithChunk(2), reseller.WithConcurrency(1))
	require.NoError(t, err)
	results, err := m.Ensure(t.Context(), wanted(4))
	require.ErrorIs(t, err, reseller.ErrLeftOpen)
	require.ErrorIs(t, results[0].Err, reseller.ErrNotListed)
	require.ErrorIs(t, results[3].Err, reseller.ErrStopped)
	require.Equal(t, 4, limits, "both forms of the name")
	require.Len(t, server.State().Accounts, 2)
	require.Equal(t, proxylite.AccountDisabled, server.State().Accounts[0].Status, "it was tried at least")
}

// A failure that all requests share ends the run at once, one that many share soon.
func TestARunEndsWhenNothingWorks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault proxylitetest.Fault
		most  int
		is    error
	}{
		"the key is refused": {proxylitetest.Fault{Code: 3}, 1, proxylite.ErrInvalidAppKey},
		"an outage":          {proxylitetest.Fault{Status: 503}, 30, reseller.ErrLeftOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := empty(t)
			server.FailNext("Accounts.ChangeLimit", slices.Repeat([]proxylitetest.Fault{test.fault}, test.most)...)
			results, err := manager(t, server, reseller.WithConcurrency(1)).Ensure(t.Context(), wanted(200))
			require.ErrorIs(t, err, test.is)
			require.Equal(t, test.most, count(server)["Accounts.ChangeLimit"])
			require.Len(t, server.State().Accounts, 100)
			open := 0
			for _, r := range results {
				if require.Error(t, r.Err); r.Err != nil && len(r.Done) == 1 {
					require.ErrorIs(t, r.Err, reseller.ErrLeftOpen)
					open++
				}
			}
			require.Equal(t, 100, open)
			_, err = manager(t, server).Ensure(t.Context(), wanted(200))
			require.NoError(t, err)
			requireWanted(t, server, wanted(200))
		})
	}
}

// If the API refuses every account, that is found out with some of them.
func TestARunEndsWhenEverythingIsRefused(t *testing.T) {
	t.Parallel()
	server := empty(t)
	wants := wanted(1000)
	for i := range wants {
		wants[i].ProductType = 77 // the server knows no such plan
	}
	results, err := manager(t, server).Ensure(t.Context(), wants)
	require.ErrorContains(t, err, "code 400")
	require.ErrorIs(t, results[999].Err, reseller.ErrStopped)
	require.Less(t, count(server)["Accounts.Add"], 120)
	require.Empty(t, server.State().Accounts)
}

// A list that fails after limits were accepted gets nobody disabled.
func TestAFailedListDisablesNobody(t *testing.T) {
	t.Parallel()
	server := empty(t)
	server.FailNext("Accounts.List", proxylitetest.Fault{}, proxylitetest.Fault{}, proxylitetest.Fault{Code: 500})
	results, err := manager(t, server, reseller.WithChunk(2)).Ensure(t.Context(), wanted(4))
	require.ErrorIs(t, err, reseller.ErrLeftOpen)
	require.ErrorIs(t, results[3].Err, reseller.ErrStopped)
	require.Zero(t, count(server)["Accounts.Disable"])
	_, err = manager(t, server).Ensure(t.Context(), wanted(4))
	require.NoError(t, err)
	requireWanted(t, server, wanted(4))
}
