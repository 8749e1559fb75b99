// Command reseller keeps an account for each customer of a shop. It shows what has to be
// done, and does it with -write. After a crash, run it again to do the rest.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/reseller"
)

func main() {
	write := flag.Bool("write", false, "with the real API: add and limit accounts")
	customers := flag.Int("customers", 250, "how many customers the shop has")
	gigabytes := flag.Int64("limit", 5, "traffic that a customer has bought, in `GB`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *write, *customers, proxylite.Traffic(*gigabytes)*proxylite.GB)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "reseller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool, customers int, limit proxylite.Traffic) error {
	api, err := start.Open(os.Stdout)
	if err != nil {
		return err
	}
	defer api.Close()
	opts := []reseller.Option{reseller.WithProgress(progress)}
	if api.Demo != nil {
		opts = append(opts, reseller.WithPace(0)) // no rate limit for the in-process server
	}
	m, err := reseller.New(api.Client, opts...)
	if err != nil {
		return err
	}

	wants := make([]reseller.Want, customers)
	for i := range wants {
		name := fmt.Sprintf("cust%04d", i+1)
		wants[i] = reseller.Want{Name: name, Password: password(name), Limit: limit, Remark: new("shop"), ProductType: proxylite.ProductResidentialTraffic}
	}
	accounts, err := api.Accounts.List(ctx)
	if err != nil {
		return err
	}
	plan, err := reseller.NewPlan(wants, accounts)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(plan.String(), "\n")
	fmt.Printf("plan %.12s has %d steps: %s ...\n", plan.Digest(), len(plan.Steps), first)
	if !api.Writes(write) {
		return nil
	}
	if os.Getenv("SHOP_SECRET") == "" && api.Demo == nil {
		return errors.New("set SHOP_SECRET: passwords are made from it")
	}
	results, err := m.Apply(ctx, plan)
	changed := 0
	for _, r := range results {
		if len(r.Done) > 0 {
			changed++
		}
	}
	fmt.Printf("%d of %d accounts were added or changed\n", changed, customers)
	return err // if there is an error, run the program again
}

// password derives the password of a customer, so that it need not be stored.
func password(name string) proxylite.Password {
	mac := hmac.New(sha256.New, []byte(os.Getenv("SHOP_SECRET")))
	mac.Write([]byte(name))
	return proxylite.NewPassword(hex.EncodeToString(mac.Sum(nil))[:16])
}

func progress(p reseller.Progress) {
	if p.Done%100 == 0 {
		fmt.Printf("%d of %d\n", p.Done, p.Total)
	}
}
