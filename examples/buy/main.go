// Command buy places an order that costs at most -max, once for each -key. If you run it
// again with the same key, it finds the first order.
//
// With the real API, it only shows what it would buy, unless -write is given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

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
		fmt.Fprintln(os.Stderr, "buy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	write := flag.Bool("write", false, "with the real API: place the order")
	key := flag.String("key", "first", "`name` of the purchase: it is made once")
	product := flag.Int64("pid", 901, "`ID` of the product, from the vendor's support")
	method := flag.Int64("pm-id", 1, "`ID` of a payment method that you know to wait for payment")
	most := flag.String("max", "20.00", "the highest `fee`: an order that costs more is closed")
	path := flag.String("journal", "purchases.jsonl", "`file` that remembers the purchases; in a demo, one in a temporary folder")
	flag.Parse()

	api, err := start.Open(os.Stdout)
	if err != nil {
		return err
	}
	defer api.Close()
	if !api.Writes(*write) {
		fmt.Printf("-write buys product %d for at most %s, as %q\n", *product, *most, *key)
		return nil
	}
	if api.Demo != nil {
		dir, err := os.MkdirTemp("", "buy")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		*path = filepath.Join(dir, "purchases.jsonl")
		fmt.Println("It will lose the response to the order, to show what a program does then.")
		api.Demo.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
	}

	journal, err := purchase.OpenFile(*path)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	buyer, err := purchase.New(api.Client, journal, purchase.Policy{PaysLater: []int64{*method}})
	if err != nil {
		return err
	}
	if _, err := buyer.Reconcile(ctx); err != nil { // resolve what an earlier run left open
		return err
	}
	params := proxylite.OrderCreateParams{ProductID: *product, PaymentMethodID: method, Quantity: 1}
	bought, err := buyer.Buy(ctx, *key, params, purchase.Limit{MaxPay: proxylite.Decimal(*most)})
	switch {
	case errors.Is(err, purchase.ErrAmbiguous):
		for _, order := range bought.Candidates {
			fmt.Println("may be it:", order)
		}
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		fmt.Println("Not known yet. Run it again with the same key: it buys nothing twice.")
	}
	fmt.Println(bought)
	return err
}
