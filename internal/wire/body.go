package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrTooLarge matches, with [errors.Is], the error of a response that is longer
// than its bound, and the error of one whose values would take too much memory.
var ErrTooLarge = errors.New("the response is too large")

// tooLarge is an ErrTooLarge that names the bound.
type tooLarge string

func (e tooLarge) Error() string        { return string(e) }
func (e tooLarge) Is(target error) bool { return target == ErrTooLarge }

// ReadError says that the reader under a [Body] failed, or that the context ended
// before the end of the response.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "the response was cut: " + e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// headSize is how many bytes of a response are kept for error reports.
const headSize = 4096

// Body reads the body of a response up to a bound. It keeps the first 4096 bytes,
// and all of them after [Body.KeepAll].
//
// It looks at its context before each read: a few KB of compressed data hold many
// MB of JSON, and net/http gives out what it has already received however long
// ago the context ended. The decoder reads in small pieces, so decoding stops too.
type Body struct {
	ctx   context.Context
	r     io.Reader
	bound int64
	read  int64 // bytes that came from r, at most bound
	err   error // why reading or decoding ended

	head    [headSize]byte
	filled  int // bytes in head
	served  int // of those, returned by Read
	started bool
	keep    bool
	all     []byte

	memory
	zones
	d  jsontext.Decoder
	st state
}

var bodies = sync.Pool{New: func() any { return new(Body) }}

// NewBody returns a Body that reads at most bound bytes of r, until ctx ends. It
// does not close r. Call [Body.Release] when done.
func NewBody(ctx context.Context, r io.Reader, bound int64) *Body {
	b := bodies.Get().(*Body)
	// The old head stays: clearing it would cost more than a short response does.
	b.ctx, b.r, b.bound, b.read, b.err = ctx, r, max(bound, 0), 0, nil
	b.filled, b.served, b.started, b.keep, b.all = 0, 0, false, false, nil
	b.memory = memory{allowed: baseMemory}
	return b
}

// maxKept is how large a buffer may be to be kept for the next response.
const maxKept = 64 << 10

// Release gives the Body back. It and the bytes of [Body.Head] must not be used
// afterwards.
func (b *Body) Release() {
	b.d.Reset(eof{}) // keep nothing of this response alive
	b.ctx, b.r, b.all, b.err = nil, nil, nil, nil
	text := b.st.text[:cap(b.st.text)]
	clear(text)
	b.st = state{text: text[:0]}
	if cap(b.d.UnreadBuffer()) <= maxKept && cap(text) <= maxKept {
		bodies.Put(b)
	}
}

// KeepAll makes [Body.All] return every byte. Call it before anything is read.
func (b *Body) KeepAll() { b.keep = true }

// Head returns the first bytes that were read, at most 4096, with the byte order
// mark if there is one.
func (b *Body) Head() []byte { return b.head[:b.filled] }

// All returns every byte that was read so far, if [Body.KeepAll] was called.
func (b *Body) All() []byte { return b.all }

// Peek returns the first byte that is neither white space nor part of a byte order
// mark. Call it before anything is read. It returns 0 and io.EOF for a body that
// has no such byte, 0 and the error if reading failed before it, and 0 and nil if
// the first 4096 bytes have none.
func (b *Body) Peek() (byte, error) {
	b.start()
	for i := b.served; ; i++ {
		for i == b.filled {
			if b.err != nil || b.filled == len(b.head) {
				return 0, b.err
			}
			b.fill()
		}
		switch c := b.head[i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, nil
		}
	}
}

// Read implements [io.Reader]. One byte order mark at the beginning is left out.
func (b *Body) Read(p []byte) (int, error) {
	b.start()
	if b.served < b.filled {
		n := copy(p, b.head[b.served:b.filled])
		b.served += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n := b.next(p)
	if b.filled < len(b.head) {
		b.filled += copy(b.head[b.filled:], p[:n])
		b.served = b.filled
	}
	return n, b.err
}

// Text returns what is left as text. The error is a [ReadError] or an ErrTooLarge.
func (b *Body) Text() (string, error) {
	text, err := io.ReadAll(b)
	if err != nil {
		return "", b.failure()
	}
	return string(text), nil
}

// Drain reads and discards at most n bytes. A body that was read to its end lets
// net/http use the connection again.
func (b *Body) Drain(n int64) { _, _ = io.CopyN(io.Discard, b, n) }

// start skips a byte order mark.
func (b *Body) start() {
	const mark = "\ufeff"
	if b.started {
		return
	}
	b.started = true
	for b.err == nil && (b.filled == 0 || b.head[0] == mark[0] && b.filled < len(mark)) {
		b.fill()
	}
	if b.filled > 0 && b.head[0] == mark[0] && strings.HasPrefix(string(b.head[:b.filled]), mark) {
		b.served = len(mark)
	}
}

func (b *Body) fill() { b.filled += b.next(b.head[b.filled:]) }

// next reads into p and sets err.
func (b *Body) next(p []byte) int {
	if b.err = b.ctx.Err(); b.err != nil {
		return 0
	}
	p = p[:min(len(p), maxKept)] // so that a large buffer does not delay the next look at ctx
	left := b.bound - b.read
	if int64(len(p))-1 > left { // one byte more tells a longer body; left+1 alone may overflow
		p = p[:left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > left {
		n, err = int(left), tooLarge(fmt.Sprintf("the response is larger than %d bytes", b.bound))
	}
	b.read += int64(n)
	b.err = err
	if b.keep {
		b.all = append(b.all, p[:n]...)
	}
	return n
}

// failure returns why reading or decoding ended before the end of the response, or
// nil if it did not.
func (b *Body) failure() error {
	switch {
	case b.err == nil, b.err == io.EOF:
		return nil
	case errors.Is(b.err, ErrTooLarge):
		return b.err
	}
	return &ReadError{b.err}
}

// A response is short beside what it may decode to: {} is three bytes in a list
// and an entry with all its fields in memory. So what decoding allocates beside
// texts (which are never longer than the response) is bounded: at most baseMemory
// and memoryFactor times the bytes that were read. An account with three fields
// takes 3 times its JSON and one with all fields less than its JSON; typical JSON
// in an any takes 5 times, and baseMemory lets it be some 20 MB. A list that is
// joined of its pieces takes up to twice as much for a moment.
const (
	baseMemory   = 32 << 20
	memoryFactor = 4
)

// memory counts the bytes that decoding allocates.
type memory struct{ used, allowed int64 }

// charge notes that n bytes will be allocated, and reports an error when that is
// too much.
func (b *Body) charge(n uintptr) error {
	if b.used += int64(n); b.used <= b.allowed {
		return nil
	}
	if b.allowed = baseMemory + memoryFactor*b.read; b.used <= b.allowed {
		return nil
	}
	b.err = tooLarge(fmt.Sprintf("the values of the response take more than %d bytes of memory (%d, and %d for each byte that was read)",
		b.allowed, baseMemory, memoryFactor))
	return b.err
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// section reads a part of a response that was read before.
type section struct {
	b    *Body
	rest []byte
}

func (s *section) Read(p []byte) (int, error) {
	if err := s.b.ctx.Err(); err != nil {
		s.b.err = err
		return 0, err
	}
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), maxKept)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
