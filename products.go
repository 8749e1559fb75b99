package proxylite

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// ProductsService lists the plans that were bought.
type ProductsService struct{ c *Client }

// PurchasedProduct is a plan that was bought.
type PurchasedProduct struct {
	ID          int64        `json:"id"`
	CreatedAt   time.Time    `json:"created_at"` // from when it is valid
	ExpiredAt   time.Time    `json:"expired_at"` // until when; what is left then is lost
	ProductType ProductType  `json:"product_type"`
	TradeNo     string       `json:"trade_no"`
	Order       ProductOrder `json:"order"`
}

// ProductOrder is the order of a purchased plan.
type ProductOrder struct {
	CreatedAt time.Time `json:"created_at"`
	PaidAt    time.Time `json:"pay_at"` // zero if it was not paid
	Title     string    `json:"title"`
}

// ProductListParams pick purchased plans. All of them may be left out.
type ProductListParams struct {
	PageParams
	TradeNo     string      // the whole order number
	ProductType ProductType // 0 means all
}

var opProductsList = Operation{Name: "Products.List", Method: http.MethodGet, Path: "/user-product/list", Class: ClassSafe}

// List returns one page of the purchased plans.
//
// GET /user-product/list. Free; may be repeated.
func (s *ProductsService) List(ctx context.Context, p ProductListParams, opts ...CallOption) (Page[PurchasedProduct], error) {
	in := s.c.input()
	p.put(in, "page", "size")
	in.notNegative("ProductType", int64(p.ProductType))
	in.str("trade_no", p.TradeNo)
	in.int("product_type", int(p.ProductType))
	return sendPage[PurchasedProduct](ctx, s.c, &opProductsList, in, opts)
}

// All walks the purchased plans from p.Page on, one page at a time, as it is
// ranged over. It stops after the first error. It may be ranged again.
func (s *ProductsService) All(ctx context.Context, p ProductListParams, opts ...CallOption) iter.Seq2[PurchasedProduct, error] {
	return walk(ctx, s.List, p, opts, func(p PurchasedProduct) rowKey { return rowKey{p.ID, p.TradeNo} })
}
