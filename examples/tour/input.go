package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
)

// input is what the flags say. What was not given is left to the API; a required
// value then is one that harms nobody, or the call says that it is missing.
type input struct {
	only  []string
	write bool
	zone  *time.Location

	accounts     []string
	password     string
	username     string // of the usage
	remark       string
	limit        proxylite.Traffic
	productType  proxylite.ProductType
	start, end   time.Time
	page         proxylite.PageParams
	tradeNo      string
	orderStatus  *proxylite.OrderStatus
	staticStatus proxylite.StaticIPStatus
	isp          *proxylite.ISP
	extract      proxylite.ExtractParams
	order        proxylite.CreateOrderParams
}

const about = `tour calls every operation of the ProxyLite API once and prints one line of JSON for each:

  {"operation":"Accounts.List","ok":true,"value":…}
  {"operation":"Orders.Create","ok":false,"error":"…","code":3,"status":200,"outcome":"rejected"}

The credential is PROXYLITE_APP_KEY or PROXYLITE_TOKEN, the API is PROXYLITE_BASE_URL. With
none of them set it runs against a ProxyLite in the process.

value is the decoded result, whole, or null where the answer has no data. It holds the
PASSWORDS of accounts and static IPs: mind where the output goes. code and status are left
out where the answer had none.

Without -write nothing is changed and nothing costs: operations that do are left out. With
-write the accounts of -account are added, changed and at last DELETED, IPs are extracted
(quota), an order is created (which costs if -pm-id pays from the balance) and closed. To do
less, name the operations with -only.

Exit status: 0 when all that ran succeeded, 1 when something failed, 2 for bad flags.

Operations, in their order (* needs -write):
`

// parse reads the flags. It has told the user about an error that it returns.
func parse(args []string, stderr io.Writer) (*input, error) {
	in := &input{zone: time.FixedZone("UTC+8", 8*60*60), limit: 5 * proxylite.GB}
	fs := flag.NewFlagSet("tour", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = fmt.Fprint(stderr, about)
		for _, op := range operations(nil, in) {
			mark := ""
			if op.writes {
				mark = " *"
			}
			_, _ = fmt.Fprintf(stderr, "  %s%s\n", op.name, mark)
		}
		_, _ = fmt.Fprintln(stderr, "\nFlags:")
		fs.PrintDefaults()
	}
	number := func(name, usage string, set func(int)) {
		fs.Func(name, usage, func(s string) error {
			n, err := strconv.Atoi(s)
			set(n)
			return err
		})
	}
	list := func(name, usage string, set *[]string) {
		fs.Func(name, usage, func(s string) error {
			*set = strings.Split(s, ",")
			return nil
		})
	}

	list("only", "`operations` to run, such as Orders.List,IP.Extract (default all)", &in.only)
	fs.BoolVar(&in.write, "write", false, "also run what changes or costs something")
	fs.Func("zone", "time `zone` of the API, as its offset (default +08:00)", func(s string) error {
		t, err := time.ParseInLocation("-07:00", s, time.UTC)
		in.zone = t.Location()
		return err
	})

	list("account", "`names` of accounts to add, change and delete; an operation on one account takes the first,\nand Usage.Daily is about it (default a new name, and the usage of all)", &in.accounts)
	fs.StringVar(&in.password, "password", "", "`password` of the accounts to add, and the one to change to (default a random one)")
	fs.StringVar(&in.remark, "remark", "made by the tour", "`remark` of the accounts; an empty one clears it")
	number("limit", "traffic limit of the account in `GB`, 0 for none (default 5)", func(n int) { in.limit = proxylite.Traffic(n) * proxylite.GB })
	number("product-type", "product `type` of accounts to add, and filter of usage, products, static IPs and orders", func(n int) { in.productType = proxylite.ProductType(n) })

	start := fs.String("start", "", "begin of the usage: 2006-01-02, \"2006-01-02 15:04:05\" or RFC 3339 (default 7 days ago)")
	end := fs.String("end", "", "end of the usage (default now)")

	fs.IntVar(&in.page.Page, "page", 0, "page of the lists, from 1")
	fs.IntVar(&in.page.Size, "size", 0, "entries on a page")
	fs.StringVar(&in.tradeNo, "trade-no", "", "order `number`: the order to close, and filter of the lists (default the order created before)")
	number("order-status", "filter of Orders.List: 0 awaiting payment, 1 paid, 2 cancelled, 3 refunded", func(n int) { in.orderStatus = new(proxylite.OrderStatus(n)) })
	number("static-status", "filter of IP.ListStatic: 1 valid, 2 invalid, 3 expiring soon, 4 in maintenance", func(n int) { in.staticStatus = proxylite.StaticIPStatus(n) })
	number("isp", "filter of IP.StaticStock: 0 data-center, 1 residential", func(n int) { in.isp = new(proxylite.ISP(n)) })

	fs.StringVar(&in.extract.CountryCode, "country", "", "`code` of the country to extract in, to search in (default there US) and of static IPs")
	fs.StringVar(&in.extract.State, "state", "", "state to extract in, and to search cities in (default there the first that IP.SearchStates finds)")
	fs.StringVar(&in.extract.City, "city", "", "city to extract in")
	fs.IntVar(&in.extract.Num, "num", 1, "how many IPs to extract")
	fs.Func("life", "`time` for which an extracted IP is to last: 30m, or a number of minutes", func(s string) error {
		if n, err := strconv.Atoi(s); err == nil {
			in.extract.Life = time.Duration(n) * time.Minute
			return nil
		}
		var err error
		in.extract.Life, err = time.ParseDuration(s)
		return err
	})
	fs.StringVar((*string)(&in.extract.Entry), "entry", "", "entry `network` of extracted IPs: us, hk or de")
	text := fs.Bool("text", false, "extract in text form")
	fs.StringVar(&in.extract.Separator, "separator", "", "what separates the entries of the text form")

	fs.Int64Var(&in.order.ProductID, "pid", 0, "`ID` of the product to order; Orders.Create needs it")
	number("pm-id", "`ID` of the payment method, 0 is one; Orders.Create needs it", func(n int) { in.order.PaymentMethodID = new(int64(n)) })
	fs.IntVar(&in.order.Amount, "amount", 0, "how many to order")
	fs.StringVar(&in.order.RegionList, "region-list", "", "which static IPs to order, in the vendor's notation")
	list("static-ips", "`IDs` of static IPs to renew", &in.order.StaticIPs)
	fs.StringVar(&in.order.RenewDuration, "renew-duration", "", "how long to renew, such as 1")
	fs.StringVar(&in.order.CouponSN, "coupon", "", "coupon for the order")
	fs.BoolFunc("invitation-discount", "order with the discount of an invitation; =false orders without (default left to the API)", func(s string) error {
		use, err := strconv.ParseBool(s)
		in.order.UseInvitationDiscount = &use
		return err
	})
	fs.Int64Var(&in.order.BandwidthSKU, "bandwidth-sku", 0, "bandwidth plan, for product type 11")
	fs.Int64Var(&in.order.ConcurrencySKU, "concurrency-sku", 0, "concurrency plan, for product type 11")
	fs.IntVar(&in.order.RechargeAmount, "recharge-amount", 0, "what to add to the balance, for product type 3")

	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if *text {
		in.extract.Format = proxylite.FormatText
	}
	if len(in.accounts) > 0 {
		in.username = in.accounts[0]
	} else {
		in.accounts = []string{"tour" + strings.ToLower(rand.Text()[:8])}
	}
	in.password = cmp.Or(in.password, rand.Text()[:12])
	var err error
	in.start, err = parseTime("start", *start, in.zone)
	if err == nil {
		in.end, err = parseTime("end", *end, in.zone)
	}
	if err == nil {
		err = in.known()
	}
	if fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "tour:", err)
	}
	return in, err
}

// known checks the names of -only.
func (in *input) known() error {
	var all []string
	for _, op := range operations(nil, in) {
		all = append(all, op.name)
	}
	for _, name := range in.only {
		if !slices.Contains(all, name) {
			return fmt.Errorf("no operation is named %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	return nil
}

func parseTime(name, s string, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("-" + name + " must be a date, a date and time, or RFC 3339")
}
