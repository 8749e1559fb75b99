package reseller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// wanted returns wants that differ in everything.
func wanted(n int) []reseller.Want {
	wants := make([]reseller.Want, n)
	for i := range wants {
		wants[i] = reseller.Want{
			Name: fmt.Sprintf("cust%05d", i), Password: proxylite.NewPassword(fmt.Sprintf("secret%06d", i)),
			Limit: proxylite.Traffic(1+i%7) * proxylite.GB, Remark: new("shop"), ProductType: proxylite.ProductResidentialTraffic,
		}
	}
	return wants
}

// manager is quick, and alone with a server that has no accounts.
func manager(t testing.TB, server *proxylitetest.Server, opts ...reseller.Option) *reseller.Manager {
	t.Helper()
	client := server.Client(proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: time.Microsecond, Budget: -1}))
	t.Cleanup(client.CloseIdleConnections)
	m, err := reseller.New(client, append([]reseller.Option{reseller.WithPace(0), reseller.WithSettle(time.Millisecond), reseller.WithPoll(time.Millisecond)}, opts...)...)
	require.NoError(t, err)
	return m
}

func empty(t testing.TB, opts ...proxylitetest.Option) *proxylitetest.Server {
	t.Helper()
	return proxylitetest.NewServer(t, append([]proxylitetest.Option{proxylitetest.WithState(proxylitetest.State{}), proxylitetest.WithoutProxies()}, opts...)...)
}

// requireWanted requires that the accounts are exactly those.
func requireWanted(t testing.TB, server *proxylitetest.Server, wants []reseller.Want) {
	t.Helper()
	accounts := server.State().Accounts
	require.Len(t, accounts, len(wants))
	byName := map[string]proxylite.Account{}
	for _, a := range accounts {
		byName[a.Name()] = a
	}
	for _, w := range wants {
		a, ok := byName[w.Name]
		require.True(t, ok, w.Name)
		limit, known := a.Limit()
		require.True(t, known)
		require.Equal(t, w.Limit, limit, w.Name)
		require.Equal(t, w.Password, a.Password, w.Name)
		require.Equal(t, *w.Remark, a.Remark, w.Name)
		require.Equal(t, proxylite.AccountEnabled, a.Status, w.Name)
	}
}

func count(server *proxylitetest.Server) map[string]int {
	n := map[string]int{}
	for _, c := range server.Calls() {
		n[c.Operation]++
	}
	return n
}

func TestEnsureAddsAndLimits(t *testing.T) {
	t.Parallel()
	server := empty(t)
	var last reseller.Progress
	m := manager(t, server, reseller.WithChunk(10), reseller.WithProgress(func(p reseller.Progress) { last = p }))
	wants := wanted(25)
	results, err := m.Ensure(t.Context(), wants)
	require.NoError(t, err)
	requireWanted(t, server, wants)
	require.Equal(t, map[string]int{"Accounts.List": 4, "Accounts.Add": 3, "Accounts.ChangeLimit": 25}, count(server))
	require.Equal(t, reseller.Progress{Done: 50, Total: 50}, last)
	for i, r := range results {
		require.Equal(t, wants[i].Name, r.Name)
		require.Equal(t, []reseller.StepKind{reseller.StepAdd, reseller.StepLimit}, r.Done)
	}

	results, err = m.Ensure(t.Context(), wants)
	require.NoError(t, err)
	require.Empty(t, results[0].Done)
	require.Equal(t, 5, count(server)["Accounts.List"], "a second run only looks")
	require.Len(t, server.Calls(), 4+3+25+1)
}

// No account is ever open beside those of the chunk that is being added.
func TestEnsureLimitsAChunkBeforeTheNext(t *testing.T) {
	t.Parallel()
	server := empty(t)
	m := manager(t, server, reseller.WithChunk(5))
	_, err := m.Ensure(t.Context(), wanted(20))
	require.NoError(t, err)
	open := 0
	for _, c := range server.Calls() {
		switch c.Operation {
		case "Accounts.Add":
			require.Zero(t, open, "accounts are added while others are open")
			open += 5
		case "Accounts.ChangeLimit":
			open--
		}
	}
	require.Zero(t, open)
}

func TestEnsureSetsWhatDiffers(t *testing.T) {
	t.Parallel()
	account := func(name string, limit int64, status proxylite.AccountStatus) proxylite.Account {
		return proxylite.Account{Username: "pl-" + name, Password: proxylite.NewPassword("old"), LimitRaw: &limit, Status: status, Remark: "old", ProductType: 9}
	}
	server := empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: []proxylite.Account{
		account("same", 5, 1), account("open", 0, 1), account("off", 5, 0), account("on", 5, 1), account("other", 3, 0),
	}}))
	m := manager(t, server, reseller.WithConcurrency(1))
	results, err := m.Ensure(t.Context(), []reseller.Want{
		{Name: "same"},
		{Name: "on", State: reseller.StateDisabled, Limit: reseller.NoLimit},
		{Name: "off", State: reseller.StateEnabled, Password: proxylite.NewPassword("new"), Remark: new("")},
		{Name: "pl-open", Limit: 2 * proxylite.GB},
		{Name: "fresh", State: reseller.StateDisabled, Limit: proxylite.GB, Password: proxylite.NewPassword("new"), Remark: new("客户")},
	})
	require.NoError(t, err)
	require.Equal(t, [][]reseller.StepKind{
		nil, {"limit", "disable"}, {"password", "remark", "enable"}, {"limit"}, {"add", "limit", "disable"},
	}, [][]reseller.StepKind{results[0].Done, results[1].Done, results[2].Done, results[3].Done, results[4].Done})
	require.Equal(t, []string{"Accounts.List", "Accounts.ChangeLimit"}, []string{server.Calls()[0].Operation, server.Calls()[1].Operation})
	require.Contains(t, server.Calls()[1].Body, "open", "what is open comes first")
	var got []string
	for _, a := range server.State().Accounts {
		got = append(got, fmt.Sprintf("%s %s %d %q %s", a.Username, a.Password.Reveal(), *a.LimitRaw, a.Remark, a.Status))
	}
	require.Equal(t, []string{
		`pl-same old 5 "old" enabled`, `pl-open old 2 "old" enabled`, `pl-off new 5 "" enabled`,
		`pl-on old 0 "old" disabled`, `pl-other old 3 "old" disabled`, `pl-fresh new 1 "客户" disabled`,
	}, got)
}

func TestEnsureChecksAllInputFirst(t *testing.T) {
	t.Parallel()
	server := empty(t)
	wants := append(wanted(3), reseller.Want{Name: "x:y", Limit: -proxylite.GB}, reseller.Want{Name: "pl-cust00001"}, reseller.Want{})
	wants[2].Limit = 1
	wants[1].Password = proxylite.NewPassword("no good")
	wants[0].Remark = new(strings.Repeat("长", 33))
	_, err := manager(t, server).Ensure(t.Context(), wants)
	require.ErrorIs(t, err, proxylite.ErrInvalidInput)
	var input *proxylite.InputError
	require.ErrorAs(t, err, &input)
	var fields []string
	for _, p := range input.Problems {
		fields = append(fields, p.Field)
	}
	require.Equal(t, []string{
		"wants[0].Remark", "wants[1].Password", "wants[2].Limit", "wants[3].Name", "wants[3].Limit", "wants[4].Name", "wants[5].Name",
	}, fields)
	require.NotContains(t, err.Error(), "no good")
	require.Empty(t, server.Calls())

	_, err = manager(t, server).Ensure(t.Context(), []reseller.Want{{Name: "a"}})
	require.ErrorContains(t, err, "wants[0].Password: is required, because a has to be added; wants[0].Limit: is required")
	require.Equal(t, map[string]int{"Accounts.List": 1}, count(server))
}

// What the checks admit, the client admits: a run does not stop halfway for a bad name.
func FuzzWant(f *testing.F) {
	f.Add("bob", "secret", int64(5), "remark")
	f.Add("pl-bob", "a:b", int64(0), "长")
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithBaseURL("http://127.0.0.1:1"))
	require.NoError(f, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Fuzz(func(t *testing.T, name, password string, limit int64, remark string) {
		want := reseller.Want{Name: name, Password: proxylite.NewPassword(password), Limit: proxylite.Traffic(limit), Remark: &remark}
		plan, err := reseller.NewPlan([]reseller.Want{want}, nil)
		admitted := true
		bare := proxylite.Account{Username: name}.Name()
		for _, err := range []error{
			client.Accounts.Add(ctx, proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: bare, Password: want.Password}}, Remark: remark}),
			client.Accounts.ChangeLimit(ctx, bare, max(want.Limit, 0)),
		} {
			admitted = admitted && !errors.Is(err, proxylite.ErrInvalidInput)
		}
		if err == nil {
			require.True(t, admitted, plan.String())
		} else if want.Limit > 0 && name == bare {
			require.False(t, admitted, err)
		}
	})
}

// A request to add accounts that may have arrived is not sent again blindly.
func TestAddIsRepeatedOnlyAfterALook(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults []proxylitetest.Fault
		adds   int
	}{
		"response lost":       {[]proxylitetest.Fault{{After: true, Cut: true}}, 1},
		"request lost":        {[]proxylitetest.Fault{{Cut: true}}, 2},
		"page in its place":   {[]proxylitetest.Fault{{After: true, Status: 502}}, 1},
		"rate limited":        {[]proxylitetest.Fault{{Status: 429}, {Code: 429}}, 3},
		"rate limited, after": {[]proxylitetest.Fault{{Status: 429, After: true}}, 1},
		"odd success":         {[]proxylitetest.Fault{{Body: "ok", After: true}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// This server adds a name twice, if it is asked to.
			server := empty(t, proxylitetest.WithNameRules(proxylitetest.NameRules{Doubled: proxylitetest.Double}))
			server.FailNext("Accounts.Add", test.faults...)
			wants := wanted(10)
			_, err := manager(t, server).Ensure(t.Context(), wants)
			require.NoError(t, err)
			requireWanted(t, server, wants)
			require.Equal(t, test.adds, count(server)["Accounts.Add"])
		})
	}
}

// roundTripper is a middleware in place of the network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A part of a chunk that was added is limited before the others are added again.
func TestPartOfAChunk(t *testing.T) {
	t.Parallel()
	server := empty(t)
	server.FailNext("Accounts.Add", proxylitetest.Fault{Cut: true})
	wants := wanted(6)
	crashed := false
	client := server.Client(proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/add") || crashed {
				return next.RoundTrip(r)
			}
			crashed = true
			resp, err := next.RoundTrip(r)
			server.Update(func(st *proxylitetest.State) {
				for i, w := range wants[:3] {
					st.Accounts = append(st.Accounts, proxylite.Account{ID: int64(i + 1), Username: "pl-" + w.Name, Password: w.Password, Remark: "shop", LimitRaw: new(int64(0)), Status: 1, ProductType: 9})
				}
			})
			return resp, err
		})
	}))
	t.Cleanup(client.CloseIdleConnections)
	m, err := reseller.New(client, reseller.WithPace(0), reseller.WithSettle(0))
	require.NoError(t, err)
	_, err = m.Ensure(t.Context(), wants)
	require.NoError(t, err)
	requireWanted(t, server, wants)
	isAdd := func(c proxylitetest.Call) bool { return c.Operation == "Accounts.Add" }
	first := slices.IndexFunc(server.Calls(), isAdd)
	second := first + 1 + slices.IndexFunc(server.Calls()[first+1:], isAdd)
	limits := 0
	for _, c := range server.Calls()[:second] {
		if c.Operation == "Accounts.ChangeLimit" {
			limits++
		}
	}
	require.Equal(t, 3, limits)
	require.NotContains(t, server.Calls()[second].Body, wants[0].Name)
}

// One account that the API refuses costs no other account anything.
func TestARefusedAccountIsFound(t *testing.T) {
	t.Parallel()
	server := empty(t)
	server.FailNext("Accounts.Add", slices.Repeat([]proxylitetest.Fault{{Code: 400}}, 3)...) // of four, of two, of one
	wants := wanted(4)
	results, err := manager(t, server).Ensure(t.Context(), wants)
	require.ErrorContains(t, err, "1 of 4 accounts are not as wanted, such as cust00000")
	for i, r := range results {
		require.Equal(t, i == 0, r.Err != nil, r.Err)
	}
	var e *proxylite.Error
	require.ErrorAs(t, results[0].Err, &e)
	require.Equal(t, 400, e.Code)
	requireWanted(t, server, wants[1:])
}

// A run that ends after accounts were added does not call them finished.
func TestWhatANewAccountIsOwed(t *testing.T) {
	t.Parallel()
	for operation, state := range map[string]reseller.State{"Accounts.ChangeRemark": reseller.StateAny, "Accounts.Disable": reseller.StateDisabled} {
		server := empty(t)
		server.FailNext(operation, proxylitetest.Fault{Code: 3})
		wants := wanted(3)
		for i := range wants {
			wants[i].Remark, wants[i].State = new(fmt.Sprint("customer ", i)), state
		}
		results, err := manager(t, server, reseller.WithConcurrency(1)).Ensure(t.Context(), wants)
		require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
		require.Error(t, results[2].Err, operation)
		_, err = manager(t, server).Ensure(t.Context(), wants)
		require.NoError(t, err)
		require.Equal(t, "customer 2", server.State().Accounts[2].Remark)
		require.Equal(t, state == reseller.StateDisabled, server.State().Accounts[2].Status == proxylite.AccountDisabled)
	}
}

// A list without limits and passwords gets nobody disabled.
func TestWhatIsNotListedIsSetAgain(t *testing.T) {
	t.Parallel()
	server := empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: []proxylite.Account{{ID: 1, Username: "pl-bob", Status: proxylite.AccountEnabled}}}))
	client := server.Client(proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			server.Update(func(st *proxylitetest.State) {
				st.Accounts[0].LimitRaw, st.Accounts[0].Password = nil, proxylite.Password{}
			})
			return next.RoundTrip(r)
		})
	}))
	t.Cleanup(client.CloseIdleConnections)
	m, err := reseller.New(client, reseller.WithPace(0), reseller.WithSettle(0))
	require.NoError(t, err)
	for range 2 {
		results, err := m.Ensure(t.Context(), []reseller.Want{{Name: "bob", Limit: proxylite.GB, Password: proxylite.NewPassword("x")}})
		require.ErrorIs(t, err, reseller.ErrNotListed)
		require.Equal(t, []reseller.StepKind{reseller.StepPassword}, results[0].Done)
		require.Equal(t, proxylite.AccountEnabled, server.State().Accounts[0].Status)
	}
}
