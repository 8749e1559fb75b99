package proxyliteotel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/proxylite/proxylite-go"
)

const scope = "github.com/proxylite/proxylite-go/proxyliteotel"

// Option configures [ForClient], [ForPool] and [WatchPool].
type Option func(*settings)

type settings struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
}

// WithTracerProvider sets where spans go. The default is the global provider of package
// otel.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(s *settings) { s.tracers = p }
}

// WithMeterProvider sets where metrics go. The default is the global provider of package
// otel.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) { s.meters = p }
}

// open returns the tracer and the meter that the options ask for.
func open(opts []Option) (trace.Tracer, metric.Meter) {
	var s settings
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if s.tracers == nil {
		s.tracers = otel.GetTracerProvider()
	}
	if s.meters == nil {
		s.meters = otel.GetMeterProvider()
	}
	return s.tracers.Tracer(scope, trace.WithInstrumentationVersion(proxylite.Version), trace.WithSchemaURL(semconv.SchemaURL)),
		s.meters.Meter(scope, metric.WithInstrumentationVersion(proxylite.Version), metric.WithSchemaURL(semconv.SchemaURL))
}

// seconds are the bucket boundaries that the semantic conventions advise for durations.
var seconds = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

// made returns an instrument. An error goes to the handler of package otel, and the
// instrument then does nothing.
func made[T any](instrument T, err error) T {
	if err != nil {
		otel.Handle(err)
	}
	return instrument
}
