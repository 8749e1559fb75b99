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

// ErrTooLarge matches, with [errors.Is], the error of a response that exceeds its maximum
// size, and of one whose values would take too much memory.
var ErrTooLarge = errors.New("the response is too large")

// tooLarge is an ErrTooLarge whose text has the limit.
type tooLarge string

func (e tooLarge) Error() string        { return string(e) }
func (e tooLarge) Is(target error) bool { return target == ErrTooLarge }

// ReadError is the error if the reader of a [Body] fails, or if the context ends before
// the end of the response.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "the response was cut: " + e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// headSize is how many bytes of a response are kept for error reports.
const headSize = 4096

// Body reads the body of a response up to a maximum size. It keeps the first 4096 bytes,
// or all of them if [Body.KeepAll] was called.
//
// It checks its context before each read. net/http returns data that it has already
// received even if the context has ended, and a few KB of compressed data may expand to
// many MB of JSON. The decoder reads in small pieces, so decoding stops too.
type Body struct {
	ctx   context.Context
	r     io.Reader
	limit int64 // maximum size
	read  int64 // bytes read from r, at most limit
	err   error // why reading or decoding ended

	head    [headSize]byte
	filled  int // bytes in head
	served  int // bytes of head that Read has returned
	started bool
	keep    bool
	all     []byte

	memory
	zones
	d  jsontext.Decoder
	st state
}

var bodies = sync.Pool{New: func() any { return new(Body) }}

// NewBody returns a Body that reads at most limit bytes of r, until ctx ends. It
// does not close r. Call [Body.Release] when done.
func NewBody(ctx context.Context, r io.Reader, limit int64) *Body {
	b := bodies.Get().(*Body)
	// Keep the old head: clearing it would cost more than reading a short response.
	b.ctx, b.r, b.limit, b.read, b.err = ctx, r, max(limit, 0), 0, nil
	b.filled, b.served, b.started, b.keep, b.all = 0, 0, false, false, nil
	b.memory = memory{allowed: baseMemory}
	return b
}

// maxKept is the maximum size of a buffer that is reused for the next response.
const maxKept = 64 << 10

// Release returns the Body to a pool. The Body and the bytes of [Body.Head] must not be
// used afterwards.
func (b *Body) Release() {
	b.d.Reset(eof{}) // so that the decoder does not keep this response in memory
	b.ctx, b.r, b.all, b.err = nil, nil, nil, nil
	text := b.st.text[:cap(b.st.text)]
	clear(text)
	b.st = state{text: text[:0]}
	if cap(b.d.UnreadBuffer()) <= maxKept && cap(text) <= maxKept {
		bodies.Put(b)
	}
}

// KeepAll makes the Body keep every byte for [Body.All]. Call it before the first read.
func (b *Body) KeepAll() { b.keep = true }

// Head returns the first bytes that were read, at most 4096, including a byte order mark.
func (b *Body) Head() []byte { return b.head[:b.filled] }

// All returns every byte read so far, if [Body.KeepAll] was called.
func (b *Body) All() []byte { return b.all }

// Peek returns the first byte that is neither white space nor part of a byte order mark.
// Call it before the first read. If the body has no such byte, Peek returns 0 and io.EOF.
// If reading fails before it, Peek returns 0 and the error. If it is not among the first
// 4096 bytes, Peek returns 0 and nil.
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

// Read implements [io.Reader]. It skips a byte order mark at the beginning.
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

// Text reads the rest of the body. The error is a [ReadError] or an ErrTooLarge.
func (b *Body) Text() (string, error) {
	text, err := io.ReadAll(b)
	if err != nil {
		return "", b.failure()
	}
	return string(text), nil
}

// Drain reads and discards at most n bytes. net/http reuses a connection only if the body
// was read to its end.
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
	p = p[:min(len(p), maxKept)] // so that a large buffer does not delay the next check of ctx
	left := b.limit - b.read
	if int64(len(p))-1 > left { // one more byte shows that the body is longer; left+1 may overflow
		p = p[:left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > left {
		n, err = int(left), tooLarge(fmt.Sprintf("the response is larger than %d bytes", b.limit))
	}
	b.read += int64(n)
	b.err = err
	if b.keep {
		b.all = append(b.all, p[:n]...)
	}
	return n
}

// failure returns why reading or decoding stopped before the end of the response, or nil.
func (b *Body) failure() error {
	switch {
	case b.err == nil, b.err == io.EOF:
		return nil
	case errors.Is(b.err, ErrTooLarge):
		return b.err
	}
	return &ReadError{b.err}
}

// A response may be much shorter than the values it decodes to: "{}," takes three bytes in
// a list, and in memory an entry with all its fields. So the memory that decoding may
// allocate is limited to baseMemory plus memoryFactor times the bytes read. Strings do not
// count, as they are never longer than the response.
//
// An account with three fields takes 3 times the size of its JSON, and one with all fields
// less than the size of its JSON. Typical JSON in an any takes 5 times its size; with
// baseMemory it may have about 20 MB. Joining the pieces of a list takes up to twice as
// much for a moment.
const (
	baseMemory   = 32 << 20
	memoryFactor = 4
)

// memory counts the bytes that decoding allocates.
type memory struct{ used, allowed int64 }

// charge records that n bytes will be allocated. It returns an error if that exceeds the
// limit.
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

// section reads a part of a response again.
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
