package proxylitetest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// now is when the tests of this package take place, in the zone of the API.
var now = time.Date(2026, 3, 2, 10, 30, 0, 0, time.FixedZone("UTC+8", 8*60*60))

// demo starts a server with demo data at that time, without proxies.
func demo(t *testing.T, opts ...proxylitetest.Option) *proxylitetest.Server {
	t.Helper()
	at := proxylitetest.WithNow(func() time.Time { return now })
	return proxylitetest.NewServer(t, append([]proxylitetest.Option{at, proxylitetest.WithoutProxies()}, opts...)...)
}

// Order numbers of the demo data.
const (
	awaiting  = "2026022722300000000000050036"
	paid      = "2026022222300000000000050034"
	cancelled = "2026021722300000000000050032"
)

// operation is one as the document has it: what stands on the wire, and the call
// of the SDK that sends just that.
type operation struct {
	name, method, path string // below the prefix
	query              string // without app_key
	body               string // without app_key
	verified           bool   // the document lists code 156
	call               func(context.Context, *proxylite.Client) error
}

func failed[T any](_ T, err error) error { return err }

// operations are all 23, with input that the demo data takes.
var operations = []operation{
	{"Accounts.List", "GET", "/whitelist-account/list", "", "", false, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Accounts.List(ctx))
	}},
	{"Accounts.Add", "POST", "/whitelist-account/add", "", `{"accounts":"user01:pass,user02:word","remark":"crawler","product_type":9}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Add(ctx, proxylite.AccountAddParams{
			Accounts: []proxylite.NewAccount{{Username: "user01", Password: proxylite.NewPassword("pass")}, {Username: "user02", Password: proxylite.NewPassword("word")}},
			Remark:   "crawler", ProductType: 9,
		})
	}},
	{"Accounts.Delete", "POST", "/whitelist-account/delete", "", `{"accounts":"dave,pl-carol"}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Delete(ctx, []string{"dave", "pl-carol"})
	}},
	{"Accounts.Disable", "POST", "/whitelist-account/disable", "", `{"accounts":"alice,pl-bob"}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Disable(ctx, []string{"alice", "pl-bob"})
	}},
	{"Accounts.Enable", "POST", "/whitelist-account/enable", "", `{"accounts":"erin"}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Enable(ctx, []string{"erin"})
	}},
	{"Accounts.ChangePassword", "POST", "/whitelist-account/change-password", "", `{"account":"bob","password":"new1"}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangePassword(ctx, "bob", proxylite.NewPassword("new1"))
	}},
	{"Accounts.ChangeRemark", "POST", "/whitelist-account/change-remark", "", `{"account":"pl-bob","remark":""}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangeRemark(ctx, "pl-bob", "")
	}},
	{"Accounts.ChangeLimit", "POST", "/whitelist-account/change-limit", "", `{"account":"bob","limit":7}`, true, func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangeLimit(ctx, "bob", 7*proxylite.GB)
	}},
	{"Usage.Daily", "GET", "/user-usage-flow/total", "end_time=2026-03-02 00:00:00&product_type=9&start_time=2026-02-28 00:00:00&username=pl-bob", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Usage.Daily(ctx, proxylite.UsageDailyParams{
			Start: time.Date(2026, 2, 28, 0, 0, 0, 0, now.Location()), End: time.Date(2026, 3, 2, 0, 0, 0, 0, now.Location()), Username: "pl-bob", ProductType: 9,
		}))
	}},
	{"Products.List", "GET", "/user-product/list", "page=2&product_type=9&size=3", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Products.List(ctx, proxylite.ProductListParams{PageParams: proxylite.PageParams{Page: 2, Size: 3}, ProductType: 9}))
	}},
	{"IP.Extract", "GET", "/ip/v3", "cc=US&city=Austin&ep=hk&format=json&life=30&num=10&state=TX", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.Extract(ctx, proxylite.IPExtractParams{
			Quantity: 10, CountryCode: "US", State: "TX", City: "Austin", Life: 30 * time.Minute, Entry: proxylite.EntryHK,
		}))
	}},
	{"IP.Cities", "GET", "/ip/dynamic-citys", "", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.Cities(ctx))
	}},
	{"IP.SearchCities", "GET", "/ip/dynamic-citys/search", "country_code=US&state=NY", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.SearchCities(ctx, "US", "NY"))
	}},
	{"IP.States", "GET", "/ip/dynamic-states", "", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.States(ctx))
	}},
	{"IP.SearchStates", "GET", "/ip/dynamic-states/search", "country_code=US", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.SearchStates(ctx, "US"))
	}},
	{"IP.ListStatic", "GET", "/ip/get-static-ip", "country_code=US&page=1&product_type=25&size=10&status=3", "", false, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
			PageParams: proxylite.PageParams{Page: 1, Size: 10}, CountryCode: "US", ProductType: 25, Status: proxylite.StaticIPExpiringSoon,
		}))
	}},
	{"IP.StaticStock", "GET", "/static-ip-region", "isp=0", "", false, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)}))
	}},
	{"Orders.List", "GET", "/order/list", "page_no=1&page_size=10&product_type=14&status=0", "", false, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Orders.List(ctx, proxylite.OrderListParams{
			PageParams: proxylite.PageParams{Page: 1, Size: 10}, Status: new(proxylite.OrderAwaitingPayment), ProductType: 14,
		}))
	}},
	{"Orders.Create", "POST", "/order/create", "", `{"pid":1901,"upids":"7001,7002","pm_id":0,"coupon_sn":"WELCOME5","renew_duration":1}`, false, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Orders.Create(ctx, proxylite.OrderCreateParams{
			ProductID: 1901, StaticIPs: []string{"7001", "7002"}, PaymentMethodID: new(int64(0)), CouponCode: "WELCOME5", RenewDuration: "1",
		}))
	}},
	{"Orders.Close", "POST", "/order/close", "", `{"trade_no":"` + awaiting + `"}`, false, func(ctx context.Context, c *proxylite.Client) error {
		return c.Orders.Close(ctx, awaiting)
	}},
	{"User.Info", "GET", "/user/info", "", "", false, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.User.Info(ctx))
	}},
	{"Payment.Groups", "GET", "/payment/groups", "trade_no=" + awaiting, "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: awaiting}))
	}},
	{"Marketing.RechargeGiftRatios", "GET", "/activity/balance-recharge-gift-ratio", "", "", true, func(ctx context.Context, c *proxylite.Client) error {
		return failed(c.Marketing.RechargeGiftRatios(ctx))
	}},
}

// inBody tells where the document's tables have the app_key.
func (op operation) inBody() bool {
	return strings.HasPrefix(op.name, "Accounts.") && op.method == "POST"
}

// ask sends a request as a program without the SDK does, with a key where the
// document has it, and returns status, type and body.
func (op operation) ask(t *testing.T, s *proxylitetest.Server, key string) (int, string, string) {
	t.Helper()
	query, err := url.ParseQuery(op.query)
	require.NoError(t, err)
	body := op.body
	switch {
	case op.inBody():
		body = strings.Replace(body, "{", `{"app_key":"`+key+`",`, 1)
	case key != "":
		query.Set("app_key", key)
	}
	return send(t, op.method, s.URL+"/end-point"+op.path+"?"+query.Encode(), body)
}

// send sends a request with net/http; headers are name, value.
func send(t *testing.T, method, url, message string, headers ...string) (status int, kind, answer string) {
	t.Helper()
	resp := do(t, method, url, message, headers...)
	return resp.StatusCode, resp.Header.Get("Content-Type"), body(t, resp)
}

func do(t *testing.T, method, url, message string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(message))
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return resp
}

func TestEveryOperationOfTheSDKIsAnswered(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := demo(t)
			require.NoError(t, op.call(t.Context(), s.Client(proxylite.WithObserver(func(ctx context.Context, info proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
				require.Equal(t, op.name, info.Operation)
				return ctx, nil
			}))))
			calls := s.Calls()
			require.Len(t, calls, 1)
			call := calls[0]
			query, err := url.ParseQuery(op.query)
			require.NoError(t, err)
			require.Equal(t, query, call.Query)
			if op.body == "" {
				require.Empty(t, call.Body)
			} else {
				require.JSONEq(t, op.body, call.Body)
			}
			auth := "query"
			if op.inBody() {
				auth = "body"
			}
			code := 200
			switch service, _, _ := strings.Cut(op.name, "."); {
			case service == "Orders" || service == "User" || service == "Payment" || service == "Marketing":
				code = 0
			}
			call.Query, call.Body = nil, ""
			require.Equal(t, proxylitetest.Call{
				Operation: op.name, Method: op.method, Path: "/end-point" + op.path, Auth: auth, Status: 200, Code: code, Time: now,
			}, call)
		})
	}
}

// The fixtures of the SDK are the answers of the vendor's document as they stand
// there. Members, their order, and the kind of each value must be the same.
func TestEveryAnswerHasTheDocumentedShape(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := demo(t)
			status, kind, body := op.ask(t, s, s.Key)
			require.Equal(t, 200, status)
			require.Equal(t, "application/json", kind)
			fixture, err := os.ReadFile("../testdata/" + op.name + ".json")
			require.NoError(t, err)
			if op.name == "IP.ListStatic" { // the document has no answer
				fixture = []byte(`{"code":200,"msg":"","data":{"list":[{"id":1,"country_code":"US","product_type":25,"trade_no":"","status":3,` +
					`"ip":"","port":1,"username":"","password":"","expired_at":"2022-05-13 12:14:15"}],"page":1,"page_size":1,"total_count":1,"total_page":1}}`)
			}
			want, got := json.NewDecoder(strings.NewReader(string(fixture))), json.NewDecoder(strings.NewReader(body))
			want.UseNumber()
			got.UseNumber()
			sameShape(t, "", read(t, want), read(t, got))
		})
	}
}

// member is a name of an object with its value.
type member struct {
	name  string
	value any
}

// read reads a value, an object as its members in order.
func read(t *testing.T, d *json.Decoder) any {
	t.Helper()
	token, err := d.Token()
	require.NoError(t, err)
	switch token {
	case json.Delim('{'):
		object := []member{}
		for d.More() {
			name, err := d.Token()
			require.NoError(t, err)
			object = append(object, member{name.(string), read(t, d)})
		}
		_, err = d.Token()
		require.NoError(t, err)
		return object
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, read(t, d))
		}
		_, err = d.Token()
		require.NoError(t, err)
		return list
	}
	return token
}

func sameShape(t *testing.T, where string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case []member:
		require.IsType(t, want, got, where)
		var names, gotNames []string
		for _, m := range want {
			names = append(names, m.name)
		}
		for _, m := range got.([]member) {
			gotNames = append(gotNames, m.name)
		}
		require.Equal(t, names, gotNames, where)
		for i, m := range want {
			sameShape(t, where+"."+m.name, m.value, got.([]member)[i].value)
		}
	case []any:
		require.IsType(t, want, got, where)
		require.True(t, where != ".data.list" || len(got.([]any)) > 0, "the list is empty")
		for _, entry := range got.([]any) {
			sameShape(t, where+"[]", want[0], entry)
		}
	case json.Number:
		require.IsType(t, want, got, where)
		if !strings.Contains(want.String(), ".") && where != ".data.list[].items[].min" && where != ".data.list[].items[].max" {
			require.NotContains(t, got.(json.Number).String(), ".", where)
		}
		if where == ".code" {
			require.Equal(t, want, got)
		}
	case string:
		require.IsType(t, want, got, where)
		for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
			if _, err := time.Parse(layout, want); err == nil {
				_, err = time.Parse(layout, got.(string))
				require.NoError(t, err, where)
			}
		}
	case bool:
		require.IsType(t, want, got, where)
	case nil: // placeholders of the document; add and its like answer null
		if where == ".data" {
			require.Nil(t, got)
		}
	}
}

func TestAWrongKeyIsRefusedByEveryOperation(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithToken("header.payload.signature"))
	before := s.State()
	for _, op := range operations {
		for _, key := range []string{"ffffffffffffffffffffffffffffffff", ""} {
			status, kind, body := op.ask(t, s, key)
			require.Equal(t, 200, status)
			require.Equal(t, "application/json", kind)
			text := "msg"
			if strings.HasPrefix(op.name, "Orders.") || strings.HasPrefix(op.name, "User.") || strings.HasPrefix(op.name, "Payment.") {
				text = "message"
			}
			require.Equal(t, `{"code":3,"`+text+`":"app_key 无效","data":null}`, body, op.name)
			if key == "" && !op.inBody() {
				require.Empty(t, s.Calls()[len(s.Calls())-1].Auth)
			}
		}
		c, err := proxylite.NewClient(proxylite.BearerToken("header.payload.forged"), proxylite.WithBaseURL(s.URL))
		require.NoError(t, err)
		require.ErrorIs(t, op.call(t.Context(), c), proxylite.ErrInvalidAppKey)
	}
	require.Equal(t, before, s.State())
	for _, call := range s.Calls() {
		require.Equal(t, 3, call.Code)
		require.NotContains(t, call.Query, "app_key")
		require.NotContains(t, call.Body, "app_key")
	}
}

func TestABearerTokenIsTakenWithoutAKey(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		s := demo(t, proxylitetest.WithToken("header.payload.signature"))
		c, err := proxylite.NewClient(proxylite.BearerToken("header.payload.signature"), proxylite.WithBaseURL(s.URL))
		require.NoError(t, err)
		require.NoError(t, op.call(t.Context(), c), op.name)
		require.Equal(t, "bearer", s.Calls()[0].Auth)
	}
}

func TestATokenIsRefusedWhereNoneIsSet(t *testing.T) {
	t.Parallel()
	s := demo(t)
	for _, header := range []string{"Bearer header.payload.signature", "Bearer ", "Bearer " + s.Key} {
		_, _, body := send(t, "GET", s.URL+"/end-point/user/info", "", "Authorization", header)
		require.JSONEq(t, `{"code":3,"message":"app_key 无效","data":null}`, body)
	}
}

// Which operations need a verified user, the document says.
func TestAnUnverifiedUserIsRefusedWhereTheDocumentSaysSo(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		s := demo(t)
		s.Update(func(st *proxylitetest.State) { st.User.IsRealName = new(false) })
		err := op.call(t.Context(), s.Client())
		if op.verified {
			require.ErrorIs(t, err, proxylite.ErrNotVerified, op.name)
		} else {
			require.NoError(t, err, op.name)
		}
	}
}

func TestAnUnknownPathOrMethodIsRefusedInJSON(t *testing.T) {
	t.Parallel()
	s := demo(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/payment/list", `{"code":404,"message":"接口不存在","data":null}`, 404},
		{"POST", "/order/list", `{"code":405,"message":"请求方法不允许","data":null}`, 405},
		{"GET", "/whitelist-account/add", `{"code":405,"message":"请求方法不允许","data":null}`, 405},
	} {
		status, kind, body := operation{method: tt.method, path: tt.path}.ask(t, s, s.Key)
		require.Equal(t, tt.status, status)
		require.Equal(t, "application/json", kind)
		require.Equal(t, tt.body, body)
	}
	for path, allow := range map[string]string{"/payment/list": "", "/order/list": "GET"} {
		resp := do(t, "POST", s.URL+"/end-point"+path, "")
		body(t, resp)
		require.Equal(t, allow, resp.Header.Get("Allow"))
	}
	require.Empty(t, s.Calls()[1].Operation)
	require.Equal(t, 405, s.Calls()[1].Code)
}

func TestAPOSTMayHaveTheKeyInEitherPlace(t *testing.T) {
	t.Parallel()
	s := demo(t)
	send(t, "POST", s.URL+"/end-point/whitelist-account/disable?app_key="+s.Key, `{"accounts":"bob"}`)
	send(t, "POST", s.URL+"/end-point/order/close", `{"app_key":"`+s.Key+`","trade_no":"`+awaiting+`"}`)
	require.Equal(t, proxylite.AccountDisabled, s.State().Accounts[1].Status)
	require.JSONEq(t, `{"trade_no":"`+awaiting+`"}`, s.Calls()[1].Body)
	require.Equal(t, []string{"query", "body"}, []string{s.Calls()[0].Auth, s.Calls()[1].Auth})
}
