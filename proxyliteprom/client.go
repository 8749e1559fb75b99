package proxyliteprom

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/proxylite/proxylite-go"
)

// ClientCollector collects metrics of the calls of a client; see [NewClientCollector].
type ClientCollector struct {
	calls    *prometheus.CounterVec
	failures *prometheus.CounterVec
	attempts *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	unknown  prometheus.Counter
	spent    prometheus.Counter
	client   atomic.Pointer[proxylite.Client]
}

var budgetDesc = prometheus.NewDesc("proxylite_client_retry_budget", "Retries left in the budget that all calls share; absent if it has no limit.", nil, nil)

// NewClientCollector returns a collector of the calls of one client. Pass its
// [ClientCollector.Option] to [proxylite.NewClient], and register it.
func NewClientCollector() *ClientCollector {
	opts := func(name, help string) prometheus.CounterOpts { return prometheus.CounterOpts{Name: name, Help: help} }
	operation := []string{"operation"}
	return &ClientCollector{
		calls:    prometheus.NewCounterVec(opts("proxylite_client_calls_total", "Calls that have ended."), operation),
		failures: prometheus.NewCounterVec(opts("proxylite_client_failures_total", "Calls that failed, by the kind of the failure and by what became of the call."), []string{"operation", "kind", "outcome"}),
		attempts: prometheus.NewCounterVec(opts("proxylite_client_attempts_total", "Attempts of calls that have ended, with requests that net/http sent again."), operation),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "proxylite_client_call_duration_seconds", Help: "Duration of calls, with all attempts and the waits between them.",
			Buckets: []float64{0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, operation),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "proxylite_client_calls_in_flight", Help: "Calls under way."}),
		unknown:  prometheus.NewCounter(opts("proxylite_client_unknown_outcomes_total", "Calls that may have taken effect, although they failed: look before you repeat them.")),
		spent:    prometheus.NewCounter(opts("proxylite_client_retry_budget_spent_total", "Calls that were not retried because the retry budget was spent.")),
	}
}

// Option returns the option that reports the calls of a client to the collector.
func (c *ClientCollector) Option() proxylite.Option { return proxylite.WithObserver(c.observe) }

// WatchBudget adds the retry budget of the client to the metrics.
func (c *ClientCollector) WatchBudget(client *proxylite.Client) { c.client.Store(client) }

func (c *ClientCollector) observe(ctx context.Context, _ proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
	c.inFlight.Inc()
	return ctx, func(end proxylite.CallInfo) {
		c.inFlight.Dec()
		operation := strings.ToValidUTF8(end.Operation, "?") // the caller names those of proxylite.Call, and a label must be UTF-8
		c.calls.WithLabelValues(operation).Inc()
		c.attempts.WithLabelValues(operation).Add(float64(end.Attempts))
		c.duration.WithLabelValues(operation).Observe(end.Duration.Seconds())
		if end.Err == nil {
			return
		}
		c.failures.WithLabelValues(operation, string(end.Kind), end.Outcome.String()).Inc()
		if end.Outcome == proxylite.OutcomeUnknown {
			c.unknown.Inc()
		}
		if errors.Is(end.Err, proxylite.ErrRetryBudget) {
			c.spent.Inc()
		}
	}
}

func (c *ClientCollector) parts() []prometheus.Collector {
	return []prometheus.Collector{c.calls, c.failures, c.attempts, c.duration, c.inFlight, c.unknown, c.spent}
}

// Describe implements prometheus.Collector.
func (c *ClientCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, part := range c.parts() {
		part.Describe(descs)
	}
	descs <- budgetDesc
}

// Collect implements prometheus.Collector.
func (c *ClientCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, part := range c.parts() {
		part.Collect(metrics)
	}
	if client := c.client.Load(); client != nil {
		if left, limited := client.RetryBudget(); limited {
			metrics <- prometheus.MustNewConstMetric(budgetDesc, prometheus.GaugeValue, float64(left))
		}
	}
}
