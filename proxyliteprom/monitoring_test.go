package proxyliteprom_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxyliteprom"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

var update = flag.Bool("update", false, "write what is made from the code into docs/metrics.md")

// everything returns a registry in which each metric of the package has a value, and a
// function that makes more calls.
func everything(t *testing.T) (reg *prometheus.Registry, poll func()) {
	t.Helper()
	server := proxylitetest.NewServer(t)
	calls := proxyliteprom.NewClientCollector()
	client := server.Client(calls.Option())
	calls.WatchBudget(client)
	server.FailNext("Accounts.List", proxylitetest.Fault{Code: 156})
	_, err := client.Accounts.List(t.Context())
	require.Error(t, err)
	p, err := pool.New(pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 1, Life: 30 * time.Minute}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	lease, err := p.Get(t.Context())
	require.NoError(t, err)
	lease.Done(pool.Worked)
	local, err := localproxy.New(p)
	require.NoError(t, err)
	t.Cleanup(func() { _ = local.Close() })
	exporter := proxyliteprom.NewExporter(client, proxyliteprom.ExporterConfig{Accounts: 2})
	poll = func() { require.NoError(t, exporter.Poll(t.Context())) }
	poll()

	collectors := []prometheus.Collector{calls, proxyliteprom.NewPoolCollector("checkout", p), proxyliteprom.NewLocalProxyCollector("browser", local), exporter}
	reg = registry(t, collectors...)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]bool{}
	for _, f := range families {
		got[f.GetName()] = true
	}
	for _, c := range collectors {
		descs := make(chan *prometheus.Desc)
		go func() { c.Describe(descs); close(descs) }()
		for desc := range descs {
			name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(desc.String())[1]
			require.True(t, got[name], "%s is described and has no value", name)
		}
	}
	return reg, poll
}

// labels returns the labels of each metric; a histogram counts with its parts.
func labels(t *testing.T, reg *prometheus.Registry) map[string][]string {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	all := map[string][]string{}
	for _, f := range families {
		var names []string
		for _, pair := range f.GetMetric()[0].GetLabel() {
			names = append(names, pair.GetName())
		}
		all[f.GetName()] = names
		if f.GetType().String() == "HISTOGRAM" {
			all[f.GetName()+"_bucket"] = append(slices.Clone(names), "le")
			all[f.GetName()+"_sum"], all[f.GetName()+"_count"] = names, names
		}
	}
	return all
}

type dashboard struct {
	Panels []struct {
		Type, Title string
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct{ Expr, LegendFormat string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	b, err := os.ReadFile("monitoring/dashboard.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(b, &d))
	return d
}

var (
	metricName = regexp.MustCompile(`\bproxylite_\w+`)
	grouping   = regexp.MustCompile(`\b(?:by|ignoring|on) \(([^)]*)\)`)
	matcher    = regexp.MustCompile(`\{(\w+)=`)
	inLegend   = regexp.MustCompile(`\{\{(\w+)\}\}`)
	labelled   = regexp.MustCompile(`\$labels\.(\w+)`)
)

// Each query of the dashboard and each alert names metrics and labels that exist.
func TestQueriesNameWhatExists(t *testing.T) {
	t.Parallel()
	reg, _ := everything(t)
	known := labels(t, reg)
	check := func(where, expr string, used ...string) {
		names := metricName.FindAllString(expr, -1)
		require.NotEmpty(t, names, where)
		var have []string
		for _, name := range names {
			require.Contains(t, known, name, where)
			have = append(have, known[name]...)
		}
		for _, m := range slices.Concat(grouping.FindAllStringSubmatch(expr, -1), matcher.FindAllStringSubmatch(expr, -1)) {
			used = append(used, strings.Split(m[1], ", ")...)
		}
		for _, label := range used {
			require.Contains(t, have, label, where)
		}
	}
	named := map[string]bool{}
	for _, p := range readDashboard(t).Panels {
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		for _, target := range p.Targets {
			var used []string
			for _, m := range inLegend.FindAllStringSubmatch(target.LegendFormat, -1) {
				used = append(used, m[1])
			}
			check(p.Title, target.Expr, used...)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				named[strings.TrimSuffix(name, "_bucket")] = true
			}
		}
	}
	for name := range known {
		if name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""); name != "proxylite_account_traffic_limit_bytes" {
			require.True(t, named[name], "no panel shows %s", name)
		}
	}

	b, err := os.ReadFile("monitoring/alerts.yml")
	require.NoError(t, err)
	rules := regexp.MustCompile(`(?m)^ +- alert: `).Split(string(b), -1)[1:]
	require.Len(t, rules, 13)
	for _, rule := range rules {
		name, rest, _ := strings.Cut(rule, "\n")
		expr, _, _ := strings.Cut(rest, "labels: {severity")
		var used []string
		for _, m := range labelled.FindAllStringSubmatch(rest, -1) {
			used = append(used, m[1])
		}
		check(name, expr, used...)
	}
}

// docs/metrics.md has the list of metrics and the picture of the dashboard that the code
// makes; go test -run TestMetricsDocument -update writes them.
func TestMetricsDocument(t *testing.T) {
	t.Parallel()
	const path = "../docs/metrics.md"
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(b)
	for name, made := range map[string]string{"metrics": metricTable(t), "dashboard": picture(t, readDashboard(t))} {
		begin, end := "<!-- made from proxyliteprom: "+name+" -->\n", "<!-- end of "+name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		require.True(t, ok, "%s has no %s", path, begin)
		old, after, ok := strings.Cut(rest, end)
		require.True(t, ok, "%s has no %s", path, end)
		if *update {
			text = before + begin + made + end + after
			continue
		}
		require.Equal(t, made, old, "go test -run TestMetricsDocument -update in proxyliteprom writes it")
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func metricTable(t *testing.T) string {
	reg, _ := everything(t)
	families, err := reg.Gather()
	require.NoError(t, err)
	known := map[string][]string{}
	var out strings.Builder
	out.WriteString("\n| Metric | Type | Labels | |\n|---|---|---|---|\n")
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, pair := range m.GetLabel() {
				if !slices.Contains(known[f.GetName()], pair.GetName()) {
					known[f.GetName()] = append(known[f.GetName()], pair.GetName())
				}
			}
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(known[f.GetName()], ", "), f.GetHelp())
	}
	return out.String() + "\n"
}

// picture draws the panels of the dashboard as boxes.
func picture(t *testing.T, d dashboard) string {
	const column = 4 // characters for one of the 24 columns
	targets := map[int]int{}
	for _, p := range d.Panels {
		targets[p.GridPos.Y] = max(targets[p.GridPos.Y], len(p.Targets))
	}
	var lines []string
	put := func(y, x int, s string) {
		for len(lines) <= y {
			lines = append(lines, "")
		}
		if pad := x - len(lines[y]); pad > 0 {
			lines[y] += strings.Repeat(" ", pad)
		}
		lines[y] = lines[y][:x] + s
	}
	top := map[int]int{} // Y of the grid → line
	for _, p := range d.Panels {
		x, w := p.GridPos.X*column, p.GridPos.W*column-4
		y, seen := top[p.GridPos.Y]
		if !seen {
			y = len(lines)
			top[p.GridPos.Y] = y
		}
		if p.Type == "row" {
			put(y, 0, p.Title)
			continue
		}
		texts := []string{p.Title}
		for _, target := range p.Targets {
			texts = append(texts, " "+strings.NewReplacer("{{", "<", "}}", ">").Replace(target.LegendFormat))
		}
		edge := "+" + strings.Repeat("-", w+2) + "+"
		put(y, x, edge)
		for i := range targets[p.GridPos.Y] + 1 {
			text := ""
			if i < len(texts) {
				text = texts[i]
			}
			require.LessOrEqual(t, len(text), w, "%q is too long for its panel", text)
			put(y+1+i, x, fmt.Sprintf("| %-*s |", w, text))
		}
		put(y+2+targets[p.GridPos.Y], x, edge)
	}
	return "\n```text\n" + strings.Join(lines, "\n") + "\n```\n\n"
}

// promtool finds no fault with the metrics, the alerts and their tests, and reads the
// queries of the dashboard.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: scripts/prometheus.sh installs it")
	}
	run := func(stdin string, args ...string) {
		cmd := exec.Command(promtool, args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.NotContains(t, string(out), "FAILED")
	}
	reg, _ := everything(t)
	page := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, page.Body.String(), "proxylite_client_calls_total{")
	run(page.Body.String(), "check", "metrics")
	run("", "check", "rules", "monitoring/alerts.yml")
	run("", "test", "rules", "monitoring/alerts_test.yml")
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			rules += fmt.Sprintf("  - {record: 'a:b', labels: {n: '%d'}, expr: '%s'}\n", len(rules), strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	file := t.TempDir() + "/dashboard.yml"
	require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
	run("", "check", "rules", file)
}
