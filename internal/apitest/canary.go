package apitest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"sync"
	"unicode/utf16"
)

// Writings are how one text can stand in another: in a query, a path, JSON of several
// makers, a Go or nginx log, an HTML page.
var Writings = []func(string) string{
	func(s string) string { return s },
	url.QueryEscape,
	url.PathEscape,
	func(s string) string { return lowerPercent(url.QueryEscape(s)) },
	func(s string) string { return lowerPercent(url.PathEscape(s)) },
	func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") },
	InJSON,
	func(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) },
	func(s string) string { return strings.ReplaceAll(InJSON(s), "/", `\/`) },
	func(s string) string { return asciiJSON(s, `\u%04x`) },
	func(s string) string { return asciiJSON(s, `\u%04X`) },
	html.EscapeString,
	func(s string) string {
		return strings.NewReplacer("&", "&amp;", `"`, "&quot;", "'", "&#039;", "<", "&lt;").Replace(s)
	},
	func(s string) string { q := fmt.Sprintf("%q", s); return q[1 : len(q)-1] },
	func(s string) string { q := fmt.Sprintf("%+q", s); return q[1 : len(q)-1] },
	strings.NewReplacer("~", "~0", "/", "~1").Replace, // in a JSON pointer
}

func lowerPercent(s string) string {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' {
			s = s[:i] + strings.ToLower(s[i:i+3]) + s[i+3:]
		}
	}
	return s
}

// InJSON is s between the quotes of a JSON string.
func InJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

// asciiJSON is what PHP makes by default: slashes and all but ASCII escaped.
func asciiJSON(s, format string) string {
	var b strings.Builder
	for _, r := range InJSON(s) {
		switch {
		case r == '/':
			b.WriteString(`\/`)
		case r < 0x80:
			b.WriteRune(r)
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, format, u)
			}
		}
	}
	return b.String()
}

// Traces are what to look for in a text: the secret in every writing, written twice, and
// what base64 and hex make of it at any position in what they encode.
func Traces(secret string) []string {
	seen := map[string]bool{}
	var forms []string
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			forms = append(forms, s)
		}
	}
	for _, w := range Writings {
		once := w(secret)
		add(once)
		add(hex.EncodeToString([]byte(once)))
		add(strings.ToUpper(hex.EncodeToString([]byte(once))))
		for pad := range 3 {
			text := []byte("xxx"[:pad] + once)
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				from, to := (pad*8+5)/6, len(text)*8/6
				add(enc.EncodeToString(text)[from:to])
			}
		}
		for _, again := range Writings {
			add(again(once))
		}
	}
	return forms
}

// Leak looks for secrets in text, in all the forms that Traces knows, and says what it
// found; "" is none.
func Leak(text string, secrets ...string) string {
	once := sync.OnceValue(func() hunt {
		h := hunt{forms: map[string]string{}}
		var pairs []string
		for _, secret := range secrets {
			for _, form := range Traces(secret) {
				h.forms[form] = secret
				pairs = append(pairs, form, "FOUND")
			}
		}
		h.all = strings.NewReplacer(pairs...)
		return h
	})
	made, _ := hunts.LoadOrStore(strings.Join(secrets, " "), once)
	h := made.(func() hunt)()
	if h.all.Replace(text) == text {
		return ""
	}
	for form, secret := range h.forms {
		if i := strings.Index(text, form); i >= 0 {
			return fmt.Sprintf("%q came out as %q: …%q…", secret, form, text[max(0, i-200):min(len(text), i+len(form)+60)])
		}
	}
	return "a secret came out"
}

// hunt finds some secrets in one pass. Making one takes long.
type hunt struct {
	forms map[string]string // the secret of each
	all   *strings.Replacer
}

var hunts sync.Map
