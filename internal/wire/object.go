package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// object is how a struct is decoded.
type object struct {
	fields  map[string]*field
	folded  map[string]*field // fields without a name in a tag, by fold
	ordered []*field
	absents []*field
	list    *field // the field named list, if it is a slice or array
	raw     *field // see the wire tag
	unread  *field // see the wire tag
}

type field struct {
	name      string
	at        int   // index in ordered
	index     int   // index in the struct
	path      []int // indices of a field of an embedded struct; otherwise nil
	decode    decodeFunc
	absent    int64
	hasAbsent bool
	soft      bool
	total     bool
}

// objectFor returns the object of a struct type.
func objectFor(t reflect.Type) *object {
	o := &object{fields: map[string]*field{}}
	for _, m := range membersOf(t) {
		f := &field{name: m.name, index: m.index[0]}
		if len(m.index) > 1 {
			f.path = m.index
		}
		opts := f.options(&m, o)
		if f == o.raw || f == o.unread { // not decoded from a member of that name
			continue
		}
		f.decode = decoderFor(m.Type, opts)
		f.at = len(o.ordered)
		o.ordered = append(o.ordered, f)
		o.fields[f.name] = f
		if !m.tagged {
			if o.folded == nil {
				o.folded = map[string]*field{}
			}
			o.folded[fold(f.name)] = f
		}
		if k := m.Type.Kind(); f.name == "list" && (k == reflect.Slice || k == reflect.Array) {
			o.list = f
		}
	}
	return o
}

// options reads the `wire` tag.
func (f *field) options(m *member, o *object) options {
	opts := options{quoted: m.quoted}
	for opt := range strings.SplitSeq(m.Tag.Get("wire"), ",") {
		switch name, value, _ := strings.Cut(opt, "="); name {
		case "absent":
			opts.absent, _ = strconv.ParseInt(value, 10, 64)
			f.absent, f.hasAbsent = opts.absent, true
			o.absents = append(o.absents, f)
		case "round":
			opts.round = true
		case "flat":
			opts.flat = true
		case "soft":
			f.soft = true
		case "total":
			f.soft, f.total = true, true
		case "raw":
			o.raw = f
		case "unread":
			o.unread = f
		}
	}
	return opts
}

// of returns the field in v. It allocates embedded pointers that are nil.
func (f *field) of(v reflect.Value) reflect.Value {
	if f.path == nil {
		return v.Field(f.index)
	}
	for i, index := range f.path {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(index)
	}
	return v
}

// errNoList is the Why of an object that should have a list and has other fields.
const errNoList = "has no list, but other fields"

// isNoList reports whether err is that error for data itself.
func isNoList(err error) bool {
	s, ok := errors.AsType[*SyntaxError](err)
	return ok && s.Why == errNoList && s.Where == "/data"
}

func (o *object) decode(st *state, v reflect.Value) error {
	if o.raw == nil {
		return o.decodeBare(st, v)
	}
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	val = val.Clone()
	if err := o.decodeBare(st.sub(val), v); err != nil {
		return st.wrong("the entry is no object")
	}
	return o.raw.of(v).Addr().Interface().(json.Unmarshaler).UnmarshalJSON(val)
}

func (o *object) decodeBare(st *state, v reflect.Value) error {
	for _, f := range o.absents {
		f.of(v).SetInt(f.absent)
	}
	switch st.d.PeekKind() {
	case '{':
		return o.decodeMembers(st, v)
	case '[':
		if o.list != nil {
			return o.list.decode(st, o.list.of(v))
		}
	}
	val, err := st.d.ReadValue()
	if err != nil || isBlank(val) { // PHP writes an empty object as an empty list
		return err
	}
	return st.wrong(kindName(val.Kind()) + " where an object belongs")
}

func (o *object) decodeMembers(st *state, v reflect.Value) error {
	d := st.d
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var c contents
	for next := 0; d.PeekKind() != '}'; next++ {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		var f *field
		if next < len(o.ordered) && o.ordered[next].name == string(name[1:len(name)-1]) {
			f = o.ordered[next] // most responses have our order; this saves the map lookup
		} else {
			f = o.find(name)
		}
		switch {
		case f == nil:
			var says bool
			says, err = skip(d, o.list == nil)
			c.unknown = c.unknown || says
		case !c.seen.add(f.at):
			err = st.wrong("appears twice in the response")
		default:
			err = o.decodeField(st, f, v)
			if o.list != nil && f != o.list && !c.known {
				c.known = !f.of(v).IsZero()
			}
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	return o.complete(st, &c)
}

// contents records which members an object had.
type contents struct {
	seen           set
	known, unknown bool // a member other than the list, by whether it has a field
}

// complete returns an error if the list is missing and not known to be empty.
func (o *object) complete(st *state, c *contents) error {
	if (c.unknown || c.known && st.total != zeroTotal) && !c.seen.has(o.list.at) {
		return st.wrong(errNoList)
	}
	return nil
}

// find returns the field of a member's name, or nil.
func (o *object) find(quoted jsontext.Value) *field {
	name := quoted[1 : len(quoted)-1]
	if f := o.fields[string(name)]; f != nil {
		return f
	}
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, quoted)
		if f := o.fields[string(name)]; f != nil {
			return f
		}
	}
	if o.folded != nil {
		return o.folded[fold(string(name))]
	}
	return nil
}

func (o *object) decodeField(st *state, f *field, v reflect.Value) (err error) {
	var fv reflect.Value
	if f.path == nil {
		fv = v.Field(f.index)
	} else {
		fv = f.of(v)
	}
	st.found = true
	if f.soft {
		err = o.decodeSoft(st, f, fv)
	} else {
		err = f.decode(st, fv)
	}
	if st.unread != "" {
		o.note(st, f, v)
	}
	return err
}

// note stores the unread value of a field in the unread map of the object, if it has one.
func (o *object) note(st *state, f *field, v reflect.Value) {
	if o.unread != nil {
		m := o.unread.of(v)
		if m.IsNil() {
			m.Set(reflect.ValueOf(map[string]string{}))
		}
		m.SetMapIndex(reflect.ValueOf(f.name), reflect.ValueOf(st.unread))
	}
	st.unread = ""
}

// decodeSoft leaves fv empty if the value does not fit.
func (o *object) decodeSoft(st *state, f *field, fv reflect.Value) error {
	k := st.d.PeekKind()
	if o.unread == nil {
		wrong, err := st.attempt(f.decode, fv)
		if err != nil {
			return err
		}
		if wrong != nil {
			f.clear(fv)
		}
	} else {
		val, err := st.d.ReadValue()
		if err != nil {
			return err
		}
		sub := st.sub(val)
		err = f.decode(sub, fv)
		st.total = max(st.total, sub.total)
		st.unread = sub.unread
		if err != nil {
			f.clear(fv)
			st.unread = shown(val)
		}
	}
	switch {
	case !f.total || k == 'n':
	case fv.IsZero() || fv.CanInt() && fv.Int() < 0:
		st.total = max(st.total, zeroTotal)
	default:
		st.total = someTotal
	}
	return nil
}

func (f *field) clear(fv reflect.Value) {
	fv.SetZero()
	if f.hasAbsent {
		fv.SetInt(f.absent)
	}
}

// shown returns the value as it was sent, a string without its quotes.
func shown(val jsontext.Value) string {
	if val.Kind() != '"' {
		return string(val)
	}
	text, ok := inside(val)
	if !ok {
		text, _ = jsontext.AppendUnquote(nil, val)
	}
	return string(text)
}

// skip skips a value and reports whether it has any content: null, false, 0, "" and an
// empty list or object have none. If nobody asks, it always returns false, which is faster.
func skip(d *jsontext.Decoder, nobodyAsks bool) (says bool, err error) {
	if nobodyAsks {
		return false, d.SkipValue()
	}
	if k := d.PeekKind(); k != '[' && k != '{' {
		val, err := d.ReadValue()
		return err == nil && !isBlank(val) && string(val) != "0", err
	}
	if _, err := d.ReadToken(); err != nil {
		return false, err
	}
	for ; ; says = true {
		if k := d.PeekKind(); k == ']' || k == '}' {
			_, err := d.ReadToken()
			return says, err
		}
		if err := d.SkipValue(); err != nil {
			return false, err
		}
	}
}

// isBlank reports whether a value means that there is none: null, false, "", [] or {}.
func isBlank(val jsontext.Value) bool {
	switch val.Kind() {
	case 'n', 'f':
		return true
	case '"':
		return len(val) == 2
	case '[', '{':
		return strings.TrimSpace(string(val[1:len(val)-1])) == ""
	}
	return false
}

// set is a set of small numbers.
type set struct {
	few  uint64
	more map[int]struct{} // numbers from 64
}

func (s *set) has(n int) bool {
	if n < 64 {
		return s.few&(1<<n) != 0
	}
	_, ok := s.more[n]
	return ok
}

// add reports whether n is new.
func (s *set) add(n int) bool {
	if s.has(n) {
		return false
	}
	if n < 64 {
		s.few |= 1 << n
		return true
	}
	if s.more == nil {
		s.more = map[int]struct{}{}
	}
	s.more[n] = struct{}{}
	return true
}

// fold maps TradeNo, tradeNo and trade_no to the same text.
func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// member is a field as encoding/json finds it.
type member struct {
	reflect.StructField

	name     string // in JSON
	tagged   bool   // the name is from a tag
	quoted   bool
	index    []int                 // as in reflect.Value.FieldByIndex
	pointers []reflect.StructField // embedded pointers on the way to the field
}

// membersOf returns the fields of a struct and of its embedded structs, in order. Of
// several fields with the same name, the least nested one counts, and among those the one
// with the name in a tag. If that leaves more than one, none counts.
func membersOf(t reflect.Type) []member {
	type embedded struct {
		t        reflect.Type
		index    []int
		pointers []reflect.StructField
	}
	best := map[string]*member{}
	clash := map[string]bool{}
	visited := map[reflect.Type]bool{t: true}
	for level := []embedded{{t: t}}; len(level) > 0; {
		var deeper []embedded
		for _, e := range level {
			for i := range e.t.NumField() {
				m, ok := memberOf(e.t.Field(i))
				m.index = append(slices.Clip(e.index), i)
				m.pointers = e.pointers
				inner := m.Type
				if inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
					m.pointers = append(slices.Clip(e.pointers), m.StructField)
				}
				switch {
				case !ok:
				case m.Anonymous && !m.tagged && inner.Kind() == reflect.Struct:
					if !visited[inner] {
						deeper = append(deeper, embedded{inner, m.index, m.pointers})
					}
				case m.IsExported():
					m.pointers = e.pointers
					contend(best, clash, &m)
				}
			}
		}
		for _, e := range deeper {
			visited[e.t] = true
		}
		level = deeper
	}
	var all []member
	for name, m := range best {
		if !clash[name] {
			all = append(all, *m)
		}
	}
	slices.SortFunc(all, func(a, b member) int { return slices.Compare(a.index, b.index) })
	return all
}

// memberOf reads the tag of a field. ok is false if the field is not decoded.
func memberOf(sf reflect.StructField) (m member, ok bool) {
	tag := sf.Tag.Get("json")
	name, opts, _ := strings.Cut(tag, ",")
	m = member{StructField: sf, name: name, tagged: name != "", quoted: slices.Contains(strings.Split(opts, ","), "string")}
	if !m.tagged {
		m.name = sf.Name
	}
	return m, tag != "-" && (sf.Anonymous || sf.IsExported())
}

// contend keeps m if it takes precedence over other members with its name. The least
// nested ones are passed first.
func contend(best map[string]*member, clash map[string]bool, m *member) {
	old := best[m.name]
	switch {
	case old == nil || len(old.index) == len(m.index) && m.tagged && !old.tagged:
		best[m.name], clash[m.name] = m, false
	case len(old.index) == len(m.index) && m.tagged == old.tagged:
		clash[m.name] = true
	}
}
