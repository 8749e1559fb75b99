package proxyliteprom_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
)

// A real Prometheus scrapes the metrics: it has the right numbers, and each query of the
// dashboard returns data.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: scripts/prometheus.sh installs it")
	}
	reg, poll := everything(t)
	target := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	t.Cleanup(target.Close)
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: proxylite\n  static_configs: [{targets: ['" + target.Listener.Addr().String() + "']}]\n"
	require.NoError(t, os.WriteFile(dir+"/prometheus.yml", []byte(config), 0o600))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())

	cmd := exec.Command(binary, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	log, err := os.Create(dir + "/log")
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(dir + "/log")
			t.Log(string(text))
		}
	})

	// In the time it takes to scrape a few times, calls go on.
	deadline := time.Now().Add(2 * time.Minute)
	query := func(expr string, good func([]string) bool) {
		for {
			values, err := ask(address, expr)
			if err == nil && good(values) {
				return
			}
			require.Less(t, time.Now(), deadline, "%s: %v, %v", expr, values, err)
			poll()
			<-time.After(200 * time.Millisecond)
		}
	}
	query("proxylite_orders_awaiting_payment", func(v []string) bool { return len(v) == 1 && v[0] == "2" })
	query(`proxylite_client_failures_total{operation="Accounts.List"}`, func(v []string) bool { return len(v) == 1 && v[0] == "1" })
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			query(strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"), func(v []string) bool {
				return len(v) > 0 && !slices.Contains(v, "NaN")
			})
		}
	}
}

// ask returns the values of the series that a query returns.
func ask(address, expr string) ([]string, error) {
	resp, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	if body.Status != "success" {
		return nil, fmt.Errorf("%s: %s", body.Status, body.Error)
	}
	var values []string
	for _, r := range body.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, nil
}
