package proxylite

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// ProductsService lists purchased plans.
type ProductsService struct{ c *Client }

// PurchasedProduct is a purchased plan (已购套餐).
type PurchasedProduct struct {
	ID          int64        `json:"id"`
	CreatedAt   time.Time    `json:"created_at"` // when it becomes valid
	ExpiredAt   time.Time    `json:"expired_at"` // when it ends; what is left is then lost
	ProductType ProductType  `json:"product_type"`
	TradeNo     string       `json:"trade_no"`
	Order       ProductOrder `json:"order"`

	Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
}

// ProductType says what a plan or an order is for (套餐类型). It is an open set: a value
// without a constant is kept and printed as a number.
type ProductType int

// The product types of the vendor's document.
const (
	ProductBalance            ProductType = 3  // recharge of the balance
	ProductResidentialTraffic ProductType = 9  // dynamic residential, paid by traffic
	ProductResidentialIP      ProductType = 11 // dynamic residential, unlimited traffic for a period (also "dynamic global V2")
	ProductLongTermIDC        ProductType = 12 // long-lived data-center, paid by traffic
	ProductStaticResTraffic   ProductType = 13 // static residential, paid by traffic
	ProductStaticDatacenter   ProductType = 14 // static data-center IPs
	ProductLongTermISP        ProductType = 15 // long-lived ISP, paid by traffic
	ProductStaticTraffic      ProductType = 16 // static, paid by traffic
	ProductDynamicIPCount     ProductType = 17 // dynamic, paid by the number of IPs
	ProductWebScraper         ProductType = 18 // web scraper
	ProductStaticRenewal      ProductType = 19 // renewal of static IPs
	ProductStaticReplacement  ProductType = 20 // quota for replacing static IPs
	ProductStaticTrafficV2    ProductType = 21 // static, paid by traffic, second version
	ProductStaticTrafficExtra ProductType = 24 // additional traffic for static IPs
	ProductStaticResidential  ProductType = 25 // static residential IPs
	ProductSupplement         ProductType = 26 // pays what is missing from an underpaid order
	ProductSERP               ProductType = 27 // search results
	ProductVideo              ProductType = 28 // video
)

var productNames = map[ProductType]string{
	ProductBalance: "balance recharge", ProductResidentialTraffic: "dynamic residential traffic",
	ProductResidentialIP: "dynamic residential IP", ProductLongTermIDC: "long-term data-center traffic",
	ProductStaticResTraffic: "static residential traffic", ProductStaticDatacenter: "static data-center IP",
	ProductLongTermISP: "long-term ISP traffic", ProductStaticTraffic: "static traffic",
	ProductDynamicIPCount: "dynamic IP count", ProductWebScraper: "web scraper",
	ProductStaticRenewal: "static IP renewal", ProductStaticReplacement: "static IP replacement quota",
	ProductStaticTrafficV2: "static traffic v2", ProductStaticTrafficExtra: "static traffic add-on",
	ProductStaticResidential: "static residential IP", ProductSupplement: "supplementary payment",
	ProductSERP: "SERP", ProductVideo: "video",
}

// String returns an English name, or "product type N" for a value without one.
func (p ProductType) String() string { return enumName(productNames, p, "product type") }

// ProductOrder is the order of a purchased plan.
type ProductOrder struct {
	CreatedAt time.Time `json:"created_at"`
	PaidAt    time.Time `json:"pay_at"` // zero if it was not paid
	Title     string    `json:"title"`

	Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
}

// ProductListParams select purchased plans. All fields are optional.
type ProductListParams struct {
	PageParams
	TradeNo     string      // a complete order number
	ProductType ProductType // 0 means all
}

var opProductsList = Operation{Name: "Products.List", Method: http.MethodGet, Path: "/user-product/list", Class: ClassSafe}

// List returns one page of the purchased plans.
//
// GET /user-product/list. Free; safe to retry.
func (s *ProductsService) List(ctx context.Context, p ProductListParams, opts ...CallOption) (Page[PurchasedProduct], error) {
	in := s.c.input()
	p.put(in, "page", "size")
	in.notNegative("ProductType", int64(p.ProductType))
	in.id("TradeNo", p.TradeNo)
	in.str("trade_no", p.TradeNo)
	in.int("product_type", int(p.ProductType))
	return sendPage[PurchasedProduct](ctx, s.c, &opProductsList, in, opts)
}

// All returns an iterator over all purchased plans, beginning at p.Page. It requests
// a page when it is needed. It stops after an error, and can be used more than once. [Page]
// describes how it handles wrong counts.
//
// Each page is a call of List.
func (s *ProductsService) All(ctx context.Context, p ProductListParams, opts ...CallOption) iter.Seq2[PurchasedProduct, error] {
	list := func(page int) (Page[PurchasedProduct], error) {
		p := p
		p.Page = page
		return s.List(ctx, p, opts...)
	}
	return walk(p.Page, list, func(p PurchasedProduct) (rowKey, bool) { return rowKey{p.ID, p.TradeNo}, p.ID != 0 })
}
