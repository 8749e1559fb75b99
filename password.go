package proxylite

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Password is a password that is not shown by accident: fmt, slog and encoders for JSON,
// XML, YAML and gob write a placeholder, and debuggers and printers that use reflection
// see scrambled bytes. Make one with [NewPassword] and get its text with
// [Password.Reveal]. The zero value means no password. Within a process, equal passwords
// are equal with ==.
//
// [MarshalRevealed] encodes JSON with the passwords, and json.Unmarshal decodes it.
// json.Unmarshal returns an error for the placeholder, so that it can't become a password.
type Password struct{ sealed }

// NewPassword returns s as a [Password].
func NewPassword(s string) Password { return Password{seal(s)} }

// Reveal returns the text of the password. Don't log it.
func (p Password) Reveal() string { return p.open() }

// RawEntry is an entry of a list in JSON, as the API sent it. It may contain a password
// under any name, so it is redacted like a [Password]. The zero value means that there is
// no entry.
type RawEntry struct{ sealed }

// NewRawEntry returns a JSON value as a [RawEntry].
func NewRawEntry(entry []byte) RawEntry { return RawEntry{seal(string(entry))} }

// Reveal returns the entry as the API sent it, or nil if there is none.
func (r RawEntry) Reveal() json.RawMessage {
	if r == (RawEntry{}) {
		return nil
	}
	return json.RawMessage(r.open())
}

// MarshalRevealed encodes v like json.Marshal, but with the text of each [Password] and
// [RawEntry]. Use it for a store that may contain passwords. Decode the result with
// json.Unmarshal.
func MarshalRevealed(v any) ([]byte, error) {
	b, err := jsonv2.Marshal(v, jsonv1.DefaultOptionsV1(), jsonv2.WithMarshalers(jsonv2.JoinMarshalers(
		jsonv2.MarshalToFunc(func(e *jsontext.Encoder, p Password) error { return e.WriteToken(jsontext.String(p.Reveal())) }),
		jsonv2.MarshalToFunc(func(e *jsontext.Encoder, r RawEntry) error {
			if r == (RawEntry{}) {
				return e.WriteToken(jsontext.Null)
			}
			return e.WriteValue(jsontext.Value(r.Reveal()))
		}),
	)))
	if err != nil {
		return nil, fmt.Errorf("proxylite: MarshalRevealed: %w", err)
	}
	return b, nil
}

const redactedText = "[REDACTED]"

var errRedacted = errors.New("proxylite: " + redactedText + " is not a secret: write the JSON with MarshalRevealed")

// sealed is a text that only open reads. The bytes are scrambled with a key
// stream that is derived from the text and a seed of the process, so that equal
// texts stay equal and one known text does not give away another. It protects
// against printers, not against someone who reads the memory.
type sealed struct{ scrambled string }

var sealSeed = maphash.MakeSeed()

func seal(text string) sealed {
	if text == "" {
		return sealed{}
	}
	var short [64]byte
	b := binary.BigEndian.AppendUint64(short[:0], maphash.String(sealSeed, text))
	b = append(b, text...)
	scramble(b)
	return sealed{string(b)}
}

func (s sealed) open() string {
	if s.scrambled == "" {
		return ""
	}
	b := []byte(s.scrambled)
	scramble(b)
	return string(b[8:])
}

// scramble applies the key stream, which the first 8 bytes select, to the others.
// A second time undoes it.
func scramble(b []byte) {
	var block [16]byte
	copy(block[:], b[:8])
	for i, text := 0, b[8:]; i < len(text); i++ {
		if i%8 == 0 {
			binary.BigEndian.PutUint64(block[8:], uint64(i))
			binary.BigEndian.PutUint64(block[8:], maphash.Bytes(sealSeed, block[:]))
		}
		text[i] ^= block[8+i%8]
	}
}

// String returns a placeholder, or an empty text for the zero value.
func (s sealed) String() string {
	if s.scrambled == "" {
		return ""
	}
	return redactedText
}

// GoString returns the same text as String.
func (s sealed) GoString() string { return s.String() }

// Format writes the text of String for every verb; %q and %#v quote it.
func (s sealed) Format(f fmt.State, verb rune) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		_, _ = fmt.Fprintf(f, "%q", s.String())
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// LogValue returns the same text as String, for slog.
func (s sealed) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns the same text as String. The encoders for JSON, XML and YAML call it.
func (s sealed) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GobEncode calls MarshalText, for encoding/gob.
func (s sealed) GobEncode() ([]byte, error) { return s.MarshalText() }

// GobDecode calls UnmarshalText, for encoding/gob.
func (s *sealed) GobDecode(text []byte) error { return s.UnmarshalText(text) }

// UnmarshalText stores the text. It returns an error for the placeholder.
func (s *sealed) UnmarshalText(text []byte) error {
	if string(text) == redactedText {
		return errRedacted
	}
	*s = seal(string(text))
	return nil
}

// UnmarshalJSON reads a JSON string. It also accepts a number, true or false as text, since
// the API may send a password of digits without quotes. null changes nothing.
func (p *Password) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0, b[0] == '{', b[0] == '[':
		return errors.New("proxylite: a password must be a JSON string")
	case string(b) == "null":
		return nil
	case isPlain(b):
		return p.UnmarshalText(b[1 : len(b)-1])
	case b[0] == '"':
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		return p.UnmarshalText([]byte(text))
	}
	return p.UnmarshalText(b)
}

// UnmarshalJSON stores any JSON value as it is written. It returns an error for the
// placeholder. null and "" change nothing.
func (r *RawEntry) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null", `""`:
		return nil
	case `"` + redactedText + `"`:
		return errRedacted
	}
	*r = NewRawEntry(b)
	return nil
}

// isPlain reports whether b is a JSON string that needs no decoding.
func isPlain(b []byte) bool {
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}
