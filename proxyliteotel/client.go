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

	started  cache[request, started]
	ended    cache[response, []metric.RecordOption]
	called   cache[result, []metric.RecordOption]
	counters cache[string, []metric.AddOption]
}

// call is the context of a call, which tells its attempts what they need to know about
// it.
type call struct {
	context.Context
	method, route string
	sent          atomic.Int64
}

type callKey struct{}

// Value lets the contexts of attempts find the call.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// String keeps fmt from reading a field that changes, as contexts of package context do.
func (c *call) String() string { return "proxyliteotel.call" }

func (c *client) observe(ctx context.Context, start proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
	ctx, span := c.tracer.Start(ctx, start.Operation)
	return &call{Context: ctx, method: start.Method, route: start.Route}, func(end proxylite.CallInfo) {
		r := result{end.Operation, end.Kind, end.Outcome}
		c.attempts.Add(ctx, int64(end.Attempts), c.counters.get(end.Operation, func(operation string) []metric.AddOption {
			return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(operationKey.String(operation)))}
		})...)
		c.calls.Record(ctx, end.Duration.Seconds(), c.called.get(r, func(r result) []metric.RecordOption {
			return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(r.attributes()...))}
		})...)
		if span.IsRecording() {
			attributes := append(r.attributes(), attemptsKey.Int(end.Attempts))
			if end.Code != 0 {
				attributes = append(attributes, codeKey.Int(end.Code))
			}
			span.SetAttributes(attributes...)
			if end.Err != nil {
				span.SetStatus(codes.Error, end.Err.Error())
			}
		}
		span.End()
	}
}

// result is the end of a call, as far as it has few values.
type result struct {
	operation string
	kind      proxylite.Kind // empty if it succeeded
	outcome   proxylite.Outcome
}

func (r result) attributes() []attribute.KeyValue {
	attributes := append(make([]attribute.KeyValue, 0, 5), operationKey.String(r.operation))
	if r.kind != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(string(r.kind)), outcomeKey.String(r.outcome.String()))
	}
	return attributes
}
