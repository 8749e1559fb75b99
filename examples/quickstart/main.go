// Command quickstart shows the main tasks of the SDK: accounts, usage, locations,
// extraction, static IPs, payment, orders and errors.
//
// Without a credential, it runs against an in-process ProxyLite. With PROXYLITE_APP_KEY or
// PROXYLITE_TOKEN, it runs against the real API. There it makes only calls that are free and
// change nothing, unless -write is given.
package main

import (
	"cmp"
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
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	q := quickstart{target: "https://api.ipify.org", account: "quick" + strings.ToLower(rand.Text()[:6])}
	flag.BoolVar(&q.write, "write", false, "with the real API: also do what changes or costs something")
	flag.Int64Var(&q.productID, "pid", 0, "with -write: `ID` of a product to order; the vendor's support names them")
	flag.Int64Var(&q.paymentID, "pm-id", 0, "with -pid: `ID` of the payment method; one that pays from the balance spends it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := q.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// quickstart has what the steps share.
type quickstart struct {
	client               *proxylite.Client
	write                bool
	productID, paymentID int64  // what to order
	target               string // what to fetch through a proxy
	account              string // the name of the account to add
}

func (q *quickstart) run(ctx context.Context) error {
	if os.Getenv("PROXYLITE_APP_KEY")+os.Getenv("PROXYLITE_TOKEN")+os.Getenv("PROXYLITE_BASE_URL") == "" {
		fmt.Println("PROXYLITE_APP_KEY is not set, so this runs against a ProxyLite inside this process:")
		fmt.Println("nothing leaves your machine, nothing costs, and the data is made up.")
		api := proxylitetest.NewServer(nil)
		defer api.Close()
		site := httptest.NewServer(http.HandlerFunc(greet))
		defer site.Close()
		q.client, q.target = api.Client(), site.URL
		q.write, q.productID, q.paymentID = true, 901, 1 // from the demo data
	} else {
		client, err := proxylite.NewClientFromEnv()
		if err != nil {
			return err
		}
		fmt.Println("Running against", client)
		q.client = client
	}

	failed := 0
	for _, step := range []struct {
		title  string
		writes bool // changes or costs something
		do     func(context.Context) error
	}{
		{"Proxy accounts", false, q.listAccounts},
		{"Add an account with a limit", true, q.addAccount},
		{"Traffic of the last days", false, q.showUsage},
		{"Locations of dynamic IPs", false, q.showLocations},
		{"Extract IPs and fetch through one", true, q.extractAndFetch},
		{"Static IPs for sale", false, q.showStock},
		{"Payment methods", false, q.showPayment},
		{"Create an order, find it, close it", true, q.order},
		{"Handle an error", false, q.handleError},
		{"Delete the account again", true, q.deleteAccount},
	} {
		fmt.Printf("\n== %s ==\n", step.title)
		if step.writes && !q.write {
			fmt.Println("left out, since it changes or costs something; -write does it")
			continue
		}
		if err := step.do(ctx); err != nil {
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

func (q *quickstart) listAccounts(ctx context.Context) error {
	accounts, err := q.client.Accounts.List(ctx)
	if err != nil {
		return err
	}
	rows := []string{"ACCOUNT\tSTATUS\tUSED\tLIMIT\tREMARK"}
	for _, a := range accounts {
		limit := "none"
		if l, ok := a.Limit(); ok && l > 0 {
			limit = l.String()
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", a.Username, a.Status, a.Used, limit, a.Remark))
	}
	return table(rows)
}

func (q *quickstart) addAccount(ctx context.Context) error {
	err := q.client.Accounts.Add(ctx, proxylite.AccountAddParams{
		Accounts:    []proxylite.NewAccount{{Username: q.account, Password: proxylite.NewPassword(rand.Text()[:12])}},
		Remark:      "made by the quickstart",
		ProductType: proxylite.ProductResidentialTraffic,
	})
	if err != nil {
		return err
	}
	if err := q.client.Accounts.ChangeLimit(ctx, q.account, 5*proxylite.GB); err != nil {
		return err
	}
	return q.listAccounts(ctx)
}

func (q *quickstart) showUsage(ctx context.Context) error {
	days, err := q.client.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: time.Now().AddDate(0, 0, -7)})
	if err != nil {
		return err
	}
	var most, total proxylite.Traffic
	for _, d := range days {
		most = max(most, d.Traffic)
		total += d.Traffic
	}
	for _, d := range days {
		bar := strings.Repeat("█", int(40*d.Traffic/max(most, 1)))
		fmt.Printf("%s  %-40s  %s\n", d.Day.Format("Mon 02 Jan"), bar, d.Traffic)
	}
	fmt.Println("in all:", total)
	return nil
}

func (q *quickstart) showLocations(ctx context.Context) error {
	countries, err := q.client.IP.Cities(ctx)
	if err != nil {
		return err
	}
	rows := []string{"COUNTRY\tCITIES\tFOR EXAMPLE"}
	for _, c := range countries[:min(5, len(countries))] {
		example := ""
		if len(c.Cities) > 0 {
			example = c.Cities[0].City
		}
		rows = append(rows, fmt.Sprintf("%s %s\t%d\t%s", c.CountryCode, c.NameEN, len(c.Cities), example))
	}
	if err := table(rows); err != nil {
		return err
	}
	fmt.Println(len(countries), "countries in all")
	return nil
}

func (q *quickstart) extractAndFetch(ctx context.Context) error {
	extracted, err := q.client.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 2, CountryCode: "US", Life: 30 * time.Minute})
	if err != nil {
		return err
	}
	if len(extracted.Endpoints) == 0 {
		fmt.Println("the stock is empty: try another country")
		return nil
	}
	fmt.Println("extracted:", extracted.Endpoints)

	// Use one transport for each endpoint: a shared transport would reuse connections
	// through another proxy.
	proxied := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyURL(extracted.Endpoints[0].HTTP()), DisableKeepAlives: true},
		Timeout:   20 * time.Second,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.target, nil)
	if err != nil {
		return err
	}
	resp, err := proxied.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s through %s: %s", q.target, extracted.Endpoints[0], resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	fmt.Printf("%s through %s: %q\n", q.target, extracted.Endpoints[0], body)
	return nil
}

// greet is the site to fetch if the API is in-process.
func greet(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "Hello from the target site!")
}

func (q *quickstart) showStock(ctx context.Context) error {
	rows := []string{"KIND\tCOUNTRIES\tIPS\tMOST IN"}
	for _, isp := range []proxylite.ISP{proxylite.ISPResidential, proxylite.ISPDatacenter} {
		stock, err := q.client.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(isp)})
		if err != nil {
			return err
		}
		slices.SortFunc(stock, func(a, b proxylite.RegionStock) int { return cmp.Compare(b.Number, a.Number) })
		total := 0
		var most []string
		for i, region := range stock {
			total += region.Number
			if i < 3 {
				most = append(most, fmt.Sprintf("%s (%d)", region.CountryCode, region.Number))
			}
		}
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%s", isp, len(stock), total, strings.Join(most, ", ")))
	}
	return table(rows)
}

func (q *quickstart) showPayment(ctx context.Context) error {
	groups, err := q.client.Payment.Groups(ctx, proxylite.PaymentGroupsParams{})
	if err != nil {
		return err
	}
	rows := []string{"ID\tGROUP\tFROM\tTO\tMETHOD"}
	for _, group := range groups {
		for _, m := range group.Items {
			if !m.Disabled {
				rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%s\t%s", m.ID, m.Group, m.Min, m.Max, m.Title))
			}
		}
	}
	return table(rows)
}

func (q *quickstart) order(ctx context.Context) error {
	if q.productID == 0 {
		fmt.Println("left out: an order needs -pid and -pm-id")
		return nil
	}
	created, err := q.client.Orders.Create(ctx, proxylite.OrderCreateParams{
		ProductID: q.productID, PaymentMethodID: &q.paymentID, Quantity: 1,
	})
	if err != nil {
		return err
	}
	fmt.Printf("created: %s, %s to pay\n", created.TradeNo, created.PayFee)

	// All requests each page when it is needed; break ends the iteration.
	unpaid := proxylite.OrderListParams{Status: new(proxylite.OrderAwaitingPayment)}
	for order, err := range q.client.Orders.All(ctx, unpaid) {
		if err != nil {
			return err
		}
		if order.TradeNo == created.TradeNo {
			fmt.Printf("found:   %s, %s, %s, made %s\n", order.TradeNo, order.ProductName, order.Status, order.CreatedAt.Format(time.DateTime))
			break
		}
	}

	if err := q.client.Orders.Close(ctx, created.TradeNo); err != nil {
		return err
	}
	fmt.Println("closed: ", created.TradeNo)
	return nil
}

// handleError makes a mistake on purpose. The client finds it before anything is sent, so
// nothing is spent.
func (q *quickstart) handleError(ctx context.Context) error {
	_, err := q.client.IP.Extract(ctx, proxylite.IPExtractParams{CountryCode: "USA", Life: 90 * time.Second})
	if err == nil {
		return errors.New("an extraction of no IPs was not refused")
	}
	fmt.Println(advice(err))
	return nil
}

// advice says what to do about an error. Like advice, programs should test for the error
// variables and the outcome, never for texts.
func advice(err error) string {
	if input, ok := errors.AsType[*proxylite.InputError](err); ok {
		text := "nothing was sent, the input is wrong:"
		for _, problem := range input.Problems {
			text += "\n  " + problem.String()
		}
		return text
	}
	var hint string
	switch {
	case errors.Is(err, proxylite.ErrInvalidAppKey):
		hint = "copy the app_key anew from the dashboard"
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		hint = "add this machine's IP to the allow list in the dashboard"
	case errors.Is(err, proxylite.ErrRateLimited):
		hint = "wait, then try again"
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		hint = "it may have happened: look before you do it again"
	default:
		return err.Error()
	}
	return err.Error() + "\n  " + hint
}

func (q *quickstart) deleteAccount(ctx context.Context) error {
	if err := q.client.Accounts.Delete(ctx, []string{q.account}); err != nil {
		return err
	}
	fmt.Println("deleted:", q.account)
	return nil
}

// table prints rows of tab-separated cells in columns.
func table(rows []string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(w, strings.Join(rows, "\n")+"\n"); err != nil {
		return err
	}
	return w.Flush()
}
