package proxylitetest

import (
	"maps"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// State is everything that a [Server] holds. Set it with [WithState] or
// [Server.Update], read it with [Server.State].
type State struct {
	// User is the owner of the key. If IsRealName is false, the operations for which
	// the vendor documents code 156 refuse with it.
	User proxylite.User
	// CallerNotAllowed removes the caller's IP from the allow list: extraction
	// refuses with code 202 and names the IP.
	CallerNotAllowed bool

	Accounts []proxylite.Account // with the names as listed: pl-bob
	Usage    []Usage

	Catalog  []proxylite.Product // plans that can be ordered; the pid is the ID
	Coupons  []proxylite.Coupon  // Discount is subtracted from the fee
	Orders   []proxylite.Order
	Products []proxylite.PurchasedProduct

	StaticIPs   []proxylite.StaticIP
	StaticStock []StaticStock

	Locations []proxylite.CountryCities // of cities and states
	IPStock   int                       // how many IPs can still be extracted

	PaymentGroups []proxylite.PaymentGroup
	GiftRatios    []proxylite.RechargeGiftRatio

	renewals map[string][]string // the static IPs of an order, by its number

	// Of the state in a server, never of a copy: where to look, so that thousands of
	// accounts are no slower than a few.
	byName  map[string]int // index in Accounts
	byUser  map[string][]Usage
	serves  bool // a server has it
	indexed bool // nobody but the server changes it now, and keeps the indexes

	demo bool // not given yet: the demo data is wanted
}

// Usage is traffic that an account used at a time. All usage of a day is added up.
type Usage struct {
	Username    string // as listed: pl-bob
	Time        time.Time
	ProductType proxylite.ProductType
	Traffic     proxylite.Traffic
}

// StaticStock is the number of static IPs of a kind for sale in a country.
type StaticStock struct {
	ISP         proxylite.ISP
	CountryCode string
	Number      int
}

// Use adds traffic to an account, both to its Used and to the usage by day. The
// name can be without the brand's prefix. Use does nothing if the account does not
// exist.
func (st *State) Use(username string, at time.Time, flow proxylite.Traffic) {
	if a := st.account(username); a != nil {
		a.Used += flow
		st.Usage = append(st.Usage, Usage{a.Username, at, a.ProductType, flow})
	}
}

// brand is the prefix of every account name.
const brand = "pl-"

// account finds an account by its name, with or without the brand's prefix.
func (st *State) account(name string) *proxylite.Account {
	if name == "" {
		return nil
	}
	if a := st.lookUp(name); a != nil || st.indexed {
		return a
	}
	if st.serves {
		st.indexAccounts()
		return st.lookUp(name)
	}
	for i, a := range st.Accounts {
		if a.Username == name || a.Username == brand+name {
			return &st.Accounts[i]
		}
	}
	return nil
}

// lookUp asks the index and checks what it says, as accounts may have been changed
// since.
func (st *State) lookUp(name string) *proxylite.Account {
	for _, full := range []string{name, brand + name} {
		if i, ok := st.byName[full]; ok && i < len(st.Accounts) && st.Accounts[i].Username == full {
			return &st.Accounts[i]
		}
	}
	return nil
}

func (st *State) indexAccounts() {
	st.byName = make(map[string]int, len(st.Accounts))
	for i, a := range slices.Backward(st.Accounts) {
		st.byName[a.Username] = i
	}
}

// index completes the indexes of a server's state.
func (st *State) index() {
	if st.indexed {
		return
	}
	st.indexAccounts()
	st.byUser = map[string][]Usage{}
	for _, u := range st.Usage {
		st.byUser[u.Username] = append(st.byUser[u.Username], u)
	}
	st.serves, st.indexed = true, true
}

// nextID returns an ID above those of rows.
func nextID[T any](rows []T, id func(T) int64) int64 {
	next := int64(1)
	for _, row := range rows {
		next = max(next, id(row)+1)
	}
	return next
}

// clone shares nothing with what it is a copy of.
func (st *State) clone() State {
	c := *st
	c.byName, c.byUser, c.serves, c.indexed = nil, nil, false, false
	c.User.IsRealName = clonePtr(c.User.IsRealName)
	c.Accounts = slices.Clone(c.Accounts)
	for i, a := range c.Accounts {
		c.Accounts[i].LimitRaw = clonePtr(a.LimitRaw)
	}
	c.Usage = slices.Clone(c.Usage)
	c.Catalog = slices.Clone(c.Catalog)
	c.Coupons = slices.Clone(c.Coupons)
	c.Orders = slices.Clone(c.Orders)
	c.Products = slices.Clone(c.Products)
	c.StaticIPs = slices.Clone(c.StaticIPs)
	c.StaticStock = slices.Clone(c.StaticStock)
	c.Locations = slices.Clone(c.Locations)
	for i, country := range c.Locations {
		c.Locations[i].Cities = slices.Clone(country.Cities)
	}
	c.PaymentGroups = slices.Clone(c.PaymentGroups)
	for i, g := range c.PaymentGroups {
		c.PaymentGroups[i].Logos = slices.Clone(g.Logos)
		c.PaymentGroups[i].Items = slices.Clone(g.Items)
	}
	c.GiftRatios = slices.Clone(c.GiftRatios)
	c.renewals = maps.Clone(c.renewals)
	return c
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}
