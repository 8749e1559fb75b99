package proxylite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
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
		{"18.2", "18.20", 0}, {"9", "10", -1}, {"-1", "-2", 1}, {"", "0", 0}, {"1e2", "100", 0},
		{"x", "0", 0}, {proxylite.Decimal(strings.Repeat("9", 65)), "0", 0},
	} {
		require.Equal(t, tt.want, tt.a.Cmp(tt.b), "%s %s", tt.a, tt.b)
	}
	c, _ := mocked(t, 200, `{"code":0,"data":{"list":[{"amount":"18.20","ratio":0.30000000000000004},{"amount":null}]}}`)
	got, err := c.Marketing.RechargeGiftRatios(t.Context())
	require.NoError(t, err)
	require.Equal(t, []proxylite.RechargeGiftRatio{{"18.20", "0.30000000000000004"}, {}}, got)
	require.Equal(t, "18.20", got[0].Amount.ExactNumber())
}

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]proxylite.Endpoint{
		"1.2.3.4:80":                         {Host: "1.2.3.4", Port: 80},
		" gate-us.proxylite.com:9595\n":      {Host: "gate-us.proxylite.com", Port: 9595},
		"1.2.3.4:80:bob:pw":                  {Host: "1.2.3.4", Port: 80, Username: "bob", Password: "pw"},
		"1.2.3.4:80:bob:p:w":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: "p:w"},
		"bob:p@w@1.2.3.4:80":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: "p@w"},
		"http://bob@1.2.3.4:80/":             {Host: "1.2.3.4", Port: 80, Username: "bob"},
		"socks5://1.2.3.4:65535":             {Host: "1.2.3.4", Port: 65535},
		"[2001:db8::1]:80":                   {Host: "2001:db8::1", Port: 80},
		"[2001:db8::1]:80:bob:pw":            {Host: "2001:db8::1", Port: 80, Username: "bob", Password: "pw"},
		strings.Repeat("a", 253) + ":1":      {Host: strings.Repeat("a", 253), Port: 1},
		"under_score-dash.example.com:00080": {Host: "under_score-dash.example.com", Port: 80},
	} {
		got, err := proxylite.ParseEndpoint(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{
		"", ":", "1.2.3.4", "1.2.3.4:", ":80", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4:x:s3cret:s3cret",
		"2001:db8::1:80", "[1.2.3.4]:80", "[2001:db8::1]", "[x]:80", "a b:80", "爬.com:80", "a/b:80", strings.Repeat("a", 254) + ":1",
	} {
		got, err := proxylite.ParseEndpoint(in)
		require.Error(t, err, in)
		require.Zero(t, got)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestEndpointURL(t *testing.T) {
	t.Parallel()
	plain := proxylite.Endpoint{Host: "1.2.3.4", Port: 80}
	login := proxylite.Endpoint{Host: "2001:db8::1", Port: 81, Username: "b@b", Password: "p:w/"}
	require.Equal(t, "http://1.2.3.4:80", plain.HTTP().String())
	require.Equal(t, "socks5://1.2.3.4:80", plain.SOCKS5().String())
	require.Equal(t, "socks5h://b%40b:p%3Aw%2F@[2001:db8::1]:81", login.URL("socks5h").String())
	require.Equal(t, "[2001:db8::1]:81", login.Addr())
	back, err := proxylite.ParseEndpoint("u:p@" + login.Addr())
	require.NoError(t, err)
	require.Equal(t, proxylite.Endpoint{Host: "2001:db8::1", Port: 81, Username: "u", Password: "p"}, back)
}

// Extraction understands every form that the API is seen to use.
func TestExtractForms(t *testing.T) {
	t.Parallel()
	two := []proxylite.Endpoint{{Host: "1.2.3.4", Port: 80}, {Host: "1.2.3.4", Port: 81, Username: "u", Password: "p"}}
	object := `{"ip":"1.2.3.4","port":"80","city":"Austin"}`
	host := `{"host":"1.2.3.4","port":81,"user":"u","pass":"p"}`
	for body, want := range map[string][]proxylite.Endpoint{
		`{"code":0,"data":{"list":[["1.2.3.4:80"],["1.2.3.4:81:u:p"]]}}`:            two,
		`{"code":0,"data":{"list":["1.2.3.4:80","1.2.3.4:81:u:p"]}}`:                two,
		`{"code":0,"data":["1.2.3.4:80","u:p@1.2.3.4:81"]}`:                         two,
		`{"code":0,"data":{"list":[null,[],["1.2.3.4:80"],null,"1.2.3.4:81:u:p"]}}`: two,
		`{"code":0,"data":{"list":null}}`:                                           {},
		`{"code":0,"data":{"list":{}}}`:                                             {},
		`{"code":0,"data":{}}`:                                                      {},
		`{"code":0}`:                                                                {},
		`{"code":0,"data":{"list":[[` + object + `],` + host + `]}}`: {
			{Host: "1.2.3.4", Port: 80, Raw: object}, {Host: "1.2.3.4", Port: 81, Username: "u", Password: "p"},
		},
		`{"code":0,"data":{"list":[{"ip":"1.2.3.4","port":80,"username":"u","password":7,"raw":null}]}}`: {
			{Host: "1.2.3.4", Port: 80, Username: "u", Password: "7", Raw: `{"ip":"1.2.3.4","port":80,"username":"u","password":7,"raw":null}`},
		},
	} {
		c, _ := mocked(t, 200, body)
		got, err := c.IP.Extract(t.Context(), proxylite.ExtractParams{Num: 2})
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
	}
	for _, entry := range []string{`"sold out"`, `7`, `{}`, `{"ip":"1.2.3.4"}`, `{"ip":{},"port":1}`, `["1.2.3.4:80","x"]`, `[["1.2.3.4:80"]]`} {
		c, _ := mocked(t, 200, `{"code":0,"data":{"list":[`+entry+`]}}`)
		got, err := c.IP.Extract(t.Context(), proxylite.ExtractParams{Num: 2})
		require.ErrorIs(t, err, proxylite.ErrMalformedAnswer, entry)
		require.Nil(t, got)
	}
}

func TestExtractText(t *testing.T) {
	t.Parallel()
	two := []proxylite.Endpoint{{Host: "1.2.3.4", Port: 80}, {Host: "1.2.3.4", Port: 81, Username: "u", Password: "p"}}
	for _, tt := range []struct {
		separator, body string
		want            []proxylite.Endpoint
	}{
		{"", "1.2.3.4:80\r\n1.2.3.4:81:u:p\r\n", two},
		{"", "\ufeff1.2.3.4:80\n\n 1.2.3.4:81:u:p ", two},
		{"", `1.2.3.4:80\r\n1.2.3.4:81:u:p\n`, two},
		{"", "1.2.3.4:80<br>1.2.3.4:81:u:p<br/>", two},
		{`\r\n`, "1.2.3.4:80\r1.2.3.4:81:u:p", two},
		{"|", "1.2.3.4:80|1.2.3.4:81:u:p", two},
		{"<br />", "1.2.3.4:80<br />1.2.3.4:81:u:p", two},
		{";", "", []proxylite.Endpoint{}},
		{"", " \r\n", []proxylite.Endpoint{}},
	} {
		c, _ := mocked(t, 200, tt.body)
		got, err := c.IP.Extract(t.Context(), proxylite.ExtractParams{Num: 2, Format: proxylite.FormatText, Separator: tt.separator})
		require.NoError(t, err, tt.body)
		require.Equal(t, tt.want, got, tt.body)
	}
}

// Endpoints and static IPs survive JSON, so that they can be stored.
func TestEndpointRoundTrips(t *testing.T) {
	t.Parallel()
	for _, want := range []proxylite.Endpoint{
		{Host: "1.2.3.4", Port: 80}, {Host: "2001:db8::1", Port: 81, Username: "u", Password: "p", Raw: `{"ip":"x"}`},
	} {
		b, err := json.Marshal(want)
		require.NoError(t, err)
		var got proxylite.Endpoint
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, want, got)
	}
	require.Error(t, new(proxylite.Endpoint).UnmarshalJSON([]byte(`"\x"`)))
}

func TestStaticIPEndpoint(t *testing.T) {
	t.Parallel()
	ip := proxylite.StaticIP{IP: "1.2.3.4", Port: 80, Username: "u", Password: "p"}
	e, ok := ip.Endpoint()
	require.True(t, ok)
	require.Equal(t, proxylite.Endpoint{Host: "1.2.3.4", Port: 80, Username: "u", Password: "p"}, e)
	for _, ip := range []proxylite.StaticIP{{IP: "1.2.3.4"}, {Port: 80}, {IP: "a b", Port: 80}, {IP: "1.2.3.4", Port: 65536}} {
		_, ok := ip.Endpoint()
		require.False(t, ok, ip)
	}
}

// Passwords, e-mail and phone stay out of texts and logs, in every form.
func TestPersonalDataStaysOutOfTexts(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for want, v := range map[string]any{
		"account pl-bob (id 7, enabled, used 1 GB)": proxylite.Account{
			ID: 7, Username: "pl-bob", Password: secret, Status: proxylite.AccountEnabled, Used: proxylite.GB,
		},
		"bob":                                   proxylite.NewAccount{Username: "bob", Password: secret},
		"1.2.3.4:80":                            proxylite.Endpoint{Host: "1.2.3.4", Port: 80, Username: secret, Password: secret},
		"static IP 31 (1.2.3.4 DE, valid)":      proxylite.StaticIP{ID: "31", IP: "1.2.3.4", CountryCode: "DE", Status: proxylite.StaticIPValid, Username: secret, Password: secret, Raw: json.RawMessage(secret)},
		"[account bob (id 0, absent, used 0 KB": []proxylite.Account{{Username: "bob", Password: secret, Status: -1}},
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
	require.Contains(t, logged(proxylite.Account{ID: 7, Username: "bob", Used: 5, Status: 1}), "v.id=7 v.username=bob v.status=enabled v.used_kb=5")
	require.Contains(t, logged(proxylite.User{ID: 9, Email: secret, Phone: secret}), `v="user 9"`)
	require.NotContains(t, logged(proxylite.User{ID: 9, Email: secret, Phone: secret}), secret)
}

func logged(v any) string {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	return out.String()
}

// pages is an API with total orders on pages of size, or what tamper makes of it.
func pages(total, size int, tamper func(page int, body string) string) *script {
	s := playing()
	for page := 1; page <= 40; page++ {
		var items []string
		for id := (page-1)*size + 1; id <= min(page*size, total); id++ {
			items = append(items, `{"id":`+strconv.Itoa(id)+`}`)
		}
		body := fmt.Sprintf(`{"code":0,"data":{"list":[%s],"pagination":{"total":%d,"page_no":%d,"page_size":%d,"total_pages":%d}}}`,
			strings.Join(items, ","), total, page, size, (total+size-1)/size)
		if tamper != nil {
			body = tamper(page, body)
		}
		s.steps = append(s.steps, reply(200, body))
	}
	return s
}

func walked(t *testing.T, s *script, page int) (ids []int64, err error) {
	t.Helper()
	for order, e := range s.client(t, tryOnce).Orders.All(t.Context(), proxylite.ListOrdersParams{PageParams: proxylite.PageParams{Page: page, Size: 2}}) {
		if e != nil {
			require.Zero(t, order)
			require.NoError(t, err, "one error at most")
			err = e
			continue
		}
		require.NoError(t, err, "nothing follows an error")
		ids = append(ids, order.ID)
	}
	return ids, err
}

// A walk ends on any answer, and gives each entry once.
func TestAllWalksThePages(t *testing.T) {
	t.Parallel()
	replace := func(pairs ...string) func(int, string) string {
		return func(_ int, body string) string { return strings.NewReplacer(pairs...).Replace(body) }
	}
	onPage := func(n int, change func(string) string) func(int, string) string {
		return func(page int, body string) string {
			if page == n {
				return change(body)
			}
			return body
		}
	}
	const empty = `{"code":0,"data":{"list":[],"pagination":{"total":5,"page_size":2}}}`
	for name, tt := range map[string]struct {
		total    int
		tamper   func(int, string) string
		want     []int64
		requests int
	}{
		"whole":                 {5, nil, []int64{1, 2, 3, 4, 5}, 3},
		"even":                  {4, nil, []int64{1, 2, 3, 4}, 2},
		"nothing":               {0, nil, nil, 1},
		"totals of 0":           {5, replace(`"total":5`, `"total":0`, `"total_pages":3`, `"total_pages":0`), []int64{1, 2, 3, 4, 5}, 4},
		"no counts":             {3, replace(`"pagination"`, `"x"`), []int64{1, 2, 3}, 3},
		"totals too low":        {5, replace(`"total":5`, `"total":1`, `"total_pages":3`, `"total_pages":1`), []int64{1, 2, 3, 4, 5}, 4},
		"totals too high":       {3, replace(`"total":3`, `"total":99`, `"total_pages":2`, `"total_pages":50`), []int64{1, 2, 3}, 6},
		"the same page forever": {5, func(int, string) string { return `{"code":0,"data":{"list":[{"id":1},{"id":2}]}}` }, []int64{1, 2}, 2},
		"an empty page within":  {5, onPage(2, func(string) string { return empty }), []int64{1, 2, 5}, 4},
		"an order added meanwhile": {5, onPage(2, func(string) string {
			return `{"code":0,"data":{"list":[{"id":2},{"id":3},{"id":4}]}}`
		}), []int64{1, 2, 3, 4, 5}, 3},
	} {
		s := pages(tt.total, 2, tt.tamper)
		ids, err := walked(t, s, 0)
		require.NoError(t, err, name)
		require.Equal(t, tt.want, ids, name)
		require.Len(t, s.times, tt.requests, name)
	}
	s := pages(9, 2, nil)
	s.steps = s.steps[3:] // the script starts at page 4
	ids, err := walked(t, s, 4)
	require.NoError(t, err)
	require.Equal(t, []int64{7, 8, 9}, ids)
}

// Invariant 8. Iterators are lazy, can be ranged twice, stop when told, and yield
// one error.
func TestAllIsLazy(t *testing.T) {
	t.Parallel()
	s := pages(5, 2, nil)
	var asked []string
	c := s.client(t, proxylite.WithMiddleware(recordQueries(&asked)))
	orders := c.Orders.All(t.Context(), proxylite.ListOrdersParams{Status: new(proxylite.OrderPaid), PageParams: proxylite.PageParams{Size: 2}})
	require.Empty(t, asked, "nothing is asked before it is ranged over")
	for range orders {
		break
	}
	require.Equal(t, []string{"page_no=1&page_size=2&status=1"}, asked)

	s.times = nil
	asked = nil
	n := 0
	for _, err := range orders {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 5, n)
	require.Equal(t, []string{"page_no=1&page_size=2&status=1", "page_no=2&page_size=2&status=1", "page_no=3&page_size=2&status=1"}, asked)

	s = pages(5, 2, func(page int, body string) string {
		if page == 2 {
			return `{"code":9}`
		}
		return body
	})
	ids, err := walked(t, s, 0)
	require.Equal(t, []int64{1, 2}, ids)
	require.Equal(t, 9, asError(t, err).Code)
	require.Len(t, s.times, 2)
}

// The other two lists walk the same way, with their own parameters.
func TestAllOfProductsAndStaticIPs(t *testing.T) {
	t.Parallel()
	var asked []string
	s := playing(
		reply(200, `{"code":0,"data":{"list":[{"id":1,"trade_no":"a"},{"id":1,"trade_no":"b"}],"page":1,"page_size":2,"total_count":3,"total_page":2}}`),
		reply(200, `{"code":0,"data":{"list":[{"id":2}],"page":2,"page_size":2,"total_count":3,"total_page":2}}`),
	)
	c := s.client(t, proxylite.WithMiddleware(recordQueries(&asked)))
	var got []string
	for p, err := range c.Products.All(t.Context(), proxylite.ListProductsParams{ProductType: 9}) {
		require.NoError(t, err)
		got = append(got, fmt.Sprint(p.ID, p.TradeNo))
	}
	s.times = nil
	for ip, err := range c.IP.AllStatic(t.Context(), proxylite.ListStaticParams{CountryCode: "DE"}) {
		require.NoError(t, err)
		got = append(got, ip.ID)
	}
	require.Equal(t, []string{"1a", "1b", "2", "1", "1", "2"}, got)
	require.Equal(t, []string{"page=1&product_type=9", "page=2&product_type=9", "country_code=DE&page=1", "country_code=DE&page=2"}, asked)

	_, err := first(playing(reply(200, `{"code":3}`)).client(t).IP.AllStatic(t.Context(), proxylite.ListStaticParams{}))
	require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
	_, err = first(playing(reply(200, `{"code":3}`)).client(t).Products.All(t.Context(), proxylite.ListProductsParams{}))
	require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
}

func first[T any](seq iter.Seq2[T, error]) (v T, err error) {
	for v, err = range seq {
		break
	}
	return v, err
}

// A list that never ends is no list: the walk stops with an error.
func TestAnEndlessListEnds(t *testing.T) {
	t.Parallel()
	n := 0
	c := playing(func(r *http.Request) (*http.Response, error) {
		n++
		return reply(200, `{"code":0,"data":{"list":[{"id":`+strconv.Itoa(n)+`}]}}`)(r)
	}).client(t)
	count := 0
	var last error
	for _, err := range c.Orders.All(t.Context(), proxylite.ListOrdersParams{}) {
		count++
		last = err
	}
	require.ErrorContains(t, last, "stopped after 10000 pages")
	require.Equal(t, proxylite.KindMalformed, asError(t, last).Kind)
	require.Equal(t, []int{10_000, 10_001}, []int{n, count})
}
