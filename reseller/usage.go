package reseller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Period is a span of time. Start belongs to it, End does not.
type Period struct{ Start, End time.Time }

// BillingPeriod returns the month that contains t and begins on a day of the month at
// midnight, in t's time zone. In a shorter month it begins on the last day. The API
// counts by days of its own time zone: give a t of the same zone as
// [proxylite.WithTimeZone], UTC+8 by default.
func BillingPeriod(t time.Time, day int) Period {
	begin := func(year int, month time.Month) time.Time {
		last := time.Date(year, month+1, 0, 0, 0, 0, 0, t.Location()).Day()
		return time.Date(year, month, min(max(day, 1), last), 0, 0, 0, 0, t.Location())
	}
	year, month, _ := t.Date()
	if begin(year, month).After(t) {
		month--
	}
	return Period{begin(year, month), begin(year, month+1)}
}

// UsageParams select what [Manager.Usage] reports. All fields are optional.
type UsageParams struct {
	Names       []string // with or without the brand's prefix; default all accounts
	Period      Period   // default the last 7 days
	ProductType proxylite.ProductType
}

// AccountUsage is the traffic of one account.
type AccountUsage struct {
	Name  string                 // as given, or without the brand's prefix
	Days  []proxylite.DailyUsage // as the API returned them
	Total proxylite.Traffic
	Err   error // if it is not nil, Days and Total are empty
}

// Usage reports the traffic of many accounts by day. It takes a request for each
// account, and a list: 20,000 accounts take 17 minutes at the default pace. Traffic is
// counted up to 5 minutes late, and accounts of one name share their history. There is
// a result for each name, in the same order, and an error if one of them has one.
//
// It is not documented in which form the API wants a name here, and an unknown name
// has no usage. So until a form is seen to work, an account that has used something
// but has no usage in the period is asked for in the other form too.
func (m *Manager) Usage(ctx context.Context, p UsageParams) ([]AccountUsage, error) {
	params := proxylite.UsageDailyParams{Start: p.Period.Start, End: p.Period.End, ProductType: p.ProductType}
	if !params.End.IsZero() {
		params.End = params.End.Add(-time.Second) // the API's end belongs to the period
	}
	accounts, err := m.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("reseller: %w", err)
	}
	byName := index(accounts)
	names := p.Names
	if names == nil {
		for i := range accounts {
			if name := accounts[i].Name(); byName[name][0] == &accounts[i] {
				names = append(names, name)
			}
		}
	}
	results := make([]AccountUsage, len(names))
	for i, name := range names {
		results[i] = AccountUsage{Name: name, Err: ErrStopped}
	}
	var b breaker
	var told sync.Mutex
	done := 0
	m.each(ctx, len(results), func(i int) bool {
		r := &results[i]
		if found := byName[bare(r.Name)]; len(found) == 0 {
			r.Err = ErrNoAccount
		} else {
			r.Days, r.Err = m.daily(ctx, found[0], params)
		}
		for _, d := range r.Days {
			r.Total += d.Traffic
		}
		if m.progress != nil {
			told.Lock()
			done++
			m.progress(Progress{done, len(results)})
			told.Unlock()
		}
		if r.Err == nil {
			b.worked()
		}
		return r.Err == nil || r.Err == ErrNoAccount || !b.broken(ctx, r.Err)
	})
	return results, failures(results)
}

func failures(results []AccountUsage) error {
	failed, first := 0, error(nil)
	for _, r := range results {
		if r.Err != nil {
			if failed++; first == nil || errors.Is(first, ErrStopped) {
				first = r.Err
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("reseller: no usage of %d of %d accounts: %w", failed, len(results), first)
}

// daily asks for the usage of an account, in the other form of its name too until one
// has worked.
func (m *Manager) daily(ctx context.Context, a *proxylite.Account, p proxylite.UsageDailyParams) ([]proxylite.DailyUsage, error) {
	known := nameForm(m.usageForm.Load())
	p.Username = target{a.Name(), a.Username}.as(known)
	days, err := m.client.Usage.Daily(ctx, p)
	if known == formUnknown && a.Used > 0 && a.Username != p.Username && (refused(err) || err == nil && len(days) == 0) {
		known, p.Username = formListed, a.Username
		if err := m.pace.wait(ctx); err != nil {
			return nil, err
		}
		days, err = m.client.Usage.Daily(ctx, p)
	}
	if err == nil && len(days) > 0 {
		m.usageForm.Store(int32(max(known, formBare)))
	}
	return days, err
}
