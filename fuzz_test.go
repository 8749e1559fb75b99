package proxylite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Each target runs its seeds with every go test; scripts/fuzz.sh looks further.

// answers returns a client that gets status and body for every call.
func answers(t testing.TB, status int, body []byte) *proxylite.Client {
	t.Helper()
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithTransport(apitest.RoundTripper(
		func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})))
	require.NoError(t, err)
	return c
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

// honest checks what holds for every failure.
func honest(t *testing.T, err error, body []byte) {
	e := apitest.AsError(t, err)
	require.True(t, bytes.HasPrefix(body, e.Body) || bytes.Contains(e.Body, []byte("[REDACTED]")), "the answer is not kept: %q", e.Body)
	require.True(t, utf8.ValidString(err.Error()), "%q", err)
	require.Less(t, len(err.Error()), 4000)
	require.NotContains(t, err.Error(), apitest.Key)
}

func FuzzEnvelope(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(200, b)
	}
	f.Add(500, []byte(`{"code":"3","msg":null,"message":"x","errors":[1]}`))
	f.Add(200, []byte("\ufeff{\"code\":200.0,\"co\\u0064e\":1}"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			status = 200
		}
		err := answers(t, status, body).Accounts.Enable(t.Context(), []string{"bob"})
		if err != nil {
			honest(t, err, body)
			return
		}
		require.Less(t, status, 300)
		body = bytes.TrimPrefix(body, []byte("\ufeff"))
		var object map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(body, &object), "encoding/json does not take it")
		code, err := strconv.ParseFloat(strings.TrimSpace(strings.Trim(string(object["code"]), `"`)), 64)
		if strings.Contains(string(object["code"]), `\`) {
			return // "\u0030" in quotes
		}
		require.NoError(t, err)
		require.True(t, code == 0 || code == 200, "code %v taken for success", code)
	})
}

func FuzzEveryAnswer(f *testing.F) {
	for i, op := range apitest.Operations {
		b, err := os.ReadFile("testdata/" + op.Name + ".json")
		require.NoError(f, err)
		f.Add(uint8(i), b)
	}
	f.Add(uint8(0), []byte(`{"data":{"list":{"1":{"id":"1.0","limit_flow":"","status":false}}},"code":"200"}`))
	f.Add(uint8(10), []byte(`{"code":200,"data":["1.2.3.4:5",[{"ip":"::1","port":6,"username":1}]]}`))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		op := apitest.Operations[int(which)%len(apitest.Operations)]
		c := answers(t, 200, body)
		got, err := op.Call(t.Context(), c)
		again, errAgain := op.Call(t.Context(), c)
		require.Equal(t, got, again)
		require.Equal(t, err == nil, errAgain == nil)
		if err != nil {
			honest(t, err, body)
			require.True(t, got == nil || isZero(got), "a value besides the error: %#v", got)
			return
		}
		_, err = json.Marshal(got)
		require.NoError(t, err, "what was returned can't be stored")
		if !op.MayBeEmpty {
			require.True(t, json.Valid(bytes.TrimPrefix(body, []byte("\ufeff"))))
		}
	})
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

func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"1.2.3.4:80", "[2001:db8::1]:80", "h.example:1:u:p", "u:p@h.example:65535", "socks5://1.2.3.4:80/", "1.2.3.4:80:u:p:q", "u@1.2.3.4:5", "[::ffff:1.2.3.4]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := proxylite.ParseEndpoint(s)
		if err != nil {
			require.Zero(t, e)
			require.Less(t, len(err.Error()), 200, "the error repeats the input")
			return
		}
		host, port, err := net.SplitHostPort(e.Addr())
		require.NoError(t, err)
		require.Equal(t, e.Host, host)
		require.Equal(t, strconv.Itoa(e.Port), port)
		require.Contains(t, s, host)
		if strings.Contains(host, ":") {
			_, err := netip.ParseAddr(host)
			require.NoError(t, err)
		}
		bare, err := proxylite.ParseEndpoint(e.Addr())
		require.NoError(t, err)
		require.Equal(t, proxylite.Endpoint{Host: e.Host, Port: e.Port}, bare)

		u, err := url.Parse(e.HTTP().String())
		require.NoError(t, err)
		require.Equal(t, e.Addr(), u.Host)
		if e.Username != "" {
			password, _ := u.User.Password()
			require.Equal(t, []string{e.Username, e.Password.Reveal()}, []string{u.User.Username(), password})
		}
		if utf8.ValidString(s) {
			b, err := proxylite.MarshalRevealed(e)
			require.NoError(t, err)
			var back proxylite.Endpoint
			require.NoError(t, json.Unmarshal(b, &back))
			require.Equal(t, e, back)
		}
	})
}

func FuzzTextExtraction(f *testing.F) {
	f.Add("1.2.3.4:80\r\n1.2.3.5:81:u:p\n", "")
	f.Add(`1.2.3.4:80\r\n[::1]:81`, `\r\n`)
	f.Add("1.2.3.4:80|1.2.3.5:81|", "|")
	f.Add(`{"code":202,"msg":"no"}`, "\t")
	f.Add("error:3", ";")
	f.Fuzz(func(t *testing.T, answer, separator string) {
		got, err := answers(t, 200, []byte(answer)).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText, Separator: separator})
		if err != nil {
			if apitest.AsError(t, err).Kind != proxylite.KindInput {
				honest(t, err, []byte(answer))
			}
			return
		}
		if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(answer, "\ufeff")), "{") {
			return // an envelope, see FuzzEveryAnswer
		}
		rest := answer
		for _, e := range got.Endpoints { // all of them stand there, in this order
			_, after, ok := strings.Cut(rest, e.Host)
			require.True(t, ok, "%s was invented", e)
			rest = after
			_, after, ok = strings.Cut(rest, strconv.Itoa(e.Port))
			require.True(t, ok, "%s was invented", e)
			rest = after
		}
	})
}

func FuzzTextExtractionLosesNothing(f *testing.F) {
	f.Add(uint32(0x01020304), uint16(80), uint8(3), uint8(0))
	f.Add(uint32(0xffffffff), uint16(65535), uint8(50), uint8(6))
	f.Fuzz(func(t *testing.T, ip uint32, port uint16, n, sep uint8) {
		separators := []string{"\r\n", "\n", "\r", `\r\n`, `\n`, "|", ";", " ", "\t", "<br>", ","}
		separator := separators[int(sep)%len(separators)]
		var want []proxylite.Endpoint
		var text strings.Builder
		for i := range uint32(n) {
			addr := ip + i*0x01010101
			e := proxylite.Endpoint{Host: netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}).String(), Port: int(port)%65535 + 1}
			want = append(want, e)
			text.WriteString(e.Addr() + separator)
		}
		got, err := answers(t, 200, []byte(text.String())).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText, Separator: separator})
		require.NoError(t, err)
		require.Len(t, got.Endpoints, len(want))
		require.Empty(t, got.Rejected)
		for i := range want {
			require.Equal(t, want[i], got.Endpoints[i])
		}
	})
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
