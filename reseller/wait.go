package reseller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Condition is what the list of the accounts is to show. See [Manager.Wait].
type Condition struct {
	name string
	text string
	met  func(*proxylite.Account) bool // nil: no account of that name
}

// Disabled is met when the account is listed as disabled.
func Disabled(name string) Condition {
	return Condition{name, "disabled", func(a *proxylite.Account) bool { return a.Status == proxylite.AccountDisabled }}
}

// Enabled is met when the account is listed as enabled.
func Enabled(name string) Condition {
	return Condition{name, "enabled", func(a *proxylite.Account) bool { return a.Status == proxylite.AccountEnabled }}
}

// Limited is met when the account is listed with that limit; [NoLimit] for none.
func Limited(name string, limit proxylite.Traffic) Condition {
	return Condition{name, "limited to " + limit.String(), func(a *proxylite.Account) bool {
		is, known := a.Limit()
		return known && is == max(limit, 0)
	}}
}

// Added is met when the account is listed.
func Added(name string) Condition {
	return Condition{name, "added", func(*proxylite.Account) bool { return true }}
}

// Deleted is met when no account of that name is listed.
func Deleted(name string) Condition { return Condition{name, "deleted", nil} }

// maxWait is twice of what the vendor documents, and a margin.
const maxWait = 15 * time.Minute

// Wait lists the accounts every 15 seconds, see [WithPoll], until all conditions are
// met. It returns an error that names what is not met when ctx ends, after 15 minutes
// ([context.DeadlineExceeded]), or when the accounts can't be listed.
//
// The API documents that disabling and deleting take about 5 minutes. Whether the list
// shows a change when it is asked for or when it takes effect is not documented: to be
// certain that an account does not cost any more, wait 5 minutes longer.
func (m *Manager) Wait(ctx context.Context, conditions ...Condition) error {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for {
		accounts, err := m.list(ctx)
		if ctx.Err() == nil && err != nil {
			return fmt.Errorf("reseller: %w", err)
		}
		if err == nil {
			byName := index(accounts)
			conditions = slices.DeleteFunc(slices.Clone(conditions), func(c Condition) bool { return c.holds(byName[bare(c.name)]) })
			if len(conditions) == 0 {
				return nil
			}
		}
		if err := sleep(ctx, m.poll); err != nil {
			var open []string
			for _, c := range conditions[:min(len(conditions), 10)] {
				open = append(open, c.name+" is not "+c.text)
			}
			if more := len(conditions) - len(open); more > 0 {
				open = append(open, fmt.Sprintf("and %d more", more))
			}
			return fmt.Errorf("reseller: %s: %w", strings.Join(open, ", "), err)
		}
	}
}

func (c Condition) holds(accounts []*proxylite.Account) bool {
	if c.met == nil || len(accounts) == 0 {
		return c.met == nil && len(accounts) == 0
	}
	return !slices.ContainsFunc(accounts, func(a *proxylite.Account) bool { return !c.met(a) })
}
