package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/purchase"
)

func (a *app) ordersCmd() *cobra.Command {
	return group("orders", "Orders: list, place, close, reconcile",
		a.ordersListCmd(), a.ordersBuyCmd(), a.ordersCreateCmd(), a.ordersCloseCmd(), a.ordersReconcileCmd(), a.ordersSettleCmd())
}

var orderColumns = []column[proxylite.Order]{
	{name: "trade_no", value: func(x proxylite.Order) any { return x.TradeNo }},
	{name: "status", value: func(x proxylite.Order) any { return x.Status }},
	{name: "pay_fee", value: func(x proxylite.Order) any { return x.PayFee }},
	{name: "product_name", value: func(x proxylite.Order) any { return x.ProductName }},
	{name: "created_at", value: func(x proxylite.Order) any { return x.CreatedAt }},
	{name: "id", value: func(x proxylite.Order) any { return x.ID }, extra: true},
	{name: "product_id", value: func(x proxylite.Order) any { return x.ProductID }, extra: true},
	{name: "total_fee", value: func(x proxylite.Order) any { return x.TotalFee }, extra: true},
}

func (a *app) ordersListCmd() *cobra.Command {
	var (
		p               pages
		tradeNo, status string
		productType     int
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List orders",
		Example: "  proxylite orders list --demo --status awaiting\n  proxylite orders list --demo -o ndjson | head -3",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := choice[proxylite.OrderStatus]("status", status, "awaiting", "paid", "cancelled", "refunded")
			if err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			return show(a, orderColumns, first(p.limit, client.Orders.All(cmd.Context(), proxylite.OrderListParams{
				PageParams: p.PageParams, TradeNo: tradeNo, Status: chosen, ProductType: proxylite.ProductType(productType),
			})))
		},
	}
	p.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&tradeNo, "trade-no", "", "one order, by its complete number")
	f.StringVar(&status, "status", "", "awaiting, paid, cancelled or refunded (default all)")
	f.IntVar(&productType, "product-type", 0, "one kind of plan (default all)")
	return columnHelp(cmd, orderColumns)
}

// orderFlags are the flags of what places an order.
type orderFlags struct {
	proxylite.OrderCreateParams
	payment    int64
	invitation bool
}

func (o *orderFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64Var(&o.ProductID, "product", 0, "ID of the product; required: ask the vendor's support")
	f.Int64Var(&o.payment, "payment", 0, "ID of the payment method, see \"proxylite payment\"; required")
	f.IntVar(&o.Quantity, "quantity", 0, "how many to buy")
	f.StringVar(&o.RegionList, "regions", "", "regions of static IPs, in the vendor's notation")
	f.StringSliceVar(&o.StaticIPs, "static-ip", nil, "ID of a static IP to renew")
	f.StringVar(&o.RenewDuration, "renew", "", "how long to renew, such as 1")
	f.StringVar(&o.CouponCode, "coupon", "", "coupon code")
	f.BoolVar(&o.invitation, "invitation-discount", false, "use the discount of an invited registration")
	f.Int64Var(&o.BandwidthSKU, "bandwidth-sku", 0, "bandwidth plan, for product type 11")
	f.Int64Var(&o.ConcurrencySKU, "concurrency-sku", 0, "concurrency plan, for product type 11")
	f.IntVar(&o.RechargeAmount, "recharge", 0, "amount to add to the balance, for product type 3")
	_ = cmd.MarkFlagRequired("product")
	_ = cmd.MarkFlagRequired("payment")
}

func (o *orderFlags) params(cmd *cobra.Command) (proxylite.OrderCreateParams, error) {
	o.PaymentMethodID = &o.payment
	if cmd.Flags().Changed("invitation-discount") {
		o.UseInvitationDiscount = &o.invitation
	}
	return o.OrderCreateParams, o.Validate()
}

func (a *app) ordersCreateCmd() *cobra.Command {
	var o orderFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Place an order without a limit on its fee",
		Long: `Place an order. The API has no quote: the fee is known once the order exists, and
the balance pays at once. "proxylite orders buy" has limits, and never places an
order twice. Where a policy is set, this command is refused.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			params, err := o.params(cmd)
			if err != nil {
				return err
			}
			if err := a.uncapped("orders buy"); err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("order product %d with payment method %d, at a fee that nobody knows yet", o.ProductID, o.payment); err != nil {
				return err
			}
			order, err := client.Orders.Create(cmd.Context(), params)
			if err != nil {
				return err
			}
			a.note("ordered: %s", order)
			return show(a, orderColumns, all([]proxylite.Order{order}))
		},
	}
	o.flags(cmd)
	return columnHelp(cmd, orderColumns)
}

func (a *app) ordersCloseCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "close TRADE_NO",
		Short: "Cancel an order that awaits payment",
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("close the order %s", args[0]); err != nil {
				return err
			}
			if err := client.Orders.Close(cmd.Context(), args[0]); err != nil {
				return err
			}
			if !a.dryRun {
				a.note("closed: order %s", args[0])
			}
			return nil
		},
	}
}

// uncertainError is the error of a purchase whose order may still appear in the list.
type uncertainError struct{ error }

func (e uncertainError) Unwrap() error { return e.error }

// bought is a purchase of the journal.
type bought struct {
	Key     string            `json:"key"`
	State   purchase.State    `json:"state"`
	TradeNo string            `json:"trade_no"`
	PayFee  proxylite.Decimal `json:"pay_fee"`
	MaxPay  proxylite.Decimal `json:"max_pay"`
	Begun   time.Time         `json:"begun"`
	Note    string            `json:"note,omitempty"`
}

var boughtColumns = []column[bought]{
	{name: "key", value: func(x bought) any { return x.Key }},
	{name: "state", value: func(x bought) any { return string(x.State) }},
	{name: "trade_no", value: func(x bought) any { return x.TradeNo }},
	{name: "pay_fee", value: func(x bought) any { return x.PayFee }},
	{name: "max_pay", value: func(x bought) any { return x.MaxPay }},
	{name: "begun", value: func(x bought) any { return x.Begun }},
	{name: "note", value: func(x bought) any { return x.Note }},
}

// showBought prints purchases, and on stderr the orders of which one may be theirs.
func (a *app) showBought(purchases ...purchase.Purchase) error {
	list := make([]bought, len(purchases))
	for i, p := range purchases {
		list[i] = bought{p.Key, p.State, p.Order.TradeNo, p.Order.PayFee, p.MaxPay, p.Begun, p.Note}
		for _, o := range p.Candidates {
			a.note("%s may be %s", p.Key, o)
		}
	}
	if a.dryRun {
		a.note("dry run: nothing is written to the journal")
	}
	return show(a, boughtColumns, all(list))
}

func (a *app) ordersBuyCmd() *cobra.Command {
	var (
		o     orderFlags
		caps  capFlags
		limit purchase.Limit
		most  string
	)
	cmd := &cobra.Command{
		Use:   "buy KEY",
		Short: "Place an order once, within limits",
		Long: `Place an order once, within limits. The KEY names the purchase: with the same key
nothing is bought a second time, also after a lost response or a crash. An order
that costs more than --max-pay is closed.

A payment method that may pay at once is refused: name those that wait for payment
with --pays-later or in the policy, or accept it with --accept-immediate-payment.

` + capHelp,
		Example: "  proxylite orders buy --demo --yes --product 901 --payment 7 --pays-later 7 --max-pay 20 shop-2026-11",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := o.params(cmd)
			if err != nil {
				return err
			}
			if limit.MaxPay, err = amount("--max-pay", most); err != nil {
				return err
			}
			limit.AcceptImmediatePayment = caps.immediate
			client, err := a.connect()
			if err != nil {
				return err
			}
			buyer, err := a.buyer(client, caps)
			if err != nil {
				return err
			}
			if err := a.approve("buy product %d with payment method %d for at most %s", o.ProductID, o.payment, limit.MaxPay); err != nil {
				return err
			}
			p, err := a.buyOnce(cmd.Context(), buyer, args[0], params, limit)
			if p.Order.TradeNo != "" {
				a.note("%s: %s", p.State, p.Order)
			}
			if p.Key == "" || errors.Is(err, errDryRun) {
				return err
			}
			return errors.Join(err, a.showBought(p))
		},
	}
	o.flags(cmd)
	caps.flags(cmd)
	cmd.Flags().StringVar(&most, "max-pay", "", "highest fee; required")
	cmd.Flags().BoolVar(&caps.immediate, "accept-immediate-payment", false, "accept that the money may be spent before the fee is known")
	_ = cmd.MarkFlagRequired("max-pay")
	return columnHelp(cmd, boughtColumns)
}

// buyOnce buys, and tells if it takes long.
func (a *app) buyOnce(ctx context.Context, buyer *purchase.Buyer, key string, params proxylite.OrderCreateParams, limit purchase.Limit) (purchase.Purchase, error) {
	late := time.AfterFunc(10*time.Second, func() {
		a.note("still looking for the order, until it is certain whether it was placed; Ctrl-C is safe: the journal knows")
	})
	defer late.Stop()
	p, err := buyer.Buy(ctx, key, params, limit)
	if p.State == purchase.Unknown && err != nil && !errors.Is(err, purchase.ErrAmbiguous) {
		err = uncertainError{err}
	}
	return p, err
}

func (a *app) ordersReconcileCmd() *cobra.Command {
	var caps capFlags
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Find out what became of purchases that are not settled",
		Long: `Find out what became of the purchases of "orders buy" that are not settled: look for
orders whose response was lost, close those that cost too much, and note which were
paid or cancelled. Purchases whose outcome is still unknown end with exit code 6.

It closes orders, so it asks, or needs --yes; --dry-run only looks.`,
		Example: "  proxylite orders reconcile --dry-run\n  proxylite orders reconcile --yes",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("close orders that cost more than their limit"); err != nil {
				return err
			}
			buyer, err := a.buyer(client, caps)
			if err != nil {
				return err
			}
			purchases, err := buyer.Reconcile(cmd.Context())
			if err := errors.Join(err, a.showBought(purchases...)); err != nil {
				return err
			}
			var uncertain error
			for _, p := range purchases {
				switch {
				case p.State != purchase.Unknown:
				case len(p.Candidates) > 0:
					return fmt.Errorf("purchase %q: %w", p.Key, purchase.ErrAmbiguous)
				default:
					uncertain = uncertainError{fmt.Errorf("purchase %q: %w: no order is listed, and one may still appear", p.Key, proxylite.ErrOutcomeUnknown)}
				}
			}
			return uncertain
		},
	}
	caps.flags(cmd)
	return columnHelp(cmd, boughtColumns)
}

func (a *app) ordersSettleCmd() *cobra.Command {
	var (
		caps capFlags
		none bool
	)
	cmd := &cobra.Command{
		Use:   "settle KEY [TRADE_NO]",
		Short: "Say what became of a purchase whose outcome is unknown",
		Long: `Say what became of a purchase whose outcome is unknown, after a look at the
dashboard: the number of its order, or --none if there is no order. It is for purchases
that "orders reconcile" calls ambiguous; others become certain by themselves.`,
		Example: "  proxylite orders settle shop-2026-11 2026112712000000000000050037",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if none != (len(args) == 1) {
				return usage(errors.New("give either the number of the order or --none"))
			}
			tradeNo := ""
			if !none {
				tradeNo = args[1]
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			buyer, err := a.buyer(client, caps)
			if err != nil {
				return err
			}
			if err := a.approve("settle purchase %s as %s", args[0], cmp.Or(tradeNo, "not made")); err != nil {
				return err
			}
			p, err := buyer.Settle(cmd.Context(), args[0], tradeNo)
			if err != nil {
				return err
			}
			return a.showBought(p)
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "there is no order")
	caps.flags(cmd)
	return cmd
}
