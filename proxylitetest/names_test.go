package proxylitetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func named(t *testing.T, rules proxylitetest.NameRules) (*proxylitetest.Server, *proxylite.Client) {
	t.Helper()
	server := proxylitetest.NewServer(t, proxylitetest.WithNameRules(rules), proxylitetest.WithState(proxylitetest.State{Accounts: []proxylite.Account{
		{ID: 1, Username: "pl-bob", LimitRaw: new(int64(1)), Status: proxylite.AccountEnabled},
	}}))
	client := server.Client()
	t.Cleanup(client.CloseIdleConnections)
	return server, client
}

func TestFormsOfNames(t *testing.T) {
	t.Parallel()
	for form, admits := range map[proxylitetest.NameForm]map[string]bool{
		proxylitetest.AnyName:       {"bob": true, "pl-bob": true},
		proxylitetest.BareNames:     {"bob": true, "pl-bob": false},
		proxylitetest.PrefixedNames: {"bob": false, "pl-bob": true},
	} {
		_, client := named(t, proxylitetest.NameRules{Form: form})
		for name, admitted := range admits {
			require.Equal(t, admitted, client.Accounts.ChangeLimit(t.Context(), name, proxylite.GB) == nil, "%d %s", form, name)
			require.Equal(t, admitted, client.Accounts.Disable(t.Context(), []string{name}) == nil, "%d %s", form, name)
		}
	}
}

func TestMissingNames(t *testing.T) {
	t.Parallel()
	server, client := named(t, proxylitetest.NameRules{MissingCode: 4711})
	err := client.Accounts.Disable(t.Context(), []string{"bob", "eve"})
	var e *proxylite.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 4711, e.Code)
	require.Equal(t, proxylite.AccountEnabled, server.State().Accounts[0].Status, "none is changed")

	server, client = named(t, proxylitetest.NameRules{Missing: proxylitetest.Ignore})
	require.NoError(t, client.Accounts.Disable(t.Context(), []string{"eve", "bob"}))
	require.NoError(t, client.Accounts.ChangeLimit(t.Context(), "eve", proxylite.GB))
	require.NoError(t, client.Accounts.Delete(t.Context(), []string{"eve"}))
	require.Len(t, server.State().Accounts, 1)
	require.Equal(t, proxylite.AccountDisabled, server.State().Accounts[0].Status)
}

func TestDoubledNames(t *testing.T) {
	t.Parallel()
	add := func(client *proxylite.Client) error {
		secret := proxylite.NewPassword("secret")
		return client.Accounts.Add(t.Context(), proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "bob", Password: secret}, {Username: "eve", Password: secret}}})
	}
	server, client := named(t, proxylitetest.NameRules{DoubledCode: 4712})
	var e *proxylite.Error
	require.ErrorAs(t, add(client), &e)
	require.Equal(t, 4712, e.Code)
	require.Len(t, server.State().Accounts, 1)

	server, client = named(t, proxylitetest.NameRules{Doubled: proxylitetest.Ignore})
	require.NoError(t, add(client))
	require.Len(t, server.State().Accounts, 2)

	server, client = named(t, proxylitetest.NameRules{Doubled: proxylitetest.Double})
	require.NoError(t, add(client))
	require.NoError(t, client.Accounts.ChangeLimit(t.Context(), "bob", 5*proxylite.GB))
	accounts := server.State().Accounts
	require.Len(t, accounts, 3)
	require.Equal(t, []int64{5, 0}, []int64{*accounts[0].LimitRaw, *accounts[1].LimitRaw}, "the first is changed")
}
