package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

func (a *app) usageCmd() *cobra.Command {
	var (
		account, start, end string
		days, productType   int
	)
	var most proxylite.Traffic
	columns := []column[proxylite.DailyUsage]{
		{name: "day", value: func(x proxylite.DailyUsage) any { return x.Day.Format(time.DateOnly) }},
		{name: "traffic", value: func(x proxylite.DailyUsage) any { return x.Traffic }},
		{name: "bar", value: func(x proxylite.DailyUsage) any { return bar(float64(x.Traffic) / float64(max(most, 1))) }, drawn: true},
	}
	cmd := &cobra.Command{
		Use:     "usage",
		Short:   "Show the traffic used on each day",
		Long:    `Show the traffic used on each day. It is counted up to 5 minutes late.`,
		Example: "  proxylite usage --demo --days 14\n  proxylite usage --account bob --start 2026-11-01 -o csv",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			zone, err := a.zone()
			if err != nil {
				return err
			}
			params := proxylite.UsageDailyParams{Username: account, ProductType: proxylite.ProductType(productType)}
			if params.Start, err = parseTime(start, zone); err != nil {
				return err
			}
			if params.End, err = parseTime(end, zone); err != nil {
				return err
			}
			if days > 0 {
				now := time.Now().In(zone)
				params.Start = time.Date(now.Year(), now.Month(), now.Day()-days+1, 0, 0, 0, 0, zone)
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			list, err := client.Usage.Daily(cmd.Context(), params)
			if err != nil {
				return err
			}
			for _, day := range list {
				most = max(most, day.Traffic)
			}
			return show(a, columns, all(list))
		},
	}
	cmd.AddCommand(a.usageForecastCmd())
	f := cmd.Flags()
	f.StringVar(&account, "account", "", "one account (default all)")
	f.StringVar(&start, "start", "", "first day or time, such as 2026-11-01 or \"2026-11-01 08:30:00\" (default 7 days ago)")
	f.StringVar(&end, "end", "", "last day or time (default now)")
	f.IntVar(&days, "days", 0, "so many days up to today")
	f.IntVar(&productType, "product-type", 0, "one kind of plan (default all)")
	cmd.MarkFlagsMutuallyExclusive("days", "start")
	return columnHelp(cmd, columns)
}

// parseTime reads a day or a time of the API's zone.
func parseTime(s string, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage(fmt.Errorf("time %q: use 2026-11-01 or \"2026-11-01 08:30:00\"", s))
}
