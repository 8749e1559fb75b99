package proxylite_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
)

// An operation of the API as a user calls it, with valid input. Tests that must
// hold for every operation range over operations.
type operation struct {
	name   string
	method string
	path   string // below the prefix
	repeat proxylite.Class
	inBody bool // the app_key stands in the JSON body
	query  string
	body   string // without app_key
	call   func(context.Context, *proxylite.Client, ...proxylite.CallOption) (any, error)
	empty  bool // an empty 200 is success
	// needsData: a success without data is malformed.
	needsData bool
	verified  bool // the document says that an unverified user gets code 156

	// What testdata/<name>.json and testdata/full/<name>.json decode to; nil if the
	// response has no data.
	documented, full any
}

var (
	start = time.Date(2022, 8, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	end   = time.Date(2022, 8, 2, 12, 30, 1, 0, time.FixedZone("", 8*3600))
)

func none(err error) (any, error) { return nil, err }

// operations are all of them. Their documented responses are testdata/<name>.json. The
// input is valid for the demo data of proxylitetest at the time end.
var operations = []operation{
	{
		name: "Accounts.List", method: "GET", path: "/whitelist-account/list", repeat: proxylite.ClassSafe,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Accounts.List(ctx, o...)
		},
		documented: []proxylite.Account{{
			Username: "string", Password: proxylite.NewPassword("string"), Remark: "string",
			ProductType: proxylite.ProductResidentialTraffic, LimitRaw: new(int64(102400)), Status: proxylite.AccountDisabled,
		}},
		full: []proxylite.Account{
			{
				ID: 7, Username: "pl-bob", Password: proxylite.NewPassword("pw1"), CreatedAt: at(2022, 5, 13, 12, 14, 15), Remark: "爬虫", ProductType: 9,
				Used: 2 * proxylite.GB, LimitRaw: new(int64(5)), Status: proxylite.AccountEnabled,
			},
			{
				ID: 8, Username: "pl-eve", Password: proxylite.NewPassword("pw2"), CreatedAt: at(2022, 5, 14, 0, 0, 1), Remark: "shop", ProductType: 99,
				Used: 1536 * proxylite.KB, LimitRaw: new(int64(102401)), Status: 7,
			},
		},
	},
	{
		name: "Accounts.Add", method: "POST", path: "/whitelist-account/add", inBody: true, verified: true,
		body: `{"accounts":"user01:pass,user02:word","remark":"crawler","product_type":9}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Add(ctx, proxylite.AccountAddParams{
				Accounts: []proxylite.NewAccount{{"user01", proxylite.NewPassword("pass")}, {"user02", proxylite.NewPassword("word")}},
				Remark:   "crawler", ProductType: proxylite.ProductResidentialTraffic,
			}, o...))
		},
	},
	{
		name: "Accounts.Delete", method: "POST", path: "/whitelist-account/delete", repeat: proxylite.ClassIdempotent, inBody: true, verified: true,
		body: `{"accounts":"dave,pl-carol"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Delete(ctx, []string{"dave", "pl-carol"}, o...))
		},
	},
	{
		name: "Accounts.Disable", method: "POST", path: "/whitelist-account/disable", repeat: proxylite.ClassIdempotent, inBody: true, verified: true,
		body: `{"accounts":"alice,pl-bob"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Disable(ctx, []string{"alice", "pl-bob"}, o...))
		},
	},
	{
		name: "Accounts.Enable", method: "POST", path: "/whitelist-account/enable", repeat: proxylite.ClassIdempotent, inBody: true, verified: true,
		body: `{"accounts":"erin,pl-dave"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Enable(ctx, []string{"erin", "pl-dave"}, o...))
		},
	},
	{
		name: "Accounts.ChangePassword", method: "POST", path: "/whitelist-account/change-password", repeat: proxylite.ClassIdempotent, inBody: true, verified: true,
		body: `{"account":"bob","password":"pass"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.ChangePassword(ctx, "bob", proxylite.NewPassword("pass"), o...))
		},
	},
	{
		name: "Accounts.ChangeRemark", method: "POST", path: "/whitelist-account/change-remark", repeat: proxylite.ClassIdempotent, inBody: true, verified: true,
		body: `{"account":"pl-bob","remark":""}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.ChangeRemark(ctx, "pl-bob", "", o...))
		},
	},
	{
		name: "Accounts.ChangeLimit", method: "POST", path: "/whitelist-account/change-limit", repeat: proxylite.ClassIdempotent, inBody: true, verified: true,
		body: `{"account":"bob","limit":0}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.ChangeLimit(ctx, "bob", 0, o...))
		},
	},
	{
		name: "Usage.Daily", method: "GET", path: "/user-usage-flow/total", repeat: proxylite.ClassSafe, verified: true,
		query: "end_time=2022-08-02+12%3A30%3A01&product_type=9&start_time=2022-08-01+00%3A00%3A00&username=pl-bob",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: start, End: end, Username: "pl-bob", ProductType: 9}, o...)
		},
		documented: []proxylite.DailyUsage{{Day: at(2022, 8, 1, 0, 0, 0)}},
		full: []proxylite.DailyUsage{
			{Day: at(2022, 8, 1, 0, 0, 0), Traffic: 1536 * proxylite.MB}, {Day: at(2022, 8, 2, 0, 0, 0), Traffic: proxylite.KB},
		},
	},
	{
		name: "Products.List", method: "GET", path: "/user-product/list", repeat: proxylite.ClassSafe, verified: true,
		query: "page=1&product_type=25&size=50&trade_no=2022050912300100000000050003",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Products.List(ctx, proxylite.ProductListParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 50}, TradeNo: "2022050912300100000000050003", ProductType: 25,
			}, o...)
		},
		documented: proxylite.Page[proxylite.PurchasedProduct]{
			Items: []proxylite.PurchasedProduct{{
				CreatedAt: at(2022, 5, 13, 12, 14, 15), ExpiredAt: at(2022, 5, 13, 12, 14, 15), ProductType: 9,
				TradeNo: "2022051312134339861461465434",
				Order:   proxylite.ProductOrder{CreatedAt: at(2022, 5, 13, 12, 13, 43), PaidAt: at(2022, 5, 13, 12, 13, 43), Title: "入门级"},
			}}, Page: 1, Size: 20,
		},
		full: proxylite.Page[proxylite.PurchasedProduct]{
			Items: []proxylite.PurchasedProduct{{
				ID: 11, CreatedAt: at(2022, 5, 13, 12, 14, 15), ExpiredAt: at(2022, 6, 13, 12, 14, 16),
				ProductType: proxylite.ProductStaticResidential, TradeNo: "2022051312134339861461465434",
				Order: proxylite.ProductOrder{CreatedAt: at(2022, 5, 13, 12, 13, 43), PaidAt: at(2022, 5, 13, 12, 13, 44), Title: "入门级"},
			}}, Page: 2, Size: 50, Total: 51, Pages: 2,
		},
	},
	{
		name: "IP.Extract", method: "GET", path: "/ip/v3", verified: true,
		query: "cc=US&city=Austin&ep=hk&format=json&life=30&num=10&state=TX",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.Extract(ctx, proxylite.IPExtractParams{
				Quantity: 10, CountryCode: "US", State: "TX", City: "Austin", Life: 30 * time.Minute, Entry: proxylite.EntryHK,
			}, o...)
		},
		documented: documentedIPs(),
		full: proxylite.Extraction{Endpoints: []proxylite.Endpoint{
			{Host: "150.109.114.72", Port: 1140},
			{Host: "2001:db8::1", Port: 1141, Username: "u", Password: proxylite.NewPassword("p")},
			{Host: "gate.example.com", Port: 9},
		}, Rejected: []proxylite.RejectedEntry{{Entry: raw(`"N/A"`), Reason: `"N/A" is not host:port`}}},
	},
	{
		name: "IP.Cities", method: "GET", path: "/ip/dynamic-citys", repeat: proxylite.ClassSafe, verified: true,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.Cities(ctx, o...)
		},
		documented: countryCities(proxylite.City{}),
		full:       countryCities(proxylite.City{City: "Austin", State: "TX", ContinentCode: "na", CountryCode: "us"}),
	},
	{
		name: "IP.SearchCities", method: "GET", path: "/ip/dynamic-citys/search", repeat: proxylite.ClassSafe, verified: true,
		query: "country_code=US&state=NY",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.SearchCities(ctx, "US", "NY", o...)
		},
		documented: []string{"string"},
		full:       []string{"Albany", "Buffalo"},
	},
	{
		name: "IP.States", method: "GET", path: "/ip/dynamic-states", repeat: proxylite.ClassSafe, verified: true,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.States(ctx, o...)
		},
		documented: countryStates(proxylite.State{}),
		full:       countryStates(proxylite.State{State: "TX", ContinentCode: "na", CountryCode: "us"}),
	},
	{
		name: "IP.SearchStates", method: "GET", path: "/ip/dynamic-states/search", repeat: proxylite.ClassSafe, verified: true,
		query: "country_code=US",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.SearchStates(ctx, "US", o...)
		},
		documented: []string{"string"},
		full:       []string{"New York", "Texas"},
	},
	{
		name: "IP.ListStatic", method: "GET", path: "/ip/get-static-ip", repeat: proxylite.ClassSafe,
		query: "country_code=DE&page=1&product_type=14&size=10&status=3&trade_no=2022071100300100000000050028",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 10}, CountryCode: "DE", ProductType: proxylite.ProductStaticDatacenter,
				TradeNo: "2022071100300100000000050028", Status: proxylite.StaticIPExpiringSoon,
			}, o...)
		},
		documented: proxylite.Page[proxylite.StaticIP]{Items: []proxylite.StaticIP{}},
		full: proxylite.Page[proxylite.StaticIP]{
			Items: []proxylite.StaticIP{{
				ID: "31", CountryCode: "DE", ProductType: proxylite.ProductStaticDatacenter, TradeNo: "20220513121343",
				Status: proxylite.StaticIPExpiringSoon, IP: "203.0.113.9", Port: 8000, Username: "u", Password: proxylite.NewPassword("p"),
				ExpiredAt: at(2022, 6, 1, 0, 0, 0),
				Raw: raw(`{"id":31,"country_code":"DE","product_type":14,"trade_no":20220513121343,"status":3,` +
					`"ip":"203.0.113.9","port":"8000","username":"u","password":"p","expired_at":"2022-06-01 00:00:00","line":"bgp"}`),
			}}, Page: 1, Size: 10, Total: 21, Pages: 3,
		},
	},
	{
		name: "IP.StaticStock", method: "GET", path: "/static-ip-region", repeat: proxylite.ClassSafe,
		query: "isp=0",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)}, o...)
		},
		documented: []proxylite.RegionStock{{CountryCode: "US", Number: 55}},
		full:       []proxylite.RegionStock{{CountryCode: "US", Number: 55}, {CountryCode: "DE", Number: 3}},
	},
	{
		name: "Orders.List", method: "GET", path: "/order/list", repeat: proxylite.ClassSafe,
		query: "page_no=1&page_size=20&product_type=14&status=0&trade_no=2022073100300100000000050036",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Orders.List(ctx, proxylite.OrderListParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 20}, TradeNo: "2022073100300100000000050036",
				Status: new(proxylite.OrderAwaitingPayment), ProductType: 14,
			}, o...)
		},
		documented: proxylite.Page[proxylite.Order]{Items: []proxylite.Order{documentedOrder}},
		full:       proxylite.Page[proxylite.Order]{Items: []proxylite.Order{fullOrder}, Page: 3, Size: 20, Total: 41, Pages: 4},
	},
	{
		name: "Orders.Create", method: "POST", path: "/order/create", needsData: true,
		body: `{"pid":1901,"upids":"7001,7002","amount":3,"pm_id":0,"region_list":"US:3","coupon_sn":"WELCOME5","use_invitation_registration_discount":false,"renew_duration":1,"product_sku_bandwidth_id":4,"product_sku_concurrency_id":5,"recharge_amount":100}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Orders.Create(ctx, proxylite.OrderCreateParams{
				ProductID: 1901, StaticIPs: []string{"7001", "7002"}, Quantity: 3, PaymentMethodID: new(int64), RegionList: "US:3", CouponCode: "WELCOME5",
				UseInvitationDiscount: new(bool), RenewDuration: "1", BandwidthSKU: 4, ConcurrencySKU: 5, RechargeAmount: 100,
			}, o...)
		},
		documented: documentedOrder,
		full:       createdOrder(),
	},
	{
		name: "Orders.Close", method: "POST", path: "/order/close", repeat: proxylite.ClassIdempotent, empty: true,
		body: `{"trade_no":"2022073100300100000000050036"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Orders.Close(ctx, "2022073100300100000000050036", o...))
		},
	},
	{
		name: "User.Info", method: "GET", path: "/user/info", repeat: proxylite.ClassSafe, needsData: true,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.User.Info(ctx, o...)
		},
		documented: proxylite.User{
			Email: "[email\u00a0protected]", Phone: "string", Balance: "0.1", IsRealName: new(true), CreatedAt: at(2019, 8, 24, 22, 15, 22),
		},
		full: proxylite.User{
			ID: 9, Email: "bob@example.com", Phone: "123", Balance: "12345678901234567.89", Status: 2, IsRealName: new(false),
			CreatedAt: at(2019, 8, 24, 22, 15, 22),
		},
	},
	{
		name: "Payment.Groups", method: "GET", path: "/payment/groups", repeat: proxylite.ClassSafe, verified: true,
		query: "trade_no=2022073100300100000000050036",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: "2022073100300100000000050036"}, o...)
		},
		documented: []proxylite.PaymentGroup{{
			Name: "支付方式分组", Logos: []string{"https://example.com/logo1.png", "https://example.com/logo2.png"},
			Items: []proxylite.PaymentMethod{{
				ID: 1, Title: "title1", Logo: "https://example.com/logo1.png", Group: "online", Min: "10", Max: "5000",
			}},
		}},
		full: []proxylite.PaymentGroup{{
			Name: "卡", Logos: []string{"https://example.com/1.png"},
			Items: []proxylite.PaymentMethod{{
				ID: 4, Title: "visa", Logo: "https://example.com/2.png", Group: "online", Disabled: true, Min: "10", Max: "5000.5",
			}},
		}},
	},
	{
		name: "Marketing.RechargeGiftRatios", method: "GET", path: "/activity/balance-recharge-gift-ratio", repeat: proxylite.ClassSafe, verified: true,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Marketing.RechargeGiftRatios(ctx, o...)
		},
		documented: []proxylite.RechargeGiftRatio{{Amount: "100", Ratio: "1.2"}},
		full:       []proxylite.RechargeGiftRatio{{Amount: "100", Ratio: "1.20"}},
	},
}

const testKey = "0123456789abcdef0123456789abcdef"

// fixture reads testdata/<name>.
func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(b)
}

// mocked returns a client over a transport of its own that answers every request
// with status and body, and the requests it got.
func mocked(t testing.TB, status int, body string, opts ...proxylite.Option) (*proxylite.Client, *httpmock.MockTransport) {
	t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(status, body))
	opts = append([]proxylite.Option{proxylite.WithTransport(mock)}, opts...)
	c, err := proxylite.NewClient(proxylite.AppKey(testKey), opts...)
	require.NoError(t, err)
	return c, mock
}

// tryOnce is for tests that are not about repetition.
var tryOnce = proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 1})

func asError(t testing.TB, err error) *proxylite.Error {
	t.Helper()
	var e *proxylite.Error
	require.ErrorAs(t, err, &e)
	return e
}

// bodyOf reads what a request carries.
func bodyOf(t testing.TB, r *http.Request) string {
	t.Helper()
	if r.Body == nil {
		return ""
	}
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// raw is an entry as the API sent it.
func raw(entry string) proxylite.RawEntry { return proxylite.NewRawEntry([]byte(entry)) }
