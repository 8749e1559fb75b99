package reseller_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// arbitrary returns accounts, what is wanted of some and of others that do not exist
// yet, and which are to be deleted.
func arbitrary(rnd *rand.Rand) (accounts []proxylite.Account, wants []reseller.Want, deletes []string) {
	for i := range rnd.IntN(12) {
		accounts = append(accounts, proxylite.Account{
			ID: int64(i + 1), Username: fmt.Sprintf("pl-a%d", i), Password: proxylite.NewPassword(fmt.Sprintf("p%d", rnd.IntN(3))),
			Remark: fmt.Sprintf("r%d", rnd.IntN(3)), LimitRaw: new(int64(rnd.IntN(4))), Status: proxylite.AccountStatus(rnd.IntN(2)),
			Used: proxylite.Traffic(rnd.IntN(1000)), ProductType: proxylite.ProductResidentialTraffic, CreatedAt: time.Unix(1e9, 0),
		})
	}
	for i := range 16 {
		name := fmt.Sprintf("a%d", i)
		if rnd.IntN(6) == 0 {
			deletes = append(deletes, name)
		} else if rnd.IntN(3) > 0 {
			w := reseller.Want{Name: name, State: reseller.State(rnd.IntN(3))}
			missing := i >= len(accounts)
			if missing || rnd.IntN(2) == 0 {
				w.Limit = []proxylite.Traffic{reseller.NoLimit, proxylite.GB, 2 * proxylite.GB, 3 * proxylite.GB}[rnd.IntN(4)]
			}
			if missing || rnd.IntN(2) == 0 {
				w.Password = proxylite.NewPassword(fmt.Sprintf("p%d", rnd.IntN(3)))
			}
			if rnd.IntN(2) == 0 {
				w.Remark = new([]string{"", "r1", "r2"}[rnd.IntN(3)])
			}
			wants = append(wants, w)
		}
	}
	return accounts, wants, deletes
}

// expected is what the accounts become, computed without a plan.
func expected(accounts []proxylite.Account, wants []reseller.Want, deletes []string) map[string]string {
	all := map[string]proxylite.Account{}
	for _, a := range accounts {
		all[a.Name()] = a
	}
	for _, name := range deletes {
		delete(all, name)
	}
	for _, w := range wants {
		a, ok := all[w.Name]
		if !ok {
			a = proxylite.Account{Username: "pl-" + w.Name, LimitRaw: new(int64(0)), Status: proxylite.AccountEnabled}
		}
		if w.Limit != 0 {
			a.LimitRaw = new(max(int64(w.Limit/proxylite.GB), 0))
		}
		if w.Password != (proxylite.Password{}) {
			a.Password = w.Password
		}
		if w.Remark != nil {
			a.Remark = *w.Remark
		}
		if w.State != reseller.StateAny {
			a.Status = proxylite.AccountStatus(2 - w.State)
		}
		all[w.Name] = a
	}
	return described(slices.Collect(func(yield func(proxylite.Account) bool) {
		for _, a := range all {
			yield(a)
		}
	}))
}

func described(accounts []proxylite.Account) map[string]string {
	all := map[string]string{}
	for _, a := range accounts {
		all[a.Username] = fmt.Sprintf("%s %d %q %s", a.Password.Reveal(), *a.LimitRaw, a.Remark, a.Status)
	}
	return all
}

// Applying a plan to any accounts makes them as wanted, also if it is interrupted and
// applied again, and then nothing is left to do.
func TestAPlanMakesAnyAccountsAsWanted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 20))
		accounts, wants, deletes := arbitrary(rnd)
		rules := proxylitetest.NameRules{Form: proxylitetest.NameForm(rnd.IntN(3)), Doubled: proxylitetest.Double}
		server := empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: accounts}), proxylitetest.WithNameRules(rules))
		ctx, cancel := context.WithCancel(t.Context())
		var left atomic.Int64
		left.Store(2 + rnd.Int64N(30))
		client := server.Client(proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if left.Add(-1) == 0 {
					cancel()
				}
				return next.RoundTrip(r)
			})
		}))
		// One at a time, so that no request that was given up arrives late.
		m, err := reseller.New(client, reseller.WithPace(0), reseller.WithSettle(0), reseller.WithChunk(1+rnd.IntN(6)), reseller.WithConcurrency(1))
		require.NoError(t, err)
		actual, err := client.Accounts.List(t.Context())
		require.NoError(t, err)
		plan, err := reseller.NewPlan(wants, actual, reseller.Delete(deletes...))
		require.NoError(t, err)

		_, err = m.Apply(ctx, plan)
		if ctx.Err() != nil {
			require.True(t, err != nil || plan.Empty() || left.Load() <= 0)
			server.Update(func(st *proxylitetest.State) { // usage goes on
				for i := range st.Accounts {
					st.Accounts[i].Used += 7
				}
			})
			_, err = m.Apply(t.Context(), plan)
		}
		require.NoError(t, err, "seed %d\n%s", seed, plan)
		cancel()

		require.Equal(t, expected(accounts, wants, deletes), described(server.State().Accounts), "seed %d\n%s", seed, plan)
		actual, err = client.Accounts.List(t.Context())
		require.NoError(t, err)
		second, err := reseller.NewPlan(wants, actual, reseller.Delete(deletes...))
		require.NoError(t, err)
		require.True(t, second.Empty(), "seed %d: %s", seed, second)
		before := len(server.Calls())
		_, err = m.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Len(t, server.Calls(), before+1, "seed %d: twice does nothing but look", seed)
		client.CloseIdleConnections()
		server.Close()
	}
}

func planned(t *testing.T) ([]proxylite.Account, []reseller.Want, *reseller.Plan) {
	t.Helper()
	accounts := []proxylite.Account{
		{ID: 1, Username: "pl-bob", Password: proxylite.NewPassword("oldsecret"), LimitRaw: new(int64(0)), Status: 1, Used: 3 * proxylite.GB, Remark: "a\nb"},
		{ID: 2, Username: "pl-eve", LimitRaw: new(int64(5)), Status: 1, ProductType: 9},
		{ID: 3, Username: "pl-old", LimitRaw: new(int64(5)), Status: 0, Used: proxylite.GB},
		{ID: 4, Username: "other", LimitRaw: new(int64(5)), Status: 1},
	}
	wants := []reseller.Want{
		{Name: "bob", Limit: 5 * proxylite.GB, Password: proxylite.NewPassword("newsecret"), Remark: new("客户")},
		{Name: "eve", State: reseller.StateDisabled, ProductType: 11},
		{Name: "new", Limit: reseller.NoLimit, Password: proxylite.NewPassword("newsecret"), ProductType: 9, State: reseller.StateDisabled, Remark: new("x")},
	}
	plan, err := reseller.NewPlan(wants, accounts, reseller.Delete("old", "pl-old", "gone"))
	require.NoError(t, err)
	return accounts, wants, plan
}

func TestAPlanPrintsWithoutPasswords(t *testing.T) {
	t.Parallel()
	_, _, plan := planned(t)
	require.Equal(t, `limit bob: no limit -> 5 GB
disable eve
add new: no limit, remark "x", dynamic residential traffic, disabled
password bob
remark bob: "a\nb" -> "客户"
delete old: final, 1 GB used
problem eve: the account has another product type: dynamic residential traffic instead of dynamic residential IP
`, plan.String())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %v", plan, plan, plan.Steps, plan.Steps), "secret")
}

func TestADigestIsOfStepsAndAccounts(t *testing.T) {
	t.Parallel()
	accounts, wants, plan := planned(t)
	deletes := reseller.Delete("old")
	digest := func() string {
		p, err := reseller.NewPlan(wants, accounts, deletes)
		require.NoError(t, err)
		return p.Digest()
	}
	require.Len(t, plan.Digest(), 64)
	require.Equal(t, plan.Digest(), digest())
	accounts[0].Used++
	slices.Reverse(accounts)
	require.Equal(t, plan.Digest(), digest(), "neither usage nor the order of the list")
	slices.Reverse(accounts)
	wants[0].Password = proxylite.NewPassword("another")
	require.Equal(t, plan.Digest(), digest(), "nor passwords")
	accounts[3].Remark = "changed"
	require.NotEqual(t, plan.Digest(), digest(), "an account")
	accounts[3].Remark = ""
	wants[0].Limit = 6 * proxylite.GB
	require.NotEqual(t, plan.Digest(), digest(), "a step")
}

// A plan is for the accounts it was made for.
func TestAPlanIsRefusedWhenAccountsHaveChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*proxylitetest.State){
		"another limit":    func(st *proxylitetest.State) { st.Accounts[0].LimitRaw = new(int64(9)) },
		"another account":  func(st *proxylitetest.State) { st.Accounts[3].Remark = "new" },
		"another password": func(st *proxylitetest.State) { st.Accounts[3].Password = proxylite.NewPassword("x") },
		"enabled":          func(st *proxylitetest.State) { st.Accounts[2].Status = 1 },
		"added": func(st *proxylitetest.State) {
			st.Accounts = append(st.Accounts, proxylite.Account{ID: 9, Username: "pl-x"})
		},
		"added again":        func(st *proxylitetest.State) { st.Accounts[3].ID = 9 },
		"deleted":            func(st *proxylitetest.State) { st.Accounts = st.Accounts[:3] },
		"another time it is": func(st *proxylitetest.State) { st.Accounts[3].CreatedAt = time.Unix(1e9, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts, wants, _ := planned(t)
			server := empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: accounts}))
			listed, err := server.Client().Accounts.List(t.Context())
			require.NoError(t, err)
			plan, err := reseller.NewPlan(wants, listed)
			require.NoError(t, err)
			server.Update(func(st *proxylitetest.State) { st.Accounts[0].Used += proxylite.GB })
			server.Update(change)
			_, err = manager(t, server).Apply(t.Context(), plan)
			require.ErrorIs(t, err, reseller.ErrChanged)
			require.Equal(t, map[string]int{"Accounts.List": 2}, count(server))
		})
	}
}

func TestDeletionOnlyByName(t *testing.T) {
	t.Parallel()
	accounts, wants, _ := planned(t)
	plan, err := reseller.NewPlan(wants, accounts)
	require.NoError(t, err)
	require.NotContains(t, plan.String(), "delete")
	_, err = reseller.NewPlan(wants, accounts, reseller.Delete("pl-bob"))
	require.ErrorContains(t, err, `Delete[0]: is both wanted and to be deleted (got "bob")`)
	_, err = reseller.NewPlan(nil, append(accounts, accounts[0]), reseller.Delete("bob"))
	require.ErrorContains(t, err, "is listed more than once")
}
