package reseller_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// Whichever form of a name the API wants, and whatever it does about the other form,
// accounts get their limits, and few requests are spent on finding out.
func TestEitherFormOfNames(t *testing.T) {
	t.Parallel()
	for _, form := range []proxylitetest.NameForm{proxylitetest.AnyName, proxylitetest.BareNames, proxylitetest.PrefixedNames} {
		for _, missing := range []proxylitetest.NameOutcome{proxylitetest.Refuse, proxylitetest.Ignore} {
			t.Run(fmt.Sprint(form, missing), func(t *testing.T) {
				t.Parallel()
				server := empty(t, proxylitetest.WithNameRules(proxylitetest.NameRules{Form: form, Missing: missing}))
				wants := wanted(30)
				m := manager(t, server, reseller.WithChunk(5))
				_, err := m.Ensure(t.Context(), wants)
				require.NoError(t, err)
				requireWanted(t, server, wants)
				require.LessOrEqual(t, count(server)["Accounts.ChangeLimit"], 35, "the first chunk tells")

				wants[7].State = reseller.StateDisabled
				wants[8].Password = proxylite.NewPassword("another")
				_, err = m.Ensure(t.Context(), wants)
				require.NoError(t, err)
				require.Equal(t, proxylite.AccountDisabled, server.State().Accounts[7].Status)
				require.Equal(t, "another", server.State().Accounts[8].Password.Reveal())
			})
		}
	}
}

func TestListedNamesFromTheBeginning(t *testing.T) {
	t.Parallel()
	server := empty(t, proxylitetest.WithNameRules(proxylitetest.NameRules{Form: proxylitetest.PrefixedNames}))
	wants := wanted(3)
	_, err := manager(t, server, reseller.WithListedNames()).Ensure(t.Context(), wants)
	require.NoError(t, err)
	requireWanted(t, server, wants)
	for _, c := range server.Calls() {
		require.Zero(t, c.Code%200, "%s is refused", c.Body)
	}
}

// An account that is listed twice is reported, and limited as far as the API does it.
func TestDoublesAreReported(t *testing.T) {
	t.Parallel()
	double := proxylite.Account{Username: "pl-bob", LimitRaw: new(int64(0)), Status: proxylite.AccountEnabled}
	bare := double
	bare.Username = "bob"
	server := empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: []proxylite.Account{double, bare}}))
	m := manager(t, server)
	results, err := m.Ensure(t.Context(), []reseller.Want{{Name: "bob", Limit: proxylite.GB}, {Name: "eve", Limit: proxylite.GB, Password: proxylite.NewPassword("x")}})
	require.ErrorIs(t, err, reseller.ErrDoubled)
	require.ErrorIs(t, results[0].Err, reseller.ErrDoubled)
	require.NoError(t, results[1].Err)
}

// A lost request to add that comes into effect after the accounts were listed and
// added again makes doubles; they are noticed.
func TestALateDoubleIsNoticed(t *testing.T) {
	t.Parallel()
	server := empty(t, proxylitetest.WithNameRules(proxylitetest.NameRules{Doubled: proxylitetest.Double}))
	m := manager(t, server, reseller.WithChunk(1), reseller.WithConcurrency(1), reseller.WithProgress(func(p reseller.Progress) {
		if p.Done == 3 { // the second account is added, but not limited
			server.Update(func(st *proxylitetest.State) {
				late := st.Accounts[0]
				late.ID, late.LimitRaw = 99, new(int64(0))
				st.Accounts = append(st.Accounts, late)
			})
		}
	}))
	results, err := m.Ensure(t.Context(), wanted(2))
	require.ErrorIs(t, err, reseller.ErrDoubled)
	require.ErrorIs(t, results[0].Err, reseller.ErrDoubled)
	require.NoError(t, results[1].Err)
	require.Equal(t, []reseller.StepKind{"add", "limit", "limit"}, results[0].Done, "the double may be open")
}
