package proxyliteprom

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/proxylite/proxylite-go"
)

// ExporterConfig configures [NewExporter]. All fields are optional.
type ExporterConfig struct {
	// Interval is the time between two polls; 0 means five minutes, which is as late as
	// the API counts traffic.
	Interval time.Duration
	// Accounts is how many accounts have series of their own, those with the most
	// traffic. The traffic of all others is one series, whose label is "others". 0 means
	// that no account has any.
	Accounts int
	// Failed is called with the error of each poll of [Exporter.Run] that fails, which
	// [Exporter.Poll] describes. If it is nil, only the metrics tell.
	Failed func(error)
}

// Exporter collects what the API says about an account: traffic, limits, expiry, stock,
// orders that await payment, and bonuses. It asks the API when [Exporter.Run] or
// [Exporter.Poll] polls; to collect metrics costs no call.
//
// Series of something that is gone, such as a deleted account, end with the next poll. If
// a part of the poll fails, its series stay as they were for three intervals and then end
// until it succeeds again. The metric proxylite_up tells which parts fail.
type Exporter struct {
	client *proxylite.Client
	config ExporterConfig

	mu    sync.Mutex
	parts map[string]*polled
}

// polled is the result of the last polls of a part.
type polled struct {
	up        bool
	duration  time.Duration
	succeeded time.Time
	metrics   []prometheus.Metric // of the last success
}

// parts are what a poll asks for. Each fails on its own.
var parts = []struct {
	name string
	poll func(*Exporter, context.Context) ([]prometheus.Metric, error)
}{
	{"accounts", (*Exporter).pollAccounts},
	{"usage", (*Exporter).pollUsage},
	{"plans", (*Exporter).pollPlans},
	{"static_ips", (*Exporter).pollStaticIPs},
	{"stock", (*Exporter).pollStock},
	{"orders", (*Exporter).pollOrders},
	{"bonus", (*Exporter).pollBonus},
}

// NewExporter returns an exporter that has not polled yet. Register it, and call Run.
func NewExporter(client *proxylite.Client, config ExporterConfig) *Exporter {
	if config.Interval <= 0 {
		config.Interval = 5 * time.Minute
	}
	return &Exporter{client: client, config: config, parts: map[string]*polled{}}
}

// Run polls now and then at each interval, until ctx ends.
func (e *Exporter) Run(ctx context.Context) {
	ticker := time.NewTicker(e.config.Interval)
	defer ticker.Stop()
	for {
		if err := e.Poll(ctx); err != nil && ctx.Err() == nil && e.config.Failed != nil {
			e.config.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Poll polls once. It makes seven calls, and more for orders, plans and static IPs of more
// than a page. They are free. The error joins those of the parts that failed; the metrics
// have the others.
func (e *Exporter) Poll(ctx context.Context) error {
	var all []error
	for _, part := range parts {
		started := time.Now()
		within, cancel := context.WithTimeout(ctx, e.config.Interval)
		metrics, err := part.poll(e, within)
		cancel()
		if ctx.Err() != nil { // it says nothing about the API
			return ctx.Err()
		}
		e.mu.Lock()
		p := e.parts[part.name]
		if p == nil {
			p = new(polled)
			e.parts[part.name] = p
		}
		p.up, p.duration = err == nil, time.Since(started)
		if err == nil {
			p.succeeded, p.metrics = time.Now(), metrics
		} else {
			all = append(all, fmt.Errorf("%s: %w", part.name, err))
		}
		e.mu.Unlock()
	}
	return errors.Join(all...)
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range exported {
		descs <- desc
	}
}

// Collect implements prometheus.Collector. It makes no call.
func (e *Exporter) Collect(metrics chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, p := range e.parts {
		up := 0.0
		if p.up {
			up = 1
		}
		metrics <- gauge(descUp, up, name)
		metrics <- gauge(descPollDuration, p.duration.Seconds(), name)
		if p.succeeded.IsZero() {
			continue
		}
		metrics <- gauge(descLastSuccess, float64(p.succeeded.UnixMilli())/1e3, name)
		if time.Since(p.succeeded) > 3*e.config.Interval {
			continue
		}
		for _, m := range p.metrics {
			metrics <- m
		}
	}
}
