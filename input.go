package proxylite

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// InputError lists all problems with the input of a call. Nothing was sent. The [Error]
// of the call wraps it: get it with errors.As, or test for it with
// errors.Is(err, ErrInvalidInput).
type InputError struct {
	Problems []InputProblem // at least one
}

// InputProblem is one problem with one field.
type InputProblem struct {
	Field string // Go name of the parameter, e.g. "Accounts[2].Username"
	Value string // the value, at most 80 bytes of it; empty for passwords
	Rule  string // the rule that the value breaks, e.g. "is required"
}

// String returns the field, the rule and the value in one line.
func (p InputProblem) String() string {
	if p.Value == "" {
		return p.Field + ": " + p.Rule
	}
	return fmt.Sprintf("%s: %s (got %q)", p.Field, p.Rule, p.Value)
}

// Error returns the first ten problems, separated by semicolons, and the number of the
// others.
func (e *InputError) Error() string {
	shown := e.Problems[:min(len(e.Problems), 10)]
	lines := make([]string, len(shown), len(shown)+1)
	for i, p := range shown {
		lines[i] = p.String()
	}
	if more := len(e.Problems) - len(shown); more > 0 {
		lines = append(lines, "and "+strconv.Itoa(more)+" more")
	}
	return "invalid input: " + strings.Join(lines, "; ")
}

// Is reports whether target is [ErrInvalidInput].
func (e *InputError) Is(target error) bool { return target == ErrInvalidInput }

// checks collects the problems with an input. Structural rules always apply: a request
// that breaks them would mean something else than the caller wants. Vendor rules are
// those that the vendor may relax; [WithoutVendorRules] disables them.
type checks struct {
	problems []InputProblem
	vendor   bool
}

func (c *checks) must(ok bool, field, value, rule string) {
	if !ok {
		c.problems = append(c.problems, InputProblem{field, clip(value, 80), rule})
	}
}

func (c *checks) vendorRule(ok bool, field, value, rule string) {
	c.must(ok || !c.vendor, field, value, rule)
}

func (c *checks) required(field, value string) {
	c.must(strings.TrimSpace(value) != "", field, "", "is required")
}

// validText checks text for a JSON body. encoding/json would replace invalid UTF-8.
func (c *checks) validText(field, value string) {
	c.must(utf8.ValidString(value), field, "", "must be valid UTF-8")
}

// id checks an identifier, which may be empty. A space in it most likely comes from text
// that was split wrongly; the API would then find another entry or none.
func (c *checks) id(field, value string) {
	c.validText(field, value)
	bad := strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' })
	c.must(!bad, field, value, "must not contain spaces or control characters")
}

func (c *checks) requiredID(field, value string) {
	if c.required(field, value); strings.TrimSpace(value) != "" {
		c.id(field, value)
	}
}

const listRule = "must not contain a comma, a colon or a control character, which would change the list it is sent in"

func safeInList(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == ',' || r == ':' || r < ' ' || r == 0x7f })
}

func alphanumeric(s string) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9') {
			return false
		}
	}
	return s != ""
}

// newWord checks the name or password of a new account. The problem does not contain the
// value if that is secret.
func (c *checks) newWord(field, value string, secret bool) {
	shown := value
	if secret {
		shown = ""
	}
	if value == "" {
		c.must(false, field, "", "is required")
		return
	}
	c.validText(field, value)
	if !safeInList(value) {
		c.must(false, field, shown, listRule)
		return
	}
	c.vendorRule(alphanumeric(value), field, shown, "must be letters A-Z a-z and digits only")
}

// accountName checks the name of an existing account, with or without the prefix of the
// brand.
func (c *checks) accountName(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.must(false, field, "", "is required")
		return
	}
	c.validText(field, value)
	if !safeInList(value) {
		c.must(false, field, value, listRule)
		return
	}
	_, name := cutPrefix(value)
	c.vendorRule(alphanumeric(name), field, value, "must be letters and digits, optionally after a brand prefix such as pl-")
}

// remark checks the length of a remark. The vendor allows 32 Chinese or 64 English
// characters and is silent on mixtures; we count ASCII as 1, others as 2.
func (c *checks) remark(field, value string) {
	c.validText(field, value)
	n := 0
	for _, r := range value {
		n++
		if r >= utf8.RuneSelf {
			n++
		}
	}
	c.vendorRule(n <= 64, field, value, "must be at most 64 English or 32 Chinese characters; ASCII counts 1 and any other character 2, here "+strconv.Itoa(n))
}

func (c *checks) country(field, value string) {
	c.vendorRule(len(value) == 2 && alphanumeric(value) && !strings.ContainsAny(value, "0123456789"), field, value, "must be a country code of two letters, such as US")
}

func (c *checks) requiredCountry(field, value string) {
	if c.required(field, value); strings.TrimSpace(value) != "" {
		c.country(field, value)
	}
}

func (c *checks) notNegative(field string, value int64) {
	c.must(value >= 0, field, strconv.FormatInt(value, 10), "must not be negative")
}

func (c *checks) period(start, end time.Time) {
	c.must(start.IsZero() || end.IsZero() || !start.After(end), "Start", start.Format(time.RFC3339), "must not be after End, "+end.Format(time.RFC3339))
}

func (c *checks) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &InputError{c.problems}
}

// The methods below set query parameters. They leave out an empty value, so that the API
// uses its default. A parameter whose zero value has a meaning is a pointer.

func (in *request) set(name, value string) {
	if in.query == nil {
		in.query = url.Values{}
	}
	in.query.Set(name, value)
}

func (in *request) str(name, value string) {
	if value != "" {
		in.set(name, value)
	}
}

func (in *request) int(name string, value int) {
	if value != 0 {
		in.set(name, strconv.Itoa(value))
	}
}

func intPtr[T ~int](in *request, field, name string, value *T) {
	if value != nil {
		in.notNegative(field, int64(*value))
		in.set(name, strconv.Itoa(int(*value)))
	}
}

func (in *request) time(field, name string, t time.Time, zone *time.Location) {
	if t.IsZero() {
		return
	}
	t = t.In(zone)
	in.must(1 <= t.Year() && t.Year() <= 9999, field, t.Format(time.RFC3339), "must have a year from 1 to 9999 in the client's time zone")
	in.set(name, t.Format(time.DateTime))
}
