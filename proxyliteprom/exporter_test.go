package proxyliteprom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteprom"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// api is a transport that responds with the data for the last word of the path, and
// with an empty list if it has none. It has no network, so that time can be virtual.
type api struct {
	data  map[string]string
	calls atomic.Int32
	down  atomic.Bool
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls.Add(1)
	status, list := 200, a.data[r.URL.Path[len("/end-point/"):]]
	if a.down.Load() {
		status = 500
	}
	body := io.NopCloser(strings.NewReader(`{"code":0,"data":{"list":[` + list + `],"total_count":` + fmt.Sprint(strings.Count(list, "{")) + `}}`))
	return &http.Response{StatusCode: status, Body: body}, nil
}

func (a *api) exporter(t *testing.T, config proxyliteprom.ExporterConfig) *proxyliteprom.Exporter {
	t.Helper()
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithTransport(a))
	require.NoError(t, err)
	return proxyliteprom.NewExporter(client, config)
}

func TestExporterOfAWholeAccount(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(t)
	e := proxyliteprom.NewExporter(server.Client(), proxyliteprom.ExporterConfig{Accounts: 2})
	reg := registry(t, e)
	require.Zero(t, testutil.CollectAndCount(e), "nothing is known before the first poll")
	require.NoError(t, e.Poll(t.Context()))
	calls := len(server.Calls())
	require.True(t, slices.ContainsFunc(server.Calls(), func(c proxylitetest.Call) bool {
		return c.Operation == "Orders.List" && c.Query.Get("status") == "0"
	}), "it reads no orders that are paid")
	state := server.State()
	used := 0.0
	for _, a := range state.Accounts {
		used += float64(a.Used.KB()) * 1024
	}
	expect(t, reg, fmt.Sprintf(`
# HELP proxylite_accounts Proxy accounts, by status.
# TYPE proxylite_accounts gauge
proxylite_accounts{status="disabled"} 1
proxylite_accounts{status="enabled"} 4
# HELP proxylite_accounts_traffic_used_bytes Traffic used by all accounts.
# TYPE proxylite_accounts_traffic_used_bytes gauge
proxylite_accounts_traffic_used_bytes %v
# HELP proxylite_orders_awaiting_payment Orders that await payment.
# TYPE proxylite_orders_awaiting_payment gauge
proxylite_orders_awaiting_payment 2
# HELP proxylite_recharge_bonus_ratio Bonus for recharging this amount, as the API sends it.
# TYPE proxylite_recharge_bonus_ratio gauge
proxylite_recharge_bonus_ratio{amount="100"} 1.02
proxylite_recharge_bonus_ratio{amount="1000"} 1.2
proxylite_recharge_bonus_ratio{amount="500"} 1.05
# HELP proxylite_up Whether the last poll of this part of the API succeeded.
# TYPE proxylite_up gauge
proxylite_up{part="accounts"} 1
proxylite_up{part="bonus"} 1
proxylite_up{part="orders"} 1
proxylite_up{part="plans"} 1
proxylite_up{part="static_ips"} 1
proxylite_up{part="stock"} 1
proxylite_up{part="usage"} 1
`, used), "proxylite_accounts", "proxylite_accounts_traffic_used_bytes", "proxylite_orders_awaiting_payment", "proxylite_recharge_bonus_ratio", "proxylite_up")
	for range 100 {
		_, err := reg.Gather()
		require.NoError(t, err)
	}
	require.Len(t, server.Calls(), calls, "to collect costs no call")
}

// A limit counts where it can still be used up. Accounts beyond the number are one series,
// and so is one whose name was there before.
func TestExporterAccounts(t *testing.T) {
	t.Parallel()
	gb := func(n float64) string { return fmt.Sprint(int64(n * float64(proxylite.GB/proxylite.KB))) }
	list := []string{
		`{"username":"pl-full","status":1,"limit_flow":10,"usage_flow":` + gb(10) + `}`,
		`{"username":"pl-most","status":1,"limit_flow":10,"usage_flow":` + gb(9.5) + `}`,
		`{"username":"pl-most","status":1,"limit_flow":100,"usage_flow":` + gb(8) + `}`,
		`{"username":"pl-eight","status":1,"limit_flow":10,"usage_flow":` + gb(8) + `}`,
		`{"username":"others","status":1,"limit_flow":0,"usage_flow":` + gb(9) + `}`,
		`{"username":"pl-off","status":0,"limit_flow":1,"usage_flow":` + gb(2) + `}`,
		`{"username":"pl-odd","status":7,"usage_flow":` + gb(1) + `}`,
	}
	for i := range 8 {
		list = append(list, fmt.Sprintf(`{"username":"pl-small%d","status":0,"usage_flow":%s}`, i, gb(float64(i)/8)))
	}
	for i := range list { // beginning with any of them
		list := slices.Concat(list[i:], list[:i])
		a := &api{data: map[string]string{"whitelist-account/list": strings.Join(list, ",")}}
		e := a.exporter(t, proxyliteprom.ExporterConfig{Accounts: 5})
		require.NoError(t, e.Poll(t.Context()))
		expect(t, registry(t, e), fmt.Sprintf(`
# HELP proxylite_account_traffic_limit_bytes Traffic limit of an account; absent if it has none.
# TYPE proxylite_account_traffic_limit_bytes gauge
proxylite_account_traffic_limit_bytes{account="pl-eight"} 1.073741824e+10
proxylite_account_traffic_limit_bytes{account="pl-full"} 1.073741824e+10
proxylite_account_traffic_limit_bytes{account="pl-most"} 1.073741824e+10
# HELP proxylite_account_traffic_used_bytes Traffic used by an account; absent unless accounts have series of their own.
# TYPE proxylite_account_traffic_used_bytes gauge
proxylite_account_traffic_used_bytes{account="others"} %.0f
proxylite_account_traffic_used_bytes{account="pl-eight"} 8.589934592e+09
proxylite_account_traffic_used_bytes{account="pl-full"} 1.073741824e+10
proxylite_account_traffic_used_bytes{account="pl-most"} 1.0200547328e+10
# HELP proxylite_accounts Proxy accounts, by status.
# TYPE proxylite_accounts gauge
proxylite_accounts{status="account status 7"} 1
proxylite_accounts{status="disabled"} 9
proxylite_accounts{status="enabled"} 5
# HELP proxylite_accounts_limit_reached Enabled accounts that have used this share of their limit, or more.
# TYPE proxylite_accounts_limit_reached gauge
proxylite_accounts_limit_reached{ratio="0.8"} 3
proxylite_accounts_limit_reached{ratio="0.9"} 2
proxylite_accounts_limit_reached{ratio="1"} 1
`, (9+8+2+1+3.5)*float64(1<<30)), "proxylite_accounts", "proxylite_accounts_limit_reached", "proxylite_account_traffic_used_bytes", "proxylite_account_traffic_limit_bytes")
	}
}

// What is over, or has no time, is not the next to end.
func TestExporterExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC 2000-01-01, 08:00 there
		a := &api{data: map[string]string{
			"user-product/list": `{"id":1,"product_type":9,"expired_at":"1999-12-31 00:00:00"},{"id":2,"product_type":9,"expired_at":"2000-01-03 08:00:00"},` +
				`{"id":3,"product_type":9,"expired_at":"2000-01-02 08:00:00"},{"id":4,"product_type":9,"expired_at":"N/A"},{"id":5,"product_type":14,"expired_at":"2000-02-01 08:00:00"}`,
			"ip/get-static-ip":      `{"id":"1","product_type":25,"status":2,"expired_at":"2000-01-01 09:00:00"},{"id":"3","product_type":25,"status":1,"expired_at":"2000-01-01 07:00:00"},{"id":"2","product_type":25,"status":3,"expired_at":"2000-01-01 10:00:00"}`,
			"user-usage-flow/total": `{"day":"1999-12-31","flow":5},{"day":"2000-01-02","flow":7},{"day":"2000-01-01","flow":3}`,
			"static-ip-region":      `{"code":"US","number":2},{"code":"US","number":1}`,
		}}
		e := a.exporter(t, proxyliteprom.ExporterConfig{})
		require.NoError(t, e.Poll(t.Context()))
		now := time.Now().Unix()
		expect(t, registry(t, e), fmt.Sprintf(`
# HELP proxylite_next_expiry_timestamp_seconds When the next of the purchased plans or static IPs ends.
# TYPE proxylite_next_expiry_timestamp_seconds gauge
proxylite_next_expiry_timestamp_seconds{of="plan",product_type="dynamic residential traffic"} %d
proxylite_next_expiry_timestamp_seconds{of="plan",product_type="static data-center IP"} %d
proxylite_next_expiry_timestamp_seconds{of="static_ip",product_type="static residential IP"} %d
# HELP proxylite_plans Purchased plans that have not expired.
# TYPE proxylite_plans gauge
proxylite_plans{product_type="dynamic residential traffic"} 2
proxylite_plans{product_type="static data-center IP"} 1
# HELP proxylite_static_ip_stock Static IPs for sale.
# TYPE proxylite_static_ip_stock gauge
proxylite_static_ip_stock{country="US",isp="data-center"} 3
proxylite_static_ip_stock{country="US",isp="residential"} 3
# HELP proxylite_traffic_today_bytes Traffic used today by all accounts, in the time zone of the API.
# TYPE proxylite_traffic_today_bytes gauge
proxylite_traffic_today_bytes 3072
`, now+86400, now+31*86400, now+7200), "proxylite_plans", "proxylite_next_expiry_timestamp_seconds",
			"proxylite_static_ip_stock", "proxylite_traffic_today_bytes")
	})
}

// While the API is down, series stay for a while and then end; they come back with it.
func TestExporterOfAnAPIThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		var failed atomic.Int32
		e := a.exporter(t, proxyliteprom.ExporterConfig{Interval: time.Minute, Failed: func(err error) {
			failed.Add(1)
			assert.ErrorContains(t, err, "accounts: ")
		}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { e.Run(ctx); close(done) }()
		up := func() float64 { return testutil.ToFloat64(part{e, "proxylite_up", "accounts"}) }
		series := func() int { return testutil.CollectAndCount(e, "proxylite_accounts_traffic_used_bytes") }
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }

		pass(time.Second)
		require.Equal(t, 1, series())
		require.InDelta(t, 1, up(), 0)
		success := testutil.ToFloat64(part{e, "proxylite_last_success_timestamp_seconds", "accounts"})

		a.down.Store(true)
		pass(2 * time.Minute)
		require.InDelta(t, 0, up(), 0)
		require.Equal(t, 1, series(), "the last that is known")
		require.EqualValues(t, 2, failed.Load(), "polls")
		pass(2 * time.Minute)
		require.Zero(t, series(), "stale")
		require.InDelta(t, success, testutil.ToFloat64(part{e, "proxylite_last_success_timestamp_seconds", "accounts"}), 0)

		a.down.Store(false)
		pass(time.Minute)
		require.InDelta(t, 1, up(), 0)
		require.Equal(t, 1, series())

		calls := a.calls.Load()
		stop()
		<-done
		require.Equal(t, calls, a.calls.Load())
		require.EqualValues(t, 4, failed.Load(), "the end of the context is no failure")
		require.InDelta(t, 1, up(), 0, "the end of the context is no failure of the API")
		require.ErrorIs(t, e.Poll(ctx), context.Canceled)
		require.InDelta(t, 1, up(), 0)
		e.Run(ctx)
		require.EqualValues(t, 4, failed.Load(), "nor is it one that is told")
	})
}

// One part that fails leaves the others.
func TestExporterOfAPartThatFails(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(t)
	server.FailNext("Orders.List", proxylitetest.Fault{Code: 156})
	e := proxyliteprom.NewExporter(server.Client(), proxyliteprom.ExporterConfig{})
	err := e.Poll(t.Context())
	require.ErrorIs(t, err, proxylite.ErrNotVerified)
	require.ErrorContains(t, err, "orders: ")
	require.Zero(t, testutil.CollectAndCount(e, "proxylite_orders_awaiting_payment"))
	require.InDelta(t, 0, testutil.ToFloat64(part{e, "proxylite_up", "orders"}), 0)
	require.InDelta(t, 1, testutil.ToFloat64(part{e, "proxylite_up", "accounts"}), 0)
	require.Zero(t, testutil.CollectAndCount(e, "proxylite_account_traffic_used_bytes"), "accounts have no series of their own unless asked for")
}

// part is one metric of one part of an exporter.
type part struct {
	prometheus.Collector
	name, part string
}

func (p part) Collect(metrics chan<- prometheus.Metric) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(p.Collector)
	families, _ := reg.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == p.name && m.GetLabel()[0].GetValue() == p.part {
				metrics <- prometheus.MustNewConstMetric(prometheus.NewDesc(p.name, "", nil, nil), prometheus.GaugeValue, m.GetGauge().GetValue())
			}
		}
	}
}
