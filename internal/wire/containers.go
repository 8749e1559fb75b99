package wire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

func pointerPlan(t reflect.Type) decodeFunc {
	elem := t.Elem()
	// A nil pointer means no value. An empty string or PHP's false is no value, not 0.
	own := elem != timeType && (special(elem) || elem.Kind() == reflect.Interface)
	falseIsNone := !own && elem.Kind() != reflect.Bool
	emptyIsNone := !own && elem.Kind() != reflect.String
	decode := lazy(elem)
	return func(st *state, v reflect.Value) error {
		k := st.d.PeekKind()
		if k == 'n' || k == 'f' && falseIsNone {
			v.SetZero()
			return st.d.SkipValue()
		}
		from := st
		if k == '"' && emptyIsNone {
			val, err := st.d.ReadValue()
			if err != nil || isBlank(val) {
				v.SetZero()
				return err
			}
			from = st.sub(val)
		}
		if err := st.b.charge(elem.Size()); err != nil {
			return err
		}
		v.Set(reflect.New(elem))
		err := decode(from, v.Elem())
		st.unread = from.unread
		if elem == timeType && v.Elem().IsZero() {
			v.SetZero()
		}
		return err
	}
}

// lazy returns the decoder of an element. For a type that may contain itself, the decoder
// is looked up when it is needed.
func lazy(t reflect.Type) decodeFunc {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return func(st *state, v reflect.Value) error { return planFor(t).decode(st, v) }
	}
	return decoderFor(t, options{})
}

// skipsNull reports whether a null in a list is skipped.
func skipsNull(e reflect.Type) bool { return isObject(e) || e.Kind() == reflect.String && !special(e) }

func isObject(t reflect.Type) bool { return t.Kind() == reflect.Struct && !special(t) }

func slicePlan(t reflect.Type, skipsNull, flat bool) decodeFunc {
	empty := reflect.MakeSlice(t, 0, 0)
	isObject := isObject(t.Elem())
	return func(st *state, v reflect.Value) error {
		v.Set(empty)
		c := collector{st: st, v: v, elem: planFor(t.Elem()).decode, isObject: isObject, skipsNull: skipsNull || flat, flat: flat}
		err := c.list()
		c.join()
		return err
	}
}

// collector collects the elements of a list. A long list is collected in pieces that are
// joined once. Growing one slice would copy five times its size and leave that much
// garbage.
type collector struct {
	st   *state
	v    reflect.Value   // the piece that is being filled
	full []reflect.Value // the full pieces
	done int             // number of elements in full
	n    int             // number of elements in v
	elem decodeFunc

	isObject, skipsNull, flat bool
}

// list reads a list. PHP writes a list with gaps as an object whose names are the
// indices.
func (c *collector) list() error {
	d := c.st.d
	k := d.PeekKind()
	if k != '[' && k != '{' {
		val, err := d.ReadValue()
		if err != nil || isBlank(val) {
			return err
		}
		return c.st.wrong(kindName(k) + " where a list belongs")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for {
		if k := d.PeekKind(); k == ']' || k == '}' {
			_, err := d.ReadToken()
			return err
		}
		if k == '{' {
			name, err := d.ReadToken()
			if err != nil {
				return err
			}
			if _, err := strconv.Atoi(name.String()); err != nil {
				return c.st.wrong("an object where a list belongs")
			}
		}
		if err := c.entry(); err != nil {
			return err
		}
	}
}

func (c *collector) entry() error {
	d := c.st.d
	switch k := d.PeekKind(); {
	case k == '[' && c.flat:
		c.flat = false
		err := c.list()
		c.flat = true
		return err
	case k == 'n' && c.skipsNull:
		return d.SkipValue()
	case k != '{' && c.isObject:
		val, err := d.ReadValue()
		if err != nil {
			return err
		}
		return c.st.wrong(kindName(val.Kind()) + " where an object belongs")
	}
	if c.n == c.v.Cap() {
		if err := c.grow(); err != nil {
			return err
		}
	}
	c.n++
	c.v.SetLen(c.n)
	return c.elem(c.st, c.v.Index(c.n-1))
}

// firstPiece is the length from which a list is collected in pieces. A shorter one is
// doubled like by append.
const firstPiece = 256

func (c *collector) grow() error {
	size := c.v.Type().Elem().Size()
	old := 0
	if total := c.done + c.n; total < firstPiece {
		old = c.n
		c.v.Grow(1)
	} else {
		c.full = append(c.full, c.v.Slice(0, c.n))
		c.done, c.n = total, 0
		c.v.Set(reflect.MakeSlice(c.v.Type(), 0, total/4))
	}
	return c.st.b.charge(uintptr(c.v.Cap()-old) * size)
}

func (c *collector) join() {
	if c.full == nil {
		return
	}
	n := c.done + c.n
	all := reflect.MakeSlice(c.v.Type(), n, n)
	at := 0
	for _, p := range append(c.full, c.v.Slice(0, c.n)) {
		at += reflect.Copy(all.Slice(at, n), p)
	}
	c.v.Set(all)
}

// arrayPlan accepts fewer elements than the array has, but not more, which would be lost.
func arrayPlan(t reflect.Type) decodeFunc {
	list := slicePlan(reflect.SliceOf(t.Elem()), false, false)
	return func(st *state, v reflect.Value) error {
		s := reflect.New(reflect.SliceOf(t.Elem())).Elem()
		if err := list(st, s); err != nil {
			return err
		}
		if s.Len() > t.Len() {
			return st.wrong("a list of " + strconv.Itoa(s.Len()) + " where " + strconv.Itoa(t.Len()) + " belong")
		}
		v.SetZero()
		reflect.Copy(v, s)
		return nil
	}
}

// Approximate memory of values, in bytes.
const (
	mapEntry     = 16 // an entry of a map, besides key and value
	anyContainer = 48 // a map, or a list in an any
	anyScalar    = 32 // a string or number in an any
	anyEntry     = 16 // an entry of a list in an any
)

func mapPlan(t reflect.Type) decodeFunc {
	key := keyFor(t.Key())
	size := t.Key().Size() + t.Elem().Size() + mapEntry
	return func(st *state, v reflect.Value) error {
		d := st.d
		v.SetZero()
		if k := d.PeekKind(); k != '{' {
			val, err := d.ReadValue()
			switch {
			case err != nil || k == 'n':
				return err
			case isBlank(val): // PHP writes an empty object as an empty list
				v.Set(reflect.MakeMap(t))
				return nil
			}
			return st.wrong(kindName(k) + " where an object belongs")
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		if err := st.b.charge(anyContainer); err != nil {
			return err
		}
		v.Set(reflect.MakeMap(t))
		elem := planFor(t.Elem()).decode
		e := reflect.New(t.Elem()).Elem()
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return err
			}
			k := reflect.New(t.Key()).Elem()
			switch {
			case !key(name.String(), k):
				return st.wrong("not a key that fits " + t.Key().String())
			case v.MapIndex(k).IsValid():
				return st.wrong("appears twice in the response")
			}
			e.SetZero()
			if err = elem(st, e); err == nil {
				err = st.b.charge(size)
			}
			if err != nil {
				return err
			}
			v.SetMapIndex(k, e)
		}
		_, err := d.ReadToken()
		return err
	}
}

// keyFor returns the function that converts a name to a key, or nil if there is none.
func keyFor(t reflect.Type) func(string, reflect.Value) bool {
	if reflect.PointerTo(t).Implements(textType) {
		return func(name string, k reflect.Value) bool {
			return k.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(name)) == nil
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(name string, k reflect.Value) bool { k.SetString(name); return true }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(name string, k reflect.Value) bool {
			n, err := strconv.ParseInt(name, 10, t.Bits())
			k.SetInt(n)
			return err == nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(name string, k reflect.Value) bool {
			n, err := strconv.ParseUint(name, 10, t.Bits())
			k.SetUint(n)
			return err == nil
		}
	}
	return nil
}

// decodeAny decodes a value like encoding/json, except that a number becomes a
// [json.Number], which keeps its digits.
func decodeAny(st *state, v reflect.Value) error {
	x, err := st.any()
	v.SetZero()
	if err == nil && x != nil {
		v.Set(reflect.ValueOf(x))
	}
	return err
}

func (st *state) any() (any, error) {
	switch st.d.PeekKind() {
	case '{':
		return st.anyMap()
	case '[':
		return st.anyList()
	case '"':
		token, err := st.d.ReadToken()
		if err != nil {
			return nil, err
		}
		return token.String(), st.b.charge(anyScalar)
	}
	val, err := st.d.ReadValue()
	if err != nil {
		return nil, err
	}
	switch val.Kind() {
	case '0':
		return json.Number(string(val)), st.b.charge(anyScalar)
	case 't', 'f':
		return val.Kind() == 't', nil
	}
	return nil, nil
}

func (st *state) anyMap() (any, error) {
	if _, err := st.d.ReadToken(); err != nil {
		return nil, err
	}
	m := map[string]any{}
	err := st.b.charge(anyContainer)
	for err == nil && st.d.PeekKind() != '}' {
		var token jsontext.Token
		if token, err = st.d.ReadToken(); err != nil {
			break
		}
		name := token.String()
		if _, twice := m[name]; twice {
			return nil, st.wrong("appears twice in the response")
		}
		if m[name], err = st.any(); err == nil {
			err = st.b.charge(anyEntry*2 + mapEntry)
		}
	}
	if err == nil {
		_, err = st.d.ReadToken()
	}
	return m, err
}

func (st *state) anyList() (any, error) {
	if _, err := st.d.ReadToken(); err != nil {
		return nil, err
	}
	list := []any{}
	err := st.b.charge(anyContainer)
	for err == nil && st.d.PeekKind() != ']' {
		var x any
		if x, err = st.any(); err == nil {
			list = append(list, x)
			err = st.b.charge(anyEntry)
		}
	}
	if err == nil {
		_, err = st.d.ReadToken()
	}
	return list, err
}
