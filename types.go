package proxylite

import (
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/proxylite/proxylite-go/internal/wire"
)

// Traffic is an amount of data in KB (1024 bytes), the API's smallest unit. Write it
// as a product, as with [time.Duration]: 5*proxylite.GB.
type Traffic int64

// The units of [Traffic]. They are powers of 1024: in the vendor's document a limit
// in GB and a usage in KB measure the same thing.
const (
	KB Traffic = 1
	MB         = 1024 * KB
	GB         = 1024 * MB
	TB         = 1024 * GB
)

// KB returns the amount in KB.
func (t Traffic) KB() int64 { return int64(t) }

// GB returns the amount in GB, with its fraction.
func (t Traffic) GB() float64 { return float64(t) / float64(GB) }

// String returns the amount in its largest fitting unit: "512 KB", "1.50 GB".
func (t Traffic) String() string {
	for _, u := range []struct {
		size Traffic
		name string
	}{{TB, "TB"}, {GB, "GB"}, {MB, "MB"}} {
		if t >= u.size || t <= -u.size {
			if t%u.size == 0 {
				return fmt.Sprintf("%d %s", t/u.size, u.name)
			}
			return fmt.Sprintf("%.2f %s", float64(t)/float64(u.size), u.name)
		}
	}
	return strconv.FormatInt(int64(t), 10) + " KB"
}

// Decimal is a number exactly as the API wrote it, such as "18.20": an amount of
// money or a ratio. It is empty if the response had none. The API names no
// currency. Calculate with [Decimal.Rat].
//
// In JSON a Decimal is written as text, so that no digit is lost, and read from
// text or a number.
type Decimal string

// UnmarshalJSON reads a number, or text that is one, and keeps its digits. An
// empty text is an empty Decimal; null changes nothing. It refuses anything else,
// and numbers longer than 64 characters or with an exponent above 99.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	text, err := wire.Number(b)
	if err == nil && string(b) != "null" {
		*d = Decimal(text)
	}
	return err
}

// Rat returns the exact value. An empty or malformed Decimal is 0.
func (d Decimal) Rat() *big.Rat {
	r := new(big.Rat)
	// SetString would also read "1/3" and huge exponents, which the API can't send.
	if len(d) <= 64 {
		if _, ok := r.SetString(string(d)); !ok {
			return new(big.Rat)
		}
	}
	return r
}

// Float64 returns the nearest float64. Do not add up money with it.
func (d Decimal) Float64() float64 {
	f, _ := d.Rat().Float64()
	return f
}

// Cmp compares the values: "18.2" and "18.20" are equal. It returns -1, 0 or 1.
func (d Decimal) Cmp(other Decimal) int { return d.Rat().Cmp(other.Rat()) }

// String returns the text as the API sent it.
func (d Decimal) String() string { return string(d) }

func enumName[T ~int](names map[T]string, v T, kind string) string {
	if name, ok := names[v]; ok {
		return name
	}
	return kind + " " + strconv.Itoa(int(v))
}

// defaultTimeZone is the zone of the API's times that have no zone, unless
// [WithTimeZone] sets another. The vendor documents none. UTC+8 is our choice: the
// vendor is Chinese, and sister brands of its back end use it.
var defaultTimeZone = time.FixedZone("UTC+8", 8*60*60)

// The types below stand in the schema section of the vendor's document, but no
// documented endpoint returns them. They are for [Call]: use one as its type
// argument when an endpoint that this package does not have returns it.
type (
	// Product is a plan on sale.
	Product struct {
		ID          int64       `json:"id"`
		Name        string      `json:"name"`
		Type        ProductType `json:"type"`
		Price       Decimal     `json:"price"`
		Description string      `json:"description"`
	}

	// WhiteIP is an address on the allow list.
	WhiteIP struct {
		ID        int64     `json:"id"`
		IP        string    `json:"ip"`
		Remark    string    `json:"remark"`
		CreatedAt time.Time `json:"created_at"`

		Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
	}

	// WhitelistAccount is the document's short form of an [Account]. The units of
	// Limit and Used are not documented.
	WhitelistAccount struct {
		ID       int64         `json:"id"`
		Username string        `json:"username"`
		Limit    int64         `json:"limit"`
		Used     int64         `json:"used"`
		Status   AccountStatus `json:"status" wire:"absent=-1"`
	}

	// Coupon is a discount. Its Code goes into OrderCreateParams.CouponCode.
	Coupon struct {
		ID         int64     `json:"id"`
		Name       string    `json:"name"`
		Code       string    `json:"code"`
		Discount   Decimal   `json:"discount"`
		ExpireTime time.Time `json:"expire_time"`

		Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
	}

	// Article is an article on the vendor's site.
	Article struct {
		ID        int64     `json:"id"`
		Title     string    `json:"title"`
		Content   string    `json:"content"`
		CreatedAt time.Time `json:"created_at"`

		Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
	}
)
