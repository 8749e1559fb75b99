package proxyliteotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// ForPool returns an option for [pool.New] that reports what the pool does: a span
// "pool fetch" for each call of its source, since calls may cost, and metrics of
// fetches, uses by verdict, retired proxies by reason and moved sessions. The name tells
// pools apart; it is the attribute proxylite.pool.name. See [WatchPool] for the figures
// of [pool.Stats].
//
// Requests through the pool have no spans. Wrap [pool.Pool.Transport] for that, such as
// with otelhttp.NewTransport.
func ForPool(name string, opts ...Option) pool.Option {
	tracer, meter := open(opts)
	this := poolName(name)
	fetches := made(meter.Float64Histogram("proxylite.pool.fetch.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Duration of calls of the source.")))
	uses := made(meter.Float64Histogram("proxylite.pool.use.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time until the verdict on a use of a proxy.")))
	moved := made(meter.Int64Counter("proxylite.pool.session.moves", metric.WithUnit("{session}"),
		metric.WithDescription("Sessions that got another proxy.")))
	retired := made(meter.Int64Counter("proxylite.pool.proxy.retired", metric.WithUnit("{proxy}"),
		metric.WithDescription("Proxies that are out for good.")))
	stopped := made(meter.Int64Counter("proxylite.pool.stops", metric.WithUnit("{stop}"),
		metric.WithDescription("Times that the pool stopped fetching for good.")))
	ctx := context.Background() // the hooks have none
	return pool.WithHooks(pool.Hooks{
		Fetched: func(f pool.Fetch) {
			labels := []attribute.KeyValue{this}
			end := time.Now()
			ctx, span := tracer.Start(ctx, "pool fetch", trace.WithTimestamp(end.Add(-f.Duration)), trace.WithAttributes(this,
				attribute.Int("proxylite.pool.asked", f.Asked), attribute.Int("proxylite.pool.got", f.Got),
				attribute.Int("proxylite.pool.spent", f.Spent), attribute.Bool("proxylite.pool.spent_unknown", f.Unknown)))
			if f.Err != nil {
				failure := errorType(f.Err)
				labels = append(labels, failure)
				span.SetAttributes(failure)
				span.SetStatus(codes.Error, f.Err.Error())
			}
			fetches.Record(ctx, f.Duration.Seconds(), metric.WithAttributes(labels...))
			span.End(trace.WithTimestamp(end))
		},
		Used: func(u pool.Use) {
			uses.Record(ctx, u.Duration.Seconds(), metric.WithAttributes(this, attribute.String("proxylite.pool.verdict", u.Verdict.String())))
		},
		Moved: func(pool.Move) { moved.Add(ctx, 1, metric.WithAttributes(this)) },
		Retired: func(r pool.Retirement) {
			retired.Add(ctx, 1, metric.WithAttributes(this, attribute.String("proxylite.pool.reason", string(r.Reason))))
		},
		Stopped: func(error) { stopped.Add(ctx, 1, metric.WithAttributes(this)) },
	})
}

func poolName(name string) attribute.KeyValue { return attribute.String("proxylite.pool.name", name) }

// errorType returns the kind of a failed call of the source.
func errorType(err error) attribute.KeyValue {
	if e, ok := errors.AsType[*proxylite.Error](err); ok {
		return semconv.ErrorTypeKey.String(string(e.Kind))
	}
	return semconv.ErrorTypeOther
}

// watched are the metrics of [WatchPool].
var watched = []struct {
	name, unit, help string
	attribute        attribute.KeyValue
	value            func(pool.Stats) int64
	falls            bool // it is no counter
}{
	{"proxylite.pool.proxy.count", "{proxy}", "Proxies of the pool, by state.", stateLive, func(s pool.Stats) int64 { return int64(s.Live) }, true},
	{"proxylite.pool.proxy.count", "{proxy}", "Proxies of the pool, by state.", stateResting, func(s pool.Stats) int64 { return int64(s.Resting) }, true},
	{"proxylite.pool.in_flight", "{use}", "Leases and requests under way.", none, func(s pool.Stats) int64 { return int64(s.InFlight) }, true},
	{"proxylite.pool.waiting", "{caller}", "Callers that wait for a proxy.", none, func(s pool.Stats) int64 { return int64(s.Waiting) }, true},
	{"proxylite.pool.uses", "{use}", "Proxies given out.", none, func(s pool.Stats) int64 { return int64(s.Uses) }, false},
	{"proxylite.pool.retries", "{retry}", "Requests and dials that went on through another proxy.", none, func(s pool.Stats) int64 { return int64(s.Retries) }, false},
	{"proxylite.pool.io", "By", "Bytes to and from proxies.", directionUp, func(s pool.Stats) int64 { return s.Up }, false},
	{"proxylite.pool.io", "By", "Bytes to and from proxies.", directionDown, func(s pool.Stats) int64 { return s.Down }, false},
	{"proxylite.pool.proxy.fetched", "{proxy}", "Proxies that the source brought.", none, func(s pool.Stats) int64 { return int64(s.Fetched) }, false},
	{"proxylite.pool.proxy.spent", "{proxy}", "Proxies paid for, with those of unknown outcome.", none, func(s pool.Stats) int64 { return int64(s.Spent) }, false},
	{"proxylite.pool.proxy.unknown", "{proxy}", "Of those spent: nobody knows whether they were paid for.", none, func(s pool.Stats) int64 { return int64(s.Unknown) }, false},
	{"proxylite.pool.proxy.wasted", "{proxy}", "Proxies paid for and never used.", none, func(s pool.Stats) int64 { return int64(s.Wasted) }, false},
}

var (
	none          attribute.KeyValue
	stateLive     = attribute.String("proxylite.pool.state", string(pool.StateLive))
	stateResting  = attribute.String("proxylite.pool.state", string(pool.StateResting))
	directionUp   = attribute.String("network.io.direction", "transmit")
	directionDown = attribute.String("network.io.direction", "receive")
)

// WatchPool reports the figures of [pool.Pool.Stats] each time metrics are collected,
// under the same name as [ForPool]. Unregister what it returns when the pool is closed.
func WatchPool(name string, p *pool.Pool, opts ...Option) (metric.Registration, error) {
	_, meter := open(opts)
	this := poolName(name)
	instruments := map[string]metric.Int64Observable{}
	var all []metric.Observable
	for _, w := range watched {
		if instruments[w.name] != nil {
			continue
		}
		var instrument metric.Int64Observable
		var err error
		if w.falls {
			instrument, err = meter.Int64ObservableUpDownCounter(w.name, metric.WithUnit(w.unit), metric.WithDescription(w.help))
		} else {
			instrument, err = meter.Int64ObservableCounter(w.name, metric.WithUnit(w.unit), metric.WithDescription(w.help))
		}
		if err != nil {
			return nil, err
		}
		instruments[w.name], all = instrument, append(all, instrument)
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := p.Stats()
		for _, w := range watched {
			labels := []attribute.KeyValue{this}
			if w.attribute.Valid() {
				labels = append(labels, w.attribute)
			}
			o.ObserveInt64(instruments[w.name], w.value(stats), metric.WithAttributes(labels...))
		}
		return nil
	}, all...)
}
