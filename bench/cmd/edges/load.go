package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
)

// load bounds a load: it ends at whichever bound comes first.
type load struct {
	goroutines, calls int // calls of all goroutines together
	duration          time.Duration
}

// result is what came of one call.
type result struct {
	what, id string
	took     time.Duration
	err      error
}

// run makes the calls: of eight, six are reads, one creates an order, one extracts.
// All goroutines begin with a read.
func (l load) run(ctx context.Context, c client) []result {
	start := time.Now()
	prefix := strconv.FormatInt(start.UnixNano(), 36) // a late request must not count for the next load
	results := make([][]result, l.goroutines)
	var wg sync.WaitGroup
	for g := range results {
		wg.Go(func() {
			for i := range l.calls / l.goroutines {
				if ctx.Err() != nil || time.Since(start) > l.duration {
					return
				}
				r := result{what: read, id: fmt.Sprintf("%sg%di%d", prefix, g, i)}
				switch i % 8 {
				case 3:
					r.what = create
				case 7:
					r.what = extract
				}
				begin := time.Now()
				r.err = c.call(ctx, r.what, r.id)
				r.took = time.Since(begin)
				results[g] = append(results[g], r)
			}
		})
	}
	wg.Wait()
	return slices.Concat(results...)
}

// row is a line of the table: what became of the reads, or of the calls that
// spend, of one client.
type row struct {
	calls, failed  int
	unknown        int // failed with an unknown outcome
	unknownUnseen  int // the same, and the origin never received it
	twice          int // received more than once
	notSentButSeen int // failed as not sent, but was received
	okUnseen       int // succeeded, but was never received
	p50, p99       time.Duration
	errors         map[string]int
	example        request // received twice
}

// judge compares what the calls say with what the origin received.
func judge(results []result, received []request) (reads, spends row) {
	seen := map[string][]request{}
	for _, r := range received {
		seen[r.id] = append(seen[r.id], r)
	}
	var took [2][]time.Duration
	for _, r := range results {
		to, i := &reads, 0
		if r.what != read {
			to, i = &spends, 1
		}
		to.add(r, seen[r.id])
		took[i] = append(took[i], r.took)
	}
	for i, to := range []*row{&reads, &spends} {
		slices.Sort(took[i])
		if n := len(took[i]); n > 0 {
			to.p50, to.p99 = took[i][n/2], took[i][n*99/100]
		}
	}
	return reads, spends
}

func (t *row) add(r result, seen []request) {
	t.calls++
	if len(seen) > 1 {
		t.twice++
		t.example = seen[1]
	}
	if r.err == nil {
		if len(seen) == 0 {
			t.okUnseen++
		}
		return
	}
	t.failed++
	if t.errors == nil {
		t.errors = map[string]int{}
	}
	t.errors[outline(r.err)]++
	switch outcome := outcome(r.err); {
	case outcome == proxylite.OutcomeUnknown:
		t.unknown++
		if len(seen) == 0 {
			t.unknownUnseen++
		}
	case outcome == proxylite.OutcomeNotSent && len(seen) > 0:
		t.notSentButSeen++
	}
}

// outcome is what an error says about it; one of net/http says nothing.
func outcome(err error) proxylite.Outcome {
	if e, ok := errors.AsType[*proxylite.Error](err); ok {
		return e.Outcome
	}
	return proxylite.OutcomeUnknown
}

var numbers = regexp.MustCompile(`\d{2,}|stream \d+|LastStreamID=\d+`)

// outline is an error without what differs for each call.
func outline(err error) string {
	text := numbers.ReplaceAllString(strings.ReplaceAll(err.Error(), "\n", " "), "N")
	return text[:min(len(text), 200)]
}

const format = "%-30s | %-9s | %-6s | %6v | %6v | %7v | %14v | %5v | %8v | %8v"

var heading = fmt.Sprintf(format, "edge", "client", "calls", "made", "failed", "unknown", "never received", "twice", "p50", "p99")

func (t row) line(edge, client, what string) string {
	return fmt.Sprintf(format, edge, client, what, t.calls, t.failed, t.unknown, t.unknownUnseen, t.twice,
		t.p50.Round(100*time.Microsecond), t.p99.Round(100*time.Microsecond))
}

// problems lists what is wrong. These edges lose nothing, so each call must succeed
// and be received exactly once.
func (t row) problems() (all []string) {
	must := func(n int, what string) {
		if n > 0 {
			all = append(all, strconv.Itoa(n)+" "+what)
		}
	}
	must(t.twice, "were received more than once")
	must(t.notSentButSeen, "failed as not sent, but were received")
	must(t.unknownUnseen, "failed as unknown, but were never received")
	must(t.okUnseen, "succeeded, but were never received")
	must(t.failed, "failed")
	for _, text := range slices.SortedFunc(maps.Keys(t.errors), func(a, b string) int { return t.errors[b] - t.errors[a] }) {
		all = append(all, fmt.Sprintf("    %d times %s", t.errors[text], text))
		if len(all) > 8 {
			break
		}
	}
	if t.twice > 0 {
		all = append(all, fmt.Sprintf("    received more than once: %q", t.example.raw[:min(len(t.example.raw), 300)]))
	}
	return all
}
