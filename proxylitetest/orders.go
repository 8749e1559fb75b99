package proxylitetest

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/proxylite/proxylite-go"
)

// order is an order as documented.
type order struct {
	ID          int64          `json:"id"`
	TradeNo     string         `json:"trade_no"`
	ProductID   int64          `json:"product_id"`
	ProductName string         `json:"product_name"`
	TotalFee    jsontext.Value `json:"total_fee"`
	PayFee      jsontext.Value `json:"pay_fee"`
	Status      int            `json:"status"`
	CreatedAt   string         `json:"created_at"` // RFC 3339
}

func orderRow(o proxylite.Order) order {
	return order{
		o.ID, o.TradeNo, o.ProductID, o.ProductName, number(o.TotalFee), number(o.PayFee), int(o.Status),
		o.CreatedAt.UTC().Format(time.RFC3339),
	}
}

// listOrders returns the newest first, which is our choice.
func (s *Server) listOrders(in *request) (any, *apiError) {
	status := in.one("status", -1, 0, 1, 2, 3)
	product := proxylite.ProductType(in.whole("product_type", 0, 0))
	tradeNo := in.query.Get("trade_no")
	var found []order
	for _, o := range newestFirst(s.state.Orders, func(o proxylite.Order) time.Time { return o.CreatedAt }) {
		if (status < 0 || int(o.Status) == status) && (tradeNo == "" || o.TradeNo == tradeNo) &&
			(product == 0 || s.state.plan(o.ProductID).Type == product) {
			found = append(found, orderRow(o))
		}
	}
	return cut(in, "page_no", "page_size", found).paginated(), nil
}

func newestFirst[T any](rows []T, created func(T) time.Time) []T {
	return slices.SortedStableFunc(slices.Values(rows), func(a, b T) int { return created(b).Compare(created(a)) })
}

// plan returns the plan of a pid; its ID is 0 if there is none.
func (st *State) plan(pid int64) proxylite.Product {
	for _, p := range st.Catalog {
		if p.ID == pid {
			return p
		}
	}
	return proxylite.Product{}
}

// order finds an order by its number.
func (st *State) order(tradeNo string) *proxylite.Order {
	for i, o := range st.Orders {
		if tradeNo != "" && o.TradeNo == tradeNo {
			return &st.Orders[i]
		}
	}
	return nil
}

// purchase is the body of an order.
type purchase struct {
	PID      *int64 `json:"pid"`
	UpIDs    string `json:"upids"`
	Amount   int64  `json:"amount"`
	PMID     *int64 `json:"pm_id"`
	Coupon   string `json:"coupon_sn"`
	Recharge int64  `json:"recharge_amount"`
	// Accepted and ignored: their meaning is not documented.
	Regions     string `json:"region_list"`
	Invited     bool   `json:"use_invitation_registration_discount"`
	Duration    any    `json:"renew_duration"` // 1, or "1m"
	Bandwidth   int64  `json:"product_sku_bandwidth_id"`
	Concurrency int64  `json:"product_sku_concurrency_id"`
}

// createOrder applies the vendor's rules as far as they are documented.
func (s *Server) createOrder(in *request) (any, *apiError) {
	var body purchase
	in.decode(&body)
	in.must(body.PID != nil, "pid", "请填写套餐 ID")
	in.must(body.PMID != nil, "pm_id", "请选择支付方式")
	in.must(body.Amount >= 0 && body.Recharge >= 0, "amount", "数量不能为负数")
	if in.no != nil {
		return nil, in.no
	}
	plan := s.state.plan(*body.PID)
	in.must(plan.ID != 0, "pid", "套餐不存在")
	var renewed []string
	if body.UpIDs != "" {
		renewed = strings.Split(body.UpIDs, ",")
	}
	for _, id := range renewed {
		in.must(s.state.staticIP(id) != nil, "upids", "静态 IP 不存在: "+id)
	}
	in.must(plan.Type != proxylite.ProductStaticRenewal || body.UpIDs != "", "upids", "请选择需要续费的静态 IP")
	total, pay := s.fees(in, body, plan, int64(len(renewed)))
	balance := s.paysAtOnce(in, *body.PMID, plan, pay)
	if in.no != nil {
		return nil, in.no
	}
	id := nextID(s.state.Orders, func(o proxylite.Order) int64 { return o.ID })
	created := proxylite.Order{
		ID: id, TradeNo: tradeNo(in.now, id), ProductID: plan.ID, ProductName: plan.Name,
		TotalFee: proxylite.Decimal(total.FloatString(2)), PayFee: proxylite.Decimal(pay.FloatString(2)), CreatedAt: in.now,
	}
	s.state.Orders = append(s.state.Orders, created)
	if s.state.renewals == nil {
		s.state.renewals = map[string][]string{}
	}
	s.state.renewals[created.TradeNo] = renewed
	if balance {
		s.state.User.Balance = proxylite.Decimal(new(big.Rat).Sub(s.state.User.Balance.Rat(), pay).FloatString(2))
		s.state.Pay(created.TradeNo, in.now)
	}
	return orderRow(*s.state.order(created.TradeNo)), nil
}

// fees returns the price times the quantity, and the same minus the coupon: our
// choice.
func (s *Server) fees(in *request, body purchase, plan proxylite.Product, renewed int64) (total, pay *big.Rat) {
	count := cmp.Or(renewed, max(body.Amount, 1))
	total = new(big.Rat).Mul(plan.Price.Rat(), big.NewRat(count, 1))
	if plan.Type == proxylite.ProductBalance {
		in.must(body.Recharge > 0, "recharge_amount", "请填写充值金额")
		total.SetInt64(body.Recharge)
	}
	pay = new(big.Rat).Set(total)
	if body.Coupon != "" {
		i := slices.IndexFunc(s.state.Coupons, func(c proxylite.Coupon) bool {
			return c.Code == body.Coupon && (c.ExpireTime.IsZero() || c.ExpireTime.After(in.now))
		})
		in.must(i >= 0, "coupon_sn", "优惠券不存在或已过期")
		if i >= 0 {
			pay.Sub(pay, s.state.Coupons[i].Discount.Rat())
		}
	}
	if pay.Sign() < 0 {
		pay.SetInt64(0)
	}
	return total, pay
}

// paysAtOnce checks the payment method and reports whether it is the balance, which
// pays at once: our choice.
func (s *Server) paysAtOnce(in *request, id int64, plan proxylite.Product, pay *big.Rat) bool {
	method := s.state.method(id)
	in.must(method != nil, "pm_id", "支付方式不存在")
	if method == nil {
		return false
	}
	balance := method.Group == balanceGroup
	in.must(!method.Disabled, "pm_id", "支付方式已禁用: "+method.Title)
	in.must(!balance || plan.Type != proxylite.ProductBalance, "pm_id", "余额充值不支持余额支付")
	in.must(pay.Cmp(method.Min.Rat()) >= 0, "pm_id", "金额低于支付方式的最小金额 "+method.Min.String())
	in.must(method.Max == "" || pay.Cmp(method.Max.Rat()) <= 0, "pm_id", "金额超过支付方式的最大金额 "+method.Max.String())
	in.must(!balance || pay.Cmp(s.state.User.Balance.Rat()) <= 0, "pm_id", "余额不足")
	return balance
}

// tradeNo makes an order number of 28 digits, like the document's.
func tradeNo(at time.Time, id int64) string {
	return at.In(zone).Format("20060102150405") + fmt.Sprintf("%014d", id)
}

// Pay marks an order that awaits payment as paid, as an external payment does. A
// recharge is added to the balance, a renewal extends its static IPs by 30 days, and
// any other plan is added to Products for 30 days; the 30 days are our choice. Pay
// does nothing to other orders.
func (st *State) Pay(tradeNo string, at time.Time) {
	o := st.order(tradeNo)
	if o == nil || o.Status != proxylite.OrderAwaitingPayment {
		return
	}
	o.Status = proxylite.OrderPaid
	switch kind := st.plan(o.ProductID).Type; kind {
	case proxylite.ProductBalance:
		st.User.Balance = proxylite.Decimal(new(big.Rat).Add(st.User.Balance.Rat(), o.TotalFee.Rat()).FloatString(2))
	case proxylite.ProductStaticRenewal:
		for _, id := range st.renewals[tradeNo] {
			if ip := st.staticIP(id); ip != nil {
				ip.Status = proxylite.StaticIPValid
				if ip.ExpiredAt.Before(at) {
					ip.ExpiredAt = at
				}
				ip.ExpiredAt = ip.ExpiredAt.AddDate(0, 0, 30)
			}
		}
	default:
		st.Products = append(st.Products, proxylite.PurchasedProduct{
			ID:        nextID(st.Products, func(p proxylite.PurchasedProduct) int64 { return p.ID }),
			CreatedAt: at, ExpiredAt: at.AddDate(0, 0, 30), ProductType: kind, TradeNo: tradeNo,
			Order: proxylite.ProductOrder{CreatedAt: o.CreatedAt, PaidAt: at, Title: o.ProductName},
		})
	}
}

func (st *State) staticIP(id string) *proxylite.StaticIP {
	i := slices.IndexFunc(st.StaticIPs, func(ip proxylite.StaticIP) bool { return ip.ID == id })
	if i < 0 {
		return nil
	}
	return &st.StaticIPs[i]
}

// closeOrder responds with the envelope, which the document's introduction promises
// of every endpoint and which a client of a sister brand expects. The endpoint's own
// entry shows no body; the fault {Status: 200} makes the response empty.
func (s *Server) closeOrder(in *request) (any, *apiError) {
	var body struct {
		TradeNo string `json:"trade_no"`
	}
	in.decode(&body)
	o := s.state.order(body.TradeNo)
	in.must(o != nil, "trade_no", "订单不存在")
	in.must(o == nil || o.Status == proxylite.OrderAwaitingPayment, "trade_no", "订单不是待支付状态,无法取消")
	if in.no == nil {
		o.Status = proxylite.OrderCancelled
	}
	return nil, nil
}

func (s *Server) listProducts(in *request) (any, *apiError) {
	type orderOf struct {
		CreatedAt string `json:"created_at"`
		PayAt     string `json:"pay_at"`
		Title     string `json:"title"`
	}
	type row struct {
		ID          int64   `json:"id"`
		CreatedAt   string  `json:"created_at"`
		ExpiredAt   string  `json:"expired_at"`
		ProductType int     `json:"product_type"`
		TradeNo     string  `json:"trade_no"`
		Order       orderOf `json:"order"`
	}
	product, tradeNo := proxylite.ProductType(in.whole("product_type", 0, 0)), in.query.Get("trade_no")
	var found []row
	for _, p := range newestFirst(s.state.Products, func(p proxylite.PurchasedProduct) time.Time { return p.CreatedAt }) {
		if (product == 0 || p.ProductType == product) && (tradeNo == "" || p.TradeNo == tradeNo) {
			found = append(found, row{
				p.ID, stamp(p.CreatedAt), stamp(p.ExpiredAt), int(p.ProductType), p.TradeNo,
				orderOf{stamp(p.Order.CreatedAt), stamp(p.Order.PaidAt), p.Order.Title},
			})
		}
	}
	return cut(in, "page", "size", found).counted(), nil
}

func (s *Server) userInfo(*request) (any, *apiError) {
	u := s.state.User
	return struct {
		ID         int64          `json:"id"`
		Email      string         `json:"email"`
		Phone      string         `json:"phone"`
		Balance    jsontext.Value `json:"balance"`
		Status     int            `json:"status"`
		IsRealName bool           `json:"is_real_name"`
		CreatedAt  string         `json:"created_at"`
	}{
		u.ID, u.Email, u.Phone, number(u.Balance), u.Status, u.IsRealName == nil || *u.IsRealName,
		u.CreatedAt.UTC().Format(time.RFC3339),
	}, nil
}

// balanceGroup is the group of the payment methods that use the balance.
const balanceGroup = "balance"

func (st *State) method(id int64) *proxylite.PaymentMethod {
	for _, g := range st.PaymentGroups {
		for i, m := range g.Items {
			if m.ID == id {
				return &g.Items[i]
			}
		}
	}
	return nil
}

// paymentGroups returns all methods, except that a recharge can't be paid from the
// balance.
func (s *Server) paymentGroups(in *request) (any, *apiError) {
	recharge := false
	if tradeNo := in.query.Get("trade_no"); tradeNo != "" {
		o := s.state.order(tradeNo)
		in.must(o != nil, "trade_no", "订单不存在")
		recharge = o != nil && s.state.plan(o.ProductID).Type == proxylite.ProductBalance
	}
	type item struct {
		ID       int64          `json:"id"`
		Title    string         `json:"title"`
		Logo     string         `json:"logo"`
		Group    string         `json:"group"`
		Disabled bool           `json:"disabled"`
		Min      jsontext.Value `json:"min"`
		Max      jsontext.Value `json:"max"`
	}
	type group struct {
		Name  string   `json:"name"`
		Logos []string `json:"logos"`
		Items []item   `json:"items"`
	}
	var groups []group
	for _, g := range s.state.PaymentGroups {
		out := group{Name: g.Name, Logos: g.Logos}
		for _, m := range g.Items {
			if !recharge || m.Group != balanceGroup {
				out.Items = append(out.Items, item{m.ID, m.Title, m.Logo, m.Group, m.Disabled, number(m.Min), number(m.Max)})
			}
		}
		if len(out.Items) > 0 || !recharge {
			groups = append(groups, out)
		}
	}
	return listed[group]{groups}, nil
}

func (s *Server) giftRatios(*request) (any, *apiError) {
	type row struct {
		Amount jsontext.Value `json:"amount"`
		Ratio  jsontext.Value `json:"ratio"`
	}
	var rows []row
	for _, g := range s.state.GiftRatios {
		rows = append(rows, row{number(g.Amount), number(g.Ratio)})
	}
	return listed[row]{rows}, nil
}
