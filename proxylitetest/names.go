package proxylitetest

import (
	"cmp"
	"strings"

	"github.com/proxylite/proxylite-go"
)

// NameRules are how a server takes the names of accounts. The vendor documents none
// of this, so test your program with each that you can think of. The zero value is
// what a server does without [WithNameRules].
type NameRules struct {
	// Form is how existing accounts have to be named.
	Form NameForm
	// Missing is what becomes of a name that no account has.
	Missing NameOutcome
	// Doubled is what becomes of a new account whose name exists already.
	Doubled NameOutcome
	// MissingCode and DoubledCode are the error codes of a refusal; 0 means 400.
	MissingCode, DoubledCode int
}

// NameForm is a form of the name of an existing account.
type NameForm int

// The forms of a name.
const (
	AnyName       NameForm = iota // bob or pl-bob
	BareNames                     // bob only, as the account was added
	PrefixedNames                 // pl-bob only, as the account is listed
)

// NameOutcome is what a server does about a name.
type NameOutcome int

// The outcomes.
const (
	Refuse NameOutcome = iota // an error code; nothing is changed
	Ignore                    // success, although nothing is done for that name
	Double                    // of a new account: a second one of that name. Changes then affect the first, deletion both.
)

// WithNameRules sets how the server takes the names of accounts.
func WithNameRules(rules NameRules) Option { return func(s *Server) { s.rules = rules } }

// named finds the account that a request names; nil if the form of the name is wrong.
func (s *Server) named(name string) *proxylite.Account {
	prefixed := strings.HasPrefix(name, brand)
	if s.rules.Form == BareNames && prefixed || s.rules.Form == PrefixedNames && !prefixed {
		return nil
	}
	return s.state.account(name)
}

// missing returns an account that is nobody's to change, or nil after a refusal.
func (r NameRules) missing(in *request, field, name string) *proxylite.Account {
	if r.Missing == Ignore {
		return &proxylite.Account{}
	}
	in.refuse(cmp.Or(r.MissingCode, 400), field, "账户不存在: "+name)
	return nil
}

// admitsDoubled reports whether a second account of a name is added.
func (r NameRules) admitsDoubled(in *request, name string) bool {
	if r.Doubled == Refuse {
		in.refuse(cmp.Or(r.DoubledCode, 400), "accounts", "账户已存在: "+name)
	}
	return r.Doubled == Double
}

func (in *request) refuse(code int, field, message string) {
	if in.no == nil {
		in.no = &apiError{code, message, field}
	}
}
