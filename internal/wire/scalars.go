package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// inside returns the text between the quotes of a string. ok is false if it has escapes or
// invalid UTF-8.
func inside(val jsontext.Value) (text []byte, ok bool) {
	text = val[1 : len(val)-1]
	return text, bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text)
}

// scalar reads a value. It returns a string without quotes and surrounding white space. The
// result is valid until the next value is read.
func (st *state) scalar() (text []byte, kind jsontext.Kind, err error) {
	val, err := st.d.ReadValue()
	if err != nil {
		return nil, 0, err
	}
	if val.Kind() != '"' {
		return val, val.Kind(), nil
	}
	text, ok := inside(val)
	if !ok {
		st.text, err = jsontext.AppendUnquote(st.text[:0], val)
		text, err = st.text, ignoreUTF8(st.text, err)
	}
	return bytes.TrimSpace(text), '"', err
}

// number reads a number, with or without quotes. The result is empty for null and "". true
// and false count as 1 and 0.
func (st *state) number() ([]byte, error) {
	text, kind, err := st.scalar()
	if err != nil {
		return nil, err
	}
	switch kind {
	case '0', '"':
		return text, nil
	case 'n':
		return nil, nil
	case 't':
		return []byte("1"), nil
	case 'f':
		return []byte("0"), nil
	}
	return nil, st.wrong(kindName(kind) + " where a number belongs")
}

func decodeInt(st *state, v reflect.Value, absent int64, round bool) error {
	text, err := st.number()
	if err != nil {
		return err
	}
	n, ok := absent, true
	if len(text) > 0 {
		n, ok = parseInt(string(text), round)
	}
	if !ok || v.OverflowInt(n) {
		return st.wrong("not a whole number that fits " + strconv.Itoa(v.Type().Bits()) + " bits")
	}
	v.SetInt(n)
	return nil
}

func decodeUint(st *state, v reflect.Value) error {
	text, err := st.number()
	if err != nil {
		return err
	}
	n, ok := uint64(0), true
	if len(text) > 0 {
		n, ok = parseUint(string(text))
	}
	if !ok || v.OverflowUint(n) {
		return st.wrong("not a whole number of at least 0 that fits " + strconv.Itoa(v.Type().Bits()) + " bits")
	}
	v.SetUint(n)
	return nil
}

func decodeFloat(st *state, v reflect.Value) error {
	text, err := st.number()
	if err != nil {
		return err
	}
	if len(text) == 0 {
		v.SetFloat(0)
		return nil
	}
	f, err := strconv.ParseFloat(string(text), v.Type().Bits())
	if err != nil || !ValidNumber(string(text)) {
		return st.wrong("not a number that fits " + v.Type().String())
	}
	v.SetFloat(f)
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

func decodeString(st *state, v reflect.Value) error {
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	switch val.Kind() {
	case '"':
		v.SetString(shown(val))
	case 'n':
	case '0', 't', 'f': // an order number without quotes keeps its digits
		v.SetString(string(val))
	default:
		return st.wrong(kindName(val.Kind()) + " where text belongs")
	}
	return nil
}

// decodeQuoted reads a string that contains a JSON string: "\"a\"". Other text is taken as
// it is.
func decodeQuoted(st *state, v reflect.Value) error {
	if err := decodeString(st, v); err != nil {
		return err
	}
	if inner := jsontext.Value(v.String()); inner.Kind() == '"' && inner.IsValid() {
		v.SetString(shown(inner))
	}
	return nil
}

func decodeBytes(st *state, v reflect.Value) error {
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	if json.Unmarshal(val, v.Addr().Interface()) != nil {
		return st.wrong("does not fit " + v.Type().String())
	}
	return nil
}

func decodeRaw(st *state, v reflect.Value) error {
	val, err := st.d.ReadValue()
	if err == nil {
		v.SetBytes(val.Clone())
	}
	return err
}

// decodeItself decodes types with an UnmarshalJSON method. If the method refuses a number
// in quotes, it is called again without the quotes, and the other way round.
func decodeItself(st *state, v reflect.Value) error {
	val, err := st.d.ReadValue()
	if err != nil {
		return err
	}
	u := v.Addr().Interface().(json.Unmarshaler)
	if err = u.UnmarshalJSON(val); err == nil {
		return nil
	}
	v.SetZero()
	switch val.Kind() {
	case '"':
		text := strings.TrimSpace(shown(val))
		if text == "" || ValidNumber(text) && u.UnmarshalJSON([]byte(text)) == nil {
			return nil
		}
	case '0':
		if u.UnmarshalJSON([]byte(`"`+string(val)+`"`)) == nil {
			return nil
		}
	}
	return st.misfit(err, v.Type())
}

// misfit returns why a type refused its value. It does not use the type's own error, which
// may quote the value.
func (st *state) misfit(err error, t reflect.Type) error {
	if s, ok := errors.AsType[*SyntaxError](err); ok { // from Number
		return st.wrong(s.Why)
	}
	return st.wrong("does not fit " + t.String())
}

// decodeFromText decodes types with an UnmarshalText method.
func decodeFromText(st *state, v reflect.Value) error {
	text, kind, err := st.scalar()
	switch {
	case err != nil:
		return err
	case kind == 'n':
		v.SetZero()
		return nil
	case kind == '{' || kind == '[':
		return st.wrong(kindName(kind) + " where text belongs")
	}
	if v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text) != nil {
		v.SetZero()
		if len(text) > 0 {
			return st.wrong("does not fit " + v.Type().String())
		}
	}
	return nil
}

func decodeJSONNumber(st *state, v reflect.Value) error {
	text, err := st.number()
	if err != nil {
		return err
	}
	if len(text) > 0 && !ValidNumber(string(text)) {
		return st.wrong("not a number")
	}
	v.SetString(string(text))
	return nil
}

// Number returns the digits of a JSON number, with or without quotes, exactly as they were
// sent. It returns "" for null and "", and a [SyntaxError] for anything else. A number of
// more than 64 bytes or with an exponent of more than two digits is also a SyntaxError,
// since a short text could be a huge number.
func Number(val []byte) (string, error) {
	v := jsontext.Value(val)
	text := val
	var buf [80]byte
	switch v.Kind() {
	case 'n':
		return "", nil
	case '0':
	case '"':
		if len(val) < 2 { // the caller did not check it
			return "", &SyntaxError{Why: "not a number"}
		}
		text = val[1 : len(val)-1]
		if bytes.IndexByte(text, '\\') >= 0 {
			var err error
			if text, err = jsontext.AppendUnquote(buf[:0], val); err != nil {
				return "", &SyntaxError{Why: "not a number"}
			}
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			return "", nil
		}
	default:
		return "", &SyntaxError{Why: "not a number"}
	}
	if !ValidNumber(string(text)) {
		return "", &SyntaxError{Why: "not a number"}
	}
	exp := ""
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		exp = strings.TrimLeft(string(text[i+1:]), "+-0")
	}
	if len(text) > 64 || len(exp) > 2 {
		return "", &SyntaxError{Why: "not a number of reasonable size"}
	}
	return string(text), nil
}

// parseInt reads a whole number, also in the forms 12.0 and 1e3. With round, it rounds a
// fraction to the nearest whole number.
func parseInt(s string, round bool) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	if !ValidNumber(s) {
		return 0, false
	}
	if whole, ok := cutZeros(s); ok {
		n, err := strconv.ParseInt(whole, 10, 64)
		return n, err == nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f <= -1<<53 || f >= 1<<53 {
		return 0, false
	}
	n := int64(f)
	if float64(n) == f {
		return n, true
	}
	return int64(math.Round(f)), round
}

// parseUint is parseInt for an unsigned number.
func parseUint(s string) (uint64, bool) {
	if whole, ok := cutZeros(s); ok {
		s = whole
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, true
	}
	n, ok := parseInt(s, false)
	return uint64(max(n, 0)), ok && n >= 0
}

// cutZeros removes a fraction of zeros, as in 12.00.
func cutZeros(s string) (string, bool) {
	whole, frac, ok := strings.Cut(s, ".")
	return whole, ok && frac != "" && strings.Trim(frac, "0") == ""
}

// ValidNumber reports whether s is a JSON number.
func ValidNumber(s string) bool {
	return jsontext.Value(s).Kind() == '0' && jsontext.Value(s).IsValid() && strings.TrimSpace(s) == s
}

// ignoreUTF8 drops the error of AppendUnquote about invalid UTF-8, which it has already
// replaced.
func ignoreUTF8(b []byte, err error) error {
	if b != nil {
		return nil
	}
	return err
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
