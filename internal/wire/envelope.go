// Package wire decodes the API's irregular responses: the envelope, numbers in
// quotes, lists that come as objects, times without a zone. What leaves it are plain
// Go values.
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

// Envelope is what every JSON response wraps its data in.
type Envelope struct {
	Code    int
	HasCode bool
	Message string          // msg, or message where msg is missing or empty
	Errors  json.RawMessage // the errors member of a refusal, as sent
	HasData bool            // data was there, and for a struct had one of its fields
}

// OK reports success: the API says 200 on some endpoints and 0 on others.
func (e *Envelope) OK() bool { return e.HasCode && (e.Code == 200 || e.Code == 0) }

// SyntaxError says that a response is not the JSON it should be. It never quotes
// the response.
type SyntaxError struct {
	Where string // JSON pointer, empty for the top
	Why   string
}

func (e *SyntaxError) Error() string {
	if e.Where == "" {
		return e.Why
	}
	return e.Where + ": " + e.Why
}

// A name that stands twice in an object is an error: in the envelope it could turn
// a refusal into a success, elsewhere one of two values would be lost. That is
// found for what is decoded, not for what is skipped, which the option of the lexer
// would look through too. Broken UTF-8 becomes U+FFFD rather than an error.
var (
	lexing  = jsontext.AllowDuplicateNames(true)
	lenient = jsontext.AllowInvalidUTF8(true)
)

// Decode is [Body.Decode] of an io.Reader without bound and context.
func Decode(r io.Reader, zone *time.Location, out any) (Envelope, error) {
	b := NewBody(context.Background(), r, math.MaxInt64)
	defer b.Release()
	return b.Decode(zone, out)
}

// Decode reads one envelope to the end of the body and stores data in out, a
// pointer, when the response is a success; out may be nil. Zoneless times are read
// in zone. The envelope is filled as far as it was read, also when there is an
// error: a [SyntaxError], a [ReadError], an [ErrTooLarge], or that of [Check].
//
// Where out is a slice, or a struct with a list, a list that stands beside data is
// taken if that has none. Data that is null, {} or [] is an empty list. Data that
// has other things and no list is an error.
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
	found        bool  // data had something of out
	told         bool  // data had a list, or something of out
	wrong        error // with data that came before the code
	noList       error // data has has no list, but something else
	wrongList    error // with a list that stands beside data
	otherList    bool  // a list that we don't know stands where data might
	otherObject  bool  // or an object
}

// The members that may stand once.
const (
	codeMember = iota
	errorsMember
	dataMember
	listMember
)

func (r *envelopeReader) once(member int, name string) error {
	if !r.seen.add(member) {
		return &SyntaxError{Why: name + " stands twice in the response"}
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
	// Reading on finds what a prefix decoder would miss: garbage after the
	// envelope, a bad gzip checksum, a connection cut after the last brace.
	if _, err := d.ReadToken(); err != io.EOF {
		if err == nil {
			err = &SyntaxError{Why: "something follows the response"}
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

// data decodes the data. What is wrong with it waits for the code, since that of a
// refusal may be anything.
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
		r.noList = wrong // a list may still stand beside it
	case wrong != nil && r.env.HasCode:
		return wrong
	default:
		r.wrong = wrong
	}
	// PHP writes an object that is not there as [], "" or false.
	r.found = r.st.found || !isObject(r.out.Type())
	r.told = r.told || r.st.found
	if beside.IsValid() && r.emptyList() {
		r.list().Set(beside)
	}
	return nil
}

// listBeside decodes a list that stands beside data, if data has none.
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

// finish does what can be done only when the whole envelope was read.
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
		return &SyntaxError{Why: "no data, but something else"}
	}
	return nil
}

// isElsewhere reports whether what is missing may stand under a name that we don't
// know.
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

// readText takes whatever stands for a message; an odd one is no reason to lose the code.
func readText(d *jsontext.Decoder) (string, error) {
	v, err := d.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return "", err
	}
	return shown(v), nil
}
