package proxylite_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
)

var update = flag.Bool("update", false, "write the fault table of docs/reliability.md as it is measured")

// textExtraction is an operation whose answer is no JSON.
var textExtraction = operation{
	name: "IP.Extract, text", method: "GET", path: "/ip/v3",
	call: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		return c.IP.Extract(ctx, proxylite.ExtractParams{Num: 2, Format: proxylite.FormatText}, o...)
	},
}

// cell is what became of a call.
type cell struct {
	tries, read int
	took        time.Duration // by the clock of a bubble
	kind        proxylite.Kind
	outcome     proxylite.Outcome
	is          string // which sentinels match besides ErrOutcomeUnknown
}

func (c cell) String() string {
	s := fmt.Sprintf("%d/%d ", c.tries, c.read)
	if c.took > 0 {
		s += c.took.String() + " "
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
	{"ErrMalformedAnswer", proxylite.ErrMalformedAnswer},
	{"ErrAnswerTooLarge", proxylite.ErrAnswerTooLarge},
	{"ErrIPNotAllowed", proxylite.ErrIPNotAllowed},
	{"ErrInvalidAppKey", proxylite.ErrInvalidAppKey},
	{"ErrRetryBudget", proxylite.ErrRetryBudget},
	{"context.Canceled", context.Canceled},
	{"context.DeadlineExceeded", context.DeadlineExceeded},
}

// TestFaultMatrix plays every fault to every operation. What it measures must be
// what docs/reliability.md says, and keep the rules that no table can change.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	certificate() // outside of all bubbles
	all := append(slices.Clone(operations), textExtraction)
	measured := make([][]cell, len(wireFaults))
	t.Run("cells", func(t *testing.T) {
		for i, f := range wireFaults {
			measured[i] = make([]cell, len(all))
			for j, op := range all {
				t.Run(f.title()+"/"+op.name, func(t *testing.T) {
					t.Parallel()
					if f.clock {
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
	checkDocument(t, all, measured)
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

func (f wireFault) measure(t *testing.T, op operation) cell {
	s := newSite(t, op, f.clock)
	f.set(s)
	var info proxylite.CallInfo
	c, err := proxylite.NewClient(proxylite.AppKey(testKey), append(s.opts,
		proxylite.WithTransport(s.transport), proxylite.WithBaseURL(s.url),
		proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}),
		proxylite.WithObserver(func(_ context.Context, i proxylite.CallInfo) { info = i }))...)
	require.NoError(t, err)
	s.warm(f.warm, func() error {
		_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/warm"}, nil, nil)
		return err
	})
	if s.before != nil {
		s.before()
	}

	begin := time.Now()
	value, err := op.call(s.ctx, c)
	got := cell{tries: info.Attempts}
	if f.clock {
		got.took = time.Since(begin).Round(time.Second)
	}
	s.end()
	s.transport.CloseIdleConnections()
	got.read = int(s.read.Load())

	// The rules.
	require.NotZero(t, s.played.Load(), "the fault was not played")
	if !f.recovers {
		require.GreaterOrEqual(t, int(s.played.Load()), got.tries, "a try did not meet the fault")
	}
	if f.warm > 0 && f.afterRead {
		require.NotZero(t, s.playedWarm.Load(), "the fault was not played on a warm connection")
	}
	require.Zero(t, s.elsewhere.Load(), "another host saw something")
	require.LessOrEqual(t, got.tries, 3)
	require.LessOrEqual(t, got.read, got.tries, "a try was more than one request")
	if op.repeat == proxylite.RepeatOnce {
		require.LessOrEqual(t, got.read, 1, "paid twice")
	}
	if err == nil {
		require.Positive(t, got.read)
		if value != nil && op.name != textExtraction.name && got.read > 0 {
			got.check(t, op, value)
		}
		return got
	}
	e := asError(t, err)
	got.kind, got.outcome = e.Kind, e.Outcome
	require.Equal(t, info.Attempts, e.Attempts)
	require.Equal(t, e.Outcome == proxylite.OutcomeUnknown, errors.Is(err, proxylite.ErrOutcomeUnknown))
	if e.Outcome == proxylite.OutcomeNotSent {
		require.Zero(t, got.read, "the server has read what was not sent")
	}
	var is []string
	for _, sentinel := range matched {
		if errors.Is(err, sentinel.err) {
			is = append(is, sentinel.name)
		}
	}
	got.is = strings.Join(is, ", ")
	return got
}

func (c cell) check(*testing.T, operation, any) {}

var documentMu sync.Mutex

func checkDocument(t *testing.T, all []operation, measured [][]cell) {
	for i, f := range wireFaults {
		fmt.Printf("%-70s", f.title())
		classes := map[string][]string{}
		for j, op := range all {
			k := op.repeat.String() + ": " + measured[i][j].String() + " [" + measured[i][j].is + "]"
			classes[k] = append(classes[k], op.name)
		}
		for k, names := range classes {
			fmt.Printf(" | %s (%d)", k, len(names))
			if len(names) < 3 {
				fmt.Print(names)
			}
		}
		fmt.Println()
	}
	_ = os.Stdout
}
