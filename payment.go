package proxylite

import (
	"context"
	"net/http"
)

// PaymentService lists payment methods.
type PaymentService struct{ c *Client }

// PaymentGroup is a group of payment methods.
type PaymentGroup struct {
	Name  string          `json:"name"`
	Logos []string        `json:"logos"` // URLs
	Items []PaymentMethod `json:"items"`
}

// PaymentMethod is a way to pay (支付方式). Its ID goes into [OrderCreateParams].
type PaymentMethod struct {
	ID       int64   `json:"id"` // 0 is a valid ID
	Title    string  `json:"title"`
	Logo     string  `json:"logo"` // URL
	Group    string  `json:"group"`
	Disabled bool    `json:"disabled"`
	Min      Decimal `json:"min"` // smallest amount that it accepts
	Max      Decimal `json:"max"` // largest amount that it accepts
}

// PaymentGroupsParams select payment methods. All fields are optional.
type PaymentGroupsParams struct {
	TradeNo string // methods for this order; the methods may differ between orders
}

var opPaymentGroups = Operation{Name: "Payment.Groups", Method: http.MethodGet, Path: "/payment/groups", Class: ClassSafe}

// Groups returns the payment methods by group.
//
// GET /payment/groups. Free; safe to retry.
func (s *PaymentService) Groups(ctx context.Context, p PaymentGroupsParams, opts ...CallOption) ([]PaymentGroup, error) {
	in := s.c.input()
	in.id("TradeNo", p.TradeNo)
	in.str("trade_no", p.TradeNo)
	return sendList[PaymentGroup](ctx, s.c, &opPaymentGroups, in, opts)
}

// Methods returns the payment methods of all groups in one list, including disabled
// ones. It makes one call of Groups.
func (s *PaymentService) Methods(ctx context.Context, p PaymentGroupsParams, opts ...CallOption) ([]PaymentMethod, error) {
	groups, err := s.Groups(ctx, p, opts...)
	if err != nil {
		return nil, err
	}
	methods := []PaymentMethod{}
	for _, g := range groups {
		methods = append(methods, g.Items...)
	}
	return methods, nil
}
