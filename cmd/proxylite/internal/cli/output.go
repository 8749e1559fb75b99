package cli

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/itchyny/gojq"
	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

// errPipe means that nobody reads stdout any more, as after "| head".
var errPipe = errors.New("stdout is closed")

var formats = []string{"table", "tsv", "csv", "json", "ndjson"}

// checkFlags checks the flags that need no request.
func (a *app) checkFlags() error {
	if a.jq != "" && a.output != "" && !strings.HasSuffix(a.output, "json") {
		return fmt.Errorf("--jq writes what the expression returns, not %s: use @csv or @tsv in it, or leave out --output", a.output)
	}
	if a.output = cmp.Or(a.output, os.Getenv("PROXYLITE_OUTPUT")); a.output == "" {
		a.output = "tsv"
		if isTerminal(a.out) {
			a.output = "table"
		}
	}
	if !slices.Contains(formats, a.output) {
		return fmt.Errorf("output format %q is not known: use one of %s", a.output, strings.Join(formats, ", "))
	}
	if a.timeout <= 0 {
		return errors.New("--timeout must be positive")
	}
	return nil
}

// column is a column of a list. The value is a plain Go value or one of the SDK's.
type column[T any] struct {
	name  string
	value func(T) any
	extra bool // printed only when --columns asks for it
	drawn bool // for a person: part of a table only
}

// share is the part of a limit that is used.
type share float64

// bar is a part of the largest value, from 0 to 1.
type bar float64

// unlimited is a traffic limit; 0 means none.
type unlimited proxylite.Traffic

// rows writes the rows of a list in one of the formats.
type rows interface {
	row(cells []any, object any) error
	end() error
}

// show prints a list. It asks for the next row only when the one before is written, so
// that a list in pages is read as far as it is printed.
func show[T any](a *app, columns []column[T], list iter.Seq2[T, error]) error {
	columns, err := pick(columns, a.columns, a.output == "table" && a.jq == "")
	if err != nil {
		return err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	out, err := a.rows(names)
	if err != nil {
		return err
	}
	bar := a.progress("row")
	bar.shown = bar.shown && !isTerminal(a.out) // the rows themselves show it there
	defer bar.end()
	n := 0
	for item, err := range list {
		if err != nil {
			return errors.Join(out.end(), err)
		}
		n++
		bar.set(n, 0)
		cells := make([]any, len(columns))
		for i, c := range columns {
			cells[i] = c.value(item)
		}
		if err := out.row(cells, item); err != nil {
			return err
		}
	}
	return out.end()
}

// all is a list that is known already.
func all[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// first is the beginning of a list; 0 means all of it.
func first[T any](n int, list iter.Seq2[T, error]) iter.Seq2[T, error] {
	if n <= 0 {
		return list
	}
	return func(yield func(T, error) bool) {
		left := n
		for item, err := range list {
			left--
			if !yield(item, err) || left == 0 {
				return
			}
		}
	}
}

func pick[T any](columns []column[T], names []string, table bool) ([]column[T], error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(columns), func(c column[T]) bool { return c.extra || c.drawn && !table }), nil
	}
	var picked []column[T]
	for _, name := range names {
		i := slices.IndexFunc(columns, func(c column[T]) bool { return c.name == name })
		if i < 0 {
			known := make([]string, len(columns))
			for i, c := range columns {
				known[i] = c.name
			}
			return nil, usage(fmt.Errorf("there is no column %q: use %s", name, strings.Join(known, ", ")))
		}
		picked = append(picked, columns[i])
	}
	return picked, nil
}

func (a *app) rows(names []string) (rows, error) {
	if a.jq != "" {
		return newJQ(a, names)
	}
	switch a.output {
	case "json", "ndjson":
		return &jsonRows{a: a, names: names, array: a.output == "json"}, nil
	case "csv":
		w := &csvRows{a: a, w: csv.NewWriter(stdout{a.out})}
		return w, w.write(names)
	case "tsv":
		return tsvRows{a}, nil
	}
	t := &tableRows{a: a, names: names, color: isTerminal(a.out) && os.Getenv("NO_COLOR") == "", widths: make([]int, len(names))}
	for i, name := range names {
		t.widths[i] = len(name)
	}
	return t, nil
}

// stdout tells a closed pipe from other failures.
type stdout struct{ io.Writer }

func (w stdout) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errPipe
	}
	return n, err
}

// write writes data, each row at once: a reader that goes away ends the walk.
func (a *app) write(text string) error {
	_, err := stdout{a.out}.Write([]byte(text))
	return err
}

// printable replaces what could move the cursor, end a line or hide text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// plain is a value for a program: traffic in KB, times in RFC 3339.
func (a *app) plain(v any) any {
	switch v := v.(type) {
	case proxylite.Traffic:
		return v.KB()
	case unlimited:
		return int64(v)
	case share:
		return int(100*v + 0.5)
	case bar:
		return int(100*v + 0.5)
	case proxylite.Password:
		return a.password(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format(time.RFC3339)
	case proxylite.Decimal:
		return string(v)
	case fmt.Stringer:
		return v.String()
	case *bool:
		if v == nil {
			return ""
		}
		return *v
	}
	return v
}

func (a *app) password(p proxylite.Password) string {
	switch {
	case p == proxylite.Password{}:
		return ""
	case a.showSecrets:
		return p.Reveal()
	}
	return hidden
}

// human is a value for a person.
func (a *app) human(v any) string {
	switch v := v.(type) {
	case proxylite.Traffic:
		return v.String()
	case unlimited:
		if v == 0 {
			return "none"
		}
		return proxylite.Traffic(v).String()
	case share:
		return blocks(float64(v), 10) + fmt.Sprintf(" %3.0f%%", 100*float64(v))
	case bar:
		return strings.TrimRight(blocks(float64(v), 30), "░")
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format("2006-01-02 15:04")
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case nil:
		return ""
	}
	return printable(fmt.Sprint(a.plain(v)))
}

// blocks draws a part of a width.
func blocks(part float64, width int) string {
	full := max(0, min(width, int(part*float64(width)+0.5)))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

type tsvRows struct{ a *app }

func (w tsvRows) row(cells []any, _ any) error {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteByte('\t')
		}
		if c != nil {
			b.WriteString(printable(fmt.Sprint(w.a.plain(c))))
		}
	}
	b.WriteByte('\n')
	return w.a.write(b.String())
}

func (w tsvRows) end() error { return nil }

type csvRows struct {
	a *app
	w *csv.Writer
}

func (w *csvRows) write(fields []string) error {
	_ = w.w.Write(fields) // Error has it
	w.w.Flush()
	return w.w.Error()
}

func (w *csvRows) row(cells []any, _ any) error {
	fields := make([]string, len(cells))
	for i, c := range cells {
		if c != nil {
			fields[i] = fmt.Sprint(w.a.plain(c))
		}
	}
	return w.write(fields)
}

func (w *csvRows) end() error { return nil }

// jsonRows writes whole objects, or with --columns objects of these.
type jsonRows struct {
	a     *app
	names []string
	array bool
	n     int
}

func (w *jsonRows) row(cells []any, object any) error {
	text, err := w.a.object(w.names, cells, object)
	if err != nil {
		return err
	}
	before, after := "", "\n"
	if w.array {
		before, after = ",\n  ", ""
		if w.n == 0 {
			before = "[\n  "
		}
	}
	w.n++
	return w.a.write(before + string(text) + after)
}

func (w *jsonRows) end() error {
	switch {
	case !w.array:
		return nil
	case w.n == 0:
		return w.a.write("[]\n")
	}
	return w.a.write("\n]\n")
}

func (a *app) object(names []string, cells []any, object any) ([]byte, error) {
	if len(a.columns) == 0 {
		if a.showSecrets {
			return proxylite.MarshalRevealed(object)
		}
		return json.Marshal(object)
	}
	text := []byte{'{'}
	for i, name := range names {
		value, err := json.Marshal(a.plain(cells[i]))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = fmt.Appendf(text, "%q:%s", name, value)
	}
	return append(text, '}'), nil
}

type jqRows struct {
	a     *app
	names []string
	code  *gojq.Code
}

func newJQ(a *app, names []string) (*jqRows, error) {
	query, err := gojq.Parse(a.jq)
	if err != nil {
		return nil, usage(fmt.Errorf("--jq: %w", err))
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, usage(fmt.Errorf("--jq: %w", err))
	}
	return &jqRows{a: a, names: names, code: code}, nil
}

func (w *jqRows) row(cells []any, object any) error {
	text, err := w.a.object(w.names, cells, object)
	if err != nil {
		return err
	}
	return w.document(text)
}

// document prints what the expression selects of a JSON value; text without quotes.
func (w *jqRows) document(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("--jq: the response is not JSON: %w", err)
	}
	results := w.code.Run(value)
	for {
		result, ok := results.Next()
		if !ok {
			return nil
		}
		if err, ok := result.(error); ok {
			return usage(fmt.Errorf("--jq: %w", err))
		}
		line, ok := result.(string)
		if !ok {
			text, err := gojq.Marshal(result)
			if err != nil {
				return err
			}
			line = string(text)
		}
		if err := w.a.write(line + "\n"); err != nil {
			return err
		}
	}
}

func (w *jqRows) end() error { return nil }

// tableRows aligns columns by display width. It holds some rows back for that; later
// ones can only widen a column.
type tableRows struct {
	a      *app
	names  []string
	color  bool
	widths []int
	held   [][]any
	begun  bool
}

const heldRows = 200

// display measures text as a terminal shows it: a Chinese character takes two columns.
var display = &runewidth.Condition{StrictEmojiNeutral: true}

func (t *tableRows) row(cells []any, _ any) error {
	t.held = append(t.held, cells)
	for i, c := range cells {
		t.widths[i] = max(t.widths[i], display.StringWidth(t.a.human(c)))
	}
	if len(t.held) < heldRows && !t.a.live {
		return nil
	}
	return t.end()
}

func (t *tableRows) end() error {
	var b strings.Builder
	if !t.begun && len(t.held) > 0 {
		t.begun = true
		header := make([]any, len(t.names))
		for i, name := range t.names {
			header[i] = strings.ToUpper(strings.ReplaceAll(name, "_", " "))
		}
		t.line(&b, header, "1")
	}
	for _, cells := range t.held {
		t.line(&b, cells, "")
	}
	t.held = nil
	return t.a.write(b.String())
}

func (t *tableRows) line(b *strings.Builder, cells []any, style string) {
	last := len(cells)
	for last > 0 && t.a.human(cells[last-1]) == "" {
		last--
	}
	for i, c := range cells[:last] {
		text := t.a.human(c)
		pad := strings.Repeat(" ", t.widths[i]-display.StringWidth(text)+2)
		if i == last-1 {
			pad = ""
		}
		if color := cmp.Or(style, colorOf(c)); color != "" && t.color && text != "" {
			text = "\x1b[" + color + "m" + text + "\x1b[0m"
		}
		b.WriteString(text + pad)
	}
	b.WriteByte('\n')
}

const red, green, yellow = "31", "32", "33"

func colorOf(v any) string {
	switch v := v.(type) {
	case share:
		switch {
		case v >= 1:
			return red
		case v >= 0.8:
			return yellow
		}
	case verdict:
		return map[verdict]string{good: green, warning: yellow, bad: red}[v]
	case proxylite.AccountStatus:
		if v == proxylite.AccountEnabled {
			return green
		}
		return red
	case proxylite.OrderStatus:
		switch v {
		case proxylite.OrderPaid:
			return green
		case proxylite.OrderAwaitingPayment:
			return yellow
		}
	case proxylite.StaticIPStatus:
		switch v {
		case proxylite.StaticIPValid:
			return green
		case proxylite.StaticIPExpiringSoon:
			return yellow
		}
		return red
	}
	return ""
}

// columnHelp is the part of a help text that lists the columns.
func columnHelp[T any](cmd *cobra.Command, columns []column[T]) *cobra.Command {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	cmd.Long = cmp.Or(cmd.Long, cmd.Short+".") + "\n\nColumns: " + strings.Join(names, ", ") + "."
	return cmd
}
