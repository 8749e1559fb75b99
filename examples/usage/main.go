// Command usage prints the traffic of each of the last seven days, and of this and the last
// calendar month. It only reads, which is free.
//
// -accounts adds the traffic of each account in this month. That takes a call for each account.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/reseller"
)

// zone is where the API's days begin. The vendor does not document it.
var zone = time.FixedZone("UTC+8", 8*60*60)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	accounts := flag.Bool("accounts", false, "also print the traffic of each account in this month")
	flag.Parse()

	api, err := start.Open(os.Stdout, proxylite.WithTimeZone(zone))
	if err != nil {
		return err
	}
	defer api.Close()
	now := time.Now().In(zone)
	if err := week(ctx, api.Client, now); err != nil {
		return err
	}
	month := reseller.BillingPeriod(now, 1)
	last := reseller.BillingPeriod(month.Start.AddDate(0, 0, -1), 1)
	for _, period := range []reseller.Period{last, month} {
		total, err := sum(ctx, api.Client, period)
		if err != nil {
			return err
		}
		fmt.Println(period.Start.Format("2006-01"), "in all:", total)
	}
	if !*accounts {
		return nil
	}
	return each(ctx, api.Client, month)
}

// week prints every one of the last seven days. The API may leave out days without traffic.
func week(ctx context.Context, client *proxylite.Client, now time.Time) error {
	year, month, day := now.Date()
	first := time.Date(year, month, day-6, 0, 0, 0, 0, zone)
	days, err := client.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: first})
	if err != nil {
		return err
	}
	traffic := map[string]proxylite.Traffic{}
	for _, d := range days {
		traffic[d.Day.Format(time.DateOnly)] += d.Traffic
	}
	for i := range 7 {
		day := first.AddDate(0, 0, i).Format(time.DateOnly)
		fmt.Println(day, traffic[day])
	}
	return nil
}

// sum returns the traffic of all accounts in a period.
func sum(ctx context.Context, client *proxylite.Client, period reseller.Period) (proxylite.Traffic, error) {
	days, err := client.Usage.Daily(ctx, proxylite.UsageDailyParams{
		Start: period.Start,
		End:   period.End.Add(-time.Second), // the API's end belongs to the period
	})
	total := proxylite.Traffic(0)
	for _, d := range days {
		total += d.Traffic
	}
	return total, err
}

// each prints the traffic of each account in a period.
func each(ctx context.Context, client *proxylite.Client, period reseller.Period) error {
	m, err := reseller.New(client)
	if err != nil {
		return err
	}
	usage, err := m.Usage(ctx, reseller.UsageParams{Period: period})
	for _, u := range usage {
		if u.Err == nil {
			fmt.Println(period.Start.Format("2006-01"), u.Name+":", u.Total)
		}
	}
	return err
}
