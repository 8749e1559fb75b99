package proxyliteprom_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteprom"
)

// The accounts of a poll beside the list call in it, and a scrape, with 20,000 accounts of
// which 100 have series of their own.
func BenchmarkExporter(b *testing.B) {
	var list []string
	for i := range 20_000 {
		list = append(list, fmt.Sprintf(`{"id":%d,"username":"pl-user%d","password":"s3cret%d","created_at":"2024-01-02 03:04:05","remark":"","product_type":9,"usage_flow":%d,"limit_flow":10,"status":1}`,
			i, i, i, i*7919%10_000_000))
	}
	a := &api{data: map[string]string{"whitelist-account/list": strings.Join(list, ",")}}
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithTransport(a))
	require.NoError(b, err)
	exporter := proxyliteprom.NewExporter(client, proxyliteprom.ExporterConfig{Accounts: 100})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			_, err := client.Accounts.List(b.Context())
			require.NoError(b, err)
		}
	})
	b.Run("poll", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, exporter.Poll(b.Context()))
		}
	})
	b.Run("scrape", func(b *testing.B) {
		reg := prometheus.NewRegistry()
		reg.MustRegister(exporter)
		handler := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
		b.ReportAllocs()
		for b.Loop() {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
		}
	})
}
