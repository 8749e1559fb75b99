package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/apitest"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// everything are the names of the operations in the order of the tour; reads are
// those that change and cost nothing.
var everything, reads = func() (all, reads []string) {
	for _, op := range operations(nil, &input{}) {
		all = append(all, op.name)
		if !op.writes {
			reads = append(reads, op.name)
		}
	}
	return all, reads
}()

// printed is a line of the output, with what it has and has not.
type printed struct {
	Operation string
	OK        bool
	Value     json.RawMessage
	Error     string
	Code      *int
	Status    *int
	Outcome   string
}

// tour runs the program; url is the API, empty for the one in the process.
func tour(t *testing.T, url, key string, args ...string) (lines []printed, status int, stderr string) {
	t.Helper()
	t.Setenv("PROXYLITE_BASE_URL", url)
	t.Setenv("PROXYLITE_APP_KEY", key)
	t.Setenv("PROXYLITE_TOKEN", "")
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	for text := range strings.Lines(out.String()) {
		var l printed
		require.NoError(t, json.Unmarshal([]byte(text), &l), "a line is JSON: %s", text)
		lines = append(lines, l)
	}
	return lines, status, errs.String()
}

func operationsOf(lines []printed) (names []string) {
	for _, l := range lines {
		names = append(names, l.Operation)
	}
	return names
}

// The tour has every operation of the SDK, so that a new one is not forgotten.
func TestTheTourHasEveryOperation(t *testing.T) {
	var names []string
	for _, op := range apitest.Operations {
		names = append(names, op.Name)
	}
	require.ElementsMatch(t, names, everything)
}

func TestAllOperationsSucceedInTheProcess(t *testing.T) {
	lines, status, stderr := tour(t, "", "", "-write")
	require.Equal(t, everything, operationsOf(lines))
	for _, l := range lines {
		require.True(t, l.OK, "%+v", l)
		require.NotNil(t, l.Value, l.Operation)
		require.Nil(t, l.Code)
		require.Empty(t, l.Outcome)
	}
	require.Zero(t, status)
	require.Contains(t, stderr, "in this process")
}

// The tour cleans up behind itself: its account is gone, its order is closed.
func TestTheTourLeavesNoAccountAndNoOpenOrder(t *testing.T) {
	api := proxylitetest.NewServer(t)
	before := api.State()
	_, status, _ := tour(t, api.URL, api.Key, "-write", "-pid", "901", "-pm-id", "1")
	require.Zero(t, status)
	after := api.State()
	require.Equal(t, before.Accounts, after.Accounts)
	require.Len(t, after.Orders, len(before.Orders)+1)
	require.NotZero(t, after.Orders[len(before.Orders)].Status)
}

func TestWithoutWriteOnlyReadsRun(t *testing.T) {
	api := proxylitetest.NewServer(t)
	before := api.State()
	lines, status, _ := tour(t, api.URL, api.Key)
	require.Equal(t, reads, operationsOf(lines))
	require.Zero(t, status)
	require.Equal(t, before, api.State())
	require.Len(t, api.Calls(), len(reads))
}

func TestOnlyPicksOperations(t *testing.T) {
	lines, status, _ := tour(t, "", "", "-only", "User.Info,Orders.List")
	require.Equal(t, []string{"Orders.List", "User.Info"}, operationsOf(lines), "in the order of the tour")
	require.Zero(t, status)

	lines, status, stderr := tour(t, "", "", "-only", "Orders.List,IP.Extract")
	require.Empty(t, lines)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "IP.Extract changes or costs something: add -write")
}

func TestBadFlagsGiveStatus2(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "Orders.Lists"},
		{"-nonsense"},
		{"-num", "x"},
		{"-isp", "residential"},
		{"-start", "yesterday"},
		{"-end", "2026"},
		{"-zone", "Beijing"},
		{"-life", "long"},
		{"-invitation-discount=perhaps"},
		{"Orders.List"},
	} {
		lines, status, stderr := tour(t, "", "", args...)
		require.Equal(t, 2, status, args)
		require.Empty(t, lines)
		require.NotEmpty(t, stderr)
	}
	_, _, stderr := tour(t, "", "", "-only", "Orders.Lists")
	for _, name := range everything {
		require.Contains(t, stderr, name)
	}
}

func TestHelpNamesOperationsAndFlags(t *testing.T) {
	_, status, stderr := tour(t, "", "", "-help")
	require.Zero(t, status)
	for _, name := range append(everything, "passwords", "-trade-no", "-pm-id", "-write") {
		require.Contains(t, stderr, name)
	}
}

func TestBaseURLWithoutKeyIsAnError(t *testing.T) {
	lines, status, stderr := tour(t, "https://api.example.com", "")
	require.Empty(t, lines)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "PROXYLITE_APP_KEY")
}

// A refusal has its code; a web page has only a status.
func TestFailuresAreDescribed(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end-point/order/list" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<html>blocked</html>")
			return
		}
		_, _ = io.WriteString(w, `{"code":3,"msg":"app_key 无效","data":null}`)
	}))
	defer api.Close()
	lines, status, _ := tour(t, api.URL, "00000000000000000000000000000000", "-write", "-pid", "1", "-pm-id", "0", "-trade-no", "1")
	require.Equal(t, 1, status)
	require.Equal(t, everything, operationsOf(lines), "a failure ends nothing")
	for _, l := range lines {
		require.False(t, l.OK)
		require.Nil(t, l.Value)
		require.Contains(t, l.Error, l.Operation)
		if l.Operation == "Orders.List" {
			require.Nil(t, l.Code)
			require.Equal(t, 403, *l.Status)
			continue
		}
		require.Equal(t, 3, *l.Code)
		require.Equal(t, 200, *l.Status)
		require.Equal(t, "rejected", l.Outcome)
	}

	lines, status, _ = tour(t, api.URL, "00000000000000000000000000000000", "-write", "-only", "Orders.Close")
	require.Equal(t, 1, status)
	require.Contains(t, lines[0].Error, "tradeNo: is required")
	require.Equal(t, "not_sent", lines[0].Outcome)
	require.Nil(t, lines[0].Status)
}

// Every operation can be driven by flags alone, with every parameter it has.
func TestFlagsReachTheWire(t *testing.T) {
	driven := map[string]bool{}
	for _, test := range []struct{ operation, flags, query, body string }{
		{"Accounts.List", "", "", ""},
		{"Accounts.Add", "-account ann,ben -password pw12345 -remark shop -product-type 11", "", `{"accounts":"ann:pw12345,ben:pw12345","product_type":11,"remark":"shop"}`},
		{"Accounts.Add", "-account ann -password pw12345 -remark=", "", `{"accounts":"ann:pw12345","remark":""}`},
		{"Accounts.ChangePassword", "-account pl-ann -password pw12345", "", `{"account":"pl-ann","password":"pw12345"}`},
		{"Accounts.ChangeRemark", "-account ann -remark=", "", `{"account":"ann","remark":""}`},
		{"Accounts.ChangeLimit", "-account ann -limit 0", "", `{"account":"ann","limit":0}`},
		{"Accounts.Disable", "-account ann,ben", "", `{"accounts":"ann,ben"}`},
		{"Accounts.Enable", "-account ann,ben", "", `{"accounts":"ann,ben"}`},
		{"Accounts.Delete", "-account ann,ben", "", `{"accounts":"ann,ben"}`},
		{
			"Usage.Daily", "-start 2026-01-02 -end 2026-01-03T04:05:06Z -account ann -product-type 9",
			"end_time=2026-01-03+12%3A05%3A06&product_type=9&start_time=2026-01-02+00%3A00%3A00&username=ann", "",
		},
		{"Usage.Daily", "-zone +00:00 -end 2026-01-03T04:05:06Z", "end_time=2026-01-03+04%3A05%3A06", ""},
		{"Products.List", "-page 2 -size 5 -trade-no 77 -product-type 9", "page=2&product_type=9&size=5&trade_no=77", ""},
		{"IP.Cities", "", "", ""},
		{"IP.States", "", "", ""},
		{"IP.SearchStates", "-country DE", "country_code=DE", ""},
		{"IP.SearchCities", "-country DE -state BY", "country_code=DE&state=BY", ""},
		{
			"IP.Extract", "-country US -state CA -city Miami -num 3 -life 30 -entry hk",
			"cc=US&city=Miami&ep=hk&format=json&life=30&num=3&state=CA", "",
		},
		{"IP.Extract", "-text -separator | -life 1h", "format=text&lb=%7C&life=60&num=1", ""},
		{
			"IP.ListStatic", "-country US -product-type 14 -trade-no 77 -static-status 3 -page 2 -size 5",
			"country_code=US&page=2&product_type=14&size=5&status=3&trade_no=77", "",
		},
		{"IP.StaticStock", "-isp 0", "isp=0", ""},
		{"Payment.Groups", "-trade-no 77", "trade_no=77", ""},
		{
			"Orders.List", "-page 2 -size 5 -trade-no 77 -order-status 0 -product-type 9",
			"page_no=2&page_size=5&product_type=9&status=0&trade_no=77", "",
		},
		{
			"Orders.Create", "-pid 901 -pm-id 0 -amount 2 -region-list US:1 -static-ips 1,2 -renew-duration 1 -coupon X -invitation-discount -bandwidth-sku 3 -concurrency-sku 4 -recharge-amount 5", "",
			`{"amount":2,"coupon_sn":"X","pid":901,"pm_id":0,"product_sku_bandwidth_id":3,"product_sku_concurrency_id":4,"recharge_amount":5,"region_list":"US:1","renew_duration":1,"upids":"1,2","use_invitation_registration_discount":true}`,
		},
		{"Orders.Create", "-pid 901 -pm-id 1 -invitation-discount=false", "", `{"pid":901,"pm_id":1,"use_invitation_registration_discount":false}`},
		{"Orders.Close", "-trade-no 77", "", `{"trade_no":"77"}`},
		{"User.Info", "", "", ""},
		{"Marketing.RechargeGiftRatios", "", "", ""},
	} {
		api := proxylitetest.NewServer(t)
		args := append([]string{"-write", "-only", test.operation}, strings.Fields(test.flags)...)
		lines, _, stderr := tour(t, api.URL, api.Key, args...)
		require.Len(t, lines, 1, stderr)
		calls := api.Calls()
		require.Len(t, calls, 1, "%+v", lines[0])
		require.Equal(t, test.operation, calls[0].Operation)
		require.Equal(t, test.query, calls[0].Query.Encode(), test.operation)
		driven[test.operation] = true
		if test.body == "" {
			require.Empty(t, calls[0].Body)
		} else {
			require.JSONEq(t, test.body, calls[0].Body, test.operation)
		}
	}
	require.Len(t, driven, len(everything))
}

func TestATokenIsACredentialToo(t *testing.T) {
	jwt := "header.payload.signature"
	api := proxylitetest.NewServer(t, proxylitetest.WithToken(jwt))
	t.Setenv("PROXYLITE_BASE_URL", api.URL)
	t.Setenv("PROXYLITE_APP_KEY", "")
	t.Setenv("PROXYLITE_TOKEN", jwt)
	var out bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-only", "Orders.List"}, &out, io.Discard), out.String())
	require.Equal(t, "bearer", api.Calls()[0].Auth)
}
