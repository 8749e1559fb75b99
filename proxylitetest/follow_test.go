package proxylitetest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func account(t *testing.T, c *proxylite.Client, name string) proxylite.Account {
	t.Helper()
	accounts, err := c.Accounts.List(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(accounts, func(a proxylite.Account) bool { return a.Username == name })
	require.GreaterOrEqual(t, i, 0, name)
	return accounts[i]
}

func TestAnAccountLivesFromAddToDelete(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithState(proxylitetest.State{}))
	c := s.Client()
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{
		Accounts: []proxylite.NewAccount{{Username: "bob", Password: proxylite.NewPassword("pass")}, {Username: "Eve2", Password: proxylite.NewPassword("WORD3")}},
		Remark:   "爬虫", ProductType: proxylite.ProductResidentialIP,
	}))
	accounts, err := c.Accounts.List(t.Context())
	require.NoError(t, err)
	bob := proxylite.Account{
		ID: 1, Username: "pl-bob", Password: proxylite.NewPassword("pass"), CreatedAt: now, Remark: "爬虫", ProductType: proxylite.ProductResidentialIP,
		LimitRaw: new(int64(0)), Status: proxylite.AccountEnabled,
	}
	eve := bob
	eve.ID, eve.Username, eve.Password = 2, "pl-Eve2", proxylite.NewPassword("WORD3")
	sameTime(t, now, &accounts[0].CreatedAt, &accounts[1].CreatedAt)
	require.Equal(t, []proxylite.Account{bob, eve}, accounts)

	require.NoError(t, c.Accounts.Disable(t.Context(), []string{"bob", "pl-Eve2"}))
	require.Equal(t, proxylite.AccountDisabled, account(t, c, "pl-bob").Status)
	require.Equal(t, proxylite.AccountDisabled, account(t, c, "pl-Eve2").Status)
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"pl-bob"}))
	require.Equal(t, proxylite.AccountEnabled, account(t, c, "pl-bob").Status)
	require.Equal(t, proxylite.AccountDisabled, account(t, c, "pl-Eve2").Status)

	require.NoError(t, c.Accounts.ChangePassword(t.Context(), "bob", proxylite.NewPassword("New1")))
	require.Equal(t, "New1", account(t, c, "pl-bob").Password.Reveal())
	for _, remark := range []string{strings.Repeat("字", 32), strings.Repeat("x", 64), ""} {
		require.NoError(t, c.Accounts.ChangeRemark(t.Context(), "pl-bob", remark))
		require.Equal(t, remark, account(t, c, "pl-bob").Remark)
	}
	for _, limit := range []proxylite.Traffic{102400 * proxylite.GB, 5 * proxylite.GB, 0} {
		require.NoError(t, c.Accounts.ChangeLimit(t.Context(), "bob", limit))
		got, ok := account(t, c, "pl-bob").Limit()
		require.True(t, ok)
		require.Equal(t, limit, got)
	}

	require.NoError(t, c.Accounts.Delete(t.Context(), []string{"pl-bob", "Eve2"}))
	accounts, err = c.Accounts.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, accounts)
}

// sameTime checks times apart from their zone, and sets them to what they are
// compared with.
func sameTime(t *testing.T, want time.Time, got ...*time.Time) {
	t.Helper()
	for _, g := range got {
		require.True(t, want.Equal(*g), "%s is not %s", g, want)
		*g = want
	}
}

func TestAnAddWithoutAProductIsForTraffic(t *testing.T) {
	t.Parallel()
	c := demo(t).Client()
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "new", Password: proxylite.NewPassword("pass")}}}))
	added := account(t, c, "pl-new")
	require.Equal(t, proxylite.ProductResidentialTraffic, added.ProductType)
	require.Equal(t, int64(1006), added.ID)
}

func usage(t *testing.T, c *proxylite.Client, p proxylite.UsageDailyParams) map[string]proxylite.Traffic {
	t.Helper()
	days, err := c.Usage.Daily(t.Context(), p)
	require.NoError(t, err)
	require.True(t, slices.IsSortedFunc(days, func(a, b proxylite.DailyUsage) int { return a.Day.Compare(b.Day) }))
	flows := map[string]proxylite.Traffic{}
	for _, d := range days {
		flows[d.Day.Format(time.DateOnly)] = d.Traffic
	}
	require.Len(t, flows, len(days))
	return flows
}

func TestUsageIsCountedByDay(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithState(proxylitetest.State{}))
	c := s.Client()
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "bob", Password: proxylite.NewPassword("pass")}}}))
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{
		Accounts: []proxylite.NewAccount{{Username: "eve", Password: proxylite.NewPassword("pass")}}, ProductType: proxylite.ProductResidentialIP,
	}))
	midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, now.Location())
	s.Update(func(st *proxylitetest.State) {
		st.Use("bob", midnight.Add(-time.Second), 1)
		st.Use("bob", midnight, 20)
		st.Use("pl-bob", midnight.Add(23*time.Hour), 300)
		st.Use("eve", midnight, 4000)
		st.Use("bob", now.AddDate(0, 0, -7).Add(-time.Second), 50_000) // by default not asked for
		st.Use("bob", now.Add(time.Second), 600_000)
		st.Use("nobody", midnight, 7)
	})
	require.Equal(t, proxylite.Traffic(650_321), account(t, c, "pl-bob").Used)

	both := map[string]proxylite.Traffic{"2026-02-28": 1, "2026-03-01": 4320}
	require.Equal(t, both, usage(t, c, proxylite.UsageDailyParams{}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-02-28": 1, "2026-03-01": 320}, usage(t, c, proxylite.UsageDailyParams{Username: "bob"}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-03-01": 4000}, usage(t, c, proxylite.UsageDailyParams{Username: "pl-eve"}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-03-01": 4000}, usage(t, c, proxylite.UsageDailyParams{ProductType: proxylite.ProductResidentialIP}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-03-01": 4020}, usage(t, c, proxylite.UsageDailyParams{Start: midnight, End: midnight.Add(time.Hour)}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-02-28": 1}, usage(t, c, proxylite.UsageDailyParams{End: midnight.Add(-time.Second)}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-03-02": 600_000}, usage(t, c, proxylite.UsageDailyParams{Start: now, End: now.Add(time.Hour)}))
	require.Empty(t, usage(t, c, proxylite.UsageDailyParams{Username: "nobody"}))

	// What a deleted account used can't be asked for, until there is one of its name.
	require.NoError(t, c.Accounts.Delete(t.Context(), []string{"bob"}))
	require.Equal(t, map[string]proxylite.Traffic{"2026-03-01": 4000}, usage(t, c, proxylite.UsageDailyParams{}))
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "bob", Password: proxylite.NewPassword("pass")}}}))
	require.Equal(t, both, usage(t, c, proxylite.UsageDailyParams{}))
	require.Zero(t, account(t, c, "pl-bob").Used)
}

func TestTheDemoDataHasAWeekOfDifferentDays(t *testing.T) {
	t.Parallel()
	days := usage(t, demo(t).Client(), proxylite.UsageDailyParams{})
	require.Len(t, days, 7)
	flows := map[proxylite.Traffic]bool{}
	for _, flow := range days {
		flows[flow] = true
	}
	require.Len(t, flows, 7)
}

func findOrder(t *testing.T, c *proxylite.Client, tradeNo string) proxylite.Order {
	t.Helper()
	page, err := c.Orders.List(t.Context(), proxylite.OrderListParams{TradeNo: tradeNo})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return page.Items[0]
}

func TestAnOrderAwaitsPaymentUntilItIsClosed(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client()
	o, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1)), Quantity: 3})
	require.NoError(t, err)
	sameTime(t, now, &o.CreatedAt)
	require.Equal(t, proxylite.Order{
		ID: 50037, TradeNo: "2026030210300000000000050037", ProductID: 901, ProductName: "入门级 (starter)", TotalFee: "54.60", PayFee: "54.60",
		Status: proxylite.OrderAwaitingPayment, CreatedAt: now,
	}, o)
	listed := findOrder(t, c, o.TradeNo)
	sameTime(t, now, &listed.CreatedAt)
	require.Equal(t, o, listed)
	for found, err := range c.Orders.All(t.Context(), proxylite.OrderListParams{Status: new(proxylite.OrderAwaitingPayment)}) {
		require.NoError(t, err)
		require.Equal(t, o.ID, found.ID, "the newest comes first")
		break
	}
	require.NoError(t, c.Orders.Close(t.Context(), o.TradeNo))
	require.Equal(t, proxylite.OrderCancelled, findOrder(t, c, o.TradeNo).Status)
	s.Update(func(st *proxylitetest.State) { st.Pay(o.TradeNo, now) }) // too late
	require.Equal(t, proxylite.OrderCancelled, findOrder(t, c, o.TradeNo).Status)
}

func TestAPaidOrderBringsItsPlan(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client()
	o, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1)), CouponCode: "WELCOME5"})
	require.NoError(t, err)
	require.Equal(t, []proxylite.Decimal{"18.20", "13.20"}, []proxylite.Decimal{o.TotalFee, o.PayFee})
	bought := func() []proxylite.PurchasedProduct {
		page, err := c.Products.List(t.Context(), proxylite.ProductListParams{TradeNo: o.TradeNo})
		require.NoError(t, err)
		return page.Items
	}
	require.Empty(t, bought())
	at := now.Add(time.Minute)
	s.Update(func(st *proxylitetest.State) { st.Pay(o.TradeNo, at); st.Pay(o.TradeNo, at); st.Pay("none", at) })
	require.Equal(t, proxylite.OrderPaid, findOrder(t, c, o.TradeNo).Status)
	products := bought()
	require.Len(t, products, 1)
	p := &products[0]
	sameTime(t, now, &p.Order.CreatedAt)
	sameTime(t, at, &p.CreatedAt, &p.Order.PaidAt)
	sameTime(t, at.AddDate(0, 0, 30), &p.ExpiredAt)
	require.Equal(t, proxylite.PurchasedProduct{
		ID: 24, CreatedAt: at, ExpiredAt: at.AddDate(0, 0, 30), ProductType: proxylite.ProductResidentialTraffic, TradeNo: o.TradeNo,
		Order: proxylite.ProductOrder{CreatedAt: now, PaidAt: at, Title: "入门级 (starter)"},
	}, *p)
}

func TestPayingFromTheBalancePaysAtOnce(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client()
	before := s.State()
	renewal := proxylite.OrderCreateParams{ProductID: 1901, StaticIPs: []string{"7003", "7005"}, PaymentMethodID: new(int64(0)), RenewDuration: "1m"}
	o, err := c.Orders.Create(t.Context(), renewal)
	require.NoError(t, err)
	require.Equal(t, proxylite.OrderPaid, o.Status)
	require.Equal(t, proxylite.Decimal("9.00"), o.PayFee)
	user, err := c.User.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, proxylite.Decimal("259.50"), user.Balance)
	after := s.State()
	require.Equal(t, before.StaticIPs[2].ExpiredAt.AddDate(0, 0, 30), after.StaticIPs[2].ExpiredAt)
	require.Equal(t, now.AddDate(0, 0, 30), after.StaticIPs[4].ExpiredAt) // it had expired
	require.Equal(t, proxylite.StaticIPValid, after.StaticIPs[2].Status)
	require.Equal(t, before.StaticIPs[7], after.StaticIPs[7])
	require.Len(t, after.Products, len(before.Products)) // a renewal is no plan
}

func TestARechargeIsPaidFromOutsideOntoTheBalance(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client()
	o, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 3, RechargeAmount: 100, PaymentMethodID: new(int64(2))})
	require.NoError(t, err)
	require.Equal(t, proxylite.Decimal("100.00"), o.PayFee)
	for trade, want := range map[string]int{"": 3, awaiting: 3, o.TradeNo: 2} {
		groups, err := c.Payment.Groups(t.Context(), proxylite.PaymentGroupsParams{TradeNo: trade})
		require.NoError(t, err)
		require.Len(t, groups, want)
	}
	s.Update(func(st *proxylitetest.State) { st.Pay(o.TradeNo, now) })
	user, err := c.User.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, proxylite.Decimal("368.50"), user.Balance)
}

func TestAFeeMayBeAsLargeAsIsAllowed(t *testing.T) {
	t.Parallel()
	s := demo(t)
	s.Update(func(st *proxylitetest.State) { st.User.Balance = "18.2" })
	c := s.Client()
	_, err := c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 3, RechargeAmount: 5000, PaymentMethodID: new(int64(1))})
	require.NoError(t, err)
	_, err = c.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(0))})
	require.NoError(t, err)
	require.Equal(t, proxylite.Decimal("0.00"), s.State().User.Balance)
}

func TestACouponTakesOffNoMoreThanTheFee(t *testing.T) {
	t.Parallel()
	o, err := demo(t).Client().Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1401, PaymentMethodID: new(int64(0)), CouponCode: "WELCOME5"})
	require.NoError(t, err)
	require.Equal(t, []proxylite.Decimal{"3.00", "0.00"}, []proxylite.Decimal{o.TotalFee, o.PayFee})
}

func TestListsArePagedAndFiltered(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c, st := s.Client(), s.State()

	orders, err := c.Orders.List(t.Context(), proxylite.OrderListParams{})
	require.NoError(t, err)
	require.Equal(t, []int{20, 1, 20, 36, 2}, []int{len(orders.Items), orders.Page, orders.Size, orders.Total, orders.Pages})
	orders, err = c.Orders.List(t.Context(), proxylite.OrderListParams{PageParams: proxylite.PageParams{Page: 4, Size: 10}})
	require.NoError(t, err)
	require.Equal(t, []int{6, 4, 10, 36, 4}, []int{len(orders.Items), orders.Page, orders.Size, orders.Total, orders.Pages})
	require.Equal(t, st.Orders[0].TradeNo, orders.Items[5].TradeNo, "the oldest comes last")
	orders, err = c.Orders.List(t.Context(), proxylite.OrderListParams{PageParams: proxylite.PageParams{Page: 5, Size: 10}})
	require.NoError(t, err)
	require.Equal(t, []int{0, 5, 10, 36, 4}, []int{len(orders.Items), orders.Page, orders.Size, orders.Total, orders.Pages})

	products, err := c.Products.List(t.Context(), proxylite.ProductListParams{PageParams: proxylite.PageParams{Page: 2}})
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 20, 23, 2}, []int{len(products.Items), products.Page, products.Size, products.Total, products.Pages})
	ips, err := c.IP.ListStatic(t.Context(), proxylite.IPListStaticParams{PageParams: proxylite.PageParams{Page: 2, Size: 20}})
	require.NoError(t, err)
	require.Equal(t, []int{4, 2, 20, 24, 2}, []int{len(ips.Items), ips.Page, ips.Size, ips.Total, ips.Pages})

	for status, want := range map[proxylite.OrderStatus]int{
		proxylite.OrderAwaitingPayment: 2, proxylite.OrderPaid: 29, proxylite.OrderCancelled: 4, proxylite.OrderRefunded: 1,
	} {
		n := 0
		for o, err := range c.Orders.All(t.Context(), proxylite.OrderListParams{Status: &status}) {
			require.NoError(t, err)
			require.Equal(t, status, o.Status)
			n++
		}
		require.Equal(t, want, n, status)
	}
	for o, err := range c.Orders.All(t.Context(), proxylite.OrderListParams{ProductType: proxylite.ProductBalance}) {
		require.NoError(t, err)
		require.Equal(t, int64(3), o.ProductID)
	}
	n := 0
	for p, err := range c.Products.All(t.Context(), proxylite.ProductListParams{ProductType: proxylite.ProductStaticDatacenter}) {
		require.NoError(t, err)
		require.Equal(t, proxylite.ProductStaticDatacenter, p.ProductType)
		n++
	}
	require.Equal(t, 4, n)
}

func TestWhatIsSeededIsServed(t *testing.T) {
	t.Parallel()
	created := time.Date(2025, 6, 7, 8, 9, 10, 0, now.Location())
	seed := proxylitetest.State{
		User: proxylite.User{ID: 7, Email: "a@example.com", Phone: "1", Balance: "0.10", Status: 2, IsRealName: new(true), CreatedAt: created},
		Accounts: []proxylite.Account{{
			ID: 3, Username: "pl-zoe", Password: proxylite.NewPassword("p"), CreatedAt: created, Remark: "<b>&", ProductType: 11, Used: 5, LimitRaw: new(int64(9)), Status: 1,
		}},
		Orders: []proxylite.Order{{
			ID: 4, TradeNo: "1", ProductID: 5, ProductName: "x", TotalFee: "12345678901234567.89", PayFee: "1e2", Status: 3, CreatedAt: created,
		}},
		PaymentGroups: []proxylite.PaymentGroup{{
			Name: "g", Logos: []string{"l"}, Items: []proxylite.PaymentMethod{{ID: 0, Title: "t", Logo: "o", Group: "r", Disabled: true, Min: "0.5", Max: "1"}},
		}},
		GiftRatios: []proxylite.RechargeGiftRatio{{Amount: "100", Ratio: "1.20"}},
	}
	zone := proxylite.WithTimeZone(now.Location())
	c := demo(t, proxylitetest.WithState(seed)).Client(zone)

	user, err := c.User.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, seed.User, user)
	accounts, err := c.Accounts.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, seed.Accounts, accounts)
	orders, err := c.Orders.List(t.Context(), proxylite.OrderListParams{})
	require.NoError(t, err)
	require.Equal(t, seed.Orders, orders.Items)
	groups, err := c.Payment.Groups(t.Context(), proxylite.PaymentGroupsParams{})
	require.NoError(t, err)
	require.Equal(t, seed.PaymentGroups, groups)
	ratios, err := c.Marketing.RechargeGiftRatios(t.Context())
	require.NoError(t, err)
	require.Equal(t, seed.GiftRatios, ratios)
}

func TestAStateThatCannotBeWrittenSaysSo(t *testing.T) {
	t.Parallel()
	s := demo(t)
	s.Update(func(st *proxylitetest.State) { st.User.Balance = "much" })
	status, _, body := send(t, "GET", s.URL+"/end-point/user/info?app_key="+s.Key, "")
	require.Equal(t, 500, status)
	require.Contains(t, body, `{"code":500,"message":"proxylitetest: the state can't be written as JSON`)
}

func TestAnEmptyStateIsServedInFull(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithState(proxylitetest.State{}))
	for path, want := range map[string]string{
		"/user/info":              `{"code":0,"message":"操作成功","data":{"id":0,"email":"","phone":"","balance":0,"status":0,"is_real_name":true,"created_at":"0001-01-01T00:00:00Z"}}`,
		"/order/list":             `{"code":0,"message":"操作成功","data":{"list":[],"pagination":{"total":0,"page_no":1,"page_size":20,"total_pages":0}}}`,
		"/user-product/list":      `{"code":200,"msg":"请求成功","data":{"list":[],"page":1,"page_size":20,"total_count":0,"total_page":0}}`,
		"/whitelist-account/list": `{"code":200,"msg":"请求成功","data":{"list":[]}}`,
		"/user-usage-flow/total":  `{"code":200,"msg":"请求成功","data":{"list":[]}}`,
		"/ip/v3":                  `{"code":200,"msg":"请求成功","data":{"list":[]}}`,
		"/ip/dynamic-citys":       `{"code":200,"msg":"请求成功","data":{"list":[]}}`,
		"/payment/groups":         `{"code":0,"message":"操作成功","data":{"list":[]}}`,
	} {
		_, _, body := send(t, "GET", s.URL+"/end-point"+path+"?app_key="+s.Key, "")
		require.Equal(t, want, body)
	}
}
