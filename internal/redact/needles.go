package redact

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// needles are the secrets in the form that is searched for: in upper case, without
// spaces, and sorted, so that those with the same beginning are adjacent.
type needles struct {
	sorted  []string
	begin   [256]place // by the first byte
	class   [256]class
	longest int
	ascii   bool // all needles are ASCII
}

// place is the range of needles that begin with the bytes read so far.
type place struct{ from, to, read int }

// class is the set of roles that a byte can have.
type class uint8

const (
	starts     class = 1 << iota // may begin a secret
	introducer                   // may begin an escape
	blank                        // may be inside a secret and is ignored, such as a space
	textual                      // may be part of a secret or of an encoded one
	special    = introducer | blank
)

var upper = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] = byte(c) - 'a' + 'A'
	}
	return t
}()

func newNeedles(secrets []string) *needles {
	n := &needles{ascii: true}
	f := finders.Get().(*finder)
	defer finders.Put(f)
	for _, secret := range secrets {
		if len(secret) < Shortest {
			continue
		}
		n.add(secret)
		if slices.ContainsFunc([]byte(secret), func(c byte) bool { return introduces[c] }) {
			n.addUnescaped(f, secret)
		}
		if strings.ContainsRune(secret, ' ') {
			n.add(strings.ReplaceAll(secret, " ", "+"))
		}
		if !isASCII(secret) {
			n.ascii = false
			n.add(strings.ToUpper(secret))
			n.add(strings.ToLower(secret))
			n.add(latin1(secret))
		}
	}
	slices.Sort(n.sorted)
	n.sorted = slices.Compact(n.sorted)
	for i, needle := range n.sorted {
		n.longest = max(n.longest, len(needle))
		c := needle[0]
		if n.begin[c].to == 0 {
			n.begin[c].from = i
		}
		n.begin[c].to, n.begin[c].read = i+1, 1
	}
	n.classify()
	return n
}

func (n *needles) classify() { //nolint:cyclop // one line for each kind of letter
	for b := range n.class {
		switch {
		case b <= ' ' || b == 0x7f || b == 0xc2 || b == 0xe1 || b == 0xe2 || b == 0xe3: // or the first byte of one
			n.class[b] |= blank
		case b == 0xef:
			n.class[b] |= special
		case introduces[b]:
			n.class[b] |= introducer
		}
		if b == 0 || b >= '\t' && b <= '\r' || b >= ' ' && b < 0x7f || b >= 0x80 && !n.ascii {
			n.class[b] |= textual
		}
		if n.begin[upper[b]].to > 0 {
			n.class[b] |= starts
		}
	}
}

func (n *needles) add(secret string) {
	b := make([]byte, 0, len(secret))
	for i := 0; i < len(secret); {
		if size := blankAt(secret[i:]); size > 0 {
			i += size
			continue
		}
		b = append(b, upper[secret[i]])
		i++
	}
	if len(b) >= Shortest {
		n.sorted = append(n.sorted, string(b))
	}
}

// addUnescaped handles a secret that looks as if it contained escapes. It adds what
// becomes of it when a text around it is unescaped.
func (n *needles) addUnescaped(f *finder, secret string) {
	l := &layer{b: []byte(secret)}
	for range depth {
		plain := new(layer)
		if changed, _ := f.unescape(l, plain, usual); !changed {
			return
		}
		n.add(string(plain.b))
		l = plain
	}
}

// latin1 returns s in ISO-8859-1. UTF-16 looks the same without its zero bytes.
func latin1(s string) string {
	b := []byte{}
	for _, r := range s {
		if r > 0xff {
			return s
		}
		b = append(b, byte(r))
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// blankAt returns the length of the space, control or invisible character at the
// beginning of s, or 0 if there is none.
func blankAt[T string | []byte](s T) int {
	if s[0] < utf8.RuneSelf {
		if s[0] <= ' ' || s[0] == 0x7f {
			return 1
		}
		return 0
	}
	r, size := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	if size > 1 && invisible(r) {
		return size
	}
	return 0
}

func invisible(r rune) bool {
	return unicode.In(r, unicode.Z, unicode.C) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r)
}

// step reads one more byte.
func (n *needles) step(p place, b byte) (place, bool) {
	b = upper[b]
	if p.read == 0 {
		next := n.begin[b]
		return next, next.to > 0
	}
	if p.to-p.from == 1 {
		s := n.sorted[p.from]
		ok := p.read < len(s) && s[p.read] == b
		p.read++
		return p, ok
	}
	in := n.sorted[p.from:p.to]
	from := sort.Search(len(in), func(i int) bool { return len(in[i]) > p.read && in[i][p.read] >= b })
	to := from + sort.Search(len(in)-from, func(i int) bool { return in[from+i][p.read] > b })
	return place{p.from + from, p.from + to, p.read + 1}, to > from
}

// steps reads several more bytes.
func (n *needles) steps(p place, bytes []byte) (place, bool) {
	for _, b := range bytes {
		var ok bool
		if p, ok = n.step(p, b); !ok {
			return p, false
		}
	}
	return p, true
}

// whole reports whether a needle has been read to its end.
func (n *needles) whole(p place) bool { return len(n.sorted[p.from]) == p.read }
