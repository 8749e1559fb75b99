package reseller_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

func TestUsageOfManyAccounts(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+8", 8*60*60)
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, zone)
	for _, form := range []proxylitetest.NameForm{proxylitetest.AnyName, proxylitetest.BareNames, proxylitetest.PrefixedNames} {
		t.Run(fmt.Sprint(form), func(t *testing.T) {
			t.Parallel()
			server := empty(t, proxylitetest.WithNameRules(proxylitetest.NameRules{Form: form}), proxylitetest.WithNow(func() time.Time { return begin.AddDate(0, 2, 0) }))
			server.Update(func(st *proxylitetest.State) {
				for i := range 30 {
					st.Accounts = append(st.Accounts, proxylite.Account{ID: int64(i + 1), Username: fmt.Sprintf("pl-c%d", i), LimitRaw: new(int64(0))})
					st.Use(st.Accounts[i].Username, begin.Add(-time.Second), 7)
					st.Use(st.Accounts[i].Username, begin, proxylite.Traffic(i))
					st.Use(st.Accounts[i].Username, begin.AddDate(0, 1, 0).Add(-time.Second), proxylite.Traffic(i))
					st.Use(st.Accounts[i].Username, begin.AddDate(0, 1, 0), 7)
				}
			})
			var last reseller.Progress
			m := manager(t, server, reseller.WithProgress(func(p reseller.Progress) { last = p }))
			period := reseller.BillingPeriod(begin.Add(time.Hour), 1)
			usage, err := m.Usage(t.Context(), reseller.UsageParams{Period: period})
			require.NoError(t, err)
			require.Len(t, usage, 30)
			for i, u := range usage {
				require.Equal(t, fmt.Sprintf("c%d", i), u.Name)
				require.Equal(t, proxylite.Traffic(2*i), u.Total)
				require.Len(t, u.Days, 2)
			}
			require.Equal(t, reseller.Progress{Done: 30, Total: 30}, last)
			require.LessOrEqual(t, count(server)["Usage.Daily"], 30+8, "the form is found out once")

			usage, err = m.Usage(t.Context(), reseller.UsageParams{Names: []string{"pl-c3", "nobody"}, Period: period})
			require.ErrorIs(t, err, reseller.ErrNoAccount)
			require.ErrorContains(t, err, "no usage of 1 of 2 accounts")
			require.Equal(t, proxylite.Traffic(6), usage[0].Total)
			require.ErrorIs(t, usage[1].Err, reseller.ErrNoAccount)
		})
	}
}

func TestUsageEndsWhenNothingWorks(t *testing.T) {
	t.Parallel()
	server := empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: slices.Repeat([]proxylite.Account{{}}, 40)}))
	server.Update(func(st *proxylitetest.State) {
		for i := range st.Accounts {
			st.Accounts[i].Username = fmt.Sprintf("pl-c%d", i)
		}
	})
	server.FailNext("Usage.Daily", proxylitetest.Fault{}, proxylitetest.Fault{Code: 3})
	usage, err := manager(t, server, reseller.WithConcurrency(1)).Usage(t.Context(), reseller.UsageParams{})
	require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
	require.NoError(t, usage[0].Err)
	require.ErrorIs(t, usage[2].Err, reseller.ErrStopped)
	require.Equal(t, 2, count(server)["Usage.Daily"])
}

func TestBillingPeriods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		at         string
		day        int
		start, end string
	}{
		{"2026-03-15", 1, "2026-03-01", "2026-04-01"},
		{"2026-03-15", 15, "2026-03-15", "2026-04-15"},
		{"2026-03-14", 15, "2026-02-15", "2026-03-15"},
		{"2026-02-27", 31, "2026-01-31", "2026-02-28"},
		{"2026-02-28", 31, "2026-02-28", "2026-03-31"},
		{"2024-02-29", 30, "2024-02-29", "2024-03-30"},
		{"2026-01-01", 20, "2025-12-20", "2026-01-20"},
		{"2026-12-31", 31, "2026-12-31", "2027-01-31"},
	} {
		at, err := time.Parse(time.DateOnly, test.at)
		require.NoError(t, err)
		p := reseller.BillingPeriod(at.Add(time.Minute), test.day)
		require.Equal(t, []string{test.start, test.end}, []string{p.Start.Format(time.DateOnly), p.End.Format(time.DateOnly)}, test.at)
		require.Equal(t, p.End, reseller.BillingPeriod(p.End, test.day).Start, "periods leave no gap")
	}
}
