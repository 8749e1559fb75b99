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
}

var (
	start = time.Date(2022, 8, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	end   = time.Date(2022, 8, 2, 12, 30, 1, 0, time.FixedZone("", 8*3600))
)

func none(err error) (any, error) { return nil, err }

// operations are all 23 of them. Their documented answers are testdata/<name>.json.
var operations = []operation{
	{
		name: "Accounts.List", method: "GET", path: "/whitelist-account/list", repeat: proxylite.ClassSafe,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Accounts.List(ctx, o...)
		},
	},
	{
		name: "Accounts.Add", method: "POST", path: "/whitelist-account/add", inBody: true,
		body: `{"accounts":"user01:pass,user02:word","remark":"crawler","product_type":9}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Add(ctx, proxylite.AccountAddParams{
				Accounts: []proxylite.NewAccount{{"user01", proxylite.NewPassword("pass")}, {"user02", proxylite.NewPassword("word")}},
				Remark:   "crawler", ProductType: proxylite.ProductResidentialTraffic,
			}, o...))
		},
	},
	{
		name: "Accounts.Delete", method: "POST", path: "/whitelist-account/delete", repeat: proxylite.ClassIdempotent, inBody: true,
		body: `{"accounts":"user01,pl-user02"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Delete(ctx, []string{"user01", "pl-user02"}, o...))
		},
	},
	{
		name: "Accounts.Disable", method: "POST", path: "/whitelist-account/disable", repeat: proxylite.ClassIdempotent, inBody: true,
		body: `{"accounts":"user01,pl-user02"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Disable(ctx, []string{"user01", "pl-user02"}, o...))
		},
	},
	{
		name: "Accounts.Enable", method: "POST", path: "/whitelist-account/enable", repeat: proxylite.ClassIdempotent, inBody: true,
		body: `{"accounts":"user01,pl-user02"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.Enable(ctx, []string{"user01", "pl-user02"}, o...))
		},
	},
	{
		name: "Accounts.ChangePassword", method: "POST", path: "/whitelist-account/change-password", repeat: proxylite.ClassIdempotent, inBody: true,
		body: `{"account":"user","password":"pass"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.ChangePassword(ctx, "user", proxylite.NewPassword("pass"), o...))
		},
	},
	{
		name: "Accounts.ChangeRemark", method: "POST", path: "/whitelist-account/change-remark", repeat: proxylite.ClassIdempotent, inBody: true,
		body: `{"account":"user","remark":""}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.ChangeRemark(ctx, "user", "", o...))
		},
	},
	{
		name: "Accounts.ChangeLimit", method: "POST", path: "/whitelist-account/change-limit", repeat: proxylite.ClassIdempotent, inBody: true,
		body: `{"account":"user","limit":0}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Accounts.ChangeLimit(ctx, "user", 0, o...))
		},
	},
	{
		name: "Usage.Daily", method: "GET", path: "/user-usage-flow/total", repeat: proxylite.ClassSafe,
		query: "end_time=2022-08-02+12%3A30%3A01&product_type=9&start_time=2022-08-01+00%3A00%3A00&username=pl-user01",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: start, End: end, Username: "pl-user01", ProductType: 9}, o...)
		},
	},
	{
		name: "Products.List", method: "GET", path: "/user-product/list", repeat: proxylite.ClassSafe,
		query: "page=2&product_type=25&size=50&trade_no=2022051312134339861461465434",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Products.List(ctx, proxylite.ProductListParams{
				PageParams: proxylite.PageParams{Page: 2, Size: 50}, TradeNo: "2022051312134339861461465434", ProductType: 25,
			}, o...)
		},
	},
	{
		name: "IP.Extract", method: "GET", path: "/ip/v3",
		query: "cc=US&city=Austin&ep=hk&format=json&life=30&num=10&state=Texas",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.Extract(ctx, proxylite.IPExtractParams{
				Quantity: 10, CountryCode: "US", State: "Texas", City: "Austin", Life: 30 * time.Minute, Entry: proxylite.EntryHK,
			}, o...)
		},
	},
	{
		name: "IP.Cities", method: "GET", path: "/ip/dynamic-citys", repeat: proxylite.ClassSafe,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.Cities(ctx, o...)
		},
	},
	{
		name: "IP.SearchCities", method: "GET", path: "/ip/dynamic-citys/search", repeat: proxylite.ClassSafe,
		query: "country_code=US&state=New+York",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.SearchCities(ctx, "US", "New York", o...)
		},
	},
	{
		name: "IP.States", method: "GET", path: "/ip/dynamic-states", repeat: proxylite.ClassSafe,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.States(ctx, o...)
		},
	},
	{
		name: "IP.SearchStates", method: "GET", path: "/ip/dynamic-states/search", repeat: proxylite.ClassSafe,
		query: "country_code=US",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.SearchStates(ctx, "US", o...)
		},
	},
	{
		name: "IP.ListStatic", method: "GET", path: "/ip/get-static-ip", repeat: proxylite.ClassSafe,
		query: "country_code=DE&page=1&product_type=14&size=10&status=3&trade_no=20220513",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 10}, CountryCode: "DE", ProductType: proxylite.ProductStaticDatacenter,
				TradeNo: "20220513", Status: proxylite.StaticIPExpiringSoon,
			}, o...)
		},
	},
	{
		name: "IP.StaticStock", method: "GET", path: "/static-ip-region", repeat: proxylite.ClassSafe,
		query: "isp=0",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)}, o...)
		},
	},
	{
		name: "Orders.List", method: "GET", path: "/order/list", repeat: proxylite.ClassSafe,
		query: "page_no=1&page_size=20&product_type=9&status=0&trade_no=20220513",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Orders.List(ctx, proxylite.OrderListParams{
				PageParams: proxylite.PageParams{Page: 1, Size: 20}, TradeNo: "20220513",
				Status: new(proxylite.OrderAwaitingPayment), ProductType: 9,
			}, o...)
		},
	},
	{
		name: "Orders.Create", method: "POST", path: "/order/create",
		body: `{"pid":7,"upids":"1,2","amount":3,"pm_id":0,"region_list":"US:3","coupon_sn":"C1","use_invitation_registration_discount":false,"renew_duration":1,"product_sku_bandwidth_id":4,"product_sku_concurrency_id":5,"recharge_amount":100}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Orders.Create(ctx, proxylite.OrderCreateParams{
				ProductID: 7, StaticIPs: []string{"1", "2"}, Quantity: 3, PaymentMethodID: new(int64), RegionList: "US:3", CouponCode: "C1",
				UseInvitationDiscount: new(bool), RenewDuration: "1", BandwidthSKU: 4, ConcurrencySKU: 5, RechargeAmount: 100,
			}, o...)
		},
	},
	{
		name: "Orders.Close", method: "POST", path: "/order/close", repeat: proxylite.ClassIdempotent, empty: true,
		body: `{"trade_no":"2022051312134339861461465434"}`,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return none(c.Orders.Close(ctx, "2022051312134339861461465434", o...))
		},
	},
	{
		name: "User.Info", method: "GET", path: "/user/info", repeat: proxylite.ClassSafe,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.User.Info(ctx, o...)
		},
	},
	{
		name: "Payment.Groups", method: "GET", path: "/payment/groups", repeat: proxylite.ClassSafe,
		query: "trade_no=20220513",
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: "20220513"}, o...)
		},
	},
	{
		name: "Marketing.RechargeGiftRatios", method: "GET", path: "/activity/balance-recharge-gift-ratio", repeat: proxylite.ClassSafe,
		call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
			return c.Marketing.RechargeGiftRatios(ctx, o...)
		},
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
