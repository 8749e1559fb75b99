package redact

// code is a way to encode bytes as digits of a number of bits each, such as base64.
type code struct {
	bits   int
	values [256]uint8
	// turns is the number of digits after which digits and bytes align again. It is
	// not known where the encoded text begins, so all offsets are tried.
	turns int
}

const (
	noDigit = 0xff
	between = 0xfe // may be between digits
)

func newCode(bits, turns int, alphabets []string, separators string) *code {
	c := &code{bits: bits, turns: turns}
	for i := range c.values {
		c.values[i] = noDigit
	}
	for _, alphabet := range alphabets {
		for i := range len(alphabet) {
			c.values[alphabet[i]] = uint8(i)
		}
	}
	for i := range len(separators) {
		c.values[separators[i]] = between
	}
	return c
}

const spaces = " \t\r\n"

const big, small, decimals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"

var codes = []*code{
	newCode(6, 4, []string{big + small + decimals + "+/", big + small + decimals + "-_"}, spaces),
	newCode(5, 8, []string{big + "234567", small + "234567"}, "\r\n"),
	newCode(5, 8, []string{decimals + big[:22], decimals + small[:22]}, "\r\n"),
	newCode(4, 2, []string{decimals + big[:6], decimals + small[:6]}, spaces+`:-,.;|_%\=/+"'()[]{}<>&#*~!`),
}

// digits is a digit of a run and its position.
type digits struct {
	value uint8
	at    int32
}

// decode decodes all runs of digits in a layer and searches them.
func (f *finder) decode(l *layer, level int) {
	for _, c := range codes {
		f.runs(l, c, level)
	}
	if hasNumbers(l) {
		for _, base := range []int{10, 16, 8, 2} {
			f.numbers(l, base, level)
		}
	}
}

// hasNumbers is a quick check whether a layer may have a list of numbers.
func hasNumbers(l *layer) bool {
	in, n, longest := false, 0, 0
	for _, b := range l.b {
		switch {
		case isHex(b), b == 'x', b == 'X', b == 'o', b == 'U':
			if !in {
				in = true
				n++
				longest = max(longest, n)
			}
		case alphanumeric(b):
			in, n = true, 0
		default:
			in = false
		}
	}
	return longest >= cut
}

// runs finds runs of digits of a code.
func (f *finder) runs(l *layer, c *code, level int) {
	least := (8*Shortest + c.bits - 1) / c.bits
	if l.open {
		least = (8*cut + c.bits - 1) / c.bits
	}
	start := len(f.vals)
	for p := 0; p <= len(l.b); p++ {
		v := uint8(noDigit)
		if p < len(l.b) {
			v = c.values[l.b[p]]
			if (v == 0 || v == between) && c.bits == 4 && p+1 < len(l.b) && l.b[p+1]|0x20 == 'x' {
				p++ // 0x41 or \x41
				continue
			}
		}
		switch {
		case v < between:
			f.vals = append(f.vals, digits{v, int32(p)})
		case v == noDigit:
			if run := f.vals[start:]; len(run) >= least {
				for turn := range c.turns {
					f.streaks(l, c, run, turn, p == len(l.b), level)
				}
			}
			f.vals = f.vals[:start]
		}
	}
}

// streaks decodes a run and searches the parts that can be text.
func (f *finder) streaks(l *layer, c *code, run []digits, turn int, last bool, level int) {
	acc, bits := 0, 0
	begin, rest, n := turn, 0, 0 // of the text so far: first digit, how many bits of it (0: all), length
	for i := turn; i < len(run); i++ {
		acc = acc<<c.bits | int(run[i].value)
		bits += c.bits
		if bits < 8 {
			continue
		}
		bits -= 8
		if f.class[byte(acc>>bits)]&textual != 0 {
			n++
			continue
		}
		if n >= Shortest {
			f.text(l, c, run[begin:], rest, n, false, level)
		}
		n, begin, rest = 0, i, bits
		if bits == 0 {
			begin++
		}
	}
	last = last && l.open
	if n >= Shortest || last && n >= cut {
		f.text(l, c, run[begin:], rest, n, last, level)
	}
}

// text decodes n bytes and searches them. rest is the number of bits of the first digit
// that belong to them; 0 means all.
func (f *finder) text(l *layer, c *code, run []digits, rest, n int, last bool, level int) {
	out := f.borrow()
	acc, bits, first := 0, 0, 0
	if rest > 0 {
		bits = rest - c.bits
	}
	for i := 0; len(out.b) < n; i++ {
		acc = acc<<c.bits | int(run[i].value)
		bits += c.bits
		if bits < 8 {
			continue
		}
		bits -= 8
		out.add(byte(acc>>bits), span{l.span(int(run[first].at)).from, l.span(int(run[i].at)).to})
		first = i
		if bits == 0 {
			first++
		}
	}
	out.open = last
	f.search(out, level+1)
	f.giveBack(out)
}

func (f *finder) streak(l *layer, level int) {
	if len(l.b) >= Shortest || l.open && len(l.b) >= cut {
		f.search(l, level+1)
	}
	l.b, l.spans = l.b[:0], l.spans[:0]
}

// numbers finds lists of numbers, the way many languages print bytes.
func (f *finder) numbers(l *layer, base, level int) {
	out := f.borrow()
	end := 0 // of the last number
	for p := 0; p < len(l.b); {
		b := l.b[p]
		if !alphanumeric(b) {
			if b >= 0x80 || p-end > 4 {
				f.streak(out, level)
			}
			p++
			continue
		}
		from := p
		for p < len(l.b) && (alphanumeric(l.b[p]) || p > from && l.b[p] == '+' && l.b[p-1] == 'U') {
			p++
		}
		last := p == len(l.b)
		if last && l.open { // the number may be incomplete
			break
		}
		if v, ok := number(l.b[from:p], base); ok && f.class[v]&textual != 0 {
			out.add(v, l.over(from, p))
		} else {
			f.streak(out, level)
		}
		end = p
	}
	out.open = l.open
	f.streak(out, level)
	f.giveBack(out)
}

// number reads a byte written as 65, 0x41, U+0041, 101, 0101 or 0o101.
func number(b []byte, base int) (byte, bool) {
	if base == 16 && len(b) > 2 && (b[0] == '0' && b[1]|0x20 == 'x' || b[0] == 'U' && b[1] == '+') || base == 8 && len(b) > 2 && b[0] == '0' && b[1] == 'o' {
		b = b[2:]
	}
	v := 0
	for _, c := range b {
		if c == '+' || digit(c) >= base {
			return 0, false
		}
		if v = v*base + digit(c); v > 0xff {
			return 0, false
		}
	}
	return byte(v), true
}
