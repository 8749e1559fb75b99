package reseller

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/proxylite/proxylite-go"
)

// NoLimit is the [Want.Limit] of an account that may use any amount of traffic.
const NoLimit proxylite.Traffic = -1

// State is what a [Want] says about whether an account can be used.
type State int

// The states to want.
const (
	// StateAny leaves an account enabled or disabled as it is, so that Ensure never
	// enables what a person or a [Watch] has disabled. A new account is enabled.
	StateAny State = iota
	StateEnabled
	StateDisabled
)

// Want is an account as it should be. A zero field other than Name leaves alone what
// an existing account has.
type Want struct {
	// Name is required. It can have the brand's prefix: bob and pl-bob are the same
	// account. Letters and digits otherwise.
	Name string
	// Password is required for a new account. Letters and digits.
	Password proxylite.Password
	// Limit is required for a new account: whole GB of at most 102400, or [NoLimit].
	// It has no default, so that a forgotten limit does not mean any amount.
	Limit proxylite.Traffic
	// Remark is at most 64 English or 32 Chinese characters; new("") clears it.
	Remark *string
	// ProductType can be chosen for a new account only; 0 leaves it to the API.
	ProductType proxylite.ProductType
	State       State
}

// key is the name without the brand's prefix.
func (w *Want) key() string { return bare(w.Name) }

func bare(name string) string { return proxylite.Account{Username: name}.Name() }

// limit is the limit as the API has it, where 0 means none.
func (w *Want) limit() proxylite.Traffic { return max(w.Limit, 0) }

// checks collects all that is wrong with the input.
type checks struct {
	vendor   bool
	problems []proxylite.InputProblem
}

func (c *checks) must(ok bool, field, value, rule string) {
	if !ok {
		c.problems = append(c.problems, proxylite.InputProblem{Field: field, Value: value, Rule: rule})
	}
}

func (c *checks) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return fmt.Errorf("reseller: %w", &proxylite.InputError{Problems: c.problems})
}

// word checks a name or a password. value is what the problem shows.
func (c *checks) word(field, text, value string) {
	odd := func(r rune) bool { return r == ',' || r == ':' || r < ' ' || r == 0x7f || r == utf8.RuneError }
	other := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if c.vendor {
		c.must(!strings.ContainsFunc(text, other), field, value, "must be letters A-Z a-z and digits only")
	} else {
		c.must(!strings.ContainsFunc(text, odd), field, value, "must not contain a comma, a colon or a control character")
	}
}

// checkWants checks all of the input at once. It is no stricter than the client, and
// what it admits the client admits: a run does not stop halfway for a bad name.
func checkWants(wants []Want, vendorRules bool) error {
	c := &checks{vendor: vendorRules}
	seen := make(map[string]int, len(wants))
	for i := range wants {
		w := &wants[i]
		field := func(name string) string { return fmt.Sprintf("wants[%d].%s", i, name) }
		name := w.key()
		if first, twice := seen[name]; twice {
			c.must(false, field("Name"), w.Name, fmt.Sprintf("is wanted twice, here and in wants[%d]", first))
		}
		seen[name] = i
		c.must(strings.TrimSpace(w.Name) != "", field("Name"), "", "is required")
		c.word(field("Name"), name, w.Name)
		c.word(field("Password"), w.Password.Reveal(), "")
		gb, whole := w.Limit/proxylite.GB, w.Limit%proxylite.GB == 0
		c.must(w.Limit == NoLimit || w.Limit >= 0 && whole, field("Limit"), w.Limit.String(), "must be a whole number of GB, such as 5*proxylite.GB, or NoLimit")
		c.must(!vendorRules || gb <= 102400, field("Limit"), w.Limit.String(), "must be at most 102400 GB")
		if w.Remark != nil {
			width := 0
			for _, r := range *w.Remark {
				if width++; r >= utf8.RuneSelf {
					width++
				}
			}
			c.must(utf8.ValidString(*w.Remark), field("Remark"), "", "must be valid UTF-8")
			c.must(!vendorRules || width <= 64, field("Remark"), *w.Remark, "must be at most 64 English or 32 Chinese characters")
		}
		c.must(w.ProductType >= 0, field("ProductType"), w.ProductType.String(), "must not be negative")
		c.must(w.State >= StateAny && w.State <= StateDisabled, field("State"), fmt.Sprint(int(w.State)), "must be StateAny, StateEnabled or StateDisabled")
	}
	return c.err()
}
