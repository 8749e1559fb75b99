package proxyliteprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/proxylite/proxylite-go/pool/localproxy"
)

var localProxyFigures = []figure[localproxy.Stats]{
	{"proxylite_localproxy_connections", "Connections from clients.", "", "", prometheus.GaugeValue, func(s localproxy.Stats) float64 { return float64(s.Connections) }},
	{"proxylite_localproxy_active", "Tunnels and requests under way.", "", "", prometheus.GaugeValue, func(s localproxy.Stats) float64 { return float64(s.Active) }},
	{"proxylite_localproxy_requests_total", "Requests admitted, with tunnels.", "", "", prometheus.CounterValue, func(s localproxy.Stats) float64 { return float64(s.Requests) }},
	{"proxylite_localproxy_tunnels_total", "Tunnels opened, over CONNECT and SOCKS5.", "", "", prometheus.CounterValue, func(s localproxy.Stats) float64 { return float64(s.Tunnels) }},
	{"proxylite_localproxy_refused_total", "Requests refused, or failed without a response of the target.", "", "", prometheus.CounterValue, func(s localproxy.Stats) float64 { return float64(s.Refused) }},
	{"proxylite_localproxy_traffic_bytes_total", "Bytes from (up) and to (down) clients.", "direction", "up", prometheus.CounterValue, func(s localproxy.Stats) float64 { return float64(s.Up) }},
	{"proxylite_localproxy_traffic_bytes_total", "Bytes from (up) and to (down) clients.", "direction", "down", prometheus.CounterValue, func(s localproxy.Stats) float64 { return float64(s.Down) }},
}

// NewLocalProxyCollector returns a collector of [localproxy.Server.Stats]. The name is the
// label "proxy" of its metrics, and tells local proxies apart.
func NewLocalProxyCollector(name string, s *localproxy.Server) prometheus.Collector {
	return newFigures(s.Stats, localProxyFigures, prometheus.Labels{"proxy": name})
}
