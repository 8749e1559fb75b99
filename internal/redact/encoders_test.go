package redact_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"html/template"
	"mime"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// encoder is a way in which servers, proxies and logs write a text.
type encoder struct {
	name  string
	write func(string) string
	whole bool // it writes a whole text, not byte by byte
}

// each writes every byte so.
func each(format string) func(string) string {
	return only("", format)
}

// only writes the bytes of a set so, all if it is empty.
func only(set, format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			if set == "" || strings.IndexByte(set, s[i]) >= 0 {
				fmt.Fprintf(&b, format, s[i])
			} else {
				b.WriteByte(s[i])
			}
		}
		return b.String()
	}
}

// units writes all UTF-16 units but those that keep accepts.
func units(format string, keep func(rune) bool) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if keep(r) {
				b.WriteRune(r)
				continue
			}
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, format, u)
			}
		}
		return b.String()
	}
}

func runes(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, format, r)
		}
		return b.String()
	}
}

func none(rune) bool    { return false }
func ascii(r rune) bool { return r < 0x80 && r != '"' && r != '\\' }

func inner(s string) string { return s[1 : len(s)-1] }

func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return inner(string(b))
}

func lines(s string, n int, end string) string {
	var b strings.Builder
	for part := range slices.Chunk([]byte(s), n) {
		b.Write(part)
		b.WriteString(end)
	}
	return b.String()
}

func to64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func wide(s string) string { // UTF-16LE, as PowerShell encodes
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func buffered(f func(b *bytes.Buffer)) string {
	var b bytes.Buffer
	f(&b)
	return b.String()
}

// word writes an encoded word. A long text would become several of them.
func word(enc mime.WordEncoder) func(string) string {
	return func(s string) string {
		if len(s) > 40 {
			return s
		}
		return enc.Encode("utf-8", s+"é")
	}
}

// encoders are those that were seen, and some that were not.
var encoders = []encoder{
	{"as it is", func(s string) string { return s }, false},
	{"query", url.QueryEscape, false},
	{"path", url.PathEscape, false},
	{"percent, Python's quote", func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }, false},
	{"percent, each byte", each("%%%02X"), false},
	{"percent, each byte, lower", each("%%%02x"), false},
	{"percent twice, each byte", each("%%25%02X"), false},
	{"percent, JavaScript's escape", units("%%u%04X", none), false},
	{"JSON", inJSON, false},
	{"JSON, PHP", func(s string) string {
		return units(`\u%04x`, func(r rune) bool { return r < 0x80 })(strings.ReplaceAll(inJSON(s), "/", `\/`))
	}, false},
	{"JSON, .NET", units(`\u%04X`, func(r rune) bool { return ascii(r) && !strings.ContainsRune("+&'<>`", r) }), false},
	{"JSON, Gson", only(`=&'<>\"`, `\u%04x`), false},
	{"JSON, each unit", units(`\u%04x`, none), false},
	{"JSON in JSON", func(s string) string { return inJSON(inJSON(s)) }, false},
	{"JSON in JSON in JSON", func(s string) string { return inJSON(inJSON(inJSON(s))) }, false},
	{"JSON pointer", strings.NewReplacer("~", "~0", "/", "~1").Replace, false},
	{"Go quote", func(s string) string { return inner(strconv.Quote(s)) }, false},
	{"Go quote, ASCII", func(s string) string { return inner(strconv.QuoteToASCII(s)) }, false},
	{"JavaScript, ES6", runes(`\u{%x}`), false},
	{"Python, long", runes(`\U%08x`), false},
	{"html/template", func(s string) string {
		return buffered(func(b *bytes.Buffer) { _ = template.Must(template.New("").Parse("{{.}}")).Execute(b, s) })
	}, false},
	{"html/template, script", template.JSEscapeString, false},
	{"HTML", html.EscapeString, false},
	{"HTML, PHP", strings.NewReplacer("&", "&amp;", `"`, "&quot;", "'", "&#039;", "<", "&lt;", ">", "&gt;").Replace, false},
	{"HTML, .NET", only(`+&'<>"`, `&#x%02X;`), false},
	{"HTML, names", strings.NewReplacer("&", "&amp;", "+", "&plus;", "=", "&equals;", "/", "&sol;", `\`, "&bsol;", "é", "&eacute;").Replace, false},
	{"entities, decimal", runes("&#%d;"), false},
	{"entities, zeros", runes("&#%07d;"), false},
	{"entities, hexadecimal", runes("&#x%x;"), false},
	{"entities, hexadecimal with zeros", runes("&#X%06X;"), false},
	{"entities without semicolon", runes("&#%d"), false},
	{"entities, hexadecimal without semicolon", runes("&#x%x"), false},
	{"entities of entities", func(s string) string { return html.EscapeString(runes("&#%d;")(s)) }, false},
	{"XML", func(s string) string {
		return buffered(func(b *bytes.Buffer) { _ = xml.EscapeText(b, []byte(s)) })
	}, false},
	{`\x of some`, only(`"\`, `\x%02X`), false},
	{`\x of each byte`, each(`\x%02x`), false},
	{"octal", each(`\%03o`), false},
	{"octal, short", each(`\%o`), false},
	{"LDAP", only(`*()\/+="<>&'`, `\%02x`), false},
	{"CSS", only(`+/=&"'<>\`, `\%x `), false},
	{"quoted-printable", func(s string) string {
		return buffered(func(b *bytes.Buffer) {
			w := quotedprintable.NewWriter(b)
			_, _ = w.Write([]byte(s))
			_ = w.Close()
		})
	}, false},
	{"quoted-printable, each byte", each("=%02X"), false},
	{"RFC 2047, Q", word(mime.QEncoding), true},
	{"RFC 2047, B", word(mime.BEncoding), true},
	{"CSV", strings.NewReplacer(`"`, `""`).Replace, false},
	{"SQL", strings.NewReplacer(`'`, `''`).Replace, false},
	{"regular expression", only(`+=&"\<~%'/`, `\%c`), false},
	{"upper case", strings.ToUpper, false},
	{"lower case", strings.ToLower, false},
	{"full width", func(s string) string {
		return strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7f {
				return r + 0xfee0
			}
			return r
		}, s)
	}, false},
	{"folded", func(s string) string { return lines(s, 5, "\r\n ") }, false},
	{"a space inside", func(s string) string { return s[:4] + " " + s[4:] }, false},
	{"a line break inside, escaped", func(s string) string { return s[:4] + `\n` + s[4:] }, false},
	{"zero width inside", func(s string) string { return s[:4] + "\u200b" + s[4:] }, false},
	{"base64", to64, true},
	{"base64, raw", func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) }, true},
	{"base64, URL", func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }, true},
	{"base64 of a login", func(s string) string { return to64("user:" + s) }, true},
	{"base64, one before", func(s string) string { return to64("x" + s + "yz") }, true},
	{"base64, two before", func(s string) string { return to64("xx" + s + "y") }, true},
	{"base64, lines", func(s string) string { return lines(to64(s), 7, "\r\n") }, true},
	{"base64, lines, in JSON", func(s string) string { return inJSON(lines(to64(s), 7, "\r\n")) }, true},
	{"base64, folded", func(s string) string { return lines(to64(s), 7, " ") }, true},
	{"base64 in JSON of PHP", func(s string) string { return strings.ReplaceAll(to64(s), "/", `\/`) }, true},
	{"base64 in a query", func(s string) string { return url.QueryEscape(to64(s)) }, true},
	{"base64 twice", func(s string) string { return to64(to64(s)) }, true},
	{"base64 three times", func(s string) string { return to64(to64(to64(s))) }, true},
	{"base64 of UTF-16", func(s string) string { return to64(wide(s)) }, true},
	{"base64 of JSON", func(s string) string { return to64(`{"app_key":"` + inJSON(s) + `"}`) }, true},
	{"base64 of a query", func(s string) string { return to64("a=b&app_key=" + url.QueryEscape(s)) }, true},
	{"base64 of upper case", func(s string) string { return to64(strings.ToUpper(s)) }, true},
	{"base32", func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) }, true},
	{"base32hex", func(s string) string { return base32.HexEncoding.EncodeToString([]byte("a" + s)) }, true},
	{"hex", func(s string) string { return hex.EncodeToString([]byte(s)) }, true},
	{"hex, upper", func(s string) string { return fmt.Sprintf("%X", s) }, true},
	{"hex with prefix", func(s string) string { return fmt.Sprintf("%#x", s) }, true},
	{"hex with spaces", func(s string) string { return fmt.Sprintf("% x", s) }, true},
	{"hex with spaces and prefixes", func(s string) string { return fmt.Sprintf("% #x", s) }, true},
	{"hex with colons", each("%02x:"), true},
	{"hex with dashes", each("%02X-"), true},
	{"hex in groups", func(s string) string { return lines(hex.EncodeToString([]byte(s)), 4, " ") }, true},
	{"hex of hex", func(s string) string { return fmt.Sprintf("%x", fmt.Sprintf("%x", s)) }, true},
	{"hex of base64", func(s string) string { return fmt.Sprintf("%x", to64(s)) }, true},
	{"base64 of hex", func(s string) string { return to64(fmt.Sprintf("%x", s)) }, true},
	{"Go syntax of bytes", func(s string) string { return fmt.Sprintf("%#v", []byte(s)) }, true},
	{"numbers", func(s string) string { return fmt.Sprint([]byte(s)) }, true},
	{"numbers, JSON", func(s string) string { return strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ",") }, true},
	{"numbers, octal", func(s string) string { return fmt.Sprintf("%o", []byte(s)) }, true},
	{"numbers, hexadecimal", func(s string) string { return fmt.Sprintf("%x", []rune(s)) }, true},
	{"numbers, binary", func(s string) string { return fmt.Sprintf("%08b", []byte(s)) }, true},
	{"runes", func(s string) string { return fmt.Sprintf("%U", []rune(s)) }, true},
}
