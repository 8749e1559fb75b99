package proxylite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Every enum names the values of the document, and keeps the others.
func TestEnumsHaveNames(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]fmt.Stringer{
		"absent": proxylite.OrderStatusAbsent, "awaiting payment": proxylite.OrderAwaitingPayment, "paid": proxylite.OrderPaid,
		"cancelled": proxylite.OrderCancelled, "refunded": proxylite.OrderRefunded, "order status 9": proxylite.OrderStatus(9),
		"disabled": proxylite.AccountDisabled, "enabled": proxylite.AccountEnabled, "account status 9": proxylite.AccountStatus(9),
		"valid": proxylite.StaticIPValid, "invalid": proxylite.StaticIPInvalid, "expiring soon": proxylite.StaticIPExpiringSoon,
		"in maintenance": proxylite.StaticIPMaintenance, "static IP status 9": proxylite.StaticIPStatus(9),
		"data-center": proxylite.ISPDatacenter, "residential": proxylite.ISPResidential, "ISP -9": proxylite.ISP(-9),
		"product type 10": proxylite.ProductType(10),
	} {
		require.Equal(t, want, value.String())
	}
	require.Equal(t, "absent", proxylite.AccountStatusAbsent.String())
	require.Equal(t, "absent", proxylite.StaticIPStatus(0).String())
	seen := map[string]bool{}
	for _, n := range []proxylite.ProductType{3, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28} {
		require.NotContains(t, n.String(), "product type")
		require.False(t, seen[n.String()], n)
		seen[n.String()] = true
	}
}

func TestTraffic(t *testing.T) {
	t.Parallel()
	for n, want := range map[proxylite.Traffic]string{
		0: "0 KB", 1: "1 KB", -1: "-1 KB", 1023: "1023 KB", proxylite.MB: "1 MB", 1536: "1.50 MB", proxylite.GB - 1: "1024.00 MB",
		proxylite.GB: "1 GB", -5 * proxylite.GB: "-5 GB", 5*proxylite.GB/2 + 1: "2.50 GB", 3 * proxylite.TB: "3 TB", 102400 * proxylite.GB: "100 TB",
	} {
		require.Equal(t, want, n.String())
	}
	require.EqualValues(t, 1<<20, proxylite.GB.KB(), "1 GB is 1,048,576 KB")
	require.InDelta(t, 1.5, (1536 * proxylite.MB).GB(), 0)
	require.EqualValues(t, 1<<30, proxylite.TB.KB())
}

func TestDecimalIsExact(t *testing.T) {
	t.Parallel()
	sum := proxylite.Decimal("0.1").Rat()
	sum.Add(sum, proxylite.Decimal("0.2").Rat())
	require.Zero(t, sum.Cmp(proxylite.Decimal("0.30").Rat()), "unlike with float64")
	require.Equal(t, "12345678901234567.89", proxylite.Decimal("12345678901234567.89").Rat().FloatString(2))
	require.InDelta(t, 18.2, proxylite.Decimal("18.20").Float64(), 0)
	require.Equal(t, "18.20", proxylite.Decimal("18.20").String())
	for _, tt := range []struct {
		a, b proxylite.Decimal
		want int
	}{
		{"18.2", "18.20", 0},
		{"9", "10", -1},
		{"-1", "-2", 1},
		{"", "0", 0},
		{"1e2", "100", 0},
		{"x", "0", 0},
		{proxylite.Decimal(strings.Repeat("9", 65)), "0", 0},
	} {
		require.Equal(t, tt.want, tt.a.Cmp(tt.b), "%s %s", tt.a, tt.b)
	}
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"amount":"18.20","ratio":0.30000000000000004},{"amount":null}]}}`)
	got, err := c.Marketing.RechargeGiftRatios(t.Context())
	require.NoError(t, err)
	require.Equal(t, []proxylite.RechargeGiftRatio{{"18.20", "0.30000000000000004"}, {}}, got)
}

func TestDecimalsInJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]proxylite.Decimal{
		`0.10`: "0.10", `"0.10"`: "0.10", `" 7 "`: "7", `"\u0037"`: "7", `-1.5E+3`: "-1.5E+3", `""`: "", `1e99`: "1e99",
		`12345678901234567.89`: "12345678901234567.89", strings.Repeat("9", 64): proxylite.Decimal(strings.Repeat("9", 64)),
	} {
		var d proxylite.Decimal
		require.NoError(t, json.Unmarshal([]byte(in), &d), in)
		require.Equal(t, want, d, in)
	}
	kept := proxylite.Decimal("1")
	require.NoError(t, json.Unmarshal([]byte("null"), &kept))
	require.Equal(t, proxylite.Decimal("1"), kept)
	for _, in := range []string{
		`false`, `true`, `"NaN"`, `"Infinity"`, `"x"`, `"1,5"`, `"1/3"`, `"0x10"`, `"+1"`, `"01"`, `{}`, `[]`, `1e100`, `"1e-1000000"`, strings.Repeat("9", 65),
	} {
		d := proxylite.Decimal("1")
		require.Error(t, json.Unmarshal([]byte(in), &d), in)
		require.Equal(t, proxylite.Decimal("1"), d, in)
		c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"amount":`+in+`}]}}`)
		_, err := c.Marketing.RechargeGiftRatios(t.Context())
		require.ErrorContains(t, err, "/data/list/0/amount: not a number", in)
	}
	for _, in := range []string{``, `"`, `"\x"`, `1 2`} {
		require.Error(t, new(proxylite.Decimal).UnmarshalJSON([]byte(in)), in)
	}
	b, err := json.Marshal(proxylite.Decimal("18.20"))
	require.NoError(t, err)
	require.Equal(t, `"18.20"`, string(b))
}

// What an operation returns can be kept as JSON and read back, zero values too.
func TestResultsSurviveJSON(t *testing.T) {
	t.Parallel()
	trip := func(v any) {
		b, err := proxylite.MarshalRevealed(v)
		require.NoError(t, err)
		back := reflect.New(reflect.TypeOf(v))
		require.NoError(t, json.Unmarshal(b, back.Interface()), string(b))
		again, err := proxylite.MarshalRevealed(back.Interface())
		require.NoError(t, err)
		require.JSONEq(t, string(b), string(again))
		require.Equal(t, inUTC(reflect.ValueOf(v)).Interface(), inUTC(back.Elem()).Interface())
	}
	for _, op := range apitest.Operations {
		if op.Full == nil {
			continue
		}
		trip(op.Full)
		trip(op.Documented)
		typ := reflect.TypeOf(op.Full)
		trip(reflect.Zero(typ).Interface())
		if typ.Kind() == reflect.Slice {
			trip(reflect.Zero(typ.Elem()).Interface())
		} else if items, ok := typ.FieldByName("Items"); ok {
			trip(reflect.Zero(items.Type.Elem()).Interface())
		}
	}
	for _, v := range []any{proxylite.Product{}, proxylite.WhiteIP{}, proxylite.WhitelistAccount{}, proxylite.Coupon{}, proxylite.Article{}} {
		trip(v)
	}
}

// inUTC is a copy of v whose times have one zone, so that equal instants are equal values.
func inUTC(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		out.Set(reflect.ValueOf(v.Interface().(time.Time).UTC()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if out.Field(i).CanSet() && v.Type().Field(i).IsExported() {
				out.Field(i).Set(inUTC(v.Field(i)))
			}
		}
	case v.Kind() == reflect.Slice && !v.IsNil():
		out.Set(reflect.MakeSlice(v.Type(), 0, v.Len()))
		for i := range v.Len() {
			out.Set(reflect.Append(out, inUTC(v.Index(i))))
		}
	}
	return out
}

// Passwords, e-mail and phone stay out of texts and logs, in every form.
func TestPersonalDataStaysOutOfTexts(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	hidden := proxylite.NewPassword(secret)
	for want, v := range map[string]any{
		"account pl-bob (id 7, enabled, used 1 GB)": proxylite.Account{
			ID: 7, Username: "pl-bob", Password: hidden, Status: proxylite.AccountEnabled, Used: proxylite.GB,
		},
		"bob":                                   proxylite.NewAccount{Username: "bob", Password: hidden},
		"1.2.3.4:80":                            proxylite.Endpoint{Host: "1.2.3.4", Port: 80, Username: "u", Password: proxylite.NewPassword(secret)},
		"static IP 31 (1.2.3.4 DE, valid)":      proxylite.StaticIP{ID: "31", IP: "1.2.3.4", CountryCode: "DE", Status: proxylite.StaticIPValid, Username: "u", Password: hidden, Raw: apitest.Raw(secret)},
		"[account bob (id 0, absent, used 0 KB": []proxylite.Account{{Username: "bob", Password: hidden, Status: -1}},
	} {
		require.Contains(t, fmt.Sprint(v), want)
		require.Contains(t, fmt.Sprintf("%+v", v), want)
		text := fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v)
		if _, isSlice := v.([]proxylite.Account); !isSlice {
			text += logged(v)
			require.Contains(t, fmt.Sprintf("%#v", v), "proxylite.")
		}
		require.NotContains(t, text, secret)
	}
	require.Contains(t, logged(proxylite.User{ID: 9, Email: secret, Phone: secret}), `v="user 9"`)
	require.NotContains(t, logged(proxylite.User{ID: 9, Email: secret, Phone: secret}), secret)
}

func logged(v any) string {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	return out.String()
}

// A text that is no time is kept apart, in every type with times, and costs neither
// the other fields nor the other entries.
func TestTextsThatAreNoTime(t *testing.T) {
	t.Parallel()
	const odd = "N/A"
	for _, v := range []any{
		proxylite.Account{},
		proxylite.DailyUsage{},
		proxylite.PurchasedProduct{},
		proxylite.ProductOrder{},
		proxylite.Order{},
		proxylite.User{},
		proxylite.WhiteIP{},
		proxylite.Coupon{},
		proxylite.Article{},
	} {
		typ := reflect.TypeOf(v)
		want, entry := map[string]string{}, map[string]string{}
		for field := range typ.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); field.Type == reflect.TypeFor[time.Time]() {
				want[name], entry[name] = odd, odd
			}
		}
		require.NotEmpty(t, want, typ)
		b, err := json.Marshal(entry)
		require.NoError(t, err)
		unread := readAs(t, typ, string(b)).FieldByName("Unread")
		require.Equal(t, want, unread.Interface(), typ)
		require.True(t, readAs(t, typ, `{}`).FieldByName("Unread").IsNil(), typ)
	}
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"id":1,"created_at":"N/A"},{"id":2,"created_at":"2022-05-13 12:14:15"}]}}`)
	accounts, err := c.Accounts.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"created_at": "N/A"}, accounts[0].Unread)
	require.Zero(t, accounts[0].CreatedAt)
	require.Nil(t, accounts[1].Unread)
	require.True(t, apitest.At(2022, 5, 13, 12, 14, 15).Equal(accounts[1].CreatedAt))
}

// readAs decodes data as a response does, into a struct that holds a value of typ.
func readAs(t *testing.T, typ reflect.Type, data string) reflect.Value {
	t.Helper()
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":`+data+`}`)
	op := proxylite.Operation{Name: "X", Method: "GET", Path: "/x"}
	for _, read := range []func() (any, error){
		func() (any, error) { return proxylite.Call[proxylite.Account](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.DailyUsage](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.PurchasedProduct](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.ProductOrder](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.Order](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.User](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.WhiteIP](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.Coupon](t.Context(), c, op, nil, nil) },
		func() (any, error) { return proxylite.Call[proxylite.Article](t.Context(), c, op, nil, nil) },
	} {
		v, err := read()
		require.NoError(t, err)
		if reflect.TypeOf(v) == typ {
			return reflect.ValueOf(v)
		}
	}
	t.Fatalf("%s is not read", typ)
	return reflect.Value{}
}

// The types of the document's schema section decode through Call.
func TestSchemaTypesDecode(t *testing.T) {
	t.Parallel()
	when := apitest.At(2019, 8, 24, 22, 15, 22)
	decodes(t, `{"id":1,"name":"n","type":9,"price":0.10,"description":"d"}`,
		proxylite.Product{ID: 1, Name: "n", Type: 9, Price: "0.10", Description: "d"})
	decodes(t, `{"id":1,"ip":"203.0.113.1","remark":"r","created_at":"2019-08-24T14:15:22Z"}`,
		proxylite.WhiteIP{ID: 1, IP: "203.0.113.1", Remark: "r", CreatedAt: when})
	decodes(t, `{"id":1,"username":"u","limit":2,"used":3,"status":1}`,
		proxylite.WhitelistAccount{ID: 1, Username: "u", Limit: 2, Used: 3, Status: proxylite.AccountEnabled})
	decodes(t, `{"id":1}`, proxylite.WhitelistAccount{ID: 1, Status: proxylite.AccountStatusAbsent})
	decodes(t, `{"id":1,"name":"n","code":"c","discount":0.1,"expire_time":"2019-08-24T14:15:22Z"}`,
		proxylite.Coupon{ID: 1, Name: "n", Code: "c", Discount: "0.1", ExpireTime: when})
	decodes(t, `{"id":1,"title":"t","content":"c","created_at":"2019-08-24T14:15:22Z"}`,
		proxylite.Article{ID: 1, Title: "t", Content: "c", CreatedAt: when})
}

func decodes[T any](t *testing.T, data string, want T) {
	t.Helper()
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":`+data+`}`)
	got, err := proxylite.Call[T](t.Context(), c, proxylite.Operation{Name: "X", Method: "GET", Path: "/x"}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// field decodes one value that stands in an order.
func field(t *testing.T, name, value string) (proxylite.Order, error) {
	t.Helper()
	body := []byte(`{"code":0,"data":{"id":1,"` + name + `":` + value + `}}`)
	return answers(t, 200, body).Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
}

func quote(s string) string { b, _ := json.Marshal(s); return string(b) }

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2022-05-13 12:14:15", "2022-08-01", "2019-08-24T14:15:22Z", "0000-00-00 00:00:00", "1652415255", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00+23:59", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := field(t, "created_at", quote(s))
		require.NoError(t, err, "a text that is no time fails a call")
		b, err := json.Marshal(o)
		require.NoError(t, err, "%q became a time that JSON can't hold", s)
		var back proxylite.Order
		require.NoError(t, json.Unmarshal(b, &back))
		require.True(t, o.CreatedAt.Equal(back.CreatedAt))
		if !o.CreatedAt.IsZero() {
			again, err := field(t, "created_at", quote(o.CreatedAt.Format(time.RFC3339Nano)))
			require.NoError(t, err)
			require.True(t, o.CreatedAt.Equal(again.CreatedAt), "%q: %s, then %s", s, o.CreatedAt, again.CreatedAt)
		}
	})
}

func FuzzMoney(f *testing.F) {
	for _, s := range []string{"18.20", "0.1", "-3.50", "1e2", "1e99", "9e-99", "", "NaN", "1/3", "0x1p4", "1_000", strings.Repeat("9", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, value := range []string{quote(s), s} {
			if value == s && !json.Valid([]byte(s)) {
				continue
			}
			o, err := field(t, "total_fee", value)
			if err != nil || o.TotalFee == "" {
				continue
			}
			d := o.TotalFee
			require.Equal(t, strings.TrimSpace(strings.Trim(strings.TrimSpace(s), `"`)), string(d), "the digits changed")
			want, ok := new(big.Rat).SetString(string(d))
			require.True(t, ok)
			require.Zero(t, want.Cmp(d.Rat()), "%s has another value", d)
			require.Zero(t, d.Cmp(d))
			require.Equal(t, -want.Sign(), proxylite.Decimal("0").Cmp(d))
		}
	})
}

func FuzzTraffic(f *testing.F) {
	for _, n := range []int64{0, 1, -1, 1023, 1 << 20, 102400, 102401, 1<<20 - 1, 1<<63 - 1, -1 << 63} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		digits := strconv.FormatInt(n, 10)
		body := `{"code":200,"data":[{"usage_flow":` + digits + `,"limit_flow":"` + digits + `"}]}`
		accounts, err := answers(t, 200, []byte(body)).Accounts.List(t.Context())
		require.NoError(t, err)
		a := accounts[0]
		require.Equal(t, n, a.Used.KB())
		limit, ok := a.Limit()
		between := 102400 < n && n < 1<<20 // neither GB nor KB
		require.Equal(t, n >= 0 && !between, ok)
		require.GreaterOrEqual(t, limit, proxylite.Traffic(0))
		require.Equal(t, n <= 0 || between, limit == 0, "a limit became none, or none a limit")

		number, unit, ok := strings.Cut(a.Used.String(), " ")
		require.True(t, ok)
		size := map[string]proxylite.Traffic{"KB": proxylite.KB, "MB": proxylite.MB, "GB": proxylite.GB, "TB": proxylite.TB}[unit]
		shown, err := strconv.ParseFloat(number, 64)
		require.NoError(t, err)
		require.InDelta(t, float64(n)/float64(size), shown, 0.0051+max(shown, -shown)*1e-15)
	})
}
