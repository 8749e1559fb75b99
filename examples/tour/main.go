// Command tour calls each operation of the API once and prints a line of JSON for each:
// the result or the error. Run it with -help to see its flags.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// line is the line for a call.
type line struct {
	Operation string `json:"operation"`
	OK        bool   `json:"ok"`
	Value     any    `json:"value"` // null if the response has no data
}

// failedLine is the line for a failed call.
type failedLine struct {
	Operation string `json:"operation"`
	OK        bool   `json:"ok"`
	Error     string `json:"error"`
	Code      *int   `json:"code,omitempty"`   // code of the envelope, if there was one
	Status    int    `json:"status,omitempty"` // HTTP status, if there was a response
	Outcome   string `json:"outcome"`
}

// run returns the exit status: 0 if all calls succeeded, 1 if one failed, 2 for invalid
// flags.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	in, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	fail := func(err error) int {
		_, _ = fmt.Fprintln(stderr, "tour:", err)
		return 1
	}
	api, err := start.Open(stderr, proxylite.WithTimeZone(in.zone))
	if err != nil {
		return fail(err)
	}
	defer api.Close()
	if api.Demo != nil { // use values from the demo data
		in.order.ProductID = cmp.Or(in.order.ProductID, 901)
		in.order.PaymentMethodID = cmp.Or(in.order.PaymentMethodID, new(int64(1)))
	}

	chosen := operations(api.Client, in)
	if len(in.only) > 0 {
		chosen = slices.DeleteFunc(chosen, func(op operation) bool { return !slices.Contains(in.only, op.name) })
	}
	if !in.write {
		var reads []operation
		for _, op := range chosen {
			switch {
			case !op.writes:
				reads = append(reads, op)
			case len(in.only) > 0:
				return fail(fmt.Errorf("%s changes or costs something: add -write to run it", op.name))
			}
		}
		chosen = reads
	}

	status := 0
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false)
	for _, op := range chosen {
		value, err := op.call(ctx)
		if err == nil {
			err = out.Encode(line{op.name, true, value})
		}
		if err != nil {
			status = 1
			if err := out.Encode(describe(op.name, err)); err != nil {
				return fail(err)
			}
		}
	}
	return status
}

func describe(name string, err error) failedLine {
	l := failedLine{Operation: name, Error: err.Error(), Outcome: proxylite.OutcomeUnknown.String()}
	if e, ok := errors.AsType[*proxylite.Error](err); ok {
		l.Status, l.Outcome = e.Status, e.Outcome.String()
		if e.Code != 0 {
			l.Code = &e.Code
		}
	}
	return l
}

// operation is one stop of the tour.
type operation struct {
	name   string
	writes bool // changes or costs something
	call   func(context.Context) (any, error)
}

// operations returns all operations, in an order in which none breaks a later one.
func operations(c *proxylite.Client, in *input) []operation {
	// Values without a flag come from an earlier operation.
	closing := in.tradeNo
	country, state := cmp.Or(in.extract.CountryCode, "US"), in.extract.State
	return []operation{
		{"Accounts.List", false, func(ctx context.Context) (any, error) {
			return value(c.Accounts.List(ctx))
		}},
		{"Accounts.Add", true, func(ctx context.Context) (any, error) {
			p := proxylite.AccountAddParams{Remark: in.remark, ProductType: in.productType}
			for _, name := range in.accounts {
				p.Accounts = append(p.Accounts, proxylite.NewAccount{Username: name, Password: proxylite.NewPassword(in.password)})
			}
			return nil, c.Accounts.Add(ctx, p)
		}},
		{"Accounts.ChangePassword", true, func(ctx context.Context) (any, error) {
			return nil, c.Accounts.ChangePassword(ctx, in.accounts[0], proxylite.NewPassword(in.password))
		}},
		{"Accounts.ChangeRemark", true, func(ctx context.Context) (any, error) {
			return nil, c.Accounts.ChangeRemark(ctx, in.accounts[0], in.remark)
		}},
		{"Accounts.ChangeLimit", true, func(ctx context.Context) (any, error) {
			return nil, c.Accounts.ChangeLimit(ctx, in.accounts[0], in.limit)
		}},
		{"Accounts.Disable", true, func(ctx context.Context) (any, error) {
			return nil, c.Accounts.Disable(ctx, in.accounts)
		}},
		{"Accounts.Enable", true, func(ctx context.Context) (any, error) {
			return nil, c.Accounts.Enable(ctx, in.accounts)
		}},
		{"Usage.Daily", false, func(ctx context.Context) (any, error) {
			return value(c.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: in.start, End: in.end, Username: in.username, ProductType: in.productType}))
		}},
		{"Accounts.Delete", true, func(ctx context.Context) (any, error) {
			return nil, c.Accounts.Delete(ctx, in.accounts)
		}},
		{"Products.List", false, func(ctx context.Context) (any, error) {
			return value(c.Products.List(ctx, proxylite.ProductListParams{PageParams: in.page, TradeNo: in.tradeNo, ProductType: in.productType}))
		}},
		{"IP.Cities", false, func(ctx context.Context) (any, error) {
			return value(c.IP.Cities(ctx))
		}},
		{"IP.States", false, func(ctx context.Context) (any, error) {
			return value(c.IP.States(ctx))
		}},
		{"IP.SearchStates", false, func(ctx context.Context) (any, error) {
			states, err := c.IP.SearchStates(ctx, country)
			if state == "" && len(states) > 0 {
				state = states[0]
			}
			return value(states, err)
		}},
		{"IP.SearchCities", false, func(ctx context.Context) (any, error) {
			return value(c.IP.SearchCities(ctx, country, cmp.Or(state, "CA")))
		}},
		{"IP.Extract", true, func(ctx context.Context) (any, error) {
			return value(c.IP.Extract(ctx, in.extract))
		}},
		{"IP.ListStatic", false, func(ctx context.Context) (any, error) {
			return value(c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
				PageParams: in.page, CountryCode: in.extract.CountryCode, ProductType: in.productType, TradeNo: in.tradeNo, Status: in.staticStatus,
			}))
		}},
		{"IP.StaticStock", false, func(ctx context.Context) (any, error) {
			return value(c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: in.isp}))
		}},
		{"Payment.Groups", false, func(ctx context.Context) (any, error) {
			return value(c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: in.tradeNo}))
		}},
		{"Orders.Create", true, func(ctx context.Context) (any, error) {
			order, err := c.Orders.Create(ctx, in.order)
			if err == nil && closing == "" {
				closing = order.TradeNo
			}
			return value(order, err)
		}},
		{"Orders.List", false, func(ctx context.Context) (any, error) {
			return value(c.Orders.List(ctx, proxylite.OrderListParams{
				PageParams: in.page, TradeNo: in.tradeNo, Status: in.orderStatus, ProductType: in.productType,
			}))
		}},
		{"Orders.Close", true, func(ctx context.Context) (any, error) {
			return nil, c.Orders.Close(ctx, closing)
		}},
		{"User.Info", false, func(ctx context.Context) (any, error) {
			return value(c.User.Info(ctx))
		}},
		{"Marketing.RechargeGiftRatios", false, func(ctx context.Context) (any, error) {
			return value(c.Marketing.RechargeGiftRatios(ctx))
		}},
	}
}

func value[T any](v T, err error) (any, error) { return v, err }
