package proxyliteotel

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/proxylite/proxylite-go"
)

// The attributes that the semantic conventions have no name for.
const (
	operationKey = attribute.Key("proxylite.operation") // e.g. Accounts.List
	outcomeKey   = attribute.Key("proxylite.outcome")   // of a failed call: not_sent, rejected, unknown, safe
	codeKey      = attribute.Key("proxylite.code")      // error code of the API
	attemptsKey  = attribute.Key("proxylite.attempts")
)

// ForClient returns an option for [proxylite.NewClient] that reports each call.
//
// A call is a span with the name of its operation, such as "Accounts.List". Each attempt
// is a child of it: a client span of the semantic conventions for HTTP, such as
// "GET /end-point/whitelist-account/list", that ends with the last byte of the response.
// A failed call has an error.type, which is the [proxylite.Kind], and a
// proxylite.outcome. Spans and metrics show the route, never the query.
//
// The metrics are proxylite.client.call.duration, whose count is the number of calls, by
// operation, error.type and outcome; proxylite.client.call.attempts; and
// http.client.request.duration of the semantic conventions, for each attempt.
//
// No trace context is sent to the API. Attempts are seen at the place of the option among
// the middleware: give it last to see the requests as they are sent.
func ForClient(opts ...Option) proxylite.Option {
	tracer, meter := open(opts)
	c := &client{
		tracer: tracer,
		calls: made(meter.Float64Histogram("proxylite.client.call.duration", metric.WithUnit("s"), seconds,
			metric.WithDescription("Duration of calls, with all attempts and the waits between them."))),
		attempts: made(meter.Int64Counter("proxylite.client.call.attempts", metric.WithUnit("{attempt}"),
			metric.WithDescription("Attempts of calls, with those that net/http made itself."))),
		requests: made(meter.Float64Histogram("http.client.request.duration", metric.WithUnit("s"), seconds,
			metric.WithDescription("Duration of HTTP client requests."))),
	}
	return both(proxylite.WithObserver(c.observe), proxylite.WithMiddleware(c.wrap))
}

// both returns two options as one. The type parameter stands for the settings of the
// client, which have no exported name.
func both[S any](first, second func(S) error) func(S) error {
	return func(s S) error { return errors.Join(first(s), second(s)) }
}

type client struct {
	tracer   trace.Tracer
	calls    metric.Float64Histogram
	attempts metric.Int64Counter
	requests metric.Float64Histogram
}

// call is what the attempts of a call need to know about it.
type call struct {
	method, route string
	sent          atomic.Int64
}

type callKey struct{}

func (c *client) observe(ctx context.Context, start proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
	operation := operationKey.String(start.Operation)
	ctx, span := c.tracer.Start(ctx, start.Operation, trace.WithAttributes(operation))
	ctx = context.WithValue(ctx, callKey{}, &call{method: start.Method, route: start.Route})
	return ctx, func(end proxylite.CallInfo) {
		c.attempts.Add(ctx, int64(end.Attempts), metric.WithAttributeSet(attribute.NewSet(operation)))
		labels := []attribute.KeyValue{operation}
		if end.Err != nil {
			labels = append(labels, semconv.ErrorTypeKey.String(string(end.Kind)), outcomeKey.String(end.Outcome.String()))
			span.SetStatus(codes.Error, end.Err.Error())
		}
		if span.IsRecording() {
			span.SetAttributes(append(labels[1:], attemptsKey.Int(end.Attempts))...)
			if end.Code != 0 {
				span.SetAttributes(codeKey.Int(end.Code))
			}
		}
		c.calls.Record(ctx, end.Duration.Seconds(), metric.WithAttributeSet(attribute.NewSet(labels...)))
		span.End()
	}
}
