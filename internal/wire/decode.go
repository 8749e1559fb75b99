package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The decoder works by a plan that is made once for each type. It reads the
// `json` tag for the name, and a `wire` tag:
//
//	absent=-1   what an integer gets when the answer has no such field, or null
//	round       a fraction goes to the nearest whole number
//	soft        a value of the wrong kind leaves the field alone; for entries
//	            that nobody documented
//	raw         gets the whole object as it was sent
//
// What it does not know (maps, interfaces, floats, types with an UnmarshalJSON of
// their own) goes to encoding/json.
type plan func(*state, reflect.Value) error

type state struct {
	d     *jsontext.Decoder
	zone  *time.Location
	found bool   // a field that we know was there
	text  []byte // of the scalar that was read last
}

func (st *state) wrong(why string) error {
	where := string(st.d.StackPointer())
	if len(where) > 200 { // the names in it are the server's; whole ones can be searched for a secret
		where = where[:strings.LastIndexByte(where[:200], '/')] + "/…"
	}
	return &SyntaxError{Where: where, Why: why}
}

// sub reads one value on its own; its errors know no place.
func (st *state) sub(val jsontext.Value) *state {
	return &state{d: jsontext.NewDecoder(strings.NewReader(string(val)), lexing, lenient), zone: st.zone}
}

var plans sync.Map // reflect.Type → plan

func planFor(t reflect.Type) plan {
	if p, ok := plans.Load(t); ok {
		return p.(plan)
	}
	p := makePlan(t, false)
	plans.Store(t, p)
	return p
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	rawType         = reflect.TypeFor[json.RawMessage]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	numericType     = reflect.TypeFor[Numeric]()
)

// Numeric is a string type that holds a number exactly as it was sent.
type Numeric interface{ ExactNumber() string }

func makePlan(t reflect.Type, round bool) plan {
	switch {
	case t == timeType:
		return decodeTime
	case t == rawType:
		return decodeRaw
	case reflect.PointerTo(t).Implements(unmarshalerType):
		return decodeStd
	case t.Kind() == reflect.String && t.Implements(numericType):
		return decodeNumeric
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return func(st *state, v reflect.Value) error { return decodeInt(st, v, round) }
	case reflect.String:
		return decodeString
	case reflect.Bool:
		return decodeBool
	case reflect.Pointer:
		elem := t.Elem()
		return func(st *state, v reflect.Value) error {
			// Nil tells none from 0: an empty text or PHP's false is no 0.
			k := st.d.PeekKind()
			if k == 'n' || k == 'f' && elem.Kind() != reflect.Bool {
				v.SetZero()
				return st.d.SkipValue()
			}
			if k == '"' && elem.Kind() != reflect.String {
				val, err := st.d.ReadValue()
				if err != nil || string(val) == `""` {
					v.SetZero()
					return err
				}
				v.Set(reflect.New(elem))
				return planFor(elem)(st.sub(val), v.Elem())
			}
			v.Set(reflect.New(elem))
			return planFor(elem)(st, v.Elem())
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return decodeStd
		}
		return slicePlan(t)
	case reflect.Struct:
		return structPlan(t)
	}
	return decodeStd
}

type field struct {
	name      string
	index     int
	decode    plan
	soft      bool
	hasAbsent bool
	absent    int64
}

func structPlan(t reflect.Type) plan {
	fields := make(map[string]*field, t.NumField())
	var ordered, absents []*field
	list, raw := (*field)(nil), -1
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous && sf.Tag.Get("json") == "" {
			return decodeStd
		}
		if !sf.IsExported() {
			continue
		}
		f := &field{index: i}
		round := false
		for opt := range strings.SplitSeq(sf.Tag.Get("wire"), ",") {
			switch name, value, _ := strings.Cut(opt, "="); name {
			case "absent":
				f.absent, _ = strconv.ParseInt(value, 10, 64)
				f.hasAbsent = true
				absents = append(absents, f)
			case "round":
				round = true
			case "soft":
				f.soft = true
			case "raw":
				raw = i
			}
		}
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch name {
		case "-":
			continue
		case "":
			name = sf.Name
		}
		f.decode = makePlan(sf.Type, round)
		f.name = name
		fields[name] = f
		ordered = append(ordered, f)
		if name == "list" {
			list = f
		}
	}

	object := func(st *state, v reflect.Value) error {
		for _, f := range absents {
			v.Field(f.index).SetInt(f.absent)
		}
		d := st.d
		switch d.PeekKind() {
		case 'n':
			return d.SkipValue()
		case '[':
			if list != nil {
				return list.decode(st, v.Field(list.index))
			}
			// PHP writes an empty object as an empty array.
			if val, err := d.ReadValue(); err != nil || val.IsValid() && isEmptyArray(val) {
				return err
			}
			return st.wrong("a list where an object belongs")
		case '{':
		default:
			val, err := d.ReadValue()
			if err != nil || string(val) == `""` || string(val) == "false" {
				return err
			}
			return st.wrong(kindName(val.Kind()) + " where an object belongs")
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		var seen uint64 // by index; types with more fields go unchecked
		other := false
		next := 0
		for d.PeekKind() != '}' {
			quoted, err := d.ReadValue()
			if err != nil {
				return err
			}
			name := quoted[1 : len(quoted)-1]
			var f *field
			if next < len(ordered) && ordered[next].name == string(name) {
				f = ordered[next] // answers mostly have our order: no hash is needed
			} else {
				f = fields[string(name)]
			}
			next++
			if f == nil && bytes.IndexByte(quoted, '\\') >= 0 {
				name, _ := jsontext.AppendUnquote(nil, quoted)
				f = fields[string(name)]
			}
			if f == nil {
				// Text, or a number for a name, is not what an empty list comes as.
				_, notIndex := strconv.Atoi(string(name))
				textual := d.PeekKind() == '"' || notIndex == nil
				filled, err := skip(d)
				if err != nil {
					return err
				}
				other = other || filled || textual
				continue
			}
			bit := uint64(1) << f.index
			if seen&bit != 0 {
				return st.wrong("stands twice in the answer")
			}
			seen |= bit
			st.found = true
			fv := v.Field(f.index)
			switch {
			case f.hasAbsent && d.PeekKind() == 'n':
				err = d.SkipValue()
			case f.soft:
				val, err := d.ReadValue()
				if err != nil {
					return err
				}
				if err := f.decode(st.sub(val), fv); err != nil {
					fv.SetZero()
					if f.hasAbsent {
						fv.SetInt(f.absent)
					}
				}
				continue
			case f.hasAbsent && d.PeekKind() == '"':
				var val jsontext.Value
				if val, err = d.ReadValue(); err == nil && string(val) != `""` {
					if f.decode(st.sub(val), fv) != nil {
						err = st.wrong("not a whole number that fits 64 bits")
					}
				}
			default:
				err = f.decode(st, fv)
			}
			if err != nil {
				return err
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		if list != nil && other && seen&(1<<list.index) == 0 {
			return st.wrong("no list, but something else")
		}
		return nil
	}
	if raw < 0 {
		return object
	}
	return func(st *state, v reflect.Value) error {
		val, err := st.d.ReadValue()
		if err != nil {
			return err
		}
		val = val.Clone()
		if err := object(st.sub(val), v); err != nil {
			return st.wrong("the entry is no object")
		}
		return v.Field(raw).Addr().Interface().(json.Unmarshaler).UnmarshalJSON(val)
	}
}

// skip passes over a value and reports whether it was a list or an object with
// something in it.
func skip(d *jsontext.Decoder) (filled bool, err error) {
	if k := d.PeekKind(); k != '[' && k != '{' {
		return false, d.SkipValue()
	}
	val, err := d.ReadValue()
	return err == nil && !isEmptyArray(val), err
}

func isEmptyArray(v jsontext.Value) bool {
	return strings.TrimSpace(string(v[1:len(v)-1])) == ""
}

func slicePlan(t reflect.Type) plan {
	e := t.Elem()
	isObject := e.Kind() == reflect.Struct && e != timeType && !reflect.PointerTo(e).Implements(unmarshalerType)
	skipsNull := isObject || e.Kind() == reflect.String && !reflect.PointerTo(e).Implements(unmarshalerType)
	return func(st *state, v reflect.Value) error {
		d, elem := st.d, planFor(e) // here, so that a type may refer to itself
		v.Set(reflect.MakeSlice(t, 0, 0))
		// A long list is collected in pieces and joined once: growing one slice
		// would copy, and leave to the collector, five times its size.
		var full []reflect.Value
		done := 0 // elements in full
		object := false
		switch d.PeekKind() {
		case '[':
		case '{': // PHP writes a list with gaps as an object with the indices as names
			object = true
		default:
			val, err := d.ReadValue()
			if s := string(val); err != nil || s == "null" || s == `""` || s == "false" {
				return err
			}
			return st.wrong(kindName(val.Kind()) + " where a list belongs")
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for n := 0; ; n++ {
			if k := d.PeekKind(); k == ']' || k == '}' {
				if full != nil {
					join(v, append(full, v.Slice(0, n-done)), n)
				}
				_, err := d.ReadToken()
				return err
			}
			if object {
				name, err := d.ReadToken()
				if err != nil {
					return err
				}
				if _, err := strconv.Atoi(name.String()); err != nil {
					return st.wrong("an object where a list belongs")
				}
			}
			switch k := d.PeekKind(); {
			case k == 'n' && skipsNull: // a null is no entry
				if err := d.SkipValue(); err != nil {
					return err
				}
				n--
				continue
			case k != '{' && isObject:
				val, err := d.ReadValue()
				if err != nil {
					return err
				}
				return st.wrong(kindName(val.Kind()) + " where an object belongs")
			}
			if i := n - done; i == v.Cap() {
				if n < firstPiece {
					v.Grow(1)
				} else {
					full = append(full, v.Slice(0, i))
					done = n
					v.Set(reflect.MakeSlice(t, 0, n/4))
				}
			}
			v.SetLen(n - done + 1)
			if err := elem(st, v.Index(n-done)); err != nil {
				return err
			}
		}
	}
}

// firstPiece is how long a list may get before it is collected in pieces; up to
// there append doubles.
const firstPiece = 256

// join makes one list of n elements of its pieces.
func join(v reflect.Value, pieces []reflect.Value, n int) {
	all := reflect.MakeSlice(v.Type(), n, n)
	at := 0
	for _, p := range pieces {
		at += reflect.Copy(all.Slice(at, n), p)
	}
	v.Set(all)
}

func decodeString(st *state, v reflect.Value) error {
	if st.d.PeekKind() == '"' {
		tok, err := st.d.ReadToken()
		if err == nil {
			v.SetString(tok.String())
		}
		return err
	}
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	switch val.Kind() {
	case 'n':
	case '0', 't', 'f': // an order number that comes bare keeps its digits
		v.SetString(string(val))
	default:
		return st.wrong(kindName(val.Kind()) + " where text belongs")
	}
	return nil
}

// scalar reads a value and takes a string out of its quotes. The text is good
// until the next value is read.
func (st *state) scalar() (text []byte, kind jsontext.Kind, err error) {
	val, err := st.d.ReadValue()
	if err != nil {
		return nil, 0, err
	}
	if val.Kind() != '"' {
		return val, val.Kind(), nil
	}
	st.text, err = jsontext.AppendUnquote(st.text[:0], val)
	return bytes.TrimSpace(st.text), '"', ignoreUTF8(st.text, err)
}

func decodeInt(st *state, v reflect.Value, round bool) error {
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	text := string(val)
	switch val.Kind() {
	case '0':
	case 'n', 'f':
		v.SetInt(0)
		return nil
	case 't':
		v.SetInt(1)
		return nil
	case '"':
		b, err := jsontext.AppendUnquote(nil, val)
		if err := ignoreUTF8(b, err); err != nil {
			return err
		}
		if text = strings.TrimSpace(string(b)); text == "" {
			v.SetInt(0)
			return nil
		}
	default:
		return st.wrong(kindName(val.Kind()) + " where a number belongs")
	}
	n, ok := parseInt(text, round)
	if !ok || v.OverflowInt(n) {
		return st.wrong("not a whole number that fits 64 bits")
	}
	v.SetInt(n)
	return nil
}

func decodeNumeric(st *state, v reflect.Value) error {
	b, kind, err := st.scalar()
	if err != nil {
		return err
	}
	text := string(b)
	switch {
	case kind == 'n' || text == "":
		v.SetString("")
	case kind != '0' && kind != '"' || !ValidNumber(text):
		return st.wrong("not a number")
	default:
		// An exponent of a million would make a small text a huge number.
		if _, exp, ok := strings.Cut(strings.ToLower(text), "e"); ok && len(strings.TrimLeft(exp, "+-0")) > 2 {
			return st.wrong("not a number of a sane size")
		}
		if len(text) > 64 {
			return st.wrong("not a number of a sane size")
		}
		v.SetString(text)
	}
	return nil
}

func decodeBool(st *state, v reflect.Value) error {
	text, _, err := st.scalar()
	if err != nil {
		return err
	}
	switch strings.ToLower(string(text)) {
	case "true", "1":
		v.SetBool(true)
	case "false", "0", "null", "":
		v.SetBool(false)
	default:
		return st.wrong("not true or false")
	}
	return nil
}

// What the API's form of time is when it is not the common one, likely ones first.
var layouts = []string{time.DateTime, time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04", "2006-01-02 15:04:05Z07:00"}

// ParseTime reads the forms of time that the API uses. Those without a zone are
// in zone; the many ways to say "none" give the zero time, among them the word
// that the document's own examples have there.
func ParseTime(s string, zone *time.Location) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if s == "" || s == "0" || s == "string" || strings.HasPrefix(s, "0000-00-00") || strings.HasPrefix(s, "0001-01-01") || strings.HasPrefix(s, "-0001") {
		return time.Time{}, true
	}
	if len(s) == len(time.DateTime) && s[10] == ' ' {
		// The common form. For RFC 3339 alone package time has a reader that walks
		// no layout: half the cost, the same checks.
		if t, err := time.Parse(time.RFC3339, s[:10]+"T"+s[11:]+"Z"); err == nil {
			return inZone(t, zone), true
		}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			if !strings.Contains(layout, "Z07") {
				t = inZone(t, zone)
			}
			if local := t.In(zone); local.Year() >= 0 && local.Year() <= 9999 {
				t = local // else JSON could not hold it
			}
			return t, true
		}
	}
	// Unix seconds and milliseconds; ten digits last until the year 2286.
	if n, err := strconv.ParseUint(s, 10, 63); err == nil {
		n := int64(n)
		switch len(s) {
		case 10:
			return time.Unix(n, 0).In(zone), true
		case 13:
			return time.UnixMilli(n).In(zone), true
		}
	}
	return time.Time{}, false
}

// inZone returns the time at which clocks in zone show what t shows in UTC. Where
// they skip it, as daylight saving time begins, it is the time by the offset before:
// a day that has no midnight begins an hour later, and not on the day before.
func inZone(t time.Time, zone *time.Location) time.Time {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	local := time.Date(year, month, day, hour, minute, second, t.Nanosecond(), zone)
	if h, m, s := local.Clock(); local.Day() != day || h != hour || m != minute || s != second {
		_, before := local.Add(-24 * time.Hour).Zone()
		local = t.Add(-time.Duration(before) * time.Second).In(zone)
	}
	return local
}

func decodeTime(st *state, v reflect.Value) error {
	text, kind, err := st.scalar()
	if err != nil {
		return err
	}
	var t time.Time
	if kind != 'n' && kind != 'f' {
		ok := kind == '"' || kind == '0'
		if ok {
			t, ok = ParseTime(string(text), st.zone)
		}
		if !ok {
			return st.wrong("not a time")
		}
	}
	*v.Addr().Interface().(*time.Time) = t
	return nil
}

func decodeRaw(st *state, v reflect.Value) error {
	val, err := st.d.ReadValue()
	if err == nil {
		v.SetBytes(val.Clone())
	}
	return err
}

func decodeStd(st *state, v reflect.Value) error {
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	// The value is valid JSON already: json.Unmarshal would check it again.
	if u, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		err = u.UnmarshalJSON(val)
	} else {
		err = json.Unmarshal(val, v.Addr().Interface())
	}
	if s, ok := errors.AsType[*SyntaxError](err); ok {
		return st.wrong(s.Why)
	}
	if err != nil {
		return st.wrong("does not fit " + v.Type().String())
	}
	return nil
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "text"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	case '{':
		return "an object"
	case '[':
		return "a list"
	}
	return "null"
}
