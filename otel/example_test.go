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
		proxylite.WithObserver(func(ctx context.Context, start proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
			ctx, span := provider.Tracer("proxylite").Start(ctx, start.Operation)
			return ctx, func(end proxylite.CallInfo) {
				span.SetAttributes(attribute.Int("proxylite.attempts", end.Attempts), attribute.Int("proxylite.code", end.Code))
				if end.Err != nil {
					span.SetAttributes(attribute.String("error.type", string(end.Kind)))
					span.SetStatus(codes.Error, end.Err.Error())
				}
				span.End()
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	states, err := client.IP.SearchStates(context.Background(), "US")
	fmt.Println(states, err)
	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name, s.SpanKind)
		for _, a := range s.Attributes {
			switch a.Key {
			case "http.response.status_code", "proxylite.attempts", "proxylite.code":
				fmt.Println(" ", a.Key, a.Value.String())
			}
		}
	}
	// Output:
	// [Texas] <nil>
	// HTTP GET client
	//   http.response.status_code 200
	// IP.SearchStates internal
	//   proxylite.attempts 1
	//   proxylite.code 0
}
