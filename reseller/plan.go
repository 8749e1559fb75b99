package reseller

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/proxylite/proxylite-go"
)

// StepKind is what a [Step] does.
type StepKind string

// The kinds of step, in the order in which they are applied. Limits come first and
// enabling late, so that no account can use more than it should in between.
const (
	StepLimit    StepKind = "limit"
	StepDisable  StepKind = "disable"
	StepAdd      StepKind = "add" // with password, limit, remark and product type
	StepPassword StepKind = "password"
	StepRemark   StepKind = "remark"
	StepEnable   StepKind = "enable"
	StepDelete   StepKind = "delete" // final; see [Delete]
)

var stepOrder = []StepKind{StepLimit, StepDisable, StepAdd, StepPassword, StepRemark, StepEnable, StepDelete}

// Step is one change of one account.
type Step struct {
	Kind StepKind
	Name string // without the brand's prefix
	// The new values; which of them apply depends on the kind.
	Limit       proxylite.Traffic // 0 for no limit
	Remark      string
	Password    proxylite.Password
	ProductType proxylite.ProductType

	listed   string // the name as listed; empty for a new account
	was      string // what String shows of the old value
	open     bool   // the account can be used without limit now
	disabled bool   // a new account is to be disabled
	extra    bool   // not counted by the progress
}

// String describes the step in a line, without the password.
func (s Step) String() string {
	limit := s.Limit.String()
	if s.Limit == 0 {
		limit = "no limit"
	}
	switch s.Kind {
	case StepAdd:
		text := fmt.Sprintf("add %s: %s", s.Name, limit)
		if s.Remark != "" {
			text += fmt.Sprintf(", remark %q", s.Remark)
		}
		if s.ProductType != 0 {
			text += ", " + s.ProductType.String()
		}
		if s.disabled {
			text += ", disabled"
		}
		return text
	case StepLimit:
		return fmt.Sprintf("limit %s: %s -> %s", s.Name, s.was, limit)
	case StepRemark:
		return fmt.Sprintf("remark %s: %s -> %q", s.Name, s.was, s.Remark)
	case StepDelete:
		return fmt.Sprintf("delete %s: final, %s used", s.Name, s.was)
	}
	return string(s.Kind) + " " + s.Name
}

// Problem is something that a plan can't put right.
type Problem struct {
	Name string // without the brand's prefix
	Err  error  // ErrDoubled or ErrProductType
}

// Plan is what has to be done so that accounts are as wanted. Make it with
// [NewPlan]. Changing the slices changes nothing of what [Manager.Apply] does.
type Plan struct {
	Steps    []Step
	Problems []Problem

	wants   []Want
	deletes []string // without the prefix
	base    []proxylite.Account
	steps   []Step
	rules   bool
}

// PlanOption changes a plan.
type PlanOption func(*Plan)

// Delete has accounts deleted, with or without the brand's prefix in their names.
// Nothing else in this package deletes one. Deletion is final, and the account's
// usage can't be asked for any more. An account that is not listed needs no step.
func Delete(names ...string) PlanOption {
	return func(p *Plan) { p.deletes = append(p.deletes, names...) }
}

// PlanWithoutVendorRules is [WithoutVendorRules] for a plan.
func PlanWithoutVendorRules() PlanOption { return func(p *Plan) { p.rules = false } }

// NewPlan returns the steps that make the actual accounts, as Accounts.List returned
// them, as wanted. Accounts that nobody wants are left alone. It sends nothing.
//
// A value that the list does not show, such as a limit in an unknown unit, is set
// again by each plan.
//
// The error is a [proxylite.InputError] that names every problem of the wants, also
// a missing account without a password or a limit.
func NewPlan(wants []Want, actual []proxylite.Account, opts ...PlanOption) (*Plan, error) {
	p := &Plan{wants: slices.Clone(wants), base: slices.Clone(actual), rules: true}
	for _, opt := range opts {
		opt(p)
	}
	if err := checkWants(wants, p.rules); err != nil {
		return nil, err
	}
	if err := p.complete(index(actual)); err != nil {
		return nil, err
	}
	p.Steps = slices.Clone(p.steps)
	return p, nil
}

// index finds accounts by their names without the prefix.
func index(accounts []proxylite.Account) map[string][]*proxylite.Account {
	byName := make(map[string][]*proxylite.Account, len(accounts))
	for i := range accounts {
		name := accounts[i].Name()
		byName[name] = append(byName[name], &accounts[i])
	}
	return byName
}

// complete computes steps and problems.
func (p *Plan) complete(actual map[string][]*proxylite.Account) error {
	c := &checks{}
	wanted := make(map[string]bool, len(p.wants))
	for i := range p.wants {
		w := &p.wants[i]
		name := w.key()
		wanted[name] = true
		if len(actual[name]) == 0 {
			c.must(w.Password != proxylite.Password{}, fmt.Sprintf("wants[%d].Password", i), "", "is required, because "+name+" has to be added")
			c.must(w.Limit != 0, fmt.Sprintf("wants[%d].Limit", i), "", "is required, because "+name+" has to be added: NoLimit for none")
		}
		p.compare(w, actual[name])
	}
	for i, name := range p.deletes {
		name = bare(name)
		field, found := fmt.Sprintf("Delete[%d]", i), actual[name]
		c.must(!wanted[name], field, name, "is both wanted and to be deleted")
		c.must(len(found) < 2, field, name, "is listed more than once; which of them the API would delete is not known")
		if len(found) == 1 {
			p.steps = append(p.steps, Step{Kind: StepDelete, Name: name, listed: found[0].Username, was: found[0].Used.String()})
		}
	}
	slices.SortStableFunc(p.steps, func(a, b Step) int { return rank(a) - rank(b) })
	p.steps = slices.CompactFunc(p.steps, func(a, b Step) bool { return a.Kind == StepDelete && b.Kind == StepDelete && a.Name == b.Name })
	return c.err()
}

// rank sorts by kind; what can be used without limit now comes first.
func rank(s Step) int {
	r := 2 * (slices.Index(stepOrder, s.Kind) + 1)
	if s.open {
		r--
	}
	return r
}

// compare adds the steps for one want. All accounts of that name must be right.
func (p *Plan) compare(w *Want, accounts []*proxylite.Account) {
	name := w.key()
	if len(accounts) == 0 {
		s := Step{Kind: StepAdd, Name: name, Password: w.Password, Limit: w.limit(), ProductType: w.ProductType, disabled: w.State == StateDisabled}
		if w.Remark != nil {
			s.Remark = *w.Remark
		}
		p.steps = append(p.steps, s)
		return
	}
	if len(accounts) > 1 {
		p.Problems = append(p.Problems, Problem{name, ErrDoubled})
	}
	need := map[StepKind]Step{}
	for _, a := range accounts {
		for _, s := range w.corrections(a) {
			s.open = s.open || need[s.Kind].open
			need[s.Kind] = s
		}
		if w.ProductType != 0 && a.ProductType != 0 && a.ProductType != w.ProductType {
			err := fmt.Errorf("%w: %s instead of %s", ErrProductType, a.ProductType, w.ProductType)
			p.Problems = append(p.Problems, Problem{name, err})
		}
	}
	for _, kind := range stepOrder {
		if s, ok := need[kind]; ok {
			s.Name, s.listed = name, accounts[0].Username
			p.steps = append(p.steps, s)
		}
	}
}

// corrections returns the steps that make one account as wanted.
func (w *Want) corrections(a *proxylite.Account) []Step {
	var steps []Step
	limit, known := a.Limit()
	if w.Limit != 0 && (!known || limit != w.limit()) {
		was := limit.String()
		switch {
		case !known:
			was = unlisted
		case limit == 0:
			was = "no limit"
		}
		steps = append(steps, Step{Kind: StepLimit, Limit: w.limit(), was: was, open: isOpen(w, a)})
	}
	if w.Password != (proxylite.Password{}) && a.Password != w.Password {
		s := Step{Kind: StepPassword, Password: w.Password}
		if a.Password == (proxylite.Password{}) {
			s.was = unlisted
		}
		steps = append(steps, s)
	}
	if w.Remark != nil && a.Remark != *w.Remark {
		steps = append(steps, Step{Kind: StepRemark, Remark: *w.Remark, was: fmt.Sprintf("%q", a.Remark)})
	}
	switch {
	case w.State == StateDisabled && a.Status != proxylite.AccountDisabled:
		steps = append(steps, Step{Kind: StepDisable})
	case w.State == StateEnabled && a.Status != proxylite.AccountEnabled:
		steps = append(steps, Step{Kind: StepEnable})
	}
	return steps
}

// unlisted stands for a value that the list does not show.
const unlisted = "unknown"

// isOpen reports whether an account can be used without a limit that is wanted. One
// whose limit is not listed is not: it would be disabled for an odd response.
func isOpen(w *Want, a *proxylite.Account) bool {
	limit, known := a.Limit()
	return w.Limit > 0 && known && limit == 0 && a.Status != proxylite.AccountDisabled
}

// Empty reports whether nothing has to be done. There can still be problems.
func (p *Plan) Empty() bool { return len(p.steps) == 0 }

// String lists the steps and the problems, a line each, without passwords.
func (p *Plan) String() string {
	var b strings.Builder
	for _, s := range p.steps {
		b.WriteString(s.String() + "\n")
	}
	for _, x := range p.Problems {
		fmt.Fprintf(&b, "problem %s: %v\n", x.Name, x.Err)
	}
	return b.String()
}

// Digest identifies the plan: the same steps over the same accounts give the same
// digest, also in another process. So one process can show a plan to a person, and
// another one can make it again and compare before it applies it. Neither usage nor
// passwords are part of it, since a digest of a password could be used to guess it;
// for which accounts the password is set is part of it.
func (p *Plan) Digest() string {
	h := sha256.New()
	for _, s := range p.steps {
		fmt.Fprintf(h, "%s\n", s)
	}
	lines := make([]string, len(p.base))
	for i := range p.base {
		lines[i] = fingerprint(&p.base[i])
	}
	slices.Sort(lines)
	fmt.Fprintf(h, "%q", lines)
	return hex.EncodeToString(h.Sum(nil))
}

// fingerprint is an account without its usage and its password.
func fingerprint(a *proxylite.Account) string {
	limit := "none"
	if a.LimitRaw != nil {
		limit = fmt.Sprint(*a.LimitRaw)
	}
	return fmt.Sprintf("%d %q %d %q %d %s %d", a.ID, a.Username, a.CreatedAt.Unix(), a.Remark, a.ProductType, limit, a.Status)
}

// rest returns the steps of the plan that remain for these accounts. The error is
// ErrChanged if they differ from those of the plan in more than usage and what steps
// of the plan have done.
func (p *Plan) rest(now []proxylite.Account) (*Plan, error) {
	steps := make(map[string]map[StepKind]Step, len(p.steps))
	for _, s := range p.steps {
		if steps[s.Name] == nil {
			steps[s.Name] = map[StepKind]Step{}
		}
		steps[s.Name][s.Kind] = s
	}
	type identity struct {
		id       int64
		username string
	}
	before := make(map[identity]*proxylite.Account, len(p.base))
	for i, a := range p.base {
		before[identity{a.ID, a.Username}] = &p.base[i]
	}
	for i := range now {
		a := &now[i]
		key, of := identity{a.ID, a.Username}, steps[a.Name()]
		was := before[key]
		delete(before, key)
		if was == nil && of[StepAdd].Kind == "" {
			return nil, fmt.Errorf("reseller: %w: %s is new", ErrChanged, a.Username)
		}
		if was != nil && !explained(*was, *a, of) {
			return nil, fmt.Errorf("reseller: %w: %s", ErrChanged, a.Username)
		}
	}
	for key := range before {
		if steps[bare(key.username)][StepDelete].Kind == "" {
			return nil, fmt.Errorf("reseller: %w: %s is gone", ErrChanged, key.username)
		}
	}
	rest := &Plan{wants: p.wants, deletes: p.deletes, base: now, rules: p.rules}
	return rest, rest.complete(index(now))
}

// explained reports whether steps turn one state of an account into the other.
func explained(was, is proxylite.Account, steps map[StepKind]Step) bool {
	if s, ok := steps[StepLimit]; ok {
		if limit, known := is.Limit(); known && limit == s.Limit {
			was.LimitRaw = is.LimitRaw
		}
		// A limit that could not be set has led to this instead.
		if s.open && is.Status == proxylite.AccountDisabled {
			was.Status = is.Status
		}
	}
	if s, ok := steps[StepPassword]; ok && is.Password == s.Password {
		was.Password = is.Password
	}
	if s, ok := steps[StepRemark]; ok && is.Remark == s.Remark {
		was.Remark = is.Remark
	}
	_, disable := steps[StepDisable]
	_, enable := steps[StepEnable]
	if disable && is.Status == proxylite.AccountDisabled || enable && is.Status == proxylite.AccountEnabled {
		was.Status = is.Status
	}
	return fingerprint(&was) == fingerprint(&is) && was.Password == is.Password
}
