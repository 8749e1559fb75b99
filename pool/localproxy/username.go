package localproxy

import (
	"context"
	"crypto/subtle"
	"strings"

	"github.com/proxylite/proxylite-go/internal/proxyserver"
	"github.com/proxylite/proxylite-go/pool"
)

// choice is what a user name asks for.
type choice struct{ user, country, session string }

// String is the name that parse reads, in one order.
func (c choice) String() string {
	var parts []string
	if c.user != "" {
		parts = append(parts, c.user)
	}
	if c.country != "" {
		parts = append(parts, "country-"+c.country)
	}
	if c.session != "" {
		parts = append(parts, "session-"+c.session)
	}
	return strings.Join(parts, "_")
}

// key is the session in the pool. Users do not share theirs.
func (c choice) key() string {
	if c.user == "" || c.session == "" {
		return c.session
	}
	return c.user + "_" + c.session
}

func (c choice) context(ctx context.Context) context.Context {
	return pool.WithSession(ctx, c.key())
}

// choose reads the login of a request.
func (s *Server) choose(r *proxyserver.Request) (choice, error) {
	if len(s.logins) > 0 {
		user, _, _ := strings.Cut(r.Username, "_")
		password, known := s.logins[user]
		if subtle.ConstantTimeCompare([]byte(password.Reveal()), []byte(r.Password)) != 1 || !known || !r.HasLogin {
			return choice{}, &refusal{status: 407, reason: "wrong_login", message: "wrong user name or password"}
		}
	}
	return s.parse(r.Username)
}

// parse reads a user name.
func (s *Server) parse(name string) (choice, error) {
	var c choice
	rest := name
	if len(s.logins) > 0 {
		c.user, rest, _ = strings.Cut(name, "_")
		if name == c.user+"_" {
			return c, badUser("the user name ends with an underscore")
		}
	}
	if rest == "" {
		rest = s.defaultUser
	}
	return c, c.read(rest)
}

// read reads the parts after the name of the login.
func (c *choice) read(parts string) error {
	if parts == "" {
		return nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(parts, "_") {
		name, value, _ := strings.Cut(part, "-")
		if seen[name] {
			return badUser("%q is in the user name twice", name)
		}
		seen[name] = true
		switch {
		case part == "rotate":
		case name == "session" && validKey(value):
			c.session = value
		case name == "country" && len(value) == 2 && strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
			c.country = value
		case name == "session":
			return badUser("session-%.70q: want 1 to 64 letters, digits, dots and hyphens", value)
		case name == "country":
			return badUser("country-%.70q: want two upper-case letters", value)
		default:
			return badUser("%.70q is not a part of a user name: want session-KEY, country-CC or rotate", part)
		}
	}
	if seen["rotate"] && seen["session"] {
		return badUser("rotate and session exclude each other")
	}
	return nil
}

func validKey(s string) bool {
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
