package apitest

import (
	"context"
	"time"

	"github.com/proxylite/proxylite-go"
)

// An Operation of the API, as a user calls it with valid input. Tests of what holds
// for every operation range over Operations.
type Operation struct {
	Name       string
	Method     string
	Path       string // below the prefix
	Class      proxylite.Class
	KeyInBody  bool // the app_key is in the JSON body
	Query      string
	Body       string // without app_key
	Call       func(context.Context, *proxylite.Client, ...proxylite.CallOption) (any, error)
	MayBeEmpty bool // an empty 200 is success
	// NeedsData: a success without data is malformed.
	NeedsData         bool
	NeedsVerification bool // the document says that an unverified user gets code 156

	// What testdata/<Name>.json and testdata/full/<Name>.json decode to; nil if the
	// response has no data.
	Documented, Full any
}

// Operations are all operations. Their input is valid for the demo data of proxylitetest
// at the time End.
var Operations = []Operation{
	{
		Name: "Accounts.List", Method: "GET", Path: "/whitelist-account/list", Class: proxylite.ClassSafe,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Accounts.List(ctx, o...)
		},
		Documented: []proxylite.Account{{
			Username: "string", Password: proxylite.NewPassword("string"), Remark: "string",
			ProductType: proxylite.ProductResidentialTraffic, LimitRaw: new(int64(102400)), Status: proxylite.AccountDisabled,
		}},
		Full: []proxylite.Account{
			{
				ID: 7, Username: "pl-bob", Password: proxylite.NewPassword("pw1"), CreatedAt: At(2022, 5, 13, 12, 14, 15), Remark: "爬虫", ProductType: 9,
				Used: 2 * proxylite.GB, LimitRaw: new(int64(5)), Status: proxylite.AccountEnabled,
			},
			{
				ID: 8, Username: "pl-eve", Password: proxylite.NewPassword("pw2"), CreatedAt: At(2022, 5, 14, 0, 0, 1), Remark: "shop", ProductType: 99,
				Used: 1536 * proxylite.KB, LimitRaw: new(int64(102401)), Status: 7,
			},
		},
	},
	{
		Name: "Accounts.Add", Method: "POST", Path: "/whitelist-account/add", KeyInBody: true, NeedsVerification: true,
		Body: `{"accounts":"user01:pass,user02:word","remark":"crawler","product_type":9}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.Add(ctx, proxylite.AccountAddParams{
				Accounts: []proxylite.NewAccount{{Username: "user01", Password: proxylite.NewPassword("pass")}, {Username: "user02", Password: proxylite.NewPassword("word")}},
				Remark:   "crawler", ProductType: proxylite.ProductResidentialTraffic,
			}, o...))
		},
	},
	{
		Name: "Accounts.Delete", Method: "POST", Path: "/whitelist-account/delete", Class: proxylite.ClassIdempotent, KeyInBody: true, NeedsVerification: true,
		Body: `{"accounts":"dave,pl-carol"}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.Delete(ctx, []string{"dave", "pl-carol"}, o...))
		},
	},
	{
		Name: "Accounts.Disable", Method: "POST", Path: "/whitelist-account/disable", Class: proxylite.ClassIdempotent, KeyInBody: true, NeedsVerification: true,
		Body: `{"accounts":"alice,pl-bob"}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.Disable(ctx, []string{"alice", "pl-bob"}, o...))
		},
	},
	{
		Name: "Accounts.Enable", Method: "POST", Path: "/whitelist-account/enable", Class: proxylite.ClassIdempotent, KeyInBody: true, NeedsVerification: true,
		Body: `{"accounts":"erin,pl-dave"}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.Enable(ctx, []string{"erin", "pl-dave"}, o...))
		},
	},
	{
		Name: "Accounts.ChangePassword", Method: "POST", Path: "/whitelist-account/change-password", Class: proxylite.ClassIdempotent, KeyInBody: true, NeedsVerification: true,
		Body: `{"account":"bob","password":"pass"}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.ChangePassword(ctx, "bob", proxylite.NewPassword("pass"), o...))
		},
	},
	{
		Name: "Accounts.ChangeRemark", Method: "POST", Path: "/whitelist-account/change-remark", Class: proxylite.ClassIdempotent, KeyInBody: true, NeedsVerification: true,
		Body: `{"account":"pl-bob","remark":""}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.ChangeRemark(ctx, "pl-bob", "", o...))
		},
	},
	{
		Name: "Accounts.ChangeLimit", Method: "POST", Path: "/whitelist-account/change-limit", Class: proxylite.ClassIdempotent, KeyInBody: true, NeedsVerification: true,
		Body: `{"account":"bob","limit":0}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Accounts.ChangeLimit(ctx, "bob", 0, o...))
		},
	},
	{
		Name: "Usage.Daily", Method: "GET", Path: "/user-usage-flow/total", Class: proxylite.ClassSafe, NeedsVerification: true,
		Query: "end_time=2022-08-02+12%3A30%3A01&product_type=9&start_time=2022-08-01+00%3A00%3A00&username=pl-bob",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: Start, End: End, Username: "pl-bob", ProductType: 9}, o...)
		},
		Documented: []proxylite.DailyUsage{{Day: At(2022, 8, 1, 0, 0, 0)}},
		Full: []proxylite.DailyUsage{
			{Day: At(2022, 8, 1, 0, 0, 0), Traffic: 1536 * proxylite.MB}, {Day: At(2022, 8, 2, 0, 0, 0), Traffic: proxylite.KB},
		},
	},
	{
		Name: "Products.List", Method: "GET", Path: "/user-product/list", Class: proxylite.ClassSafe, NeedsVerification: true,
		Query: "page=1&product_type=25&size=50&trade_no=2022050912300100000000050003",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Products.List(ctx, proxylite.ProductListParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 50}, TradeNo: "2022050912300100000000050003", ProductType: 25,
			}, o...)
		},
		Documented: proxylite.Page[proxylite.PurchasedProduct]{
			Items: []proxylite.PurchasedProduct{{
				CreatedAt: At(2022, 5, 13, 12, 14, 15), ExpiredAt: At(2022, 5, 13, 12, 14, 15), ProductType: 9,
				TradeNo: "2022051312134339861461465434",
				Order:   proxylite.ProductOrder{CreatedAt: At(2022, 5, 13, 12, 13, 43), PaidAt: At(2022, 5, 13, 12, 13, 43), Title: "入门级"},
			}}, Page: 1, Size: 20,
		},
		Full: proxylite.Page[proxylite.PurchasedProduct]{
			Items: []proxylite.PurchasedProduct{{
				ID: 11, CreatedAt: At(2022, 5, 13, 12, 14, 15), ExpiredAt: At(2022, 6, 13, 12, 14, 16),
				ProductType: proxylite.ProductStaticResidential, TradeNo: "2022051312134339861461465434",
				Order: proxylite.ProductOrder{CreatedAt: At(2022, 5, 13, 12, 13, 43), PaidAt: At(2022, 5, 13, 12, 13, 44), Title: "入门级"},
			}}, Page: 2, Size: 50, Total: 51, Pages: 2,
		},
	},
	{
		Name: "IP.Extract", Method: "GET", Path: "/ip/v3", NeedsVerification: true,
		Query: "cc=US&city=Austin&ep=hk&format=json&life=30&num=10&state=TX",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.Extract(ctx, proxylite.IPExtractParams{
				Quantity: 10, CountryCode: "US", State: "TX", City: "Austin", Life: 30 * time.Minute, Entry: proxylite.EntryHK,
			}, o...)
		},
		Documented: documentedIPs(),
		Full: proxylite.Extraction{Endpoints: []proxylite.Endpoint{
			{Host: "150.109.114.72", Port: 1140},
			{Host: "2001:db8::1", Port: 1141, Username: "u", Password: proxylite.NewPassword("p")},
			{Host: "gate.example.com", Port: 9},
		}, Rejected: []proxylite.RejectedEntry{{Entry: Raw(`"N/A"`), Reason: `"N/A" is not host:port`}}},
	},
	{
		Name: "IP.Cities", Method: "GET", Path: "/ip/dynamic-citys", Class: proxylite.ClassSafe, NeedsVerification: true,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.Cities(ctx, o...)
		},
		Documented: countryCities(proxylite.City{}),
		Full:       countryCities(proxylite.City{City: "Austin", State: "TX", ContinentCode: "na", CountryCode: "us"}),
	},
	{
		Name: "IP.SearchCities", Method: "GET", Path: "/ip/dynamic-citys/search", Class: proxylite.ClassSafe, NeedsVerification: true,
		Query: "country_code=US&state=NY",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.SearchCities(ctx, "US", "NY", o...)
		},
		Documented: []string{"string"},
		Full:       []string{"Albany", "Buffalo"},
	},
	{
		Name: "IP.States", Method: "GET", Path: "/ip/dynamic-states", Class: proxylite.ClassSafe, NeedsVerification: true,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.States(ctx, o...)
		},
		Documented: countryStates(proxylite.State{}),
		Full:       countryStates(proxylite.State{State: "TX", ContinentCode: "na", CountryCode: "us"}),
	},
	{
		Name: "IP.SearchStates", Method: "GET", Path: "/ip/dynamic-states/search", Class: proxylite.ClassSafe, NeedsVerification: true,
		Query: "country_code=US",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.SearchStates(ctx, "US", o...)
		},
		Documented: []string{"string"},
		Full:       []string{"New York", "Texas"},
	},
	{
		Name: "IP.ListStatic", Method: "GET", Path: "/ip/get-static-ip", Class: proxylite.ClassSafe,
		Query: "country_code=DE&page=1&product_type=14&size=10&status=3&trade_no=2022071100300100000000050028",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 10}, CountryCode: "DE", ProductType: proxylite.ProductStaticDatacenter,
				TradeNo: "2022071100300100000000050028", Status: proxylite.StaticIPExpiringSoon,
			}, o...)
		},
		Documented: proxylite.Page[proxylite.StaticIP]{Items: []proxylite.StaticIP{}},
		Full: proxylite.Page[proxylite.StaticIP]{
			Items: []proxylite.StaticIP{{
				ID: "31", CountryCode: "DE", ProductType: proxylite.ProductStaticDatacenter, TradeNo: "20220513121343",
				Status: proxylite.StaticIPExpiringSoon, IP: "203.0.113.9", Port: 8000, Username: "u", Password: proxylite.NewPassword("p"),
				ExpiredAt: At(2022, 6, 1, 0, 0, 0),
				Raw: Raw(`{"id":31,"country_code":"DE","product_type":14,"trade_no":20220513121343,"status":3,` +
					`"ip":"203.0.113.9","port":"8000","username":"u","password":"p","expired_at":"2022-06-01 00:00:00","line":"bgp"}`),
			}}, Page: 1, Size: 10, Total: 21, Pages: 3,
		},
	},
	{
		Name: "IP.StaticStock", Method: "GET", Path: "/static-ip-region", Class: proxylite.ClassSafe,
		Query: "isp=0",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)}, o...)
		},
		Documented: []proxylite.RegionStock{{CountryCode: "US", Number: 55}},
		Full:       []proxylite.RegionStock{{CountryCode: "US", Number: 55}, {CountryCode: "DE", Number: 3}},
	},
	{
		Name: "Orders.List", Method: "GET", Path: "/order/list", Class: proxylite.ClassSafe,
		Query: "page_no=1&page_size=20&product_type=14&status=0&trade_no=2022073100300100000000050036",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Orders.List(ctx, proxylite.OrderListParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 20}, TradeNo: "2022073100300100000000050036",
				Status: new(proxylite.OrderAwaitingPayment), ProductType: 14,
			}, o...)
		},
		Documented: proxylite.Page[proxylite.Order]{Items: []proxylite.Order{documentedOrder}},
		Full:       proxylite.Page[proxylite.Order]{Items: []proxylite.Order{fullOrder}, Page: 3, Size: 20, Total: 41, Pages: 4},
	},
	{
		Name: "Orders.Create", Method: "POST", Path: "/order/create", NeedsData: true,
		Body: `{"pid":1901,"upids":"7001,7002","amount":3,"pm_id":0,"region_list":"US:3","coupon_sn":"WELCOME5","use_invitation_registration_discount":false,"renew_duration":1,"product_sku_bandwidth_id":4,"product_sku_concurrency_id":5,"recharge_amount":100}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Orders.Create(ctx, proxylite.OrderCreateParams{
				ProductID: 1901, StaticIPs: []string{"7001", "7002"}, Quantity: 3, PaymentMethodID: new(int64), RegionList: "US:3", CouponCode: "WELCOME5",
				UseInvitationDiscount: new(bool), RenewDuration: "1", BandwidthSKU: 4, ConcurrencySKU: 5, RechargeAmount: 100,
			}, o...)
		},
		Documented: documentedOrder,
		Full:       createdOrder(),
	},
	{
		Name: "Orders.Close", Method: "POST", Path: "/order/close", Class: proxylite.ClassIdempotent, MayBeEmpty: true,
		Body: `{"trade_no":"2022073100300100000000050036"}`,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return None(c.Orders.Close(ctx, "2022073100300100000000050036", o...))
		},
	},
	{
		Name: "User.Info", Method: "GET", Path: "/user/info", Class: proxylite.ClassSafe, NeedsData: true,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.User.Info(ctx, o...)
		},
		Documented: proxylite.User{
			Email: "[email\u00a0protected]", Phone: "string", Balance: "0.1", IsRealName: new(true), CreatedAt: At(2019, 8, 24, 22, 15, 22),
		},
		Full: proxylite.User{
			ID: 9, Email: "bob@example.com", Phone: "123", Balance: "12345678901234567.89", Status: 2, IsRealName: new(false),
			CreatedAt: At(2019, 8, 24, 22, 15, 22),
		},
	},
	{
		Name: "Payment.Groups", Method: "GET", Path: "/payment/groups", Class: proxylite.ClassSafe, NeedsVerification: true,
		Query: "trade_no=2022073100300100000000050036",
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: "2022073100300100000000050036"}, o...)
		},
		Documented: []proxylite.PaymentGroup{{
			Name: "支付方式分组", Logos: []string{"https://example.com/logo1.png", "https://example.com/logo2.png"},
			Items: []proxylite.PaymentMethod{{
				ID: 1, Title: "title1", Logo: "https://example.com/logo1.png", Group: "online", Min: "10", Max: "5000",
			}},
		}},
		Full: []proxylite.PaymentGroup{{
			Name: "卡", Logos: []string{"https://example.com/1.png"},
			Items: []proxylite.PaymentMethod{{
				ID: 4, Title: "visa", Logo: "https://example.com/2.png", Group: "online", Disabled: true, Min: "10", Max: "5000.5",
			}},
		}},
	},
	{
		Name: "Marketing.RechargeGiftRatios", Method: "GET", Path: "/activity/balance-recharge-gift-ratio", Class: proxylite.ClassSafe, NeedsVerification: true,
		Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Marketing.RechargeGiftRatios(ctx, o...)
		},
		Documented: []proxylite.RechargeGiftRatio{{Amount: "100", Ratio: "1.2"}},
		Full:       []proxylite.RechargeGiftRatio{{Amount: "100", Ratio: "1.20"}},
	},
}

// Start and End are the times that Usage.Daily is asked for.
var (
	Start = time.Date(2022, 8, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	End   = time.Date(2022, 8, 2, 12, 30, 1, 0, time.FixedZone("", 8*3600))
)

// None is the result of an operation whose response has no data.
func None(err error) (any, error) { return nil, err }

// Unclear is the outcome of the operation when it may have reached the server.
func (op Operation) Unclear() proxylite.Outcome {
	if op.Class == proxylite.ClassSafe {
		return proxylite.OutcomeSafe
	}
	return proxylite.OutcomeUnknown
}

// UnsafeOperations are those that must reach the server at most once.
func UnsafeOperations() []Operation {
	var all []Operation
	for _, op := range Operations {
		if op.Class == proxylite.ClassUnsafe {
			all = append(all, op)
		}
	}
	return all
}
