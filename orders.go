package proxylite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// OrdersService lists, creates and closes orders.
type OrdersService struct{ c *Client }

// Order is an order (订单).
type Order struct {
	ID          int64       `json:"id"`
	TradeNo     string      `json:"trade_no"` // up to 28 digits
	ProductID   int64       `json:"product_id"`
	ProductName string      `json:"product_name"`
	TotalFee    Decimal     `json:"total_fee" wire:"soft"` // before discounts; empty if absent or in Unread
	PayFee      Decimal     `json:"pay_fee" wire:"soft"`   // amount to pay; empty if absent or in Unread
	Status      OrderStatus `json:"status" wire:"absent=-1"`
	CreatedAt   time.Time   `json:"created_at"`

	// Unread has the values that could not be read, by their names in the response, such
	// as "N/A" for a time or "free" for a fee. The field itself is then zero. Unread is nil if everything
	// could be read.
	Unread map[string]string `json:"unread,omitempty" wire:"unread"`
}

// String describes the order in a line: number, product, what is to be paid and
// status. A zero Order, such as a failed call returns, is "no order".
func (o Order) String() string {
	if reflect.ValueOf(o).IsZero() {
		return "no order"
	}
	return fmt.Sprintf("order %s (id %d, %q, to pay %s, %s)", cmp.Or(o.TradeNo, "without a number"), o.ID, o.ProductName, cmp.Or(o.PayFee, "?"), o.Status)
}

// OrderStatus is the state of an order. It is an open set: a value without a
// constant is kept and printed as a number.
//
// The numbers are the API's own. Its zero value is therefore OrderAwaitingPayment:
// look at the error of a call first, not at the status of its result.
type OrderStatus int

// The order states. A response without a status gives OrderStatusAbsent, never an
// unpaid order.
const (
	OrderStatusAbsent    OrderStatus = -1 // the response had no status
	OrderAwaitingPayment OrderStatus = 0
	OrderPaid            OrderStatus = 1
	OrderCancelled       OrderStatus = 2 // not paid in time, or closed
	OrderRefunded        OrderStatus = 3
)

var orderStatusNames = map[OrderStatus]string{
	OrderStatusAbsent: "absent", OrderAwaitingPayment: "awaiting payment", OrderPaid: "paid",
	OrderCancelled: "cancelled", OrderRefunded: "refunded",
}

// String returns an English name, or "order status N" for a value without one.
func (s OrderStatus) String() string { return enumName(orderStatusNames, s, "order status") }

// OrderListParams select orders. All fields are optional.
type OrderListParams struct {
	PageParams
	TradeNo     string       // a complete order number
	Status      *OrderStatus // nil means all; to filter: new(proxylite.OrderPaid)
	ProductType ProductType  // 0 means all
}

var (
	opOrdersList   = Operation{Name: "Orders.List", Method: http.MethodGet, Path: "/order/list", Class: ClassSafe}
	opOrdersCreate = Operation{Name: "Orders.Create", Method: http.MethodPost, Path: "/order/create", Class: ClassUnsafe}
	opOrdersClose  = Operation{Name: "Orders.Close", Method: http.MethodPost, Path: "/order/close", Class: ClassIdempotent}
)

// List returns one page of the orders.
//
// GET /order/list. Free; safe to retry.
func (s *OrdersService) List(ctx context.Context, p OrderListParams, opts ...CallOption) (Page[Order], error) {
	in := s.c.input()
	p.put(in, "page_no", "page_size")
	in.notNegative("ProductType", int64(p.ProductType))
	in.id("TradeNo", p.TradeNo)
	in.str("trade_no", p.TradeNo)
	intPtr(in, "Status", "status", p.Status)
	in.int("product_type", int(p.ProductType))
	return sendPage[Order](ctx, s.c, &opOrdersList, in, opts)
}

// All returns an iterator over all orders, beginning at p.Page. It requests a page
// when it is needed. It stops after an error, and can be used more than once. [Page]
// describes how it handles wrong counts.
//
// Each page is a call of List.
func (s *OrdersService) All(ctx context.Context, p OrderListParams, opts ...CallOption) iter.Seq2[Order, error] {
	list := func(page int) (Page[Order], error) {
		p := p
		p.Page = page
		return s.List(ctx, p, opts...)
	}
	return walk(p.Page, list, func(o Order) (rowKey, bool) { return rowKey{o.ID, o.TradeNo}, o.ID != 0 })
}

// OrderCreateParams describe an order. The vendor does not fully document which
// fields a product needs. Ask its support, also for the ProductID.
type OrderCreateParams struct {
	ProductID int64 // pid; required
	// PaymentMethodID is the ID of a [PaymentMethod], such as new(int64(1)). It is
	// required; 0 is a valid ID.
	PaymentMethodID *int64

	Quantity   int      // how many to buy; 0 leaves it out
	RegionList string   // regions and counts of static IPs, in the vendor's undocumented notation
	StaticIPs  []string // for a renewal: IDs of [StaticIP] entries
	// RenewDuration is how long to renew: a whole number as documented ("1"), or
	// the form seen at sister brands ("1m").
	RenewDuration string
	CouponCode    string
	// UseInvitationDiscount applies the discount of an invited registration; nil
	// leaves it out.
	UseInvitationDiscount *bool
	BandwidthSKU          int64 // product type 11: bandwidth plan
	ConcurrencySKU        int64 // product type 11: concurrency plan
	RechargeAmount        int   // product type 3: the amount to add to the balance
}

// Validate checks the parameters as Create does, and sends nothing. The error is an
// [*InputError] that lists all problems.
func (p OrderCreateParams) Validate() error {
	var c checks
	p.check(&c)
	return c.err()
}

func (p OrderCreateParams) check(in *checks) {
	in.must(p.ProductID > 0, "ProductID", strconv.FormatInt(p.ProductID, 10), "is required and positive")
	in.must(p.PaymentMethodID != nil, "PaymentMethodID", "", "is required: the ID of a payment method, see Payment.Groups")
	if p.PaymentMethodID != nil {
		in.notNegative("PaymentMethodID", *p.PaymentMethodID)
	}
	in.notNegative("Quantity", int64(p.Quantity))
	in.notNegative("BandwidthSKU", p.BandwidthSKU)
	in.notNegative("ConcurrencySKU", p.ConcurrencySKU)
	in.notNegative("RechargeAmount", int64(p.RechargeAmount))
	for i, id := range p.StaticIPs {
		field := fmt.Sprintf("StaticIPs[%d]", i)
		in.requiredID(field, id)
		in.must(!strings.ContainsAny(id, ",:"), field, id, listRule)
	}
	in.validText("RegionList", p.RegionList)
	in.validText("CouponCode", p.CouponCode)
	in.validText("RenewDuration", p.RenewDuration)
	if n, err := strconv.Atoi(p.RenewDuration); err == nil {
		in.must(n > 0, "RenewDuration", p.RenewDuration, "must be positive")
	}
}

// Create places an order. If the payment method is the balance, the order is paid at
// once and the money is spent; the API offers no quote before. Otherwise the order
// awaits payment and can be closed.
//
// POST /order/create. Never retried once it may have reached the server, as the API
// has no idempotency key: after a failure with errors.Is(err, ErrOutcomeUnknown),
// look for the order with [OrdersService.List] before you create it again.
func (s *OrdersService) Create(ctx context.Context, p OrderCreateParams, opts ...CallOption) (Order, error) {
	in := s.c.input()
	in.needsData = true
	in.valid = func(out any) error {
		if o := out.(*Order); o.ID == 0 && o.TradeNo == "" {
			return errors.New("the response says success but names no order: it has neither id nor trade_no")
		}
		return nil
	}
	p.check(&in.checks)
	body := struct {
		PID            int64  `json:"pid"`
		UpIDs          string `json:"upids,omitempty"`
		Amount         int    `json:"amount,omitempty"`
		PMID           *int64 `json:"pm_id"`
		RegionList     string `json:"region_list,omitempty"`
		CouponCode     string `json:"coupon_sn,omitempty"`
		UseInvitation  *bool  `json:"use_invitation_registration_discount,omitempty"`
		RenewDuration  any    `json:"renew_duration,omitempty"`
		BandwidthSKU   int64  `json:"product_sku_bandwidth_id,omitempty"`
		ConcurrencySKU int64  `json:"product_sku_concurrency_id,omitempty"`
		RechargeAmount int    `json:"recharge_amount,omitempty"`
	}{
		PID: p.ProductID, UpIDs: strings.Join(p.StaticIPs, ","), Amount: p.Quantity, PMID: p.PaymentMethodID,
		RegionList: p.RegionList, CouponCode: p.CouponCode, UseInvitation: p.UseInvitationDiscount,
		BandwidthSKU: p.BandwidthSKU, ConcurrencySKU: p.ConcurrencySKU, RechargeAmount: p.RechargeAmount,
	}
	if n, err := strconv.Atoi(p.RenewDuration); err == nil {
		body.RenewDuration = n
	} else if p.RenewDuration != "" {
		body.RenewDuration = p.RenewDuration
	}
	in.body = body
	return send[Order](ctx, s.c, &opOrdersCreate, in, opts)
}

// Close cancels an order that awaits payment. The vendor documents no response
// body: an empty one with status 200 counts as success, like an envelope that says so.
//
// POST /order/close. Free; idempotent: it may be repeated.
func (s *OrdersService) Close(ctx context.Context, tradeNo string, opts ...CallOption) error {
	in := s.c.input()
	in.emptyOK = true
	in.requiredID("tradeNo", tradeNo)
	in.body = struct {
		TradeNo string `json:"trade_no"`
	}{tradeNo}
	return s.c.run(ctx, &opOrdersClose, in, opts)
}
