// Package wire decodes the API's irregular responses into plain Go values. It reads the
// envelope, numbers in quotes, lists written as objects, times without a zone and the like,
// and limits the size and memory of a response.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is the JSON object that wraps the data of every response.
type Envelope struct {
	Code    int
	HasCode bool
	Message string          // msg, or message where msg is missing or empty
	Errors  json.RawMessage // the errors member, as sent
	HasData bool            // there was data; for a struct, with at least one of its fields
}

// OK reports success. The code of success is 200 on some endpoints and 0 on others.
func (e *Envelope) OK() bool { return e.HasCode && (e.Code == 200 || e.Code == 0) }

// SyntaxError is the error of a response that is not the expected JSON. It never quotes
// the response.
type SyntaxError struct {
	Where string // JSON pointer; empty for the top level
	Why   string
}

func (e *SyntaxError) Error() string {
	if e.Where == "" {
		return e.Why
	}
	return e.Where + ": " + e.Why
}

// A duplicate name in an object is an error: in the envelope it could turn a refusal into
// a success, elsewhere one of the values would be lost. The decoder checks this itself,
// since the lexer would also check values that are skipped. Invalid UTF-8 is replaced by
// U+FFFD.
var (
	lexing  = jsontext.AllowDuplicateNames(true)
	lenient = jsontext.AllowInvalidUTF8(true)
)

// Decode is [Body.Decode] for an io.Reader, without a maximum size or a context.
func Decode(r io.Reader, zone *time.Location, out any) (Envelope, error) {
	b := NewBody(context.Background(), r, math.MaxInt64)
	defer b.Release()
	return b.Decode(zone, out)
}

// Decode reads one envelope, up to the end of the body. If the response is a success, it
// stores the data in out, which is a pointer or nil. Times without a zone are read in zone.
// Also in case of an error, the envelope has the members read so far. The error is a
// [SyntaxError], a [ReadError], an [ErrTooLarge], or that of [Check].
//
// If out is a slice, or a struct with a list, the list may also be a member of the envelope
// named list. Data that is null, {} or [] is an empty list. Data that has other members but
// no list is an error.
func (b *Body) Decode(zone *time.Location, out any) (Envelope, error) {
	b.d.Reset(b, lexing, lenient)
	b.st = state{b: b, d: &b.d, zone: zone, text: b.st.text}
	r := envelopeReader{st: &b.st}
	if out != nil {
		r.out = reflect.ValueOf(out).Elem()
		if r.plan = planFor(r.out.Type()); r.plan.err != nil {
			return r.env, r.plan.err
		}
	}
	err := r.read()
	if err == nil {
		err = r.finish()
	}
	if failure := b.failure(); failure != nil {
		return r.env, failure
	}
	if err != nil {
		return r.env, syntax(&b.d, err)
	}
	return r.env, nil
}

func syntax(d *jsontext.Decoder, err error) error {
	if s, ok := errors.AsType[*SyntaxError](err); ok {
		return s
	}
	why := "not valid JSON"
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		why = "the JSON ends too early"
	}
	return &SyntaxError{Why: fmt.Sprintf("%s (at byte %d)", why, d.InputOffset())}
}

// envelopeReader reads an envelope, whose members may come in any order.
type envelopeReader struct {
	st   *state
	env  Envelope
	out  reflect.Value // with plan, if plan is not nil
	plan *plan

	msg, message string
	seen         set
	early        bool  // something was decoded before the code was known
	found        bool  // data had a field of out
	told         bool  // data had a list or a field of out
	wrong        error // in data that came before the code
	noList       error // data has no list, but other fields
	wrongList    error // in a list next to data
	otherList    bool  // the envelope has a list under an unknown name
	otherObject  bool  // the envelope has an object under an unknown name
}

// Members of the envelope that may appear only once.
const (
	codeMember = iota
	errorsMember
	dataMember
	listMember
)

func (r *envelopeReader) once(member int, name string) error {
	if !r.seen.add(member) {
		return &SyntaxError{Why: name + " appears twice in the response"}
	}
	return nil
}

func (r *envelopeReader) wantsList() bool { return r.plan != nil && r.plan.list != nil }

func (r *envelopeReader) read() error {
	d := r.st.d
	if d.PeekKind() != '{' {
		if _, err := d.ReadValue(); err != nil {
			return err
		}
		return &SyntaxError{Why: "not a JSON object"}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		quoted, err := d.ReadValue()
		if err != nil {
			return err
		}
		name, ok := inside(quoted)
		if !ok {
			name, _ = jsontext.AppendUnquote(nil, quoted)
		}
		err = r.member(name)
		r.env.Message = r.msg
		if r.msg == "" {
			r.env.Message = r.message
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	// Read to the end, to find errors after the envelope: garbage, a wrong gzip
	// checksum, a connection that broke after the last brace.
	if _, err := d.ReadToken(); err != io.EOF {
		if err == nil {
			err = &SyntaxError{Why: "data after the end of the response"}
		}
		return err
	}
	return nil
}

func (r *envelopeReader) member(name []byte) (err error) {
	d := r.st.d
	switch string(name) {
	case "code":
		if err = r.once(codeMember, "code"); err == nil {
			err = readCode(d, &r.env)
		}
		return err
	case "msg":
		r.msg, err = readText(d)
		return err
	case "message":
		r.message, err = readText(d)
		return err
	case "errors":
		return r.errors()
	case "data":
		if err = r.once(dataMember, "data"); err == nil {
			err = r.data()
		}
		return err
	case "list":
		if r.wantsList() {
			return r.listBeside()
		}
	}
	k := d.PeekKind()
	says, err := skip(d, r.plan == nil)
	if says {
		r.otherList = r.otherList || k == '['
		r.otherObject = r.otherObject || k == '{'
	}
	return err
}

func (r *envelopeReader) errors() error {
	if err := r.once(errorsMember, "errors"); err != nil {
		return err
	}
	v, err := r.st.d.ReadValue()
	if err == nil && v.Kind() != 'n' {
		r.env.Errors = json.RawMessage(v.Clone())
	}
	return err
}

// data decodes the data. An error in it is reported only when the code is known, since a
// refusal may have any data.
func (r *envelopeReader) data() error {
	d := r.st.d
	k := d.PeekKind()
	r.env.HasData, r.told = k != 'n', k == '['
	if r.plan == nil || r.env.HasCode && !r.env.OK() {
		return d.SkipValue()
	}
	var beside reflect.Value
	if r.seen.has(listMember) {
		beside = reflect.New(r.list().Type()).Elem()
		beside.Set(r.list())
	}
	r.early = r.early || !r.env.HasCode
	r.st.found = false
	wrong, err := r.st.attempt(r.plan.decode, r.out)
	switch {
	case err != nil:
		return err
	case isNoList(wrong):
		r.noList = wrong // there may still be a list next to it
	case wrong != nil && r.env.HasCode:
		return wrong
	default:
		r.wrong = wrong
	}
	// PHP writes a missing object as [], "" or false.
	r.found = r.st.found || !isObject(r.out.Type())
	r.told = r.told || r.st.found
	if beside.IsValid() && r.emptyList() {
		r.list().Set(beside)
	}
	return nil
}

// listBeside decodes a list next to data, if data has none.
func (r *envelopeReader) listBeside() (err error) {
	if err = r.once(listMember, "list"); err != nil {
		return err
	}
	if !r.emptyList() || r.env.HasCode && !r.env.OK() {
		return r.st.d.SkipValue()
	}
	r.early = r.early || !r.env.HasCode
	r.wrongList, err = r.st.attempt(r.plan.items, r.list())
	return err
}

func (r *envelopeReader) list() reflect.Value { return r.plan.list(r.out) }

func (r *envelopeReader) emptyList() bool {
	list := r.list()
	return list.IsZero() || list.Kind() == reflect.Slice && list.Len() == 0
}

// finish makes the checks that need the whole envelope.
func (r *envelopeReader) finish() error {
	switch {
	case r.plan == nil:
		return nil
	case !r.env.OK():
		if r.early {
			r.out.SetZero()
		}
		return nil
	}
	r.env.HasData = r.env.HasData && r.found
	switch {
	case r.wrong != nil:
		return r.wrong
	case r.wrongList != nil:
		return r.wrongList
	case r.noList != nil && !r.seen.has(listMember):
		return r.noList
	case r.wantsList() && !r.emptyList():
		r.env.HasData = true
	case r.isElsewhere():
		return &SyntaxError{Why: "no data, but an unknown list or object"}
	}
	return nil
}

// isElsewhere reports whether the missing data may be under an unknown name.
func (r *envelopeReader) isElsewhere() bool {
	if !r.seen.has(dataMember) {
		return r.otherList || r.otherObject
	}
	return r.otherList && r.wantsList() && !r.told && !r.seen.has(listMember)
}

func readCode(d *jsontext.Decoder, env *Envelope) error {
	v, err := d.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	text := string(v)
	if v.Kind() == '"' {
		b, _ := jsontext.AppendUnquote(nil, v)
		text = strings.TrimSpace(string(b))
	} else if v.Kind() != '0' {
		return &SyntaxError{Where: "/code", Why: "not a number"}
	}
	n, ok := parseInt(text, false)
	if !ok || int64(int(n)) != n {
		return &SyntaxError{Where: "/code", Why: "not a whole number"}
	}
	env.Code, env.HasCode = int(n), true
	return nil
}

// readText reads a message of any type, so that one of an unexpected type does not lose the code.
func readText(d *jsontext.Decoder) (string, error) {
	v, err := d.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return "", err
	}
	return shown(v), nil
}
