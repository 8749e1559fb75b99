package proxyliteprom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteprom"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// The calls of a client, and what the API says about the account, for Prometheus to scrape.
func Example() {
	api := proxylitetest.NewServer(nil) // in your program: leave it out
	defer api.Close()

	calls := proxyliteprom.NewClientCollector()
	client, err := proxylite.NewClient(proxylite.AppKey(api.Key), proxylite.WithBaseURL(api.URL), calls.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	exporter := proxyliteprom.NewExporter(client, proxyliteprom.ExporterConfig{})
	if err := exporter.Poll(context.Background()); err != nil { // in your program: go exporter.Run(ctx)
		fmt.Println(err)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(calls, exporter)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	page, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "proxylite_accounts{") || strings.HasPrefix(line, `proxylite_client_calls_total{operation="Accounts.List"}`) {
			fmt.Print(line)
		}
	}
	// Output:
	// proxylite_accounts{status="disabled"} 1
	// proxylite_accounts{status="enabled"} 4
	// proxylite_client_calls_total{operation="Accounts.List"} 1
}
