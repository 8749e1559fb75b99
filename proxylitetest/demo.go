package proxylitetest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/proxylite/proxylite-go"
)

// DemoState returns the data that a server starts with. It is plausible, and the
// same for the same now. Its addresses are from networks reserved for documentation.
func DemoState(now time.Time) State {
	st := State{
		User: proxylite.User{
			ID: 10086, Email: "demo@example.com", Phone: "13800000000", Balance: "268.50", Status: 1, IsRealName: new(true),
			CreatedAt: now.AddDate(-1, -2, 0),
		},
		IPStock: 1000,
		Catalog: []proxylite.Product{
			{ID: 3, Name: "余额充值", Type: proxylite.ProductBalance, Price: "1.00", Description: "充值金额由您决定"},
			{ID: 901, Name: "入门级 (starter)", Type: proxylite.ProductResidentialTraffic, Price: "18.20", Description: "5 GB"},
			{ID: 902, Name: "专业级", Type: proxylite.ProductResidentialTraffic, Price: "150.00", Description: "50 GB"},
			{ID: 1101, Name: "动态住宅 IP 包时", Type: proxylite.ProductResidentialIP, Price: "99.00", Description: "1 天"},
			{ID: 1401, Name: "静态数据中心 IP (static data center)", Type: proxylite.ProductStaticDatacenter, Price: "3.00", Description: "30 天 (30 days)"},
			{ID: 1901, Name: "静态 IP 续费", Type: proxylite.ProductStaticRenewal, Price: "4.50", Description: "30 天 (30 days)"},
			{ID: 2501, Name: "静态住宅 IP", Type: proxylite.ProductStaticResidential, Price: "5.00", Description: "30 天 (30 days)"},
		},
		Coupons: []proxylite.Coupon{
			{ID: 1, Name: "新用户优惠", Code: "WELCOME5", Discount: "5.00", ExpireTime: now.AddDate(0, 1, 0)},
			{ID: 2, Name: "春季优惠", Code: "SPRING10", Discount: "10.00", ExpireTime: now.AddDate(0, -1, 0)},
		},
		PaymentGroups: []proxylite.PaymentGroup{
			{Name: "在线支付", Logos: []string{"https://example.com/alipay.png", "https://example.com/card.png"}, Items: []proxylite.PaymentMethod{
				{ID: 1, Title: "支付宝 (Alipay)", Logo: "https://example.com/alipay.png", Group: "online", Min: "1", Max: "5000"},
				{ID: 2, Title: "Visa / Mastercard", Logo: "https://example.com/card.png", Group: "online", Min: "10", Max: "5000"},
				{ID: 3, Title: "微信支付 (WeChat Pay)", Logo: "https://example.com/wechat.png", Group: "online", Disabled: true, Min: "1", Max: "3000"},
			}},
			{Name: "虚拟币", Logos: []string{"https://example.com/usdt.png"}, Items: []proxylite.PaymentMethod{
				{ID: 7, Title: "USDT-TRC20", Logo: "https://example.com/usdt.png", Group: "crypto", Min: "20", Max: "50000"},
			}},
			{Name: "余额", Logos: []string{}, Items: []proxylite.PaymentMethod{
				{ID: 0, Title: "余额支付 (balance)", Logo: "https://example.com/balance.png", Group: balanceGroup, Min: "0", Max: "100000"},
			}},
		},
		GiftRatios: []proxylite.RechargeGiftRatio{{Amount: "100", Ratio: "1.02"}, {Amount: "500", Ratio: "1.05"}, {Amount: "1000", Ratio: "1.2"}},
	}
	st.demoAccounts(now)
	st.demoOrders(now)
	st.demoStatic(now)
	st.demoLocations()
	return st
}

// demoAccounts has two weeks of usage, different each day.
func (st *State) demoAccounts(now time.Time) {
	for i, a := range []struct {
		name, password, remark string
		product                proxylite.ProductType
		limit                  int64 // GB
		daily                  proxylite.Traffic
	}{
		{"alice", "alice2024", "crawler", proxylite.ProductResidentialTraffic, 50, 1900 * proxylite.MB},
		{"bob", "bob2024", "价格监控 (price monitor)", proxylite.ProductResidentialTraffic, 5, 310 * proxylite.MB},
		{"carol", "carol2024", "", proxylite.ProductResidentialTraffic, 0, 64 * proxylite.MB},
		{"dave", "dave2024", "unlimited plan", proxylite.ProductResidentialIP, 0, 920 * proxylite.MB},
		{"erin", "erin2024", "left the company", proxylite.ProductResidentialTraffic, 1, 0},
	} {
		st.Accounts = append(st.Accounts, proxylite.Account{
			ID: int64(1001 + i), Username: brand + a.name, Password: proxylite.NewPassword(a.password), CreatedAt: now.AddDate(0, -3, 7*i), Remark: a.remark,
			ProductType: a.product, LimitRaw: new(a.limit), Status: proxylite.AccountEnabled,
		})
		for day := 13; day >= 0; day-- {
			// Some days are busier than others, each account's in their own way.
			flow := a.daily * proxylite.Traffic(40+(day*37+i*11)%60) / 100
			if flow > 0 {
				st.Use(a.name, now.Add(-time.Duration(day)*24*time.Hour-time.Minute), flow)
			}
		}
	}
	st.account("erin").Status = proxylite.AccountDisabled
}

// demoOrders has two pages of orders and of the plans that they bought.
func (st *State) demoOrders(now time.Time) {
	plans := []int64{901, 902, 2501, 1401, 1101, 901, 3, 1901}
	for i := range 36 {
		plan := st.plan(plans[i%len(plans)])
		id, created := int64(50001+i), now.Add(-time.Duration(36-i)*60*time.Hour)
		fee := plan.Price
		if plan.Type == proxylite.ProductBalance {
			fee = "100.00"
		}
		st.Orders = append(st.Orders, proxylite.Order{
			ID: id, TradeNo: tradeNo(created, id), ProductID: plan.ID, ProductName: plan.Name, TotalFee: fee, PayFee: fee, CreatedAt: created,
		})
		order := &st.Orders[i]
		switch {
		case i >= 34: // awaits payment
		case i%9 == 4:
			order.Status = proxylite.OrderCancelled
		case i == 17:
			order.Status = proxylite.OrderRefunded
		default:
			balance := st.User.Balance
			st.Pay(order.TradeNo, created.Add(time.Duration(40+i)*time.Second))
			st.User.Balance = balance // long spent
		}
	}
}

func (st *State) demoStatic(now time.Time) {
	statuses := []proxylite.StaticIPStatus{1, 1, 3, 1, 2, 1, 4, 3}
	codes := []string{"US", "US", "DE", "GB", "JP"}
	for i := range 24 {
		ip := proxylite.StaticIP{
			ID: strconv.Itoa(7001 + i), CountryCode: codes[i%len(codes)], ProductType: proxylite.ProductStaticResidential,
			Status: statuses[i%len(statuses)], IP: fmt.Sprintf("198.51.100.%d", 10+i), Port: 8000 + i,
			Username: fmt.Sprintf("static%02d", i+1), Password: proxylite.NewPassword(fmt.Sprintf("pass%04d", 2701+i*13)),
		}
		if i%3 == 2 {
			ip.ProductType = proxylite.ProductStaticDatacenter
		}
		switch ip.Status {
		case proxylite.StaticIPInvalid:
			ip.ExpiredAt = now.AddDate(0, 0, -3)
		case proxylite.StaticIPExpiringSoon:
			ip.ExpiredAt = now.AddDate(0, 0, 1+i%3)
		default:
			ip.ExpiredAt = now.AddDate(0, 0, 12+i)
		}
		for _, p := range st.Products {
			if p.ProductType == ip.ProductType {
				ip.TradeNo = p.TradeNo
			}
		}
		st.StaticIPs = append(st.StaticIPs, ip)
	}
	for i, code := range []string{"US", "GB", "DE", "JP", "SG", "HK", "BR"} {
		st.StaticStock = append(st.StaticStock, StaticStock{proxylite.ISPResidential, code, 155 - 20*i})
		if i%2 == 0 {
			st.StaticStock = append(st.StaticStock, StaticStock{proxylite.ISPDatacenter, code, 400 - 50*i})
		}
	}
}

func (st *State) demoLocations() {
	for _, c := range []struct {
		zh, en, continent, code string
		cities                  [][2]string // state, city
	}{
		{"美国", "United States", "NA", "US", [][2]string{
			{"CA", "Los Angeles"},
			{"CA", "San Francisco"},
			{"CA", "San Diego"},
			{"NY", "New York"},
			{"NY", "Buffalo"},
			{"TX", "Austin"},
			{"TX", "Houston"},
			{"TX", "Dallas"},
			{"FL", "Miami"},
			{"WA", "Seattle"},
		}},
		{"英国", "United Kingdom", "EU", "GB", [][2]string{{"ENG", "London"}, {"ENG", "Manchester"}, {"SCT", "Edinburgh"}}},
		{"德国", "Germany", "EU", "DE", [][2]string{{"BE", "Berlin"}, {"BY", "Munich"}, {"BY", "Nuremberg"}, {"HH", "Hamburg"}}},
		{"法国", "France", "EU", "FR", [][2]string{{"IDF", "Paris"}, {"ARA", "Lyon"}}},
		{"日本", "Japan", "AS", "JP", [][2]string{{"13", "Tokyo"}, {"27", "Osaka"}}},
		{"印度", "India", "AS", "IN", [][2]string{{"MH", "Mumbai"}, {"KA", "Bengaluru"}, {"DL", "New Delhi"}}},
		{"新加坡", "Singapore", "AS", "SG", [][2]string{{"", "Singapore"}}},
		{"香港", "Hong Kong", "AS", "HK", [][2]string{{"", "Hong Kong"}}},
		{"巴西", "Brazil", "SA", "BR", [][2]string{{"SP", "Sao Paulo"}, {"RJ", "Rio de Janeiro"}}},
		{"澳大利亚", "Australia", "OC", "AU", [][2]string{{"NSW", "Sydney"}, {"VIC", "Melbourne"}}},
	} {
		country := proxylite.CountryCities{NameZH: c.zh, NameEN: c.en, ContinentCode: c.continent, CountryCode: c.code}
		for _, x := range c.cities {
			country.Cities = append(country.Cities, proxylite.City{City: x[1], State: x[0], ContinentCode: c.continent, CountryCode: c.code})
		}
		st.Locations = append(st.Locations, country)
	}
}
