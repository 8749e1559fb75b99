package redact_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/redact"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"":                    "the key is empty: copy it from the dashboard",
		"k3y":                 "the key is too short (3 bytes, want at least 6)",
		"k3yk3y k3y":          "the key has a space at byte 6: copy it again, without surrounding characters",
		"k3yk3y\n":            "the key has a control character (U+000A) at byte 6: copy it again, without surrounding characters",
		"\tk3yk3y":            "the key has a control character (U+0009) at byte 0: copy it again, without surrounding characters",
		"k3yk3y\x7f":          "the key has a control character (U+007F) at byte 6: copy it again, without surrounding characters",
		"k3yk3y\u0085":        "the key has a control character (U+0085) at byte 6: copy it again, without surrounding characters",
		"k3yk3y\u00a0":        "the key has a space (U+00A0) at byte 6: copy it again, without surrounding characters",
		"k3yk3y\u3000":        "the key has a space (U+3000) at byte 6: copy it again, without surrounding characters",
		"k3yk3y\u2028":        "the key has a space (U+2028) at byte 6: copy it again, without surrounding characters",
		"\u200bk3yk3y":        "the key has an invisible character (U+200B) at byte 0: copy it again, without surrounding characters",
		"k3yk3y\u200d":        "the key has an invisible character (U+200D) at byte 6: copy it again, without surrounding characters",
		"\ufeffk3yk3y":        "the key has an invisible character (U+FEFF) at byte 0: copy it again, without surrounding characters",
		"k3yk3y\u200f":        "the key has an invisible character (U+200F) at byte 6: copy it again, without surrounding characters",
		"k3yk3y\u00ad":        "the key has an invisible character (U+00AD) at byte 6: copy it again, without surrounding characters",
		"k3y\ufe0fk3y":        "the key has an invisible character (U+FE0F) at byte 3: copy it again, without surrounding characters",
		"k3y\u3164k3y":        "the key has an invisible character (U+3164) at byte 3: copy it again, without surrounding characters",
		"k3yk3y\xff":          "the key has a byte that is not UTF-8 at byte 6: copy it again, without surrounding characters",
		"é\xc3k3yk3y":         "the key has a byte that is not UTF-8 at byte 2: copy it again, without surrounding characters",
		"k3yk3y":              "",
		`kAn/ry+=&"\<é~%20'k`: "",
		"密钥密钥":                "",
		"k3yk3y\ufffd":        "",
	} {
		err := redact.Check(secret, "key")
		if want == "" {
			require.NoError(t, err, "%q", secret)
			continue
		}
		require.EqualError(t, err, want, "%q", secret)
	}
}
