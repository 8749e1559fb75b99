package proxyliteprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/proxylite/proxylite-go/pool"
)

var poolFigures = []figure[pool.Stats]{
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
func NewPoolCollector(name string, p *pool.Pool) prometheus.Collector {
	return newFigures(p.Stats, poolFigures, prometheus.Labels{"pool": name})
}
