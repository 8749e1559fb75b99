package proxylite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A problem as a test wants it: vendor is for the rules that WithoutVendorRules ends.
type problem struct {
	field, value, rule string
	vendor             bool
}

func structural(field, value, rule string) problem { return problem{field, value, rule, false} }
func vendor(field, value, rule string) problem     { return problem{field, value, rule, true} }

const (
	required    = "is required"
	inList      = "must not contain a comma, a colon"
	plainWord   = "letters A-Z a-z and digits only"
	nameRule    = "letters and digits, optionally after a brand prefix"
	countryRule = "country code of two letters"
	negative    = "must not be negative"
	noSpaces    = "must not contain spaces or control"
)

func rulesOfInput() []struct {
	name string
	call func(context.Context, *proxylite.Client) error
	want []problem
} {
	type (
		ctx    = context.Context
		client = *proxylite.Client
	)
	add := func(remark string, kind proxylite.ProductType, accounts ...proxylite.NewAccount) func(ctx, client) error {
		return func(ctx ctx, c client) error {
			return c.Accounts.Add(ctx, proxylite.AccountAddParams{Accounts: accounts, Remark: remark, ProductType: kind})
		}
	}
	extract := func(p proxylite.IPExtractParams) func(ctx, client) error {
		return func(ctx ctx, c client) error { _, err := c.IP.Extract(ctx, p); return err }
	}
	text := func(separator string) proxylite.IPExtractParams {
		return proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText, Separator: separator}
	}
	create := func(p proxylite.OrderCreateParams) func(ctx, client) error {
		return func(ctx ctx, c client) error { _, err := c.Orders.Create(ctx, p); return err }
	}
	usage := func(p proxylite.UsageDailyParams) func(ctx, client) error {
		return func(ctx ctx, c client) error { _, err := c.Usage.Daily(ctx, p); return err }
	}
	limit := func(n proxylite.Traffic) func(ctx, client) error {
		return func(ctx ctx, c client) error { return c.Accounts.ChangeLimit(ctx, "bob", n) }
	}
	remark := func(s string) func(ctx, client) error {
		return func(ctx ctx, c client) error { return c.Accounts.ChangeRemark(ctx, "bob", s) }
	}
	name := func(s string) func(ctx, client) error {
		return func(ctx ctx, c client) error { return c.Accounts.ChangeRemark(ctx, s, "") }
	}
	one := proxylite.NewAccount{Username: "bob", Password: proxylite.NewPassword("pw")}

	type rule = struct {
		name string
		call func(ctx, client) error
		want []problem
	}
	var separators []rule
	for _, s := range []string{"1", "a:", "Z", "x|", "爬", "٣", "[", "]", ".", ":", "@", "-", "_", "%", `\x`, `\nn`, "<b>", "<br>r"} {
		separators = append(separators, rule{"separator " + s, extract(text(s)), []problem{structural("Separator", s, "can be part of an endpoint")}})
	}
	for _, s := range []string{`\r\n`, `\n`, `\t`, "\r\n", "\t", "|", ",", ";", "<br>", "<br/>", "<br />", " | "} {
		separators = append(separators, rule{"separator " + s, extract(text(s)), nil})
	}
	var ids []rule
	for id, rule := range map[string]string{"1 2": noSpaces, "1\u00a0": noSpaces, "1\n": noSpaces, "\u200b1": noSpaces, "\xff": "UTF-8", " ": noSpaces} {
		shown := id
		if rule == "UTF-8" {
			shown = ""
		}
		want := []problem{structural("TradeNo", shown, rule)}
		ids = append(ids, []struct {
			name string
			call func(ctx, client) error
			want []problem
		}{
			{"orders id", func(ctx ctx, c client) error {
				_, err := c.Orders.List(ctx, proxylite.OrderListParams{TradeNo: id})
				return err
			}, want},
			{"products id", func(ctx ctx, c client) error {
				_, err := c.Products.List(ctx, proxylite.ProductListParams{TradeNo: id})
				return err
			}, want},
			{"static id", func(ctx ctx, c client) error {
				_, err := c.IP.ListStatic(ctx, proxylite.IPListStaticParams{TradeNo: id})
				return err
			}, want},
			{"payment id", func(ctx ctx, c client) error {
				_, err := c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: id})
				return err
			}, want},
		}...)
	}
	return append(append(separators, ids...), []rule{
		// Accounts.Add, everything at once, the password never repeated.
		{"add all wrong", add("x\xff", -1, proxylite.NewAccount{}, proxylite.NewAccount{"a:b", proxylite.NewPassword("c,d")}, proxylite.NewAccount{"é", proxylite.NewPassword("p w")}, one, one), []problem{
			structural("Accounts[0].Username", "", required), structural("Accounts[0].Password", "", required),
			structural("Accounts[1].Username", "a:b", inList), structural("Accounts[1].Password", "", inList),
			vendor("Accounts[2].Username", "é", plainWord), vendor("Accounts[2].Password", "", plainWord),
			structural("Accounts[4].Username", "bob", "twice"),
			structural("Remark", "", "UTF-8"), structural("ProductType", "-1", negative),
		}},
		{"add none", add("", 0), []problem{structural("Accounts", "", "at least one")}},
		{"add control", add("", 0, proxylite.NewAccount{"bob\n", proxylite.NewPassword("pw\x7f")}), []problem{
			structural("Accounts[0].Username", "bob\n", inList), structural("Accounts[0].Password", "", inList),
		}},
		{"add prefixed", add("", 0, proxylite.NewAccount{"pl-bob", proxylite.NewPassword("pw")}), []problem{vendor("Accounts[0].Username", "pl-bob", plainWord)}},
		{"add long remark", add(strings.Repeat("a", 65), 0, one), []problem{vendor("Remark", strings.Repeat("a", 65), "here 65")}},

		// Operations on accounts that exist take the brand's prefix, once.
		{"delete", func(ctx ctx, c client) error { return c.Accounts.Delete(ctx, nil) }, []problem{structural("usernames", "", "at least one")}},
		{"disable", func(ctx ctx, c client) error { return c.Accounts.Disable(ctx, []string{}) }, []problem{structural("usernames", "", "at least one")}},
		{"enable", func(ctx ctx, c client) error {
			return c.Accounts.Enable(ctx, []string{"bob", "pl-bob", " ", "a,b", "pl-", "-bob", "pl-a-b", "b b"})
		}, []problem{
			structural("usernames[2]", "", required), structural("usernames[3]", "a,b", inList), vendor("usernames[4]", "pl-", nameRule),
			vendor("usernames[5]", "-bob", nameRule), vendor("usernames[6]", "pl-a-b", nameRule), vendor("usernames[7]", "b b", nameRule),
		}},
		{"password", func(ctx ctx, c client) error { return c.Accounts.ChangePassword(ctx, "", proxylite.NewPassword("")) }, []problem{
			structural("username", "", required), structural("password", "", required),
		}},
		{"password secret", func(ctx ctx, c client) error {
			return c.Accounts.ChangePassword(ctx, "pl-bob", proxylite.NewPassword("s3cret!"))
		}, []problem{vendor("password", "", plainWord)}},
		{"name", name("\t"), []problem{structural("username", "", required)}},
		{"name prefixed", name("pl-bob"), nil},
		{"name limit", func(ctx ctx, c client) error { return c.Accounts.ChangeLimit(ctx, "a:b", 0) }, []problem{structural("username", "a:b", inList)}},

		// Remarks: ASCII counts one, any other character two, 64 in all.
		{"remark 64 English", remark(strings.Repeat("a", 64)), nil},
		{"remark 65 English", remark(strings.Repeat("a", 65)), []problem{vendor("remark", strings.Repeat("a", 65), "here 65")}},
		{"remark 32 Chinese", remark(strings.Repeat("爬", 32)), nil},
		{"remark 33 Chinese", remark(strings.Repeat("爬", 33)), []problem{vendor("remark", strings.Repeat("爬", 26)+"…", "here 66")}},
		{"remark mixed", remark(strings.Repeat("爬", 16) + strings.Repeat("a", 32)), nil},
		{"remark mixed, one more", remark(strings.Repeat("爬", 16) + strings.Repeat("a", 33)), []problem{
			vendor("remark", strings.Repeat("爬", 16)+strings.Repeat("a", 32)+"…", "here 65"),
		}},
		{"remark UTF-8", remark("\xff"), []problem{structural("remark", "", "UTF-8")}},

		{"limit highest", limit(102400 * proxylite.GB), nil},
		{"limit above", limit(102401 * proxylite.GB), []problem{vendor("limit", "100.00 TB", "at most 102400 GB")}},
		{"limit negative", limit(-proxylite.GB), []problem{structural("limit", "-1 GB", "not negative")}},
		{"limit fraction", limit(1536 * proxylite.MB), []problem{structural("limit", "1.50 GB", "whole number of GB")}},

		{"usage", usage(proxylite.UsageDailyParams{Start: apitest.End, End: apitest.Start, Username: "a,b", ProductType: -1}), []problem{
			structural("Start", "2022-08-02T12:30:01+08:00", "must not be after End, 2022-08-01T00:00:00+08:00"),
			structural("Username", "a,b", inList), structural("ProductType", "-1", negative),
		}},
		{"usage one instant", usage(proxylite.UsageDailyParams{Start: apitest.Start, End: apitest.Start.UTC()}), nil},
		{"usage no end", usage(proxylite.UsageDailyParams{Start: apitest.End}), nil},
		{"usage year 10000", usage(proxylite.UsageDailyParams{Start: time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)}), []problem{
			structural("Start", "10000-01-01T07:00:00+08:00", "year from 1 to 9999"),
		}},
		{"usage year 0", usage(proxylite.UsageDailyParams{Start: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)}), []problem{
			structural("Start", "-0001-01-01T08:00:00+08:00", "year from 1 to 9999"), structural("End", "0000-12-31T08:00:00+08:00", "year from 1 to 9999"),
		}},
		{"usage last year", usage(proxylite.UsageDailyParams{Start: time.Date(9999, 12, 31, 15, 59, 59, 0, time.UTC)}), nil},
		{"usage first second", usage(proxylite.UsageDailyParams{Start: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)}), nil},
		{"stock", func(ctx ctx, c client) error {
			_, err := c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISP(-1))})
			return err
		}, []problem{structural("ISP", "-1", negative)}},
		{"orders status", func(ctx ctx, c client) error {
			_, err := c.Orders.List(ctx, proxylite.OrderListParams{Status: new(proxylite.OrderStatusAbsent)})
			return err
		}, []problem{structural("Status", "-1", negative)}},
		{"usage name", usage(proxylite.UsageDailyParams{Username: "b b"}), []problem{vendor("Username", "b b", nameRule)}},

		{"products", func(ctx ctx, c client) error {
			_, err := c.Products.List(ctx, proxylite.ProductListParams{PageParams: proxylite.PageParams{Page: -1, Size: -2}, ProductType: -3})
			return err
		}, []problem{structural("Page", "-1", negative), structural("Size", "-2", negative), structural("ProductType", "-3", negative)}},
		{"orders", func(ctx ctx, c client) error {
			_, err := c.Orders.List(ctx, proxylite.OrderListParams{PageParams: proxylite.PageParams{Page: -1, Size: -2}, ProductType: -3})
			return err
		}, []problem{structural("Page", "-1", negative), structural("Size", "-2", negative), structural("ProductType", "-3", negative)}},
		{"static", func(ctx ctx, c client) error {
			_, err := c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
				PageParams: proxylite.PageParams{Page: -1, Size: -2}, CountryCode: "USA", ProductType: -3, Status: -4,
			})
			return err
		}, []problem{
			structural("Page", "-1", negative), structural("Size", "-2", negative), vendor("CountryCode", "USA", countryRule),
			structural("ProductType", "-3", negative), structural("Status", "-4", negative),
		}},

		{"extract nothing", extract(proxylite.IPExtractParams{}), []problem{structural("Quantity", "0", "from 1 to 10000")}},
		{"extract all wrong", extract(proxylite.IPExtractParams{Quantity: -1, CountryCode: "U1", Life: 90 * time.Second, Format: "xml", Separator: ","}), []problem{
			structural("Quantity", "-1", "from 1 to 10000"), structural("Life", "1m30s", "whole minutes"), vendor("CountryCode", "U1", countryRule),
			structural("Format", "xml", "FormatJSON or FormatText"), structural("Separator", ",", "needs FormatText"),
		}},
		{"extract life", extract(proxylite.IPExtractParams{Quantity: 1, Life: -time.Minute}), []problem{structural("Life", "-1m0s", "not negative")}},

		{"cities", func(ctx ctx, c client) error { _, err := c.IP.SearchCities(ctx, "", ""); return err }, []problem{
			structural("countryCode", "", required), structural("state", "", required),
		}},
		{"cities country", func(ctx ctx, c client) error { _, err := c.IP.SearchCities(ctx, "1U", "TX"); return err }, []problem{vendor("countryCode", "1U", countryRule)}},
		{"states", func(ctx ctx, c client) error { _, err := c.IP.SearchStates(ctx, ""); return err }, []problem{
			structural("countryCode", "", required),
		}},
		{"states country", func(ctx ctx, c client) error { _, err := c.IP.SearchStates(ctx, "爬"); return err }, []problem{vendor("countryCode", "爬", countryRule)}},

		{"order nothing", create(proxylite.OrderCreateParams{}), []problem{
			structural("ProductID", "0", "required and positive"), structural("PaymentMethodID", "", required),
		}},
		{"order all wrong", create(proxylite.OrderCreateParams{
			ProductID: -1, PaymentMethodID: new(int64(-2)), Quantity: -3, BandwidthSKU: -4, ConcurrencySKU: -5, RechargeAmount: -6,
			StaticIPs: []string{"1", "", "2,3", "4 5", " 6", "7\u200b", "8:9", "静态-1_a"}, RenewDuration: "0",
		}), []problem{
			structural("ProductID", "-1", "required and positive"), structural("PaymentMethodID", "-2", negative),
			structural("Quantity", "-3", negative), structural("BandwidthSKU", "-4", negative), structural("ConcurrencySKU", "-5", negative),
			structural("RechargeAmount", "-6", negative), structural("StaticIPs[1]", "", required),
			structural("StaticIPs[2]", "2,3", inList), structural("StaticIPs[3]", "4 5", noSpaces), structural("StaticIPs[4]", " 6", noSpaces),
			structural("StaticIPs[5]", "7\u200b", noSpaces), structural("StaticIPs[6]", "8:9", inList), structural("RenewDuration", "0", "must be positive"),
		}},
		{"close id", func(ctx ctx, c client) error { return c.Orders.Close(ctx, "1 2") }, []problem{structural("tradeNo", "1 2", noSpaces)}},
		{"close", func(ctx ctx, c client) error { return c.Orders.Close(ctx, " ") }, []problem{structural("tradeNo", "", required)}},

		// The hatch, and the options of a call.
		{"call", func(ctx ctx, c client) error {
			_, err := proxylite.Call[any](ctx, c, proxylite.Operation{Method: "PUT", Path: "x?y", KeyInBody: true}, url.Values{"app_key": {"k"}}, nil)
			return err
		}, []problem{
			structural("Operation.Path", "x?y", "begin with a slash"), structural("Operation.Method", "PUT", "GET or POST"),
			structural("Operation.KeyInBody", "", "needs a POST"), structural("query", "", "must not have app_key"),
		}},
		{"call body", func(ctx ctx, c client) error {
			_, err := proxylite.Call[any](ctx, c, proxylite.Operation{Method: "POST", Path: "/x"}, nil, func() {})
			return err
		}, []problem{structural("body", "", "writable as JSON")}},
		{"call options", func(ctx ctx, c client) error {
			_, err := c.Accounts.List(ctx, nil, proxylite.CallRaw(nil), proxylite.CallTimeout(0), proxylite.CallAttempts(0),
				proxylite.CallQuery("app_key", "k"), proxylite.CallQuery("", "k"))
			return err
		}, []problem{
			structural("CallRaw", "", "must not be nil"), structural("CallTimeout", "0s", "must be positive"),
			structural("CallAttempts", "", "must be positive"), structural("CallQuery", "app_key", "other than app_key"),
			structural("CallQuery", "", "other than app_key"),
		}},
		{"nil context", func(_ ctx, c client) error {
			var none ctx
			_, err := c.User.Info(none)
			return err
		}, []problem{structural("ctx", "", "must not be nil")}},
	}...)
}

func TestInputIsCheckedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	for _, tt := range rulesOfInput() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkInput(t, tt.call, tt.want)

			// Without the vendor's rules, what would garble a request is still refused.
			var left []problem
			for _, p := range tt.want {
				if !p.vendor {
					left = append(left, p)
				}
			}
			checkInput(t, tt.call, left, proxylite.WithoutVendorRules())
		})
	}
}

// Validate finds what the call would find, and sends nothing.
func TestValidateSaysWhatTheCallSays(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	add := proxylite.AccountAddParams{
		Accounts: []proxylite.NewAccount{{Username: "a-b", Password: proxylite.NewPassword("p:w")}, {Username: "bob"}, {Username: "bob"}},
		Remark:   strings.Repeat("x", 65), ProductType: -1,
	}
	extract := proxylite.IPExtractParams{Life: time.Second, CountryCode: "USA", Format: "xml", Separator: "1"}
	order := proxylite.OrderCreateParams{Quantity: -1, StaticIPs: []string{"1,2"}, RenewDuration: "0", CouponCode: "\xff"}
	for name, test := range map[string]struct {
		validate func() error
		call     func(*proxylite.Client) error
	}{
		"add":     {add.Validate, func(c *proxylite.Client) error { return c.Accounts.Add(ctx, add) }},
		"extract": {extract.Validate, func(c *proxylite.Client) error { _, err := c.IP.Extract(ctx, extract); return err }},
		"order":   {order.Validate, func(c *proxylite.Client) error { _, err := c.Orders.Create(ctx, order); return err }},
	} {
		c, _ := apitest.Mocked(t, 200, `{"code":200}`)
		want, ok := errors.AsType[*proxylite.InputError](test.call(c))
		require.True(t, ok, name)
		require.Greater(t, len(want.Problems), 3, name)
		require.Equal(t, want, test.validate(), name)
	}
	require.NoError(t, proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "bob", Password: proxylite.NewPassword("pw1")}}}.Validate())
	require.NoError(t, proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText, Separator: "|"}.Validate())
	require.NoError(t, proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64(0)), RenewDuration: "1m"}.Validate())
}

func checkInput(t *testing.T, call func(context.Context, *proxylite.Client) error, want []problem, opts ...proxylite.Option) {
	t.Helper()
	c, mock := apitest.Mocked(t, 200, `{"code":200,"data":{"id":1,"list":[]}}`, opts...)
	err := call(t.Context(), c)
	if len(want) == 0 {
		require.NoError(t, err)
		require.Equal(t, 1, mock.GetTotalCallCount())
		return
	}
	require.Zero(t, mock.GetTotalCallCount(), "nothing may be sent")
	require.ErrorIs(t, err, proxylite.ErrInvalidInput)
	require.NotErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	e := apitest.AsError(t, err)
	require.Equal(t, proxylite.KindInput, e.Kind)
	require.Equal(t, proxylite.OutcomeNotSent, e.Outcome)
	require.Zero(t, e.Attempts+e.Status)

	input, ok := errors.AsType[*proxylite.InputError](err)
	require.True(t, ok)
	var gotFields, wantFields []string
	for _, p := range input.Problems {
		gotFields = append(gotFields, p.Field+"="+p.Value)
	}
	for _, p := range want {
		wantFields = append(wantFields, p.field+"="+p.value)
	}
	require.Equal(t, wantFields, gotFields)
	for i, p := range want {
		require.Contains(t, input.Problems[i].Rule, p.rule, p.field)
		if i < 10 {
			require.Contains(t, err.Error(), input.Problems[i].String())
		}
	}
}

func TestInputErrorReadsWell(t *testing.T) {
	t.Parallel()
	err := &proxylite.InputError{Problems: []proxylite.InputProblem{{"Quantity", "0", "is required"}, {"State", "", "is required"}}}
	require.Equal(t, `invalid input: Quantity: is required (got "0"); State: is required`, fmt.Sprint(err))
	require.NotErrorIs(t, err, proxylite.ErrRateLimited)

	// Thousands of bad accounts are no log line of a megabyte.
	for n, end := range map[int]string{10: "(got \"9\")", 11: "; and 1 more", 5000: "; and 4990 more"} {
		err := &proxylite.InputError{}
		for i := range n {
			err.Problems = append(err.Problems, proxylite.InputProblem{Field: "F", Value: strconv.Itoa(i), Rule: "is wrong"})
		}
		require.True(t, strings.HasSuffix(err.Error(), end), err.Error())
		require.Equal(t, min(n, 10), strings.Count(err.Error(), "is wrong"))
	}
}

func TestEveryLetterOfANameAndARemark(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":0}`)
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"azAZ09", "pl-azAZ09"}))
	for _, name := range []string{"a`", "a{", "a@", "a[", "a/"} {
		require.ErrorIs(t, c.Accounts.Enable(t.Context(), []string{name}), proxylite.ErrInvalidInput, name)
	}
	require.NoError(t, c.Accounts.ChangeRemark(t.Context(), "bob", strings.Repeat("\u0080", 32)))
	require.ErrorIs(t, c.Accounts.ChangeRemark(t.Context(), "bob", strings.Repeat("\u0080", 33)), proxylite.ErrInvalidInput)
	require.NoError(t, c.Accounts.ChangeRemark(t.Context(), "bob", strings.Repeat("\u007f", 64)))
}

// listens returns a client whose request goes into the two pointers.
func listens(t testing.TB, query *url.Values, body *[]byte) *proxylite.Client {
	t.Helper()
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithoutVendorRules(), proxylite.WithTransport(apitest.RoundTripper(
		func(r *http.Request) (*http.Response, error) {
			var err error
			*query, err = url.ParseQuery(r.URL.RawQuery)
			require.NoError(t, err)
			if r.Body != nil {
				*body, err = io.ReadAll(r.Body)
				require.NoError(t, err)
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"code":0,"data":{"id":1,"list":[]}}`))}, nil
		})))
	require.NoError(t, err)
	return c
}

func FuzzQuery(f *testing.F) {
	f.Add("US", "New York", "Austin", "|", 10, 30, int64(1659283200), int64(1659355200), "pl-bob")
	f.Add("中", "a&b=c", "x%20+\x00", "\r\n", 1, 0, int64(-1), int64(1), "\xff")
	f.Fuzz(func(t *testing.T, cc, state, city, separator string, num, life int, from, to int64, name string) {
		var query url.Values
		var body []byte
		c := listens(t, &query, &body)
		life %= 1_000_000
		_, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{
			Quantity: num, CountryCode: cc, State: state, City: city, Separator: separator,
			Life: time.Duration(life) * time.Minute, Format: proxylite.FormatText,
		})
		if query != nil {
			require.NoError(t, err)
			want := url.Values{"format": {"text"}, "num": {strconv.Itoa(num)}, "app_key": {apitest.Key}}
			for k, v := range map[string]string{"cc": cc, "state": state, "city": city, "lb": separator} {
				if v != "" {
					want.Set(k, v)
				}
			}
			if life != 0 {
				want.Set("life", strconv.Itoa(life))
			}
			require.Equal(t, want, query)
		}

		query = nil
		start, end := time.Unix(from%1e11, 0), time.Unix(to%1e11, 0)
		_, err = c.Usage.Daily(t.Context(), proxylite.UsageDailyParams{Start: start, End: end, Username: name})
		if query == nil {
			require.ErrorIs(t, err, proxylite.ErrInvalidInput)
			return
		}
		zone := time.FixedZone("", 8*3600)
		for param, sent := range map[string]time.Time{"start_time": start, "end_time": end} {
			got, err := time.ParseInLocation(time.DateTime, query.Get(param), zone)
			require.NoError(t, err)
			require.True(t, sent.Equal(got))
		}
		require.Equal(t, name, query.Get("username"))
	})
}

func FuzzBody(f *testing.F) {
	f.Add("bob", "pw1", "crawler", "US:3", "C1", "1m", "1", "2", 3, int64(0), "2022051312134339861461465434")
	f.Add("pl-bob", "a\"b", "备注<>&\u2028", "US:\xff", "\x00", "12", "1,2", "", -1, int64(1), "\xff")
	f.Fuzz(func(t *testing.T, name, password, remark, region, coupon, renew, id1, id2 string, amount int, method int64, tradeNo string) {
		var query url.Values
		var body []byte
		c := listens(t, &query, &body)
		sent := func(err error, into any) bool {
			t.Helper()
			if query == nil {
				require.ErrorIs(t, err, proxylite.ErrInvalidInput)
				return false
			}
			require.NoError(t, json.Unmarshal(body, into))
			query = nil
			return true
		}
		ctx := context.Background()

		var add struct{ Accounts, Remark string }
		if sent(c.Accounts.Add(ctx, proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{name, proxylite.NewPassword(password)}, {"x" + name, proxylite.NewPassword("y" + password)}}, Remark: remark}), &add) {
			require.Equal(t, name+":"+password+",x"+name+":y"+password, add.Accounts)
			require.Equal(t, []int{1, 2}, []int{strings.Count(add.Accounts, ","), strings.Count(add.Accounts, ":")})
			require.Equal(t, remark, add.Remark)
		}
		var list struct{ Accounts string }
		if sent(c.Accounts.Delete(ctx, []string{name, "z" + name}), &list) {
			require.Equal(t, []string{name, "z" + name}, strings.Split(list.Accounts, ","))
		}
		var change struct{ Account, Remark string }
		if sent(c.Accounts.ChangeRemark(ctx, name, remark), &change) {
			require.Equal(t, []string{name, remark}, []string{change.Account, change.Remark})
		}
		var closed struct {
			TradeNo string `json:"trade_no"`
		}
		if sent(c.Orders.Close(ctx, tradeNo), &closed) {
			require.Equal(t, tradeNo, closed.TradeNo)
		}
		var order struct {
			PID           int64           `json:"pid"`
			UpIDs         string          `json:"upids"`
			Amount        int             `json:"amount"`
			PMID          *int64          `json:"pm_id"`
			RegionList    string          `json:"region_list"`
			CouponCode    string          `json:"coupon_sn"`
			RenewDuration json.RawMessage `json:"renew_duration"`
		}
		_, err := c.Orders.Create(ctx, proxylite.OrderCreateParams{
			ProductID: 7, PaymentMethodID: &method, Quantity: amount, RegionList: region,
			StaticIPs: []string{id1, id2}, RenewDuration: renew, CouponCode: coupon,
		})
		if sent(err, &order) {
			require.Equal(t, int64(7), order.PID)
			require.Equal(t, []string{id1, id2}, strings.Split(order.UpIDs, ","))
			require.Equal(t, amount, order.Amount)
			require.Equal(t, method, *order.PMID)
			require.Equal(t, []string{region, coupon}, []string{order.RegionList, order.CouponCode})
			if n, err := strconv.Atoi(renew); err == nil {
				require.Equal(t, strconv.Itoa(n), string(order.RenewDuration))
			} else if renew != "" {
				var text string
				require.NoError(t, json.Unmarshal(order.RenewDuration, &text))
				require.Equal(t, renew, text)
			}
		}
	})
}
