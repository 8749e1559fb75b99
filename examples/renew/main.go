// Command renew orders the renewal of all static IPs that expire soon, once.
//
// With the real API it only lists them, unless -write is given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	r := renewal{}
	flag.BoolVar(&r.write, "write", false, "with the real API: place the order")
	flag.Int64Var(&r.productID, "pid", 0, "`ID` of the renewal product, from the vendor's support")
	flag.Int64Var(&r.paymentID, "pm-id", 0, "`ID` of the payment method; one that pays from the balance spends it")
	flag.StringVar(&r.duration, "duration", "1", "how long to renew, in the API's terms")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := r.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "renew:", err)
		os.Exit(1)
	}
}

type renewal struct {
	api                  *start.API
	write                bool
	productID, paymentID int64
	duration             string
}

func (r *renewal) run(ctx context.Context) (err error) {
	if r.api, err = start.Open(os.Stdout); err != nil {
		return err
	}
	defer r.api.Close()
	if r.api.Demo != nil {
		r.demo()
	}

	ids, err := r.expiring(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(ids) == 0:
		fmt.Println("no static IP expires soon")
		return nil
	case !r.api.Writes(r.write):
		fmt.Printf("%d static IPs expire soon; -write orders their renewal\n", len(ids))
		return nil
	}
	order, err := r.order(ctx, ids)
	if err != nil {
		return err
	}
	fmt.Printf("order %s renews %d static IPs: %s, %s to pay\n", order.TradeNo, len(ids), order.Status, order.PayFee)
	return nil
}

// expiring returns the IDs of the static IPs that the API calls expiring soon.
func (r *renewal) expiring(ctx context.Context) ([]string, error) {
	var ids []string
	for ip, err := range r.api.IP.AllStatic(ctx, proxylite.IPListStaticParams{Status: proxylite.StaticIPExpiringSoon}) {
		if err != nil {
			return nil, err
		}
		until := "soon"
		if !ip.ExpiredAt.IsZero() {
			until = ip.ExpiredAt.Format(time.DateOnly)
		}
		fmt.Printf("%s in %s expires %s\n", ip.IP, ip.CountryCode, until)
		ids = append(ids, ip.ID)
	}
	return ids, nil
}

// order places the order and never a second one: not while one awaits payment, and
// not when the answer is lost. The order may then be there all the same: one that
// was not there before is it.
func (r *renewal) order(ctx context.Context, ids []string) (proxylite.Order, error) {
	before, err := r.renewals(ctx)
	if err != nil {
		return proxylite.Order{}, err
	}
	for _, order := range before {
		if order.Status == proxylite.OrderAwaitingPayment {
			return proxylite.Order{}, fmt.Errorf("order %s renews static IPs and awaits payment: pay or close it first", order.TradeNo)
		}
	}
	order, err := r.api.Orders.Create(ctx, proxylite.OrderCreateParams{
		ProductID: r.productID, PaymentMethodID: &r.paymentID, StaticIPs: ids, RenewDuration: r.duration,
	})
	if !errors.Is(err, proxylite.ErrOutcomeUnknown) {
		return order, err
	}

	fmt.Println("the answer was lost:", err)
	after, lookErr := r.renewals(ctx)
	if lookErr != nil {
		return proxylite.Order{}, fmt.Errorf("look into the dashboard before you order again: %w", errors.Join(err, lookErr))
	}
	for tradeNo, order := range after {
		if _, known := before[tradeNo]; !known && order.ProductID == r.productID {
			fmt.Println("but the order was placed")
			return order, nil
		}
	}
	return proxylite.Order{}, fmt.Errorf("no new order is listed; look again in some minutes before you order again: %w", err)
}

// renewals returns the orders that renew static IPs, by number.
func (r *renewal) renewals(ctx context.Context) (map[string]proxylite.Order, error) {
	orders := map[string]proxylite.Order{}
	for order, err := range r.api.Orders.All(ctx, proxylite.OrderListParams{ProductType: proxylite.ProductStaticRenewal}) {
		if err != nil {
			return nil, err
		}
		orders[order.TradeNo] = order
	}
	return orders, nil
}

// demo takes a renewal product of the server in the process, and lets it lose the
// answer to the order that it takes.
func (r *renewal) demo() {
	for _, product := range r.api.Demo.State().Catalog {
		if product.Type == proxylite.ProductStaticRenewal {
			r.productID = product.ID
		}
	}
	r.paymentID = 1 // as its demo data has it
	fmt.Println("It will lose the answer to the order, to show what a program does then.")
	r.api.Demo.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
}
