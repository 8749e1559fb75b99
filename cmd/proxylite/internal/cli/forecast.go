package cli

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/reseller"
)

// forecast is when an account will have used up its limit.
type forecast struct {
	Username string            `json:"username"`
	Used     proxylite.Traffic `json:"used"`
	Limit    proxylite.Traffic `json:"limit"`
	PerDay   proxylite.Traffic `json:"per_day"`
	RunsOut  time.Time         `json:"runs_out,omitzero"`
	Early    time.Time         `json:"early,omitzero"`
	Late     time.Time         `json:"late,omitzero"` // zero if it may never run out
	Error    string            `json:"error,omitempty"`
}

var forecastColumns = []column[forecast]{
	{name: "username", value: func(x forecast) any { return x.Username }},
	{name: "used", value: func(x forecast) any { return x.Used }},
	{name: "limit", value: func(x forecast) any { return x.Limit }},
	{name: "use", value: func(x forecast) any { return share(float64(x.Used) / float64(x.Limit)) }},
	{name: "per_day", value: func(x forecast) any { return x.PerDay }},
	{name: "runs_out", value: func(x forecast) any { return x.RunsOut }},
	{name: "early", value: func(x forecast) any { return x.Early }},
	{name: "late", value: func(x forecast) any { return x.Late }},
	{name: "error", value: func(x forecast) any { return x.Error }, extra: true},
}

func (a *app) usageForecastCmd() *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use:   "forecast [NAME...]",
		Short: "Say when accounts will have used up their limits",
		Long: `Say when accounts with a limit will have used it up, from the average of their last
whole days. Early and late are that average with two standard errors more and less,
which come from how much the days differ: chance, not new habits. An empty date means
that it may never run out. It takes a request for each account.`,
		Args: arguments(0, 1<<20),
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 3 {
				return usage(errors.New("--days must be at least 3"))
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			accounts, err := client.Accounts.List(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if accounts, err = named(accounts, args); err != nil {
					return err
				}
			}
			return a.forecast(cmd.Context(), client, accounts, days)
		},
	}
	cmd.Flags().IntVar(&days, "days", 14, "how many days to look back")
	return columnHelp(cmd, forecastColumns)
}

func (a *app) forecast(ctx context.Context, client *proxylite.Client, accounts []proxylite.Account, days int) error {
	zone, err := a.zone()
	if err != nil {
		return err
	}
	now := time.Now().In(zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	progress := a.progress("account")
	manager, err := reseller.New(client, reseller.WithProgress(func(p reseller.Progress) { progress.set(p.Done, p.Total) }))
	if err != nil {
		return err
	}
	var list []forecast
	var names []string
	for _, x := range accounts {
		if limit, ok := x.Limit(); ok && limit > 0 {
			list = append(list, forecast{Username: x.Username, Used: x.Used, Limit: limit})
			names = append(names, x.Username)
		}
	}
	if len(names) == 0 {
		return notFound("none of the accounts has a limit")
	}
	results, failed := manager.Usage(ctx, reseller.UsageParams{Names: names, Period: reseller.Period{Start: today.AddDate(0, 0, -days), End: today}})
	progress.end()
	if len(results) != len(list) {
		return failed
	}
	wrong := 0
	for i, r := range results {
		if r.Err != nil {
			list[i].Error = r.Err.Error()
			wrong++
			continue
		}
		list[i].predict(r.Days, days, now)
	}
	if err := show(a, forecastColumns, all(list)); err != nil {
		return err
	}
	if wrong > 0 && wrong < len(list) {
		return partly("the usage of %d of %s is not known: %w", wrong, count(len(list), "account"), failed)
	}
	return failed
}

// predict looks from the traffic of whole days to the end of the limit. A day that the
// API does not list had no traffic.
func (f *forecast) predict(used []proxylite.DailyUsage, days int, now time.Time) {
	n := float64(days)
	var sum, squares float64
	for _, day := range used {
		sum += float64(day.Traffic)
		squares += float64(day.Traffic) * float64(day.Traffic)
	}
	mean := sum / n
	twice := 2 * math.Sqrt(max(0, squares/n-mean*mean)/(n-1))
	f.PerDay = proxylite.Traffic(mean)
	end := func(perDay float64) time.Time {
		if perDay <= 0 {
			return time.Time{}
		}
		left := float64(max(0, f.Limit-f.Used)) / perDay * float64(24*time.Hour)
		if left > float64(100*365*24*time.Hour) {
			return time.Time{}
		}
		return now.Add(time.Duration(left)).Truncate(time.Minute)
	}
	f.RunsOut, f.Early, f.Late = end(mean), end(mean+twice), end(mean-twice)
}
