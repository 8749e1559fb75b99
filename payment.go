package proxylite

import (
	"context"
	"net/http"
)

// PaymentService lists the ways to pay.
type PaymentService struct{ c *Client }

// PaymentGroup is a group of payment methods.
type PaymentGroup struct {
	Name  string          `json:"name"`
	Logos []string        `json:"logos"` // URLs
	Items []PaymentMethod `json:"items"`
}

// PaymentMethod is a way to pay; its ID goes into [OrderCreateParams].
type PaymentMethod struct {
	ID       int64   `json:"id"` // 0 is one
	Title    string  `json:"title"`
	Logo     string  `json:"logo"` // URL
	Group    string  `json:"group"`
	Disabled bool    `json:"disabled"`
	Min      Decimal `json:"min"` // smallest amount to pay with it
	Max      Decimal `json:"max"` // largest
}

// PaymentGroupsParams pick payment methods. All of them may be left out.
type PaymentGroupsParams struct {
	TradeNo string // the methods for this order; some orders have their own
}

var opPaymentGroups = Operation{Name: "Payment.Groups", Method: http.MethodGet, Path: "/payment/groups", Class: ClassSafe}

// Groups returns the payment methods by group.
//
// GET /payment/groups. Free; may be repeated.
func (s *PaymentService) Groups(ctx context.Context, p PaymentGroupsParams, opts ...CallOption) ([]PaymentGroup, error) {
	in := s.c.input()
	in.id("TradeNo", p.TradeNo)
	in.str("trade_no", p.TradeNo)
	return sendList[PaymentGroup](ctx, s.c, &opPaymentGroups, in, opts)
}

// Methods returns the payment methods of all groups in one list, disabled ones
// too. It calls Groups.
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
