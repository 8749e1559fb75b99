// Package redact keeps secrets out of texts, headers and errors.
package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	Redacted = "[REDACTED]"
	// Shortest: a shorter one could not be kept out of texts without
	// garbling them.
	Shortest = 6
)

// Set is the second line of defence: texts from outside (server messages,
// causes, headers) might echo a secret, in any of its forms. nil hides nothing.
type Set struct {
	secrets  []string
	forms    []string // longest first
	replacer *strings.Replacer
}

func New(secrets ...string) *Set {
	h := &Set{secrets: secrets}
	for _, secret := range secrets {
		if len(secret) >= Shortest {
			h.forms = append(h.forms, formsOf(secret)...)
		}
	}
	slices.SortFunc(h.forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range h.forms {
		pairs = append(pairs, form, Redacted)
	}
	h.replacer = strings.NewReplacer(pairs...)
	return h
}

// formsOf are the ways in which a text shows a secret: as it is written in URLs,
// JSON and pages, written so twice (a URL in a query, JSON in JSON), and in base64
// or hex of any of these with something around it.
func formsOf(secret string) []string {
	forms := []string{}
	for _, once := range writings(secret) {
		forms = append(forms, writings(once)...)
		forms = append(forms, hex.EncodeToString([]byte(once)), strings.ToUpper(hex.EncodeToString([]byte(once))))
		for before := range 3 { // bytes that share a group of base64 with it
			text := []byte("   "[:before] + once)
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				forms = append(forms, enc.EncodeToString(text)[(before*8+5)/6:len(text)*8/6])
			}
		}
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// writings are how the encoders we know write a text. Of letters and digits they
// make nothing new.
func writings(s string) []string {
	query, path := url.QueryEscape(s), url.PathEscape(s)
	marked := html.EscapeString(s)
	all := []string{
		s, query, path, lowerPercent(query), lowerPercent(path), strings.ReplaceAll(query, "+", "%20"),
		marked, strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#039;").Replace(marked),
		strings.NewReplacer("~", "~0", "/", "~1").Replace(s), // in a JSON pointer
	}
	for _, goes := range []string{strconv.Quote(s), strconv.QuoteToASCII(s)} {
		all = append(all, goes[1:len(goes)-1])
	}
	quoted, _ := json.Marshal(s)
	for _, text := range []string{string(quoted[1 : len(quoted)-1]), strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)} {
		for _, text := range []string{text, strings.ReplaceAll(text, "/", `\/`)} {
			all = append(all, text, asciiOnly(text, `\u%04x`), asciiOnly(text, `\u%04X`))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(s[i:i+3]))
		}
	}
	return string(b)
}

func asciiOnly(s, escape string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, escape, unit)
		}
	}
	return b.String()
}

func (h *Set) Text(s string) string {
	if h == nil || len(h.forms) == 0 || len(s) < len(h.forms[len(h.forms)-1]) {
		return s
	}
	return h.replacer.Replace(s)
}

// start is scrub for the beginning of a text, which may end within a secret.
func (h *Set) start(s string) string {
	s = h.Text(s)
	if h == nil {
		return s
	}
	for _, form := range h.forms {
		for n := min(len(form)-1, len(s)); n >= 4; n-- { // fewer tell nothing
			if strings.HasSuffix(s, form[:n]) {
				return s[:len(s)-n] + Redacted
			}
		}
	}
	return s
}

// With returns a set of the secrets of h and more.
func (h *Set) With(more ...string) *Set {
	if len(more) == 0 {
		return h
	}
	if h == nil {
		return New(more...)
	}
	return New(append(slices.Clip(h.secrets), more...)...)
}

// Start is Text for the beginning of a text, which may end within a secret.
func (h *Set) Start(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return []byte(h.start(string(b)))
}

// JSON is Text for JSON.
func (h *Set) JSON(raw json.RawMessage) json.RawMessage { return json.RawMessage(h.Text(string(raw))) }

// Header returns header without secrets, a copy where it had any.
func (h *Set) Header(header http.Header) http.Header {
	shows := func(v string) bool { return h.Text(v) != v }
	for _, values := range header {
		if slices.ContainsFunc(values, shows) {
			header = header.Clone()
			for _, values := range header {
				for i, v := range values {
					values[i] = h.Text(v)
				}
			}
			break
		}
	}
	return header
}

// Error strips the URL of a *url.Error and hides secrets.
func (h *Set) Error(err error) error {
	for {
		u, ok := err.(*url.Error)
		if !ok {
			break
		}
		err = u.Err
	}
	_, deep := errors.AsType[*url.Error](err)
	if text := err.Error(); h.Text(text) != text || deep {
		return &scrubbed{h.Text(text), err}
	}
	return err
}

// scrubbed shows a cleaned text and keeps errors.Is. It has no Unwrap: what it
// wraps holds the text again.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string        { return s.text }
func (s *scrubbed) GoString() string     { return s.text }
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

// Inner returns the error that Error hid.
func Inner(err error) error {
	if s, ok := errors.AsType[*scrubbed](err); ok {
		return s.err
	}
	return nil
}

// Secrets returns what the set hides.
func (h *Set) Secrets() []string { return h.secrets }
