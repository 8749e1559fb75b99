// Package redact removes secrets from texts, headers and errors that come from outside: a
// server, a proxy or a library may repeat what was sent to it, in any encoding.
//
// It decodes the text, searches the result for the secret, and replaces the part of the
// text that the secret was decoded from. It decodes
//
//   - escapes: of URLs (%2B, %u002B), of JSON, JavaScript, Go, C, Python, CSS and LDAP
//     (\", \n, \x2b, \u002b, \u{2b}, \U0000002b, \053, \2b), of HTML and XML (&amp;, &#43;,
//     &#x2B, with or without zeros and semicolon), of quoted-printable, JSON pointers,
//     CSV and SQL, mixed and nested. Each byte of a secret may be escaped in a
//     different way.
//   - codes: base64, base32, base32hex, hexadecimal with or without separators and
//     prefixes, and lists of numbers. The secret may be anywhere in the encoded text,
//     and there may be line breaks.
//   - escapes and codes nested in each other, up to eight levels.
//
// It also finds a secret in a different letter case, in full-width letters, in UTF-16 if
// the secret is Latin-1, and with spaces, line breaks or invisible characters inside.
//
// It does not find a secret that is not in the text in one piece, or that can't be decoded
// without more knowledge: split by other characters, reversed, truncated (but see
// [Set.Start]), hashed, encrypted, compressed, in base58, base85 or uuencode, in a hex dump
// with a text column, or in base64 that lost its letter case or whose plus signs became
// spaces. Anyone who knows the secret can write it in a form that is not found; this
// package protects against accidents.
//
// It hides too much if a text happens to have the bytes of the secret in a different case
// or with spaces between them, such as "is good" for the secret "isgood". In base64 and
// hexadecimal, it may replace one more digit on each side of the secret. A number in JSON is
// replaced as a whole.
package redact

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const (
	// Redacted replaces a secret.
	Redacted = "[REDACTED]"
	// Shortest is the minimum length in bytes of a secret that is hidden. A shorter one
	// would often match by chance.
	Shortest = 6
)

// Set is an immutable set of secrets. A nil *Set hides nothing. It is safe for
// concurrent use.
type Set struct {
	open func() *secrets // a closure, so that printers that use reflection see nothing
}

type secrets struct {
	list    []string
	prepare sync.Once
	needles *needles
}

// New returns a set of secrets. It does no work until the first text is searched.
func New(list ...string) *Set { return newSet(slices.Clone(list)) }

func newSet(list []string) *Set {
	s := &secrets{list: list}
	return &Set{func() *secrets { return s }}
}

// With returns a set with the secrets of h and more.
func (h *Set) With(more ...string) *Set {
	if len(more) == 0 {
		return h
	}
	return newSet(slices.Concat(h.Secrets(), more))
}

// Secrets returns the secrets of the set. The caller must not change them.
func (h *Set) Secrets() []string {
	if h == nil {
		return nil
	}
	return h.open().list
}

// Text returns s without secrets, or s itself if there are none.
func (h *Set) Text(s string) string {
	spans, _ := h.find(len(s), false, nil, func(to []byte, from int) int { return copy(to, s[from:]) })
	if len(spans) == 0 {
		return s
	}
	return string(replace([]byte(s), spans))
}

// Start returns a copy of b without secrets. b is the beginning of a longer text and may
// end within a secret, in any encoding: if its end may be the beginning of a secret and has
// more than three bytes of it, the end is hidden too.
func (h *Set) Start(b []byte) []byte { return h.StartUntil(b, nil) }

// StartUntil is Start for a long text. When stop reports true, it returns what it has
// searched by then.
func (h *Set) StartUntil(b []byte, stop func() bool) []byte {
	spans, searched := h.find(len(b), true, stop, func(to []byte, from int) int { return copy(to, b[from:]) })
	if len(b) == 0 {
		return nil
	}
	return replace(b[:searched], spans)
}

// window is how much of a text is searched at once. It limits the memory.
const window = 64 << 10

// find returns the positions of the secrets in a text of the given size. read copies the
// text from a position on, as much as fits. It returns how much it has searched: all of
// it, unless stop reported true.
func (h *Set) find(size int, open bool, stop func() bool, read func(to []byte, from int) int) ([]span, int) {
	if h == nil || size < cut {
		return nil, size
	}
	in := h.open()
	in.prepare.Do(func() { in.needles = newNeedles(in.list) })
	if len(in.needles.sorted) == 0 {
		return nil, size
	}
	f := finders.Get().(*finder)
	defer finders.Put(f)
	overlap := 64*in.needles.longest + 4096 // the maximum size of an encoded secret
	step := max(window, 4*overlap)
	var all []span
	for from := 0; ; from += step {
		if stop != nil && stop() {
			spans := merge(all)
			for len(spans) > 0 && spans[len(spans)-1].to > from { // it goes on in what is left out
				from, spans = min(from, spans[len(spans)-1].from), spans[:len(spans)-1]
			}
			return spans, from
		}
		l := &f.first
		l.b = slices.Grow(l.b[:0], min(step+overlap, size-from))[:min(step+overlap, size-from)]
		end := from + read(l.b, from)
		l.open = open && end == size
		for _, s := range f.find(in.needles, l) {
			all = append(all, span{s.from + from, s.to + from})
		}
		if end == size {
			return merge(all), size
		}
	}
}

func replace(b []byte, spans []span) []byte {
	out := make([]byte, 0, len(b)+len(Redacted))
	done := 0
	for _, s := range spans {
		out = append(append(out, b[done:s.from]...), Redacted...)
		done = s.to
	}
	return append(out, b[done:]...)
}

// JSON returns raw without secrets. Valid JSON stays valid: a number that contains a secret
// becomes a string.
func (h *Set) JSON(raw json.RawMessage) json.RawMessage {
	spans, _ := h.find(len(raw), false, nil, func(to []byte, from int) int { return copy(to, raw[from:]) })
	if len(spans) == 0 {
		return raw
	}
	if text := replace(raw, spans); json.Valid(text) || !json.Valid(raw) {
		return text
	}
	var out json.RawMessage
	for p := 0; p < len(raw); {
		end := p + scalar(raw[p:])
		for len(spans) > 0 && spans[0].to <= p {
			spans = spans[1:]
		}
		switch {
		case end == p:
			end++
			out = append(out, raw[p])
		case len(spans) > 0 && spans[0].from < end:
			out = append(out, redactScalar(raw[p:end], p, spans)...)
		default:
			out = append(out, raw[p:end]...)
		}
		p = end
	}
	return out
}

// scalar returns the length of the string, number or literal at the beginning of b.
func scalar(b []byte) int {
	if b[0] != '"' {
		if i := slices.IndexFunc(b, func(c byte) bool { return strings.IndexByte("{}[]:, \t\r\n", c) >= 0 }); i >= 0 {
			return i
		}
		return len(b)
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// redactScalar replaces the spans of a scalar at position p, or all of it if the result
// would not be a valid string.
func redactScalar(b []byte, p int, spans []span) []byte {
	var inside []span
	for _, s := range spans {
		if s.from >= p+len(b) {
			break
		}
		inside = append(inside, span{max(s.from-p, 1), min(s.to-p, len(b)-1)})
	}
	if text := replace(b, inside); b[0] == '"' && json.Valid(text) {
		return text
	}
	return []byte(`"` + Redacted + `"`)
}

// maxHeader is how much of a header is searched. A server that sends more must not be
// able to make that take long.
const maxHeader = 32 << 10

// Header returns header without secrets in names and values. If there were any, the
// result is a copy. Fields beyond 32 KiB are left out.
func (h *Set) Header(header http.Header) http.Header {
	size := 0
	for name, values := range header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	clean := size <= maxHeader
	for name, values := range header {
		if !clean {
			break
		}
		if h.Text(name) != name || slices.ContainsFunc(values, func(v string) bool { return h.Text(v) != v }) {
			clean = false
			break
		}
	}
	if clean {
		return header
	}
	out := make(http.Header, len(header))
	left := maxHeader
	for name, values := range header {
		for _, v := range values {
			if left -= len(name) + len(v); left >= 0 {
				shown := h.Text(name)
				out[shown] = append(out[shown], h.Text(v))
			}
		}
	}
	if left < 0 {
		out[Redacted] = []string{Redacted}
	}
	return out
}
