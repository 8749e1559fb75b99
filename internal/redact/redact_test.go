package redact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/redact"
)

var secrets = map[string]string{
	"hex":    "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
	"base64": "Zm9v+YmFy/YmF6cXV4+Zg==",
	"JWT":    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
	"word":   "Tr0ub4dor&3horse",
	"all":    `kAn/ry+=&"\<é~%20'k`,
	"plain":  "s3cret-token-000001",
	"short":  "a1B2c3",
}

// others returns texts as long as s, in most codes, in which no letter or digit is
// the same.
func others(s string) []string {
	var all []string
	for turn := 1; turn < 10; turn++ {
		b := []byte(s)
		for i, c := range b {
			for _, class := range []string{"01234567", "89", "abc", "defghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
				if at := strings.IndexByte(class, c); at >= 0 {
					b[i] = class[(at+1+turn%(len(class)-1))%len(class)]
				}
			}
		}
		all = append(all, string(b))
	}
	return all
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func reversed(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// leak says what is left of a secret in a text that was cleaned: all that would be
// otherwise with another secret must be gone. It knows no code.
func leak(clean, secret string, write func(string) string) string {
	text := write(secret)
	before, after := 0, 0
	for _, other := range others(secret) {
		other = write(other)
		before = max(before, common(text, other))
		after = max(after, common(reversed(text), reversed(other)))
		if len(other) != len(text) { // what follows is another text in base64
			after = len(text)
		}
	}
	parts := strings.Split(clean, redact.Redacted)
	if len(parts) == 1 {
		return "nothing is hidden"
	}
	first, last := parts[0], parts[len(parts)-1]
	switch {
	case !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last):
		return "what is around is changed"
	case len(first) > before:
		return "its beginning is left"
	case len(last) > after:
		return "its end is left"
	}
	for _, part := range parts[1 : len(parts)-1] {
		if len(part) > 2 {
			return "its middle is left: " + part
		}
	}
	return ""
}

func TestEncoders(t *testing.T) {
	t.Parallel()
	for kind, secret := range secrets {
		set := redact.New(secret)
		for _, enc := range encoders {
			t.Run(kind+"/"+enc.name, func(t *testing.T) {
				t.Parallel()
				for name, around := range map[string][2]string{
					"alone": {}, "sentence": {"the key ", " is wrong"}, "query": {"/x?app_key=", "&a=b"}, "JSON": {`{"msg":"`, `"}`},
					"escaped JSON": {`{\"msg\":\"`, `\"}`}, "escaped query": {"app_key%3D", "%26a%3Db"}, "lines": {"a\nb\n", "\n"},
				} {
					write := func(s string) string { return around[0] + enc.write(s) + around[1] }
					clean := set.Text(write(secret))
					require.Empty(t, leak(clean, secret, write), "%s: %q -> %q", name, write(secret), clean)
				}
			})
		}
	}
}
