// Package wire is the one room for what is odd about the API's answers: the
// envelope, numbers in quotes, lists that come as objects, times without a zone.
// What leaves it are plain Go values.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is what every JSON answer wraps its data in.
type Envelope struct {
	Code    int
	HasCode bool
	Message string          // msg, or message where msg is missing or empty
	Errors  json.RawMessage // the errors member of a refusal, as sent
	HasData bool            // data was there, and for a struct had one of its fields
}

// OK reports success: the API says 200 on some endpoints and 0 on others.
func (e *Envelope) OK() bool { return e.HasCode && (e.Code == 200 || e.Code == 0) }

// SyntaxError says that an answer is not the JSON it should be. It never quotes the answer.
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

// ReadError is a failure of the reader under the decoder: the answer was cut.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "the answer was cut: " + e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// reading is what one answer needs; made once, used for many.
type reading struct {
	d   jsontext.Decoder
	src source
	st  state
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// Duplicates are looked for at the top only, where they could turn a refusal
// into a success; broken UTF-8 becomes U+FFFD rather than an error.
var (
	lexing  = jsontext.AllowDuplicateNames(true)
	lenient = jsontext.AllowInvalidUTF8(true)
)

// Decode reads one envelope from r to its end and stores data in out, a pointer,
// when the answer is a success; out may be nil. Zoneless times are read in zone.
// The envelope is filled as far as it was read, also when there is an error.
func Decode(r io.Reader, zone *time.Location, out any) (env Envelope, err error) {
	re := readings.Get().(*reading)
	re.src = source{r: r}
	re.d.Reset(&re.src, lexing, lenient)
	re.st = state{d: &re.d, zone: zone, text: re.st.text}
	defer func() {
		re.d.Reset(eof{}) // keep nothing of this answer alive
		re.src = source{}
		if cap(re.st.text) > 64<<10 {
			re.st.text = nil
		}
		clear(re.st.text[:cap(re.st.text)])
		readings.Put(re)
	}()
	err = decodeEnvelope(&re.st, out, &env)
	switch {
	case re.src.err != nil:
		err = &ReadError{re.src.err}
	case err != nil:
		err = syntax(&re.d, err)
	}
	return env, err
}

// DecodeValue stores one JSON value, as [Decode] does with data.
func DecodeValue(raw []byte, zone *time.Location, out any) error {
	d := jsontext.NewDecoder(bytes.NewReader(raw), lexing, lenient)
	if err := decodeInto(&state{d: d, zone: zone}, out); err != nil {
		return syntax(d, err)
	}
	return nil
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

func decodeEnvelope(st *state, out any, env *Envelope) error {
	d, zone := st.d, st.zone
	if d.PeekKind() != '{' {
		if _, err := d.ReadValue(); err != nil {
			return err
		}
		return &SyntaxError{Why: "not a JSON object"}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var early jsontext.Value // data that came before code
	var msg, message string
	var seen [3]bool
	once := func(i int, name string) error {
		if seen[i] {
			return &SyntaxError{Why: name + " stands twice in the answer"}
		}
		seen[i] = true
		return nil
	}
	other := false // something stands where data might
	for d.PeekKind() != '}' {
		quoted, err := d.ReadValue()
		if err != nil {
			return err
		}
		st.text, _ = jsontext.AppendUnquote(st.text[:0], quoted)
		switch string(st.text) {
		case "code":
			if err = once(0, "code"); err == nil {
				err = readCode(d, env)
			}
		case "msg":
			msg, err = readText(st)
		case "message":
			message, err = readText(st)
		case "errors":
			if err = once(1, "errors"); err != nil {
				break
			}
			var v jsontext.Value
			if v, err = d.ReadValue(); err == nil && v.Kind() != 'n' {
				env.Errors = json.RawMessage(v.Clone())
			}
		case "data":
			if err = once(2, "data"); err != nil {
				break
			}
			env.HasData = d.PeekKind() != 'n'
			switch {
			case env.HasCode && env.OK() && out != nil:
				if err = decodeInto(st, out); err == nil {
					env.HasData = env.HasData && holds(st, out)
				}
			case env.HasCode || out == nil:
				err = d.SkipValue()
			default:
				var v jsontext.Value
				v, err = d.ReadValue()
				early = v.Clone()
			}
		default:
			var filled bool
			filled, err = skip(d)
			other = other || filled
		}
		env.Message = msg
		if msg == "" {
			env.Message = message
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	// Reading on finds what a prefix decoder would miss: garbage after the
	// answer, a bad gzip checksum, a connection cut after the last brace.
	if _, err := d.ReadToken(); err != io.EOF {
		if err == nil {
			err = &SyntaxError{Why: "something follows the answer"}
		}
		return err
	}
	switch {
	case early != nil && env.OK():
		st := &state{d: jsontext.NewDecoder(bytes.NewReader(early), lexing, lenient), zone: zone}
		if err := decodeInto(st, out); err != nil {
			return syntax(st.d, err)
		}
		env.HasData = env.HasData && holds(st, out)
	case out != nil && !seen[2] && other && env.OK():
		return &SyntaxError{Why: "no data, but something else"}
	}
	return nil
}

// holds reports whether what was decoded had anything of out in it. PHP writes an
// object that is not there as [], "" or false.
func holds(st *state, out any) bool {
	return st.found || reflect.TypeOf(out).Elem().Kind() != reflect.Struct
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
func readText(st *state) (string, error) {
	v, err := st.d.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return "", err
	}
	if v.Kind() != '"' {
		return string(v), nil
	}
	st.text, err = jsontext.AppendUnquote(st.text[:0], v)
	return string(st.text), ignoreUTF8(st.text, err)
}

// AppendUnquote reports broken UTF-8 but has replaced it already.
func ignoreUTF8(b []byte, err error) error {
	if b != nil {
		return nil
	}
	return err
}

// parseInt reads a whole number as JSON, PHP and people write it: 12, 12.0, 1e3.
// With round, a fraction goes to the nearest whole number.
func parseInt(s string, round bool) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	if !ValidNumber(s) {
		return 0, false
	}
	if whole, frac, ok := strings.Cut(s, "."); ok && strings.Trim(frac, "0") == "" {
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

// ValidNumber reports whether s is a JSON number.
func ValidNumber(s string) bool {
	return jsontext.Value(s).Kind() == '0' && jsontext.Value(s).IsValid() && strings.TrimSpace(s) == s
}

func decodeInto(st *state, out any) error {
	v := reflect.ValueOf(out).Elem()
	return planFor(v.Type())(st, v)
}

// source strips one byte order mark and remembers why reading ended.
type source struct {
	r     io.Reader
	begun bool
	err   error
}

func (s *source) Read(p []byte) (int, error) {
	if s.begun || len(p) < 3 {
		return s.read(p)
	}
	s.begun = true
	n := 0
	var err error
	for n < 3 && err == nil {
		var m int
		m, err = s.read(p[n:])
		n += m
	}
	if n >= 3 && string(p[:3]) == "\xef\xbb\xbf" {
		n = copy(p, p[3:n])
	}
	return n, err
}

func (s *source) read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
