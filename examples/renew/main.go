// Command renew orders the renewal of the static IPs that expire soon. Run it every day: it
// renews each IP once per term.
//
// With the real API, it only lists them, unless -write is given.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "renew:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	write := flag.Bool("write", false, "with the real API: place the orders")
	product := flag.Int64("pid", 1901, "`ID` of the renewal product, from the vendor's support")
	method := flag.Int64("pm-id", 1, "`ID` of a payment method that you know to wait for payment")
	most := flag.String("max", "50.00", "the highest `fee` of an order: one that costs more is closed")
	duration := flag.String("duration", "1", "how long to renew, in the API's terms")
	within := flag.Duration("within", 7*24*time.Hour, "renew what expires in this `time`")
	path := flag.String("journal", "purchases.jsonl", "`file` that remembers the orders; in a demo, one in a temporary folder")
	delay := flag.Duration("list-delay", 2*time.Minute, "how long the list of orders may take to show a new one")
	flag.Parse()

	api, err := start.Open(os.Stdout)
	if err != nil {
		return err
	}
	defer api.Close()
	if api.Demo != nil {
		dir, err := os.MkdirTemp("", "renew")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		*path = filepath.Join(dir, "purchases.jsonl")
		fmt.Println("It will lose the response to the order, to show what a program does then.")
		api.Demo.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
	}
	if !api.Writes(*write) {
		for ip, err := range api.IP.AllStatic(ctx, proxylite.IPListStaticParams{}) {
			if err != nil {
				return err
			}
			if left := time.Until(ip.ExpiredAt); 0 < left && left <= *within {
				fmt.Println(ip, "expires", ip.ExpiredAt.Format(time.DateOnly))
			}
		}
		fmt.Println("-write orders the renewal of these")
		return nil
	}

	journal, err := purchase.OpenFile(*path)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	buyer, err := purchase.New(api.Client, journal, purchase.Policy{PaysLater: []int64{*method}}, purchase.WithListDelay(*delay))
	if err != nil {
		return err
	}
	params := proxylite.OrderCreateParams{ProductID: *product, PaymentMethodID: method, RenewDuration: *duration}
	orders, err := buyer.Renew(ctx, params, purchase.Renewal{Within: *within}, purchase.Limit{MaxPay: proxylite.Decimal(*most)})
	for _, p := range orders {
		fmt.Printf("%d static IPs: %s\n", len(p.Renews), p)
	}
	if len(orders) == 0 && err == nil {
		fmt.Println("nothing is to be renewed")
	}
	return err
}
