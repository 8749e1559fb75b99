package reseller_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// habits are how customers use traffic in an hour of the day.
var habits = []struct {
	name   string
	hourly func(rnd *rand.Rand, hour int) float64
	covers float64 // how often a forecast must be right within its error
}{
	{"steady", func(rnd *rand.Rand, _ int) float64 { return 0.5 + rnd.ExpFloat64() }, 0.85},
	{"in bursts", func(rnd *rand.Rand, _ int) float64 {
		if rnd.IntN(8) > 0 {
			return 0
		}
		return 10 * rnd.ExpFloat64()
	}, 0.75},
	{"by day", func(rnd *rand.Rand, hour int) float64 {
		if hour%24 < 9 || hour%24 > 18 {
			return 0.05 * rnd.ExpFloat64()
		}
		return 1 + 2*rnd.ExpFloat64()
	}, 0.75},
}

// A forecast after three days is right within its error about as often as it says.
func TestForecastsAreRightWithinTheirError(t *testing.T) {
	t.Parallel()
	const each, hours = 200, 72
	rnd := rand.New(rand.NewPCG(7, 7))
	var accounts []proxylite.Account
	for i := range each * len(habits) {
		accounts = append(accounts, proxylite.Account{ID: int64(i + 1), Username: fmt.Sprintf("pl-c%d", i), LimitRaw: new(int64(10)), Status: 1})
	}
	w := newWatching(t, reseller.WatchConfig{}, accounts...)
	const unit = 30 * proxylite.MB // so that the limit is reached in a week or two
	for hour := range hours {
		require.True(t, hour > 6 || w.watch.Forecast("c0") == nil)
		w.now = w.now.Add(time.Hour)
		w.server.Update(func(st *proxylitetest.State) {
			for i := range st.Accounts {
				st.Accounts[i].Used += proxylite.Traffic(habits[i/each].hourly(rnd, hour) * float64(unit))
			}
		})
		require.NoError(t, w.watch.Look(t.Context()))
	}
	for h, habit := range habits {
		right, known := 0, 0
		var errs []float64
		for i, a := range w.server.State().Accounts[h*each : (h+1)*each] {
			limit, _ := a.Limit()
			f := w.watch.Forecast(a.Name())
			if f == nil || a.Used >= limit {
				continue
			}
			known++
			end := w.now
			for hour := hours; a.Used < limit; hour++ {
				a.Used += proxylite.Traffic(habit.hourly(rnd, hour) * float64(unit))
				end = end.Add(time.Hour)
			}
			if !end.Before(f.Early.Add(-time.Hour)) && (f.Late.IsZero() || !end.After(f.Late.Add(time.Hour))) {
				right++
			}
			require.False(t, f.Early.After(f.RunsOut), i)
			errs = append(errs, f.RunsOut.Sub(end).Abs().Hours()/end.Sub(w.now).Hours())
		}
		slices.Sort(errs)
		share := float64(right) / float64(known)
		t.Logf("%s: %.0f %% of %d within the error, median error %.0f %% of the time left", habit.name, 100*share, known, 100*errs[len(errs)/2])
		require.Greater(t, share, habit.covers)
		require.Greater(t, known, each*3/4)
	}
}
