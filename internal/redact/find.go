package redact

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"
)

// nested is the maximum depth of nested encodings, both codes and escapes.
const nested = 8

// effort limits the work for a text to this multiple of its size. Only a text made for
// the purpose would need more.
const effort = 64

// cut is the minimum length of a secret's beginning that is hidden at the end of a
// truncated text. Fewer bytes reveal nothing.
const cut = 4

// gap is how many blanks in a row may be inside a secret.
const gap = 16

// span is a part of a text.
type span struct{ from, to int }

// layer is a text, or text decoded from it.
type layer struct {
	b     []byte
	spans []span // position of each byte in the original text; nil: unchanged
	open  bool   // the text may be truncated at its end
}

func (l *layer) add(b byte, s span) {
	l.b = append(l.b, b)
	l.spans = append(l.spans, s)
}

// copy adds bytes i to j-1 of another layer.
func (l *layer) copy(from *layer, i, j int) {
	for ; i < j; i++ {
		l.add(from.b[i], from.span(i))
	}
}

func (l *layer) span(i int) span {
	if l.spans == nil {
		return span{i, i + 1}
	}
	return l.spans[i]
}

// over returns the span of bytes i to j-1.
func (l *layer) over(i, j int) span { return span{l.span(i).from, l.span(j - 1).to} }

// finder finds secrets in one text.
type finder struct {
	*needles
	end   int // of the text
	found []span
	first layer // the window
	spare []*layer
	vals  []digits
	work  int // number of bytes that were searched
	// for the walk from one position
	escapes escapes
	layer   *layer
	walked  int
	best    int
	partial bool
}

var finders = sync.Pool{New: func() any { return new(finder) }}

// find returns the positions of the secrets in the text, in no particular order. The
// spans are valid until the finder is used again.
func (f *finder) find(n *needles, l *layer) []span {
	f.needles, f.end, f.found, f.work = n, len(l.b), f.found[:0], 0
	f.search(l, 0)
	return f.found
}

// merge sorts spans and joins those that touch.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := spans[:0]
	for _, s := range spans {
		if last := len(merged) - 1; last >= 0 && s.from <= merged[last].to {
			merged[last].to = max(merged[last].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

func (f *finder) borrow() *layer {
	if n := len(f.spare); n > 0 {
		l := f.spare[n-1]
		f.spare = f.spare[:n-1]
		l.b, l.spans, l.open = l.b[:0], l.spans[:0], false
		return l
	}
	return new(layer)
}

func (f *finder) giveBack(l *layer) { f.spare = append(f.spare, l) }

// search searches a layer and everything that can be decoded from it.
func (f *finder) search(l *layer, level int) {
	if len(l.b) < cut || f.work > f.end*effort+window/16 {
		return
	}
	f.work += len(l.b)
	f.scan(l)
	if level == nested {
		return
	}
	plain := f.borrow()
	changed, seen := f.unescape(l, plain, usual)
	if changed {
		f.search(plain, level+1)
	} else {
		f.decode(l, level)
	}
	f.giveBack(plain)
	for _, kind := range []kind{printable, hexadecimal} {
		if seen[kind] {
			plain := f.borrow()
			f.unescape(l, plain, kind)
			f.search(plain, level+1)
			f.giveBack(plain)
		}
	}
}

// scan searches a layer, reading escapes in all possible ways.
func (f *finder) scan(l *layer) {
	f.layer = l
	f.escapes.reset(l.b)
	for p, b := range l.b {
		c := f.class[b]
		if c&(starts|introducer) == 0 {
			continue
		}
		f.walked, f.best, f.partial = 0, 0, false
		f.walk(p, place{to: len(f.sorted)}, 0)
		switch {
		case f.partial:
			f.found = append(f.found, span{l.span(p).from, f.end})
		case f.best > 0:
			f.found = append(f.found, l.over(p, f.best))
		}
	}
}

// walk follows all readings from p on and records the longest secret.
func (f *finder) walk(p int, at place, blanks int) {
	s := f.layer.b
	for {
		if blanks == 0 && at.read > 0 && f.whole(at) {
			f.best = max(f.best, p)
		}
		if p >= len(s) {
			f.cut(at)
			return
		}
		if f.walked++; f.walked > 64*(f.longest+64) { // only for a text made for the purpose
			return
		}
		b := s[p]
		if f.class[b]&special != 0 {
			f.branch(p, at, blanks)
		}
		var ok bool
		if at, ok = f.step(at, b); !ok {
			return
		}
		p, blanks = p+1, 0
	}
}

// branch follows all readings of the byte at p other than the byte itself.
func (f *finder) branch(p int, at place, blanks int) {
	class := f.class[f.layer.b[p]]
	within := at.read > 0 && blanks < gap
	if class&blank != 0 && within {
		if size := blankAt(f.layer.b[p:]); size > 0 {
			f.walk(p+size, at, blanks+1)
		} else if !utf8.FullRune(f.layer.b[p:]) {
			f.cut(at)
		}
	}
	if class&introducer == 0 {
		return
	}
	f.escapes.hitEnd = false
	readings := f.escapes.at(p)
	if f.escapes.hitEnd {
		f.cut(at)
	}
	if len(readings) == 0 {
		return
	}
	var own [most]reading // walk overwrites readings
	for _, r := range own[:copy(own[:], readings)] {
		if within && (r.n == 0 || blankAt(r.bytes[:r.n]) == int(r.n)) {
			f.walk(r.next, at, blanks+1)
			continue
		}
		if next, ok := f.steps(at, r.bytes[:r.n]); ok {
			f.walk(r.next, next, 0)
		}
	}
}

// cut records that the text ends within what may be a secret.
func (f *finder) cut(at place) {
	f.partial = f.partial || f.layer.open && at.read >= cut
}

// unescape writes l to out without its outermost escapes of the usual kind and the given
// kind. It reports whether there were any, and which kinds of escapes it has seen.
func (f *finder) unescape(l, out *layer, kind kind) (changed bool, seen [rare + 1]bool) {
	f.escapes.reset(l.b)
	done := 0 // end of what was copied
	for p := 0; p < len(l.b); {
		if !introduces[l.b[p]] {
			p++
			continue
		}
		f.escapes.hitEnd = false
		best := f.outermost(p, kind, &seen)
		if l.open && f.escapes.hitEnd { // the escape is truncated
			out.copy(l, done, p)
			out.open = true
			return true, seen
		}
		if best.next == 0 {
			p++
			continue
		}
		out.copy(l, done, p)
		for _, b := range best.bytes[:best.n] {
			out.add(b, l.over(p, best.next))
		}
		p = best.next
		done = p
	}
	if done == 0 {
		return false, seen
	}
	out.copy(l, done, len(l.b))
	out.open = l.open
	return true, seen
}

// outermost returns how a text of the given kind reads the escape at p, without the
// escapes nested in it.
func (f *finder) outermost(p int, kind kind, seen *[rare + 1]bool) (best reading) {
	for _, r := range f.escapes.at(p) {
		seen[r.kind] = true
		switch {
		case r.level > 1, r.kind != usual && r.kind != kind:
		case r.kind > best.kind, r.kind == best.kind && r.next > best.next:
			best = r
		}
	}
	return best
}
