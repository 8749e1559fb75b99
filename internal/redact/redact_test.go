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

// other returns a text as long as s, in all codes, in which no letter or digit is
// the same.
func other(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			b[i] = '0' + (c-'0'+5)%10
		case c >= 'a' && c <= 'c': // two decimals
			b[i] = 'a' + (c-'a'+1)%3
		case c >= 'd' && c <= 'z': // three
			b[i] = 'd' + (c-'d'+11)%23
		case c >= 'A' && c <= 'Z':
			b[i] = 'A' + (c-'A'+13)%26
		}
	}
	return string(b)
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
// otherwise with another secret must be gone. It knows no code. (Where another
// length shifts what follows, ends can't be compared.)
func leak(clean, text, otherText string) string {
	parts := strings.Split(clean, redact.Redacted)
	if len(parts) == 1 {
		return "nothing is hidden"
	}
	first, last := parts[0], parts[len(parts)-1]
	switch {
	case !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last):
		return "what is around is changed"
	case len(first) > common(text, otherText):
		return "its beginning is left"
	case len(text) == len(otherText) && len(last) > common(reversed(text), reversed(otherText)):
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
					text := around[0] + enc.write(secret) + around[1]
					clean := set.Text(text)
					require.Empty(t, leak(clean, text, around[0]+enc.write(other(secret))+around[1]), "%s: %q -> %q", name, text, clean)
				}
			})
		}
	}
}
