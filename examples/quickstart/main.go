// Command quickstart shows a day with the SDK: accounts, usage, fetching through proxies,
// buying and errors.
//
// Without a credential, it runs against an in-process ProxyLite. With PROXYLITE_APP_KEY or
// PROXYLITE_TOKEN, it runs against the real API. There it makes only calls that are free and
// change nothing, unless -write is given.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/purchase"
)

type day struct {
	*start.API
	account string // the name of the account to add
	target  string // what to fetch
}

func main() {
	write := flag.Bool("write", false, "with the real API: also do what changes or costs something")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *write)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool) error {
	api, err := start.Open(os.Stdout)
	if err != nil {
		return err
	}
	defer api.Close()
	d := &day{api, "quick" + strings.ToLower(rand.Text()[:6]), "https://api.ipify.org"}
	if api.Demo != nil {
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "Hello from the target site!")
		}))
		defer site.Close()
		d.target = site.URL
	}
	failed := 0
	for _, step := range []struct {
		title  string
		writes bool // changes or costs something
		do     func(context.Context) error
	}{
		{"Proxy accounts", false, d.listAccounts},
		{"Add an account with a limit", true, d.addAccount},
		{"Traffic of the last days", false, d.showUsage},
		{"Fetch through proxies: each session keeps its IP", true, d.fetch},
		{"Buy within a limit, then close the order", true, d.buy},
		{"Handle an error", false, d.handleError},
		{"Delete the account again", true, d.deleteAccount},
	} {
		fmt.Printf("\n== %s ==\n", step.title)
		if step.writes && !api.Writes(write) {
			fmt.Println("left out, since it changes or costs something; -write does it")
		} else if err := step.do(ctx); err != nil {
			failed++
			fmt.Println("failed:", advice(err))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d steps failed", failed)
	}
	fmt.Println("\nDone. The other programs in examples/ do one task each.")
	return nil
}

func (d *day) listAccounts(ctx context.Context) error {
	accounts, err := d.Accounts.List(ctx)
	for _, a := range accounts {
		limit := "no limit"
		if l, ok := a.Limit(); ok && l > 0 {
			limit = "of " + l.String()
		}
		fmt.Printf("%-16s %-9s %10s %-12s %s\n", a.Username, a.Status, a.Used, limit, a.Remark)
	}
	return err
}

func (d *day) addAccount(ctx context.Context) error {
	err := d.Accounts.Add(ctx, proxylite.AccountAddParams{
		Accounts:    []proxylite.NewAccount{{Username: d.account, Password: proxylite.NewPassword(rand.Text()[:12])}},
		Remark:      "made by the quickstart",
		ProductType: proxylite.ProductResidentialTraffic,
	})
	if err != nil {
		return err
	}
	if err := d.Accounts.ChangeLimit(ctx, d.account, 5*proxylite.GB); err != nil {
		return err
	}
	return d.listAccounts(ctx)
}

func (d *day) showUsage(ctx context.Context) error {
	days, err := d.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: time.Now().AddDate(0, 0, -7)})
	most := proxylite.Traffic(1)
	for _, day := range days {
		most = max(most, day.Traffic)
	}
	for _, day := range days {
		fmt.Printf("%s  %-40s  %s\n", day.Day.Format("Mon 02 Jan"), strings.Repeat("█", int(40*day.Traffic/most)), day.Traffic)
	}
	return err
}

func (d *day) fetch(ctx context.Context) error {
	p, err := pool.New(pool.Extract(d.IP, proxylite.IPExtractParams{Quantity: 2, CountryCode: "US", Life: 30 * time.Minute}))
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	web := &http.Client{Transport: p.Transport(), Timeout: 20 * time.Second}
	for _, session := range []string{"anna", "ben", "anna"} {
		req, err := http.NewRequestWithContext(pool.WithSession(ctx, session), http.MethodGet, d.target, nil)
		if err != nil {
			return err
		}
		resp, err := web.Do(req)
		if err != nil {
			return err
		}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		_ = resp.Body.Close()
		via, _ := pool.ViaOf(resp)
		fmt.Printf("%-5s through %s: %q\n", session, via.Proxy, body)
	}
	return nil
}

func (d *day) buy(ctx context.Context) error {
	if d.Demo == nil {
		fmt.Println("left out: see examples/buy, which needs to know the product and how you pay")
		return nil
	}
	method := int64(1)                                                                 // one that is known to wait for payment
	journal, err := purchase.OpenFile(filepath.Join(os.TempDir(), d.account+".jsonl")) // nothing in it is bought twice
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	buyer, err := purchase.New(d.Client, journal, purchase.Policy{PaysLater: []int64{method}})
	if err != nil {
		return err
	}
	order := proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: &method, Quantity: 1}
	bought, err := buyer.Buy(ctx, "the first order of the day", order, purchase.Limit{MaxPay: "20.00"})
	if err != nil {
		return err
	}
	fmt.Println("bought, and closed again:", bought.Order)
	return d.Orders.Close(ctx, bought.Order.TradeNo)
}

// handleError makes a mistake on purpose. The client finds it before anything is sent.
func (d *day) handleError(ctx context.Context) error {
	_, err := d.IP.Extract(ctx, proxylite.IPExtractParams{CountryCode: "USA", Life: 90 * time.Second})
	fmt.Println(advice(err))
	return nil
}

func (d *day) deleteAccount(ctx context.Context) error {
	fmt.Println("deleting", d.account)
	return d.Accounts.Delete(ctx, []string{d.account})
}

// advice says what to do about an error. Test for error variables, never for texts.
func advice(err error) string {
	switch {
	case errors.Is(err, proxylite.ErrInvalidAppKey):
		return err.Error() + "\n  copy the app_key anew from the dashboard"
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		return err.Error() + "\n  it may have happened: look before you do it again"
	}
	return err.Error()
}
