// Package redact keeps secrets out of texts, headers and errors that came from
// outside: a server, a proxy or a library may show what was sent to it, in any form.
//
// It does not look for a list of forms. It decodes the text and looks for the
// secret itself, then hides the part of the text that was decoded:
//
//   - Escapes: of URLs (%2B, %u002B), of JSON, JavaScript, Go, C, Python, CSS and LDAP
//     (\", \n, \x2b, \u002b, \u{2b}, \U0000002b, \053, \2b), of HTML and XML (&amp;, &#43;,
//     &#x2B, with or without zeros and semicolon), of quoted-printable, JSON pointers,
//     CSV and SQL, in any mixture, and within each other. Each byte of a secret may
//     be escaped in another way.
//   - Codes: base64, base32, base32hex, hexadecimal with or without separators and
//     prefixes, lists of numbers. The secret may stand anywhere within what was
//     encoded, and lines may be broken.
//   - Both within each other, up to eight layers.
//   - Other letter case, full-width letters, UTF-16 as ASCII and Latin-1 have it, and
//     spaces, line breaks or invisible characters inside.
//
// Out of scope is a secret which the text does not hold in one piece or which can't
// be decoded without knowing more: cut in two by other characters, reversed,
// shortened (but see [Set.Start]), hashed, encrypted, compressed, in base58, base85
// or uuencode, in a hex dump with a column of text, in base64 that lost its case or
// was broken by a form's plus signs. Whoever knows the secret can always write it
// in a way that nobody looks for; this package is for those who do it by accident.
//
// It hides too much where a text happens to hold the secret's bytes with spaces in
// between or in other case: "is good" for the secret "isgood". What surrounds a
// secret in base64 or hex loses up to a digit on each side. A number in JSON is hidden
// as a whole.
package redact

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const (
	// Redacted stands where a secret was.
	Redacted = "[REDACTED]"
	// Shortest is the length in bytes of the shortest secret that is hidden. To hide
	// a shorter one would garble texts.
	Shortest = 6
)

// Set is an immutable set of secrets. A nil *Set hides nothing. It is safe for
// concurrent use.
type Set struct {
	secrets []string
	prepare sync.Once
	needles *needles
}

// New returns a set of these secrets. It costs nothing until the first text is
// looked into.
func New(secrets ...string) *Set { return &Set{secrets: slices.Clone(secrets)} }

// With returns a set of the secrets of h and more.
func (h *Set) With(more ...string) *Set {
	if len(more) == 0 {
		return h
	}
	return &Set{secrets: slices.Concat(h.Secrets(), more)}
}

// Secrets returns what the set hides. It must not be changed.
func (h *Set) Secrets() []string {
	if h == nil {
		return nil
	}
	return h.secrets
}

// Text returns s without secrets. It is s itself if it has none.
func (h *Set) Text(s string) string {
	spans := h.find(len(s), false, func(to []byte, from int) int { return copy(to, s[from:]) })
	if len(spans) == 0 {
		return s
	}
	return string(replace([]byte(s), spans))
}

// Start returns a copy of b without secrets. B is the beginning of a text and may end
// within a secret, in whatever way that is written: a tail that may be the start of
// one is hidden too, if it shows more than three bytes of it.
func (h *Set) Start(b []byte) []byte {
	spans := h.find(len(b), true, func(to []byte, from int) int { return copy(to, b[from:]) })
	if len(b) == 0 {
		return nil
	}
	return replace(b, spans)
}

// window is how much of a text is looked into at once, which bounds the memory.
const window = 256 << 10

// find returns where the secrets are in a text of that size. Read copies as much
// as fits of the text from a position on.
func (h *Set) find(size int, open bool, read func(to []byte, from int) int) []span {
	if h == nil || len(h.secrets) == 0 || size < cut {
		return nil
	}
	h.prepare.Do(func() { h.needles = newNeedles(h.secrets) })
	if len(h.needles.sorted) == 0 {
		return nil
	}
	f := finders.Get().(*finder)
	defer finders.Put(f)
	overlap := 64*h.needles.longest + 4096 // what a secret may take in its escapes
	step := max(window, 4*overlap)
	var all []span
	for from := 0; ; from += step {
		l := &f.first
		l.b = slices.Grow(l.b[:0], min(step+overlap, size-from))[:min(step+overlap, size-from)]
		end := from + read(l.b, from)
		l.open = open && end == size
		for _, s := range f.find(h.needles, l) {
			all = append(all, span{s.from + from, s.to + from})
		}
		if end == size {
			return merge(all)
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

// JSON is Text for JSON, which stays valid: a number with a secret in it becomes
// a string.
func (h *Set) JSON(raw json.RawMessage) json.RawMessage {
	spans := h.find(len(raw), false, func(to []byte, from int) int { return copy(to, raw[from:]) })
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

// scalar returns the length of the string, number or literal that b begins with.
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

// redactScalar replaces what the spans cover of a scalar at p, or all of it if no
// valid string would be left.
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

// Header returns header without secrets in names and values, a copy if it had any.
func (h *Set) Header(header http.Header) http.Header {
	clean := true
	for name, values := range header {
		if h.Text(name) != name || slices.ContainsFunc(values, func(v string) bool { return h.Text(v) != v }) {
			clean = false
			break
		}
	}
	if clean {
		return header
	}
	out := make(http.Header, len(header))
	for name, values := range header {
		shown := h.Text(name)
		for _, v := range values {
			out[shown] = append(out[shown], h.Text(v))
		}
	}
	return out
}
