package cli

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"

	"github.com/proxylite/proxylite-go"
)

// hidden stands in place of a secret, as in the SDK.
const hidden = "[REDACTED]"

// secretMember is a member of a JSON object whose name says that it is a secret.
var secretMember = regexp.MustCompile(`(?i)("[^"\\]*(?:pass|pwd|secret|token|app_?key)[^"\\]*"\s*:\s*)("(?:[^"\\]|\\.)*"|[-+.0-9eE]+)`)

func maskJSON(text []byte) []byte {
	return secretMember.ReplaceAll(text, []byte(`${1}"`+hidden+`"`))
}

// maskLogins hides the login of each line that is a proxy with one.
func maskLogins(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if e, err := proxylite.ParseEndpoint(strings.TrimSpace(line)); err == nil && e.Username != "" {
			lines[i] = e.Addr() + ":" + e.Username + ":" + hidden
		}
	}
	return strings.Join(lines, "\n")
}

// newPassword makes a password of 16 letters and digits, which the API accepts.
func newPassword() proxylite.Password {
	return proxylite.NewPassword(strings.ToLower(rand.Text()[:16]))
}

// passwords gets a password for each name: from stdin, a line each; asked for on a
// terminal; or made up.
func (a *app) passwords(names []string, fromStdin, generate bool) ([]proxylite.Password, error) {
	list := make([]proxylite.Password, len(names))
	for i, name := range names {
		switch {
		case generate:
			list[i] = newPassword()
		case fromStdin || a.interactive():
			text, err := a.readSecret("password of " + name + ": ")
			if err != nil {
				return nil, err
			}
			if text == "" {
				return nil, usage(fmt.Errorf("the password of %s is empty", name))
			}
			list[i] = proxylite.NewPassword(text)
		default:
			return nil, refused("no password: add --generate, or --password-stdin and a line for each account")
		}
	}
	return list, nil
}
