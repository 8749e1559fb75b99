package proxylite

import "time"

// Product is a plan on sale. It stands in the vendor's document, but no documented
// endpoint returns it: it is for [Call].
type Product struct {
	ID          int64       `json:"id"`
	Name        string      `json:"name"`
	Type        ProductType `json:"type"`
	Price       Decimal     `json:"price"`
	Description string      `json:"description"`
}

// WhiteIP is an address on the allow list. No documented endpoint returns it: it is
// for [Call].
type WhiteIP struct {
	ID        int64     `json:"id"`
	IP        string    `json:"ip"`
	Remark    string    `json:"remark"`
	CreatedAt time.Time `json:"created_at"`
}

// WhitelistAccount is the document's short form of an [Account]. Its units are not
// documented, and no documented endpoint returns it: it is for [Call].
type WhitelistAccount struct {
	ID       int64         `json:"id"`
	Username string        `json:"username"`
	Limit    int64         `json:"limit"`
	Used     int64         `json:"used"`
	Status   AccountStatus `json:"status" wire:"absent=-1"`
}

// Coupon is a discount; Code goes into OrderCreateParams.CouponCode. No documented
// endpoint returns it: it is for [Call].
type Coupon struct {
	ID         int64     `json:"id"`
	Name       string    `json:"name"`
	Code       string    `json:"code"`
	Discount   Decimal   `json:"discount"`
	ExpireTime time.Time `json:"expire_time"`
}

// Article is a text of the vendor's site. No documented endpoint returns it: it is
// for [Call].
type Article struct {
	ID        int64     `json:"id"`
	Title     string    `json:"title"`
	Content   string    `json:"content"`
	CreatedAt time.Time `json:"created_at"`
}
