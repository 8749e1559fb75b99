package proxyliteprom

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/proxylite/proxylite-go"
)

// exported are the metrics of an exporter.
var exported = []*prometheus.Desc{
	descUp, descLastSuccess, descPollDuration,
	descAccounts, descAccountsUsed, descAccountsReached, descAccountUsed, descAccountLimit, descTrafficToday,
	descPlans, descStaticIPs, descExpiry, descStock, descOrders, descBonus,
}

var (
	descUp           = describe("proxylite_up", "Whether the last poll of this part of the API succeeded.", "part")
	descLastSuccess  = describe("proxylite_last_success_timestamp_seconds", "When a poll of this part last succeeded.", "part")
	descPollDuration = describe("proxylite_poll_duration_seconds", "Duration of the last poll of this part.", "part")

	descAccounts        = describe("proxylite_accounts", "Proxy accounts, by status.", "status")
	descAccountsUsed    = describe("proxylite_accounts_traffic_used_bytes", "Traffic used by all accounts.")
	descAccountsReached = describe("proxylite_accounts_limit_reached", "Enabled accounts that have used this share of their limit, or more.", "ratio")
	descAccountUsed     = describe("proxylite_account_traffic_used_bytes", "Traffic used by an account; absent unless accounts have series of their own.", "account")
	descAccountLimit    = describe("proxylite_account_traffic_limit_bytes", "Traffic limit of an account; absent if it has none.", "account")
	descTrafficToday    = describe("proxylite_traffic_today_bytes", "Traffic used today by all accounts, in the time zone of the API.")

	descPlans     = describe("proxylite_plans", "Purchased plans that have not expired.", "product_type")
	descStaticIPs = describe("proxylite_static_ips", "Purchased static IPs, by status.", "status")
	descExpiry    = describe("proxylite_next_expiry_timestamp_seconds", "When the next of the purchased plans or static IPs ends.", "of", "product_type")
	descStock     = describe("proxylite_static_ip_stock", "Static IPs for sale.", "country", "isp")
	descOrders    = describe("proxylite_orders_awaiting_payment", "Orders that await payment.")
	descBonus     = describe("proxylite_recharge_bonus_ratio", "Bonus for recharging this amount, as the API sends it.", "amount")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// gauge returns a metric. A label must be UTF-8, also when the API sends something else.
func gauge(desc *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	for i, label := range labels {
		labels[i] = strings.ToValidUTF8(label, "?")
	}
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
}

// gauges returns a metric for each value of its label.
func gauges(desc *prometheus.Desc, values map[string]float64) []prometheus.Metric {
	var metrics []prometheus.Metric
	for label, v := range values {
		metrics = append(metrics, gauge(desc, v, label))
	}
	return metrics
}

func bytes(t proxylite.Traffic) float64 { return float64(t.KB()) * 1024 }

var limitRatios = [...]struct {
	label string
	ratio float64
}{{"0.8", 0.8}, {"0.9", 0.9}, {"1", 1}}

func (e *Exporter) pollAccounts(ctx context.Context) ([]prometheus.Metric, error) {
	list, err := e.client.Accounts.List(ctx)
	if err != nil {
		return nil, err
	}
	count := map[proxylite.AccountStatus]float64{proxylite.AccountEnabled: 0, proxylite.AccountDisabled: 0}
	var reached [len(limitRatios)]float64
	used := 0.0
	for i := range list {
		a := &list[i]
		used += bytes(a.Used)
		count[a.Status]++
		limit, ok := a.Limit()
		if !ok || limit == 0 || a.Status != proxylite.AccountEnabled {
			continue
		}
		for i, r := range limitRatios {
			if float64(a.Used) >= r.ratio*float64(limit) {
				reached[i]++
			}
		}
	}
	metrics := []prometheus.Metric{gauge(descAccountsUsed, used)}
	for status, n := range count {
		metrics = append(metrics, gauge(descAccounts, n, status.String()))
	}
	for i, r := range limitRatios {
		metrics = append(metrics, gauge(descAccountsReached, reached[i], r.label))
	}
	if e.config.Accounts > 0 {
		metrics = append(metrics, perAccount(list, e.config.Accounts)...)
	}
	return metrics, nil
}

const others = "others"

// perAccount returns the series of at most n accounts, those with the most traffic, and
// one of all others. An account whose name another one has already is one of the others.
func perAccount(list []proxylite.Account, n int) []prometheus.Metric {
	var top []*proxylite.Account
	rest, left := 0.0, 0
	cut := func() { // to the first n
		slices.SortFunc(top, func(a, b *proxylite.Account) int {
			return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Username, b.Username))
		})
		for _, a := range top[min(n, len(top)):] {
			rest += bytes(a.Used)
			left++
		}
		top = top[:min(n, len(top))]
	}
	least := proxylite.Traffic(math.MinInt64) // of the first n so far
	for i := range list {
		a := &list[i]
		if a.Used < least { // most accounts: to sort them all would cost a third of the call
			rest += bytes(a.Used)
			left++
			continue
		}
		if top = append(top, a); len(top) == 2*n {
			cut()
			least = top[n-1].Used
		}
	}
	cut()
	used, limits := map[string]float64{}, map[string]float64{}
	for _, a := range top {
		name := strings.ToValidUTF8(a.Username, "?")
		if _, twice := used[name]; twice || name == others {
			rest += bytes(a.Used)
			left++
			continue
		}
		used[name] = bytes(a.Used)
		if limit, ok := a.Limit(); ok && limit > 0 {
			limits[name] = bytes(limit)
		}
	}
	if left > 0 {
		used[others] = rest
	}
	return append(gauges(descAccountUsed, used), gauges(descAccountLimit, limits)...)
}

func (e *Exporter) pollUsage(ctx context.Context) ([]prometheus.Metric, error) {
	days, err := e.client.Usage.Daily(ctx, proxylite.UsageDailyParams{})
	if err != nil {
		return nil, err
	}
	for _, d := range days {
		if now := time.Now().In(d.Day.Location()); now.YearDay() == d.Day.YearDay() && now.Year() == d.Day.Year() {
			return []prometheus.Metric{gauge(descTrafficToday, bytes(d.Traffic))}, nil
		}
	}
	return nil, nil
}

// expiry has the next time that something of a type ends. Times that are over or unknown
// are left out.
type expiry map[proxylite.ProductType]time.Time

func (e expiry) add(t proxylite.ProductType, at time.Time) {
	if at.After(time.Now()) && (e[t].IsZero() || at.Before(e[t])) {
		e[t] = at
	}
}

func (e expiry) metrics(of string) []prometheus.Metric {
	var metrics []prometheus.Metric
	for t, at := range e {
		metrics = append(metrics, gauge(descExpiry, float64(at.Unix()), of, t.String()))
	}
	return metrics
}

func (e *Exporter) pollPlans(ctx context.Context) ([]prometheus.Metric, error) {
	count, ends := map[string]float64{}, expiry{}
	for plan, err := range e.client.Products.All(ctx, proxylite.ProductListParams{}) {
		if err != nil {
			return nil, err
		}
		if plan.ExpiredAt.After(time.Now()) {
			count[plan.ProductType.String()]++
			ends.add(plan.ProductType, plan.ExpiredAt)
		}
	}
	return append(gauges(descPlans, count), ends.metrics("plan")...), nil
}

func (e *Exporter) pollStaticIPs(ctx context.Context) ([]prometheus.Metric, error) {
	count, ends := map[string]float64{}, expiry{}
	for ip, err := range e.client.IP.AllStatic(ctx, proxylite.IPListStaticParams{}) {
		if err != nil {
			return nil, err
		}
		count[ip.Status.String()]++
		if ip.Status != proxylite.StaticIPInvalid {
			ends.add(ip.ProductType, ip.ExpiredAt)
		}
	}
	return append(gauges(descStaticIPs, count), ends.metrics("static_ip")...), nil
}

func (e *Exporter) pollStock(ctx context.Context) ([]prometheus.Metric, error) {
	var metrics []prometheus.Metric
	for _, isp := range []proxylite.ISP{proxylite.ISPDatacenter, proxylite.ISPResidential} {
		regions, err := e.client.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: &isp})
		if err != nil {
			return nil, err
		}
		count := map[string]float64{}
		for _, r := range regions {
			count[strings.ToValidUTF8(r.CountryCode, "?")] += float64(r.Number)
		}
		for country, n := range count {
			metrics = append(metrics, gauge(descStock, n, country, isp.String()))
		}
	}
	return metrics, nil
}

func (e *Exporter) pollOrders(ctx context.Context) ([]prometheus.Metric, error) {
	n := 0.0
	for order, err := range e.client.Orders.All(ctx, proxylite.OrderListParams{Status: new(proxylite.OrderAwaitingPayment)}) {
		if err != nil {
			return nil, err
		}
		if order.Status == proxylite.OrderAwaitingPayment {
			n++
		}
	}
	return []prometheus.Metric{gauge(descOrders, n)}, nil
}

func (e *Exporter) pollBonus(ctx context.Context) ([]prometheus.Metric, error) {
	list, err := e.client.Marketing.RechargeGiftRatios(ctx)
	if err != nil {
		return nil, err
	}
	ratios := map[string]float64{}
	for _, r := range list {
		if r.Amount != "" && r.Ratio != "" {
			ratios[r.Amount.String()] = r.Ratio.Float64()
		}
	}
	return gauges(descBonus, ratios), nil
}
