package reseller

import (
	"time"

	"github.com/proxylite/proxylite-go"
)

// watchState is what a watch remembers, also over a restart.
type watchState struct {
	Version   int                 `json:"version"`
	Born      time.Time           `json:"born"`
	Number    int                 `json:"number,omitempty"` // of the next event that is about no account
	Seen      time.Time           `json:"seen"`             // the last list of the accounts
	Stale     bool                `json:"stale,omitempty"`  // told
	PlansSeen time.Time           `json:"plans_seen,omitzero"`
	Accounts  map[string]*watched `json:"accounts"`
	Plans     map[int64]*expiring `json:"plans"`
}

// watched is what is known of an account.
type watched struct {
	Seen  time.Time         `json:"seen"`
	Total proxylite.Traffic `json:"total,omitempty"` // used, as the API reports it
	Base  proxylite.Traffic `json:"base,omitempty"`  // what of it the limit does not count
	Limit proxylite.Traffic `json:"limit,omitempty"` // 0 if there is none, or it is unknown
	Told  int               `json:"told,omitempty"`  // the highest threshold, in percent
	Rate  rate              `json:"rate,omitzero"`

	Asked  time.Time `json:"asked,omitzero"`   // when it was disabled
	Untold bool      `json:"untold,omitempty"` // that it was disabled
	Failed bool      `json:"failed,omitempty"` // told that it could not be

	expiring
}

// expiring is what is known of the end of an account or a plan.
type expiring struct {
	End    time.Time     `json:"end,omitzero"`
	Told   time.Duration `json:"end_told,omitempty"` // the nearest threshold
	Over   bool          `json:"over,omitempty"`     // before it was seen
	Number int           `json:"number,omitempty"`   // of the next event
}

func (s *watched) used() proxylite.Traffic { return s.Total - s.Base }

// percent is how much of its limit an account has used; 0 without a limit.
func (s *watched) percent() int {
	if s.Limit == 0 {
		return 0
	}
	return int(s.used() * 100 / s.Limit)
}

// forgetAfter is how long an account that is not listed is remembered: a list may be
// incomplete for once.
const forgetAfter = 7 * 24 * time.Hour

// update takes in a list of the accounts.
func (w *Watch) update(now time.Time, accounts []proxylite.Account) {
	w.state.Seen = now
	for i := range accounts {
		a := &accounts[i]
		limit, known := a.Limit()
		s := w.state.Accounts[a.Name()]
		if s != nil && !known {
			limit = s.Limit
		}
		if s == nil {
			s = &watched{Seen: now, Total: a.Used, Limit: limit}
			w.state.Accounts[a.Name()] = s
		}
		if a.Used < s.Total { // the API has begun to count anew
			s.Total, s.Base = 0, 0
		}
		if now.After(s.Seen) {
			s.Rate.add(a.Used-s.Total, now.Sub(s.Seen))
		}
		s.Seen, s.Total = now, a.Used
		if limit != s.Limit && w.config.Counting == CountsSinceSet {
			s.Base = s.Total
		}
		s.Limit = limit
	}
	for name, s := range w.state.Accounts {
		if now.Sub(s.Seen) > forgetAfter {
			delete(w.state.Accounts, name)
		}
	}
}

// LimitSet tells the watch that the limit of an account was set again to the same
// value, which it can't see: with [CountsSinceSet] the traffic counts anew from the
// last look on. Otherwise, and for an unknown account, it does nothing.
func (w *Watch) LimitSet(name string) {
	if s := w.state.Accounts[bare(name)]; s != nil && w.config.Counting == CountsSinceSet {
		s.Base = s.Total
	}
}

// Forecast says when an account will have used up its limit; nil if it has none, or
// too little is known. It costs no request.
func (w *Watch) Forecast(name string) *Forecast {
	s := w.state.Accounts[bare(name)]
	if s == nil || s.Limit == 0 {
		return nil
	}
	return s.Rate.forecast(s.Seen, s.Limit-s.used())
}
