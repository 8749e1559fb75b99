package proxyliteotel_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteotel"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// One option gives a span for each call, with its attempts as children.
func Example() {
	api := proxylitetest.NewServer(nil) // in your program: leave it out
	defer api.Close()
	api.FailNext("IP.SearchStates", proxylitetest.Fault{Status: 503})
	spans := tracetest.NewInMemoryExporter() // in your program: the OTLP exporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))

	client, err := proxylite.NewClient(proxylite.AppKey(api.Key), proxylite.WithBaseURL(api.URL),
		proxyliteotel.ForClient(proxyliteotel.WithTracerProvider(provider)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	if _, err := client.IP.SearchStates(context.Background(), "US"); err != nil {
		fmt.Println(err)
	}
	for _, s := range spans.GetSpans() { // a span is there when it has ended
		fmt.Println(s.SpanKind, s.Name, s.Status.Code)
	}
	// Output:
	// client GET /end-point/ip/dynamic-states/search Error
	// client GET /end-point/ip/dynamic-states/search Unset
	// internal IP.SearchStates Unset
}
