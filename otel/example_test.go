package otel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/proxylite/proxylite-go"
)

// A middleware makes a span of every attempt, the observer tells the span of the
// caller what became of the call. Neither ever sees the credential.
func Example() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"code":200,"data":{"list":["Texas"]}}`)
	}))
	defer api.Close()
	spans := tracetest.NewInMemoryExporter() // in your program: the OTLP exporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))

	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef0123456789abcdef"),
		proxylite.WithBaseURL(api.URL), // in your program: leave it out
		proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(provider))
		}),
		proxylite.WithObserver(func(ctx context.Context, info proxylite.CallInfo) {
			span := trace.SpanFromContext(ctx)
			span.SetAttributes(
				attribute.String("proxylite.operation", info.Operation),
				attribute.Int("proxylite.attempts", info.Attempts),
				attribute.Int("proxylite.code", info.Code),
			)
			if info.Err != nil {
				span.SetAttributes(attribute.String("error.type", string(info.Kind)))
				span.SetStatus(codes.Error, info.Err.Error())
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	ctx, span := provider.Tracer("shop").Start(context.Background(), "choose a state")
	states, err := client.IP.SearchStates(ctx, "US")
	span.End()
	fmt.Println(states, err)
	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name, s.SpanKind)
		for _, a := range s.Attributes {
			switch a.Key {
			case "http.response.status_code", "proxylite.operation", "proxylite.attempts", "proxylite.code":
				fmt.Println(" ", a.Key, a.Value.String())
			}
		}
	}
	// Output:
	// [Texas] <nil>
	// HTTP GET client
	//   http.response.status_code 200
	// choose a state internal
	//   proxylite.operation IP.SearchStates
	//   proxylite.attempts 1
	//   proxylite.code 200
}
