package redact

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// reading is one way to read an escape: the bytes that it encodes, and where the text
// continues. An escape may have several readings: \053 is a plus sign in C and an S in CSS.
type reading struct {
	bytes [utf8.UTFMax]byte
	n     uint8
	kind  kind
	level uint8 // number of nested escapes
	final bool  // the byte does not begin another escape
	next  int
}

// kind says which reading to prefer when a text is unescaped and only one can be used.
type kind uint8

const (
	usual       kind = iota
	printable        // quoted-printable; most = are not escapes
	hexadecimal      // LDAP, CSS: \2b
	rare             // others, which conflict with the usual ones
)

// depth is how many nested escapes are read at once: %2B is one, %252B is two. Deeper ones
// are read layer by layer.
const depth = 3

// most is the maximum number of readings of one escape.
const most = 16

// escapes reads the escapes in s. It reads one position at a time, so that it finds all
// mixtures of escapes, in whatever order they were applied.
type escapes struct {
	s      []byte
	hitEnd bool // an escape may continue after the end of s
	// known caches recent readings. Without it, the time to read nested escapes would
	// grow exponentially.
	known   [depth + 1][64]readings
	version int
	level   uint8 // of the digits of the last number
}

// readings are all readings of the escape at a position.
type readings struct {
	of, at int // the version of s, and the position
	hitEnd bool
	level  uint8 // of readings that are added
	n      int
	list   [most]reading
}

func (e *escapes) reset(s []byte) {
	e.s = s
	e.version++
}

// introducers are the bytes that can begin an escape. The last one begins a full-width
// letter.
const introducers = "%\\&=~#$*^!@_\"'\xef"

var introduces = tableOf(introducers)

func tableOf(set string) (t [256]bool) {
	for i := range len(set) {
		t[set[i]] = true
	}
	return t
}

// at returns all readings of the escape at p, the outermost first. It leaves out the
// unescaped bytes themselves.
func (e *escapes) at(p int) []reading {
	if e.none(p) {
		return nil
	}
	return e.within(p, depth)
}

// none is a quick check for the common case that there is no escape at p.
func (e *escapes) none(p int) bool {
	if p+1 == len(e.s) || introduces[e.s[p+1]] {
		return false
	}
	next := e.s[p+1]
	switch e.s[p] {
	case '"', '\'':
		return true
	case '\\', '&', 0xef:
		return false
	case '%':
		return !isHex(next) && next|0x20 != 'u'
	case '=':
		return !isHex(next) && next != '\r' && next != '\n'
	}
	return !isHex(next)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func (e *escapes) within(p, depth int) []reading {
	out := &e.known[depth][p%len(e.known[depth])]
	if out.of != e.version || out.at != p {
		out.of, out.at, out.n = e.version, p, 0
		before := e.hitEnd
		e.hitEnd = false
		out.level = 1
		e.escape(e.s[p], p+1, depth, usual, out)
		for i, end, level := 0, out.n, 1; i < end && level < depth; level++ { // %25 may begin an escape again
			out.level = uint8(level + 1)
			for ; i < end; i++ {
				if r := out.list[i]; r.n == 1 && !r.final && r.kind != rare && introduces[r.bytes[0]] {
					e.escape(r.bytes[0], r.next, depth, r.kind, out)
				}
			}
			end = out.n
		}
		out.hitEnd, e.hitEnd = e.hitEnd, before
	}
	e.hitEnd = e.hitEnd || out.hitEnd
	return out.list[:out.n]
}

func (l *readings) add(s string, next int, kind kind) {
	r := reading{n: uint8(len(s)), next: next, kind: kind, level: l.level}
	copy(r.bytes[:], s)
	alike := 0
	for _, other := range l.list[:l.n] {
		if other.bytes != r.bytes || other.n != r.n {
			continue
		}
		if other.next == next {
			return
		}
		alike++
	}
	if l.n < most && alike < depth {
		l.list[l.n] = r
		l.n++
	}
}

func (l *readings) byte(b byte, next int, kind kind) { l.add(string([]byte{b}), next, kind) }

func (l *readings) rune(c rune, next int, kind kind) { l.add(string(c), next, kind) }

// escape reads what follows an introducer.
func (e *escapes) escape(introducer byte, q, depth int, kind kind, out *readings) {
	switch introducer {
	case '%':
		e.percent(q, depth, kind, out)
	case '\\':
		e.backslash(q, depth, kind, out)
	case '&':
		e.entity(q, depth, kind, out)
	case '=':
		e.equals(q, depth, kind, out)
	case '~': // of a JSON pointer
		if c, next := e.one(q, depth, "01"); next > 0 {
			out.byte("~/"[c-'0'], next, kind)
		}
		e.rareHex(q, depth, out)
	case '"', '\'':
		e.doubled(introducer, q, depth, out)
	case 0xef: // U+FF01 to U+FF5E are full-width ASCII
		if q+1 >= len(e.s) {
			e.hitEnd = true
		} else if introducer == e.s[q-1] {
			if r, n := utf8.DecodeRune(e.s[q-1 : q+2]); n == 3 && r >= 0xff01 && r <= 0xff5e {
				out.byte(byte(r-0xff01+'!'), q+2, kind)
			}
		}
	default:
		e.rareHex(q, depth, out)
	}
}

// percent reads %2B, and %u002B of JavaScript.
func (e *escapes) percent(q, depth int, kind kind, out *readings) {
	if v, next := e.number(q, depth, hexDigits, 2, 2); next > 0 {
		out.byte(byte(v), next, kind)
	} else if _, next := e.one(q, depth, "uU"); next > 0 {
		if v, next := e.number(next, depth, hexDigits, 4, 4); next > 0 {
			out.rune(rune(v), next, kind)
		}
	}
}

// equals reads =2B of quoted-printable, and its line breaks.
func (e *escapes) equals(q, depth int, kind kind, out *readings) {
	if c, next := e.one(q, depth, "\r\n"); next > 0 {
		if c == '\r' {
			_, after := e.one(next, depth, "\n")
			next = max(next, after)
		}
		out.add("", next, kind)
	} else if v, next := e.number(q, depth, hexDigits, 2, 2); next > 0 {
		out.byte(byte(v), next, max(kind, printable))
	}
}

// doubled reads the doubled quotes of CSV and SQL, which may be doubled again.
func (e *escapes) doubled(quote byte, q, depth int, out *readings) {
	set := string(rune(quote))
	for n := 2; n <= 8; n++ {
		_, next := e.one(q, depth, set)
		if next == 0 {
			return
		}
		if q = next; n&(n-1) == 0 {
			out.byte(quote, next, rare)
		}
	}
}

func (e *escapes) rareHex(q, depth int, out *readings) {
	if v, next := e.number(q, depth, hexDigits, 2, 2); next > 0 {
		out.byte(byte(v), next, rare)
	}
}

const (
	hexDigits = "0123456789abcdefABCDEF"
	octDigits = "01234567"
	decDigits = "0123456789"
)

func (e *escapes) backslash(q, depth int, kind kind, out *readings) {
	if q >= len(e.s) {
		e.hitEnd = true
		return
	}
	if e.s[q] == '\\' && out.level == 1 {
		e.backslashes(q, depth, kind, out)
		return
	}
	if c := e.s[q]; !introduces[c] {
		e.escaped(c, q, q+1, depth, kind, out)
		return
	}
	if e.s[q] < utf8.RuneSelf {
		out.byte(e.s[q], q+1, kind)
	}
	nested := e.nested(q, depth)
	var own [most]reading
	for _, r := range own[:copy(own[:], nested)] {
		switch r.n {
		case 0:
			e.backslash(r.next, depth, kind, out)
		case 1:
			kind := max(kind, r.kind)
			if out.level == 1 { // the introducer is not escaped, or is read with the next layer
				kind = rare
			}
			e.escaped(r.bytes[0], q, r.next, depth, kind, out)
		}
	}
}

// backslashes reads several backslashes in a row. Each level of escaping doubles them: one
// becomes two, then four; a quote becomes \", then \\\".
func (e *escapes) backslashes(q, level int, kind kind, out *readings) {
	const longest = 32
	from := q - 1
	defer func() { out.level = 1 }()
	for q < len(e.s) && e.s[q] == '\\' && q-from <= longest {
		q++
	}
	n := q - from
	for power := 2; power <= min(n, longest); power *= 2 {
		out.byte('\\', from+power, kind)
		out.list[out.n-1].final = true
		out.level = 2
		if n > longest {
			continue
		}
		for _, r := range e.nested(from+power, level) {
			if r.n == 1 && r.bytes[0] != '\\' && !alphanumeric(r.bytes[0]) {
				e.escaped(r.bytes[0], from+power, r.next, level, max(kind, r.kind), out)
			}
		}
	}
	switch {
	case q == len(e.s):
		e.hitEnd = true
	case n <= longest && (n&(n-1) == 0 || n&(n+1) == 0):
		e.backslash(q, level, kind, out)
	}
}

// escaped reads a backslash followed by c, which is at q.
func (e *escapes) escaped(c byte, q, next, depth int, kind kind, out *readings) {
	if !alphanumeric(c) {
		if c < utf8.RuneSelf { // \/ and \"
			out.byte(c, next, kind)
		}
		return
	}
	if strings.IndexByte("uUxXnrtbfvae", c) >= 0 {
		e.letter(c, next, depth, kind, out)
	}
	if v, next := e.number(q, depth, octDigits, 1, 3); next > 0 && v < 256 {
		out.byte(byte(v), next, kind)
	}
	if v, next := e.number(q, depth, octDigits, 2, 2); next > 0 { // the next digit is not part of the escape
		out.byte(byte(v), next, rare)
	}
	if digit(c) >= 16 {
		return
	}
	if v, next := e.number(q, depth, hexDigits, 2, 2); next > 0 { // LDAP
		out.byte(byte(v), next, max(kind, hexadecimal))
	}
	if v, next := e.number(q, depth, hexDigits, 1, 6); next > 0 { // CSS
		if c, space := e.one(next, depth, " +\n\r\t\f"); space > 0 && c != '+' && v <= 0xff {
			out.rune(rune(v), space, max(kind, hexadecimal))
		} else if space > 0 {
			out.rune(rune(v), space, rare)
		} else {
			out.rune(rune(v), next, max(kind, rare))
		}
	}
}

// letter reads what follows a backslash and the letter c.
func (e *escapes) letter(c byte, q, depth int, kind kind, out *readings) {
	switch c {
	case 'x', 'X':
		if v, next := e.number(q, depth, hexDigits, 2, 2); next > 0 {
			out.byte(byte(v), next, kind)
			return
		}
	case 'U':
		if v, next := e.number(q, depth, hexDigits, 8, 8); next > 0 {
			out.rune(rune(v), next, kind)
		}
		return
	case 'u':
		if v, next := e.number(q, depth, hexDigits, 4, 4); next > 0 {
			e.surrogates(rune(v), next, depth, kind, out)
			return
		}
	default:
		out.byte('\n', q, kind) // any control character will do
		return
	}
	if _, q = e.one(q, depth, "{"); q > 0 {
		if v, next := e.number(q, depth, hexDigits, 1, 8); next > 0 {
			if _, next = e.one(next, depth, "}"); next > 0 {
				out.rune(rune(v), next, kind)
			}
		}
	}
}

func (e *escapes) surrogates(r rune, q, depth int, kind kind, out *readings) {
	if !utf16.IsSurrogate(r) {
		out.rune(r, q, kind)
		return
	}
	if _, q = e.one(q, depth, `\`); q == 0 {
		return
	}
	if _, q = e.one(q, depth, "u"); q == 0 {
		return
	}
	if v, next := e.number(q, depth, hexDigits, 4, 4); next > 0 {
		out.rune(utf16.DecodeRune(r, rune(v)), next, kind)
	}
}

// entity reads &amp;, &#38; and &#x26; of HTML and XML.
func (e *escapes) entity(q, depth int, kind kind, out *readings) {
	if _, number := e.one(q, depth, "#"); number > 0 {
		digits := decDigits
		if _, x := e.one(number, depth, "xX"); x > 0 {
			number, digits = x, hexDigits
		}
		e.numeric(number, depth, digits, kind, out)
		return
	}
	var name [32]byte
	n, level := 0, uint8(anyLevel)
	for n < len(name) {
		c, next, is := e.like(level, q, depth, letters)
		if next == 0 {
			break
		}
		name[n] = c
		n, q, level = n+1, next, is
	}
	if n < 2 || n == len(name) {
		return
	}
	if _, next := e.one(q, depth, ";"); next > 0 {
		entity := "&" + string(name[:n]) + ";"
		if s := html.UnescapeString(entity); s != entity && len(s) <= utf8.UTFMax {
			out.add(s, next, kind)
		}
	}
}

func (e *escapes) numeric(q, depth int, digits string, kind kind, out *readings) {
	v, next := e.number(q, depth, digits, 1, 16)
	if next == 0 {
		return
	}
	level := e.level
	_, end, is := e.like(anyLevel, next, depth, ";")
	if end > 0 && is != level {
		if _, ampersand := e.one(next, depth, "&"); ampersand > 0 { // &#59 after &#112 is a character of its own
			end = 0
		}
	}
	out.rune(rune(v), max(next, end), kind)
	for n := 2; n < 6 && end == 0; n++ { // the next digits may not be part of the escape
		if v, shorter := e.number(q, depth, digits, n, n); shorter > 0 && shorter < next {
			out.rune(rune(v), shorter, rare)
		}
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// one reads a byte of the set, which may itself be escaped. next is 0 if there is none.
func (e *escapes) one(q, depth int, set string) (c byte, next int) {
	c, next, _ = e.like(anyLevel, q, depth, set)
	return c, next
}

const anyLevel = 0xff

// like is one for a byte with the given level of escaping.
func (e *escapes) like(level uint8, q, depth int, set string) (c byte, next int, is uint8) {
	if q >= len(e.s) {
		e.hitEnd = true
		return 0, 0, 0
	}
	if c := e.s[q]; (level == 0 || level == anyLevel) && strings.IndexByte(set, c) >= 0 {
		return c, q + 1, 0
	}
	for _, r := range e.nested(q, depth) {
		switch {
		case r.n == 0:
			return e.like(level, r.next, depth, set)
		case r.kind >= hexadecimal && alphanumeric(r.bytes[0]): // not escaped in this way in practice
		case r.n == 1 && (level == r.level || level == anyLevel) && strings.IndexByte(set, r.bytes[0]) >= 0:
			return r.bytes[0], r.next, r.level
		}
	}
	return 0, 0, 0
}

// nested returns the readings of an escape within another one.
func (e *escapes) nested(q, depth int) []reading {
	if depth == 1 || q >= len(e.s) || !introduces[e.s[q]] {
		return nil
	}
	return e.within(q, depth-1)
}

// number reads from least to most digits, as many as there are. All of them must be
// escaped in the same way.
func (e *escapes) number(q, depth int, digits string, least, most int) (v, next int) {
	base := min(len(digits), 16)
	level := uint8(anyLevel)
	for n := range most {
		c, after, is := e.like(level, q, depth, digits)
		if after == 0 {
			if n < least {
				return 0, 0
			}
			break
		}
		v, q, level = min(v*base+digit(c), unicode.MaxRune+1), after, is
	}
	e.level = level
	return v, q
}

func digit(c byte) int {
	switch {
	case c <= '9':
		return int(c - '0')
	default:
		return int(c|0x20-'a') + 10
	}
}
