// Package faultmatrix_test plays every fault of a connection, a server and a response to
// every operation, and measures what becomes of the calls. docs/faults.md has the tables.
package faultmatrix_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

var update = flag.Bool("update", false, "write the tables of docs/faults.md and docs/reliability.md, and the requests in testdata as they are measured")

// textExtraction is an operation whose response is no JSON.
var textExtraction = apitest.Operation{
	Name: "IP.Extract, text", Method: "GET", Path: "/ip/v3",
	Call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		return c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 2, Format: proxylite.FormatText}, o...)
	},
}

// cell is what became of a call: its attempts, the requests that the server read to
// their end, and how it ended.
type cell struct {
	attempts, read int
	took           time.Duration // in the time of a bubble
	kind           proxylite.Kind
	outcome        proxylite.Outcome
	is             string // which errors match besides ErrOutcomeUnknown
	other          bool   // the fault is impossible for the call
	luck           bool   // not sent, or unknown
}

func (c cell) String() string {
	if c.other {
		return "–"
	}
	s := fmt.Sprintf("%d/%d ", c.attempts, c.read)
	if c.luck {
		return fmt.Sprintf("1–3/%d %s, not sent or unknown", c.read, c.kind)
	}
	if c.took > 0 {
		s += fmt.Sprintf("%.0f s ", c.took.Seconds())
	}
	if c.kind == "" {
		return s + "ok"
	}
	return s + string(c.kind) + ", " + strings.ReplaceAll(c.outcome.String(), "_", " ")
}

var matched = []struct {
	name string
	err  error
}{
	{"ErrRateLimited", proxylite.ErrRateLimited},
	{"ErrMalformedResponse", proxylite.ErrMalformedResponse},
	{"ErrResponseTooLarge", proxylite.ErrResponseTooLarge},
	{"ErrIPNotAllowed", proxylite.ErrIPNotAllowed},
	{"ErrInvalidAppKey", proxylite.ErrInvalidAppKey},
	{"ErrRetryBudget", proxylite.ErrRetryBudget},
	{"context.Canceled", context.Canceled},
	{"context.DeadlineExceeded", context.DeadlineExceeded},
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFaultMatrix plays every fault to every operation. What it measures must be
// what docs/faults.md says, and keep the rules that no table can change.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	apitest.Certificate() // outside of all bubbles
	all := append(slices.Clone(apitest.Operations), textExtraction)
	measured := make([][]cell, len(wireFaults))
	t.Run("cells", func(t *testing.T) {
		for i, f := range wireFaults {
			measured[i] = make([]cell, len(all))
			for j, op := range all {
				t.Run(f.title()+"/"+op.Name, func(t *testing.T) {
					t.Parallel()
					if f.virtual {
						synctest.Test(t, func(t *testing.T) { measured[i][j] = f.measure(t, op) })
					} else {
						measured[i][j] = f.measure(t, op)
					}
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	for _, row := range measured {
		if slices.Contains(row, cell{}) {
			t.Skip("only a part was run: the tables are not compared")
		}
	}
	checkDocuments(t, all, measured)
}

func (f wireFault) title() string {
	title := f.name
	switch f.warm {
	case 0:
	case 1:
		title = "warm connection " + title
	default:
		title = fmt.Sprintf("%d warm connections %s", f.warm, title)
	}
	return strings.TrimSpace(f.over + " " + title)
}

func (f wireFault) measure(t *testing.T, op apitest.Operation) cell {
	if f.frames && op.Class == proxylite.ClassUnsafe {
		return cell{other: true}
	}
	s := newSite(t, op, f.virtual)
	f.set(s)
	var info proxylite.CallInfo
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), append(s.opts,
		proxylite.WithTransport(s.transport), proxylite.WithBaseURL(s.url),
		proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}),
		proxylite.WithObserver(apitest.AtEnd(func(_ context.Context, i proxylite.CallInfo) {
			if i.Operation != "" { // a warm-up has none
				info = i
			}
		})))...)
	require.NoError(t, err)
	s.warm(f.warm, func() error {
		_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/warm", Class: proxylite.ClassSafe}, nil, nil)
		return err
	})
	if s.before != nil {
		s.before()
	}

	begin := time.Now()
	value, err := op.Call(s.ctx, c)
	got := cell{attempts: info.Attempts}
	if f.virtual && !f.untimed {
		got.took = time.Since(begin).Round(time.Second)
	}
	s.end()
	s.transport.CloseIdleConnections()
	got.read = int(s.read.Load())

	// The rules.
	require.NotZero(t, s.played.Load(), "the fault was not played")
	if !f.recovers {
		require.GreaterOrEqual(t, int(s.played.Load()), got.attempts, "an attempt did not meet the fault")
	}
	if f.warm > 0 && f.afterRead && op.Class == proxylite.ClassUnsafe {
		require.Zero(t, s.playedWarm.Load(), "an unsafe call went over a connection that had served before")
	} else if f.warm > 0 && f.afterRead {
		require.NotZero(t, s.playedWarm.Load(), "the fault was not played on a warm connection")
	}
	require.Zero(t, s.elsewhere.Load(), "another host saw something")
	require.LessOrEqual(t, got.attempts, 3)
	require.LessOrEqual(t, got.read, got.attempts, "an attempt was more than one request")
	if op.Class == proxylite.ClassUnsafe {
		require.LessOrEqual(t, got.read, 1, "paid twice")
	}
	if err == nil {
		require.Positive(t, got.read, "a success without a request")
		if s.answered.Load() {
			require.Equal(t, op.Documented, value)
		}
		got.took = 0 // how long a slow response takes is not compared
		return got
	}
	e := apitest.AsError(t, err)
	got.kind, got.outcome = e.Kind, e.Outcome
	require.Equal(t, info.Attempts, e.Attempts)
	require.Equal(t, e.Outcome == proxylite.OutcomeUnknown, errors.Is(err, proxylite.ErrOutcomeUnknown))
	require.True(t, value == nil || reflect.ValueOf(value).IsZero(), "a failed call gives nothing")
	if e.Outcome == proxylite.OutcomeNotSent {
		require.Zero(t, got.read, "the server has read what was not sent")
	}
	var is []string
	for _, target := range matched {
		if errors.Is(err, target.err) {
			is = append(is, target.name)
		}
	}
	got.is = strings.Join(is, ", ")
	if f.races && op.Class == proxylite.ClassUnsafe {
		require.True(t, e.Outcome == proxylite.OutcomeUnknown || e.Outcome == proxylite.OutcomeNotSent)
		return cell{read: got.read, kind: got.kind, luck: true}
	}
	return got
}

// checkDocuments compares the tables of the documents with what is measured.
func checkDocuments(t *testing.T, all []apitest.Operation, measured [][]cell) {
	faults, exceptions := faultTables(t, all, measured)
	checkTable(t, "docs/reliability.md", "operations", operationTable())
	checkTable(t, "docs/faults.md", "faults", faults)
	checkTable(t, "docs/faults.md", "exceptions", exceptions)
}

func checkTable(t *testing.T, name, title, table string) {
	file := filepath.Join(apitest.Root(), name)
	document, err := os.ReadFile(file)
	require.NoError(t, err)
	begin, end := "<!-- "+title+": made by TestFaultMatrix -->\n", "<!-- end of "+title+" -->"
	before, rest, ok := strings.Cut(string(document), begin)
	require.True(t, ok, title)
	old, after, ok := strings.Cut(rest, end)
	require.True(t, ok, title)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+"\n"+table+"\n"+end+after), 0o644))
		return
	}
	require.Equal(t, strings.TrimSpace(table), strings.TrimSpace(old),
		name+" does not say what happens. If the new behaviour is right: go test ./internal/faultmatrix -run TestFaultMatrix -update, and review the diff")
}

func operationTable() string {
	var b strings.Builder
	b.WriteString("| Method | Request | Class |\n|---|---|---|\n")
	for _, class := range []proxylite.Class{proxylite.ClassUnsafe, proxylite.ClassIdempotent, proxylite.ClassSafe} {
		for _, op := range apitest.Operations {
			if op.Class == class {
				fmt.Fprintf(&b, "| `%s` | %s `%s` | %s |\n", op.Name, op.Method, op.Path, class)
			}
		}
	}
	return b.String()
}

// faultTables has a row for a fault and a column for a class. What one operation of
// a class does differently is an exception.
func faultTables(t *testing.T, all []apitest.Operation, measured [][]cell) (table, exceptions string) {
	type row struct{ name, over, cells, is string }
	var rows []*row
	var exceptional []*row
	add := func(to *[]*row, r row) {
		for _, old := range *to { // the same over both protocols is one row
			if old.name == r.name && old.cells == r.cells && old.is == r.is {
				old.over = "both"
				return
			}
		}
		*to = append(*to, &r)
	}
	for i, f := range wireFaults {
		over := strings.TrimPrefix(f.over, "HTTP/")
		if over == "" {
			over = "–"
		}
		name := strings.TrimSpace(strings.TrimPrefix(f.title(), f.over))
		var cells, classes []string
		is := ""
		for _, class := range []proxylite.Class{proxylite.ClassUnsafe, proxylite.ClassIdempotent, proxylite.ClassSafe} {
			count := map[cell]int{}
			most := cell{}
			for j, op := range all {
				if op.Class == class {
					if count[measured[i][j]]++; count[measured[i][j]] > count[most] {
						most = measured[i][j]
					}
				}
			}
			cells = append(cells, most.String())
			if most.is != "" {
				is = most.is
				classes = append(classes, class.String())
			}
			for j, op := range all {
				if op.Class == class && measured[i][j] != most {
					require.Greater(t, count[most], 1, "%s: a class needs a rule", f.title())
					add(&exceptional, row{name: name, over: over, cells: "`" + op.Name + "` | " + measured[i][j].String()})
				}
			}
		}
		if len(classes) == 1 || len(classes) == 2 {
			is += " (" + strings.Join(classes, ", ") + ")"
		}
		add(&rows, row{name, over, strings.Join(cells, " | "), is})
	}
	var b, e strings.Builder
	b.WriteString("| Fault | HTTP | unsafe | idempotent | safe | `errors.Is` |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.name, r.over, r.cells, r.is)
	}
	e.WriteString("| Fault | HTTP | Operation | instead |\n|---|---|---|---|\n")
	for _, r := range exceptional {
		fmt.Fprintf(&e, "| %s | %s | %s |\n", r.name, r.over, r.cells)
	}
	return b.String(), e.String()
}
