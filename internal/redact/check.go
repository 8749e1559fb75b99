package redact

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Check returns an error if secret can't be a valid credential, or could not be hidden.
// The error says what is wrong and at which byte, but contains no part of the secret. It
// calls the secret name, such as "app key".
func Check(secret, name string) error {
	if secret == "" {
		return fmt.Errorf("the %s is empty: copy it from the dashboard", name)
	}
	for i, r := range secret {
		what := ""
		_, size := utf8.DecodeRuneInString(secret[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			what = "a byte that is not UTF-8"
		case r == ' ':
			what = "a space"
		case unicode.IsControl(r):
			what = fmt.Sprintf("a control character (%U)", r)
		case unicode.Is(unicode.Z, r):
			what = fmt.Sprintf("a space (%U)", r)
		case invisible(r):
			what = fmt.Sprintf("an invisible character (%U)", r)
		}
		if what != "" {
			return fmt.Errorf("the %s has %s at byte %d: copy it again, without surrounding characters", name, what, i)
		}
	}
	if len(secret) < Shortest {
		return fmt.Errorf("the %s is too short (%d bytes, want at least %d)", name, len(secret), Shortest)
	}
	return nil
}
