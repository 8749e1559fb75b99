package wire_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/wire"
)

func bounded(t testing.TB, text string, bound int64) *wire.Body {
	b := wire.NewBody(t.Context(), strings.NewReader(text), bound)
	t.Cleanup(b.Release)
	return b
}

// The bound is of what is read, and every int64 is one.
func TestBodyBound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	for _, tt := range []struct {
		text  string
		bound int64
		want  int
	}{
		{long, math.MaxInt64, 10_000},
		{long, math.MaxInt64 - 1, 10_000},
		{long, 10_000, 10_000},
		{long, 9_999, -1},
		{long, 4096, -1},
		{long, 1, -1},
		{long, 0, -1},
		{long, -1, -1},
		{"", 0, 0},
		{"x", 1, 1},
	} {
		text, err := bounded(t, tt.text, tt.bound).Text()
		if tt.want < 0 {
			require.ErrorIs(t, err, wire.ErrTooLarge, tt.bound)
			require.Empty(t, text)
			continue
		}
		require.NoError(t, err, tt.bound)
		require.Len(t, text, tt.want)
	}
	_, err := bounded(t, long, 77).Text()
	require.EqualError(t, err, "the response is larger than 77 bytes")

	var out any
	_, err = bounded(t, `{"code":0,"data":[1,2,3]}`, 20).Decode(zone, &out)
	require.ErrorIs(t, err, wire.ErrTooLarge)
	require.EqualError(t, err, "the response is larger than 20 bytes")
}

func TestPeekFindsTheFirstByteThatSaysSomething(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byte{
		"{}": '{', " \t\r\n<": '<', "\ufeff{": '{', "\ufeff \n[": '[', "\ufeff\ufeff{": 0xEF, " \ufeff{": 0xEF, "\xef\xbb{": 0xEF, "\xef": 0xEF,
		strings.Repeat(" ", 4095) + "x": 'x', strings.Repeat(" ", 4096) + "x": 0, "\x00": 0,
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			b := newBody(t, r)
			got, err := b.Peek()
			require.NoError(t, err, "%q", text[:min(len(text), 10)])
			require.Equal(t, want, got, "%q", text[:min(len(text), 10)])
			rest, err := b.Text()
			require.NoError(t, err)
			require.Equal(t, strings.TrimPrefix(text, "\ufeff"), rest, "Peek took something away")
		}
	}
	for _, text := range []string{"", " ", "\ufeff", "\ufeff\n"} {
		_, err := newBody(t, strings.NewReader(text)).Peek()
		require.ErrorIs(t, err, io.EOF, "%q", text)
	}
	broken := errors.New("broken")
	_, err := newBody(t, io.MultiReader(strings.NewReader(" "), iotest.ErrReader(broken))).Peek()
	require.ErrorIs(t, err, broken)
}

func TestBodyKeepsItsBeginningAndAllOnDemand(t *testing.T) {
	t.Parallel()
	text := "\ufeff" + strings.Repeat("abcdefghij", 1000)
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
		b := newBody(t, r)
		b.KeepAll()
		got, err := b.Text()
		require.NoError(t, err)
		require.Equal(t, text[3:], got)
		require.Equal(t, text[:4096], string(b.Head()))
		require.Equal(t, text, string(b.All()))
	}
	b := newBody(t, strings.NewReader(text))
	_, err := b.Text()
	require.NoError(t, err)
	require.Empty(t, b.All())
}

func TestDrainReadsUpToItsBound(t *testing.T) {
	t.Parallel()
	r := strings.NewReader(strings.Repeat("x", 1<<20))
	b := newBody(t, r)
	_, err := b.Peek()
	require.NoError(t, err)
	b.Drain(64 << 10)
	require.InDelta(t, 1<<20-64<<10, r.Len(), 32<<10)
	b.Drain(math.MaxInt64)
	require.Zero(t, r.Len())
	_, err = b.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// What has arrived is not read after the context has ended: it could be gigabytes
// that were a few KB on the network.
func TestReadingAndDecodingEndWithTheContext(t *testing.T) {
	t.Parallel()
	const entries = `{"n":1},`
	for name, head := range map[string]string{
		"decoded": `{"code":0,"data":[`, "before the code": `{"data":[`, "skipped": `{"code":1,"data":[`, "refused": `{"code":1,"x":[`,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		served, more := 0, &repeated{entry: entries, left: 200_000, each: func() {}}
		b := wire.NewBody(ctx, io.MultiReader(strings.NewReader(head), reader(func(p []byte) (int, error) {
			if served += len(p); served > 100_000 {
				cancel()
			}
			return more.Read(p)
		})), math.MaxInt64)
		var out []thing
		_, err := b.Decode(zone, &out)
		require.ErrorIs(t, err, context.Canceled, name)
		var cut *wire.ReadError
		require.ErrorAs(t, err, &cut)
		require.Less(t, served, 300_000, "%s: read on after the context had ended", name)
		b.Release()
	}

	ended, end := context.WithCancel(t.Context())
	end()
	b := wire.NewBody(ended, strings.NewReader(`{"code":0}`), math.MaxInt64)
	defer b.Release()
	_, err := b.Peek()
	require.ErrorIs(t, err, context.Canceled)
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

type large struct {
	A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P string
}

type kinds struct {
	Maps []map[string]int `json:"maps"`
	Ptrs []*[64]int       `json:"ptrs"`
	Any  any              `json:"any"`
	Soft []large          `json:"soft" wire:"soft"`
	Kids []kinds          `json:"kids"`
	List [][]int          `json:"lists"`
}

// A response of empty entries is short and large in memory: decoding stops at the
// bound, wherever they stand, and the peak stays near it.
func TestDecodedMemoryIsBounded(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	if testing.Short() {
		t.Skip("reads 16 MB for each form")
	}
	for name, form := range map[string]struct{ head, entry, tail string }{
		"list":        {`{"code":0,"data":{"kids":[`, `{}`, `]}}`},
		"early":       {`{"data":{"kids":[`, `{}`, `]},"code":0}`},
		"soft":        {`{"code":0,"data":{"soft":[`, `{}`, `]}}`},
		"beside data": {`{"data":{},"list":[`, `{}`, `],"code":0}`},
		"maps":        {`{"code":0,"data":{"maps":[`, `{}`, `]}}`},
		"map entries": {`{"code":0,"data":{"maps":[`, `{"":0}`, `]}}`},
		"pointers":    {`{"code":0,"data":{"ptrs":[`, `[]`, `]}}`},
		"any lists":   {`{"code":0,"data":{"any":[`, `[]`, `]}}`},
		"any maps":    {`{"code":0,"data":{"any":[`, `{}`, `]}}`},
		"any numbers": {`{"code":0,"data":{"any":[`, `1`, `]}}`},
		"nested":      {`{"code":0,"data":{"kids":[`, `{"kids":[{},{},{},{},{},{},{},{},{}]}`, `]}}`},
		"beside":      {`{"code":0,"list":[`, `{}`, `]}`},
	} {
		peak, err := peakOf(t, form.head, form.entry, form.tail, strings.HasPrefix(name, "beside"))
		require.ErrorIs(t, err, wire.ErrTooLarge, name)
		require.ErrorContains(t, err, "of memory", name)
		require.Less(t, peak>>20, int64(400), "%s: MB of heap", name)
	}
}

// peakOf decodes 16 MB of entries and returns by how much the heap grew.
func peakOf(t *testing.T, head, entry, tail string, bare bool) (peak int64, err error) {
	debug.FreeOSMemory()
	before := heap()
	entries := &repeated{entry: entry + ",", left: 16 << 20 / (len(entry) + 1), each: func() { peak = max(peak, heap()-before) }}
	b := newBody(t, io.MultiReader(strings.NewReader(head), entries, strings.NewReader(entry+tail)))
	var out any = new(kinds)
	if bare {
		out = new(benchList[large])
	}
	_, err = b.Decode(zone, out)
	return max(peak, heap()-before), err
}

// repeated is a reader of the same entry over and over.
type repeated struct {
	entry string
	left  int
	rest  string
	reads int
	each  func()
}

func (r *repeated) Read(p []byte) (n int, err error) {
	if r.reads++; r.reads%16 == 0 {
		r.each()
	}
	for n < len(p) {
		if r.rest == "" {
			if r.left == 0 {
				return n, io.EOF
			}
			r.left--
			r.rest = r.entry
		}
		m := copy(p[n:], r.rest)
		r.rest = r.rest[m:]
		n += m
	}
	return n, nil
}

func heap() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// Long lists and typical JSON stay far below the bound on memory.
func TestOrdinaryResponsesPassTheBoundOnMemory(t *testing.T) {
	t.Parallel()
	accounts := benchAccounts(100_000)
	for _, out := range []any{new(benchList[benchAccount]), new(any), new(map[string]any)} {
		_, err := newBody(t, bytes.NewReader(accounts)).Decode(zone, out)
		require.NoError(t, err, "%T", out)
	}
	sparse := `{"code":0,"data":[` + strings.Repeat(`{"id":1},`, 200_000) + `{"id":1}]}`
	var list []benchAccount
	_, err := newBody(t, strings.NewReader(sparse)).Decode(zone, &list)
	require.NoError(t, err)
	require.Len(t, list, 200_001)
}

func TestAShortResponseOfManyBytes(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.Copy(w, io.MultiReader(strings.NewReader(`{"code":0,"data":[`), io.LimitReader(&repeated{entry: "{},", left: math.MaxInt, each: func() {}}, 60<<20)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Less(t, packed.Len(), 200_000)
	r, err := gzip.NewReader(&packed)
	require.NoError(t, err)
	var out []large
	_, err = newBody(t, r).Decode(zone, &out)
	require.ErrorIs(t, err, wire.ErrTooLarge)
}

// A Body goes back to its pool: nothing of a response may reach the next.
func TestABodyIsUsedAgain(t *testing.T) {
	t.Parallel()
	for range 100 {
		b := wire.NewBody(t.Context(), strings.NewReader(`{"code":7,"msg":"first"`), 10)
		b.KeepAll()
		_, err := b.Decode(zone, nil)
		require.Error(t, err)
		b.Release()

		b = wire.NewBody(t.Context(), strings.NewReader("x"), math.MaxInt64)
		require.Empty(t, b.Head())
		text, err := b.Text()
		require.NoError(t, err)
		require.Equal(t, "x", text)
		require.Empty(t, b.All())
		b.Release()
	}
}
