package wire

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeFunc decodes a value of one type. It is made once for each type.
//
// Names come from the `json` tag, as in encoding/json. A `wire` tag has options:
//
//	absent=-1   the value of an integer if the response does not have it, or null
//	round       round a fraction to the nearest whole number
//	soft        leave the field empty if the value has the wrong type; for
//	            entries that are not documented, and for fees, of which one must
//	            not make a whole list an error
//	flat        the entries of the list may be lists of entries, which are joined;
//	            skip null
//	total       soft, and the number of entries on all pages: if it is 0, the list
//	            may be missing
//	raw         store the whole object, as it was sent, in this json.RawMessage
//	unread      store values that could not be read in this map[string]string, by
//	            their names in the response: text in a time field that is not a
//	            time, such as "N/A", and values that soft left out. The map is nil
//	            if there are none.
//
// Decoding is lenient at any depth: it accepts numbers in quotes, null or "" for a list,
// [] for an object, and times in many forms.
type decodeFunc func(*state, reflect.Value) error

// state is the state of decoding one JSON text.
type state struct {
	b      *Body
	d      *jsontext.Decoder
	zone   *time.Location
	found  bool   // there was a known field
	text   []byte // buffer for the last scalar
	total  total  // from fields with the total option
	unread string // the value of a time field that is not a time, until note stores it

	inner   *state  // what sub returns
	section section // what inner reads
}

func (st *state) wrong(why string) error {
	where := string(st.d.StackPointer())
	if len(where) > 200 { // cut between names: they are from the server and searched for secrets later
		where = where[:strings.LastIndexByte(where[:200], '/')] + "/…"
	}
	return &SyntaxError{Where: where, Why: why}
}

// total is what the total fields of a list say. The highest value counts.
type total int

const (
	noTotal total = iota
	zeroTotal
	someTotal
)

// sub returns a state that reads val separately. Its errors have no position. Nothing may be
// read from st, and no other sub of it made, at the same time: a decoder for each value
// doubles the allocations of a list of orders.
func (st *state) sub(val []byte) *state {
	in := st.inner
	if in == nil {
		in = &state{b: st.b, d: new(jsontext.Decoder), zone: st.zone}
		st.inner = in
	}
	st.section = section{st.b, val}
	in.d.Reset(&st.section, lexing, lenient)
	in.found, in.total, in.unread = false, noTotal, ""
	return in
}

// attempt decodes a value. If the value has an error, attempt skips the rest of it and
// returns the error as wrong; err is an error of the JSON or of reading.
func (st *state) attempt(decode decodeFunc, v reflect.Value) (wrong, err error) {
	depth := st.d.StackDepth()
	err = decode(st, v)
	if _, ok := errors.AsType[*SyntaxError](err); !ok {
		return nil, err
	}
	for st.d.StackDepth() > depth {
		if _, err := st.d.ReadToken(); err != nil {
			return nil, err
		}
	}
	return err, nil
}

// plan says how a type is decoded.
type plan struct {
	decode decodeFunc
	list   func(reflect.Value) reflect.Value // finds the list of a type that holds one
	items  decodeFunc                        // decodes that list
	err    error                             // the type can't be decoded
}

var plans sync.Map // reflect.Type → *plan

func planFor(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{err: check(t, t.String(), map[reflect.Type]bool{})}
	if p.err == nil {
		p.decode = decoderFor(t, options{})
		switch {
		case special(t):
		case t.Kind() == reflect.Slice:
			p.items, p.list = p.decode, func(v reflect.Value) reflect.Value { return v }
		case t.Kind() == reflect.Struct:
			if l := objectFor(t).list; l != nil {
				p.items, p.list = l.decode, l.of
			}
		}
	}
	plans.Store(t, p)
	return p
}

// Check returns an error if JSON can't be decoded into a value of type t. The error names
// the part that prevents it, such as a chan, a func or an interface with methods.
func Check(t reflect.Type) error { return planFor(t).err }

func check(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] || special(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf(`%s: a %s can't be read from JSON; leave it out with the tag json:"-"`, path, t.Kind())
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s: %s is an interface with methods, so the type to decode is unknown", path, t)
		}
	case reflect.Map:
		if keyFor(t.Key()) == nil {
			return fmt.Errorf("%s: %s can't be the key of a JSON object", path, t.Key())
		}
		return check(t.Elem(), path+"[]", seen)
	case reflect.Slice, reflect.Array:
		return check(t.Elem(), path+"[]", seen)
	case reflect.Pointer:
		return check(t.Elem(), path, seen)
	case reflect.Struct:
		for _, m := range membersOf(t) {
			for _, p := range m.pointers {
				if !p.IsExported() {
					return fmt.Errorf("%s.%s: an embedded pointer to an unexported struct can't be set", path, p.Name)
				}
			}
			if err := check(m.Type, path+"."+m.Name, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	rawType         = reflect.TypeFor[json.RawMessage]()
	numberType      = reflect.TypeFor[json.Number]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// special reports whether a type is not decoded by the rules of its kind.
func special(t reflect.Type) bool {
	return t == timeType || t == rawType || decodesItself(t) || isBytes(t)
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(unmarshalerType) || p.Implements(textType)
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// options are the options in the tags of a field.
type options struct {
	absent int64
	round  bool
	flat   bool
	quoted bool // json:",string": JSON inside a string
}

func decoderFor(t reflect.Type, o options) decodeFunc {
	switch p := reflect.PointerTo(t); {
	case t == timeType:
		return decodeTime
	case t == rawType:
		return decodeRaw
	case t == numberType:
		return decodeJSONNumber
	case p.Implements(unmarshalerType):
		return decodeItself
	case p.Implements(textType):
		return decodeFromText
	case isBytes(t):
		return decodeBytes
	}
	return decoderForKind(t, o)
}

func decoderForKind(t reflect.Type, o options) decodeFunc {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(st *state, v reflect.Value) error { return decodeInt(st, v, o.absent, o.round) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return decodeUint
	case reflect.Float32, reflect.Float64:
		return decodeFloat
	case reflect.Bool:
		return decodeBool
	case reflect.String:
		if o.quoted {
			return decodeQuoted
		}
		return decodeString
	case reflect.Interface:
		return decodeAny
	case reflect.Pointer:
		return pointerPlan(t)
	case reflect.Slice:
		return slicePlan(t, skipsNull(t.Elem()), o.flat)
	case reflect.Array:
		return arrayPlan(t)
	case reflect.Map:
		return mapPlan(t)
	}
	return objectFor(t).decode // a struct: check refuses all other kinds
}
