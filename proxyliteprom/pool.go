package proxyliteprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/proxylite/proxylite-go/pool"
)

// PoolCollector collects the figures of a pool; see [NewPoolCollector].
type PoolCollector struct {
	pool  *pool.Pool
	descs []*prometheus.Desc // of poolMetrics
}

// poolMetrics are the metrics of a pool. Several of one name differ in their label.
var poolMetrics = []struct {
	name, help   string
	label, value string
	kind         prometheus.ValueType
	of           func(pool.Stats) float64
}{
	{"proxylite_pool_proxies", "Proxies of the pool, by state.", "state", string(pool.StateLive), prometheus.GaugeValue, func(s pool.Stats) float64 { return float64(s.Live) }},
	{"proxylite_pool_proxies", "Proxies of the pool, by state.", "state", string(pool.StateResting), prometheus.GaugeValue, func(s pool.Stats) float64 { return float64(s.Resting) }},
	{"proxylite_pool_in_flight", "Leases and requests under way.", "", "", prometheus.GaugeValue, func(s pool.Stats) float64 { return float64(s.InFlight) }},
	{"proxylite_pool_waiting", "Callers that wait for a proxy.", "", "", prometheus.GaugeValue, func(s pool.Stats) float64 { return float64(s.Waiting) }},
	{"proxylite_pool_uses_total", "Proxies given out.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Uses) }},
	{"proxylite_pool_results_total", "Uses with a verdict: a request that was repeated counts each time.", "result", "worked", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Worked) }},
	{"proxylite_pool_results_total", "Uses with a verdict: a request that was repeated counts each time.", "result", "failed", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Failed) }},
	{"proxylite_pool_retries_total", "Requests and dials that went on through another proxy.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Retries) }},
	{"proxylite_pool_traffic_bytes_total", "Bytes to (up) and from (down) proxies, with their protocol and TLS.", "direction", "up", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Up) }},
	{"proxylite_pool_traffic_bytes_total", "Bytes to (up) and from (down) proxies, with their protocol and TLS.", "direction", "down", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Down) }},
	{"proxylite_pool_fetches_total", "Calls of the source.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Fetches) }},
	{"proxylite_pool_fetch_failures_total", "Calls of the source that failed.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.FetchErrors) }},
	{"proxylite_pool_proxies_fetched_total", "Proxies that the source brought.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Fetched) }},
	{"proxylite_pool_proxies_spent_total", "Proxies paid for, with those of unknown outcome.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Spent) }},
	{"proxylite_pool_proxies_unknown_total", "Of those spent: nobody knows whether they were paid for.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Unknown) }},
	{"proxylite_pool_proxies_wasted_total", "Proxies paid for and never used.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Wasted) }},
	{"proxylite_pool_proxies_dead_total", "Proxies taken out for good, but for those used up.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Dead) }},
	{"proxylite_pool_proxies_expired_total", "Proxies that reached the end of their life.", "", "", prometheus.CounterValue, func(s pool.Stats) float64 { return float64(s.Expired) }},
}

// NewPoolCollector returns a collector of [pool.Pool.Stats], which takes no lock. The
// name is the label "pool" of its metrics, and tells pools apart. Unregister it when the
// pool is closed.
func NewPoolCollector(name string, p *pool.Pool) *PoolCollector {
	c := &PoolCollector{pool: p}
	for _, m := range poolMetrics {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, labels, prometheus.Labels{"pool": name}))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *PoolCollector) Describe(descs chan<- *prometheus.Desc) {
	for i, desc := range c.descs {
		if i == 0 || poolMetrics[i].name != poolMetrics[i-1].name {
			descs <- desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c *PoolCollector) Collect(metrics chan<- prometheus.Metric) {
	stats := c.pool.Stats()
	for i, m := range poolMetrics {
		var labels []string
		if m.label != "" {
			labels = []string{m.value}
		}
		metrics <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.of(stats), labels...)
	}
}
