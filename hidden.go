package proxylite

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	redacted = "[REDACTED]"
	// shortestSecret: a shorter one could not be kept out of texts without
	// garbling them.
	shortestSecret = 6
)

// hidden is the second line of defence: texts from outside (server messages,
// causes, headers) might echo a secret, in any of its forms. nil hides nothing.
type hidden struct {
	secrets  []string
	forms    []string // longest first
	replacer *strings.Replacer
}

func hide(secrets ...string) *hidden {
	h := &hidden{secrets: secrets}
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			h.forms = append(h.forms, formsOf(secret)...)
		}
	}
	slices.SortFunc(h.forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range h.forms {
		pairs = append(pairs, form, redacted)
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

func (h *hidden) scrub(s string) string {
	if h == nil || len(h.forms) == 0 || len(s) < len(h.forms[len(h.forms)-1]) {
		return s
	}
	return h.replacer.Replace(s)
}

// scrubStart is scrub for the beginning of a text, which may end within a secret.
func (h *hidden) scrubStart(s string) string {
	s = h.scrub(s)
	if h == nil {
		return s
	}
	for _, form := range h.forms {
		for n := min(len(form)-1, len(s)); n >= 4; n-- { // fewer tell nothing
			if strings.HasSuffix(s, form[:n]) {
				return s[:len(s)-n] + redacted
			}
		}
	}
	return s
}
