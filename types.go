package proxylite

import (
	"fmt"
	"math/big"
	"strconv"
	"time"
)

// Traffic is an amount of data, counted in KB (1024 bytes), the API's smallest
// unit. Write one as a product, as with [time.Duration]: 5 * proxylite.GB.
type Traffic int64

// The units of [Traffic]. They are powers of 1024, as in the vendor's document a
// limit in GB and a usage in KB describe the same meter.
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

// Decimal is a number exactly as the API wrote it, "18.20" for example: money
// and ratios. It is empty when the answer had none. The API names no currency.
// Use [Decimal.Rat] to calculate.
type Decimal string

// ExactNumber returns the text as the API sent it. It marks the type for the decoder.
func (d Decimal) ExactNumber() string { return string(d) }

// Rat returns the exact value; an empty or malformed Decimal is 0.
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

// ProductType tells what a plan or an order is for. It is an open set: a value
// that has no constant here is kept as it is.
type ProductType int

// The product types of the vendor's document.
const (
	ProductBalance            ProductType = 3  // recharge of the balance
	ProductResidentialTraffic ProductType = 9  // dynamic residential, paid by traffic
	ProductResidentialIP      ProductType = 11 // dynamic residential, unlimited traffic for a time (also "dynamic global V2")
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

// OrderStatus is the state of an order, an open set.
type OrderStatus int

// The order states. Awaiting payment is 0, so an answer without a status decodes
// as OrderStatusAbsent and not as an unpaid order.
const (
	OrderStatusAbsent    OrderStatus = -1 // the answer had no status
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

// AccountStatus tells whether a proxy account may be used, an open set.
type AccountStatus int

// The account states.
const (
	AccountStatusAbsent AccountStatus = -1 // the answer had no status
	AccountDisabled     AccountStatus = 0
	AccountEnabled      AccountStatus = 1
)

var accountStatusNames = map[AccountStatus]string{
	AccountStatusAbsent: "absent", AccountDisabled: "disabled", AccountEnabled: "enabled",
}

// String returns an English name, or "account status N" for a value without one.
func (s AccountStatus) String() string { return enumName(accountStatusNames, s, "account status") }

// StaticIPStatus is the state of a purchased static IP, an open set.
type StaticIPStatus int

// The states of a static IP; 0 means that the answer had none, or as a filter: any.
const (
	StaticIPValid        StaticIPStatus = 1
	StaticIPInvalid      StaticIPStatus = 2
	StaticIPExpiringSoon StaticIPStatus = 3
	StaticIPMaintenance  StaticIPStatus = 4
)

var staticIPStatusNames = map[StaticIPStatus]string{
	0: "absent", StaticIPValid: "valid", StaticIPInvalid: "invalid",
	StaticIPExpiringSoon: "expiring soon", StaticIPMaintenance: "in maintenance",
}

// String returns an English name, or "static IP status N" for a value without one.
func (s StaticIPStatus) String() string { return enumName(staticIPStatusNames, s, "static IP status") }

// ISP is the kind of network a static IP belongs to, an open set. Data-center is
// 0, so a filter is a pointer: new(proxylite.ISPDatacenter).
type ISP int

// The kinds of network.
const (
	ISPDatacenter  ISP = 0
	ISPResidential ISP = 1
)

var ispNames = map[ISP]string{ISPDatacenter: "data-center", ISPResidential: "residential"}

// String returns an English name, or "ISP N" for a value without one.
func (i ISP) String() string { return enumName(ispNames, i, "ISP") }

func enumName[T ~int](names map[T]string, v T, kind string) string {
	if name, ok := names[v]; ok {
		return name
	}
	return kind + " " + strconv.Itoa(int(v))
}

// defaultTimeZone is the zone of the API's zoneless times, UTC+8, unless
// [WithTimeZone] says otherwise. The vendor's document names none; this is our
// choice, since the vendor and the siblings of its back end run on Chinese time.
var defaultTimeZone = time.FixedZone("UTC+8", 8*60*60)
