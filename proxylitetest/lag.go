package proxylitetest

import (
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// WithLag makes accounts stay enabled, or stay there, for d after they were disabled
// or deleted, and makes traffic count d late: in the list of the accounts, in the
// usage and at the gateway. The document says about 5 minutes for each of them. It is
// time of the server's clock, so with [WithNow] no test has to wait for it. Without
// this option everything takes effect at once.
func WithLag(d time.Duration) Option { return func(s *Server) { s.lag = d } }

// lateChange takes effect at a time.
type lateChange struct {
	at     time.Time
	change func()
}

// later makes a change after the lag; needs the lock.
func (s *Server) later(now time.Time, change func()) {
	if s.lag <= 0 {
		change()
		return
	}
	s.due = append(s.due, lateChange{now.Add(s.lag), change})
}

// disableLater disables an account after the lag, unless it is enabled again until
// then. It needs the lock.
func (s *Server) disableLater(now time.Time, a *proxylite.Account) {
	name, at := a.Username, now.Add(s.lag)
	if s.lag <= 0 {
		a.Status = proxylite.AccountDisabled
		return
	}
	if s.disabling == nil {
		s.disabling = map[string]time.Time{}
	}
	s.disabling[name] = at
	s.later(now, func() {
		if a := s.state.account(name); a != nil && s.disabling[name].Equal(at) {
			a.Status = proxylite.AccountDisabled
			delete(s.disabling, name)
		}
	})
}

// catchUp makes the changes that are due; needs the lock.
func (s *Server) catchUp(now time.Time) {
	s.due = slices.DeleteFunc(s.due, func(c lateChange) bool {
		if c.at.After(now) {
			return false
		}
		c.change()
		return true
	})
}

// uncounted reports whether traffic is too new to be counted.
func (s *Server) uncounted(u Usage, now time.Time) bool {
	return s.lag > 0 && u.Time.After(now.Add(-s.lag))
}

// countedUsage is the traffic of an account as far as it is counted by now.
func (s *Server) countedUsage(a *proxylite.Account, now time.Time) proxylite.Traffic {
	used := a.Used
	if s.lag > 0 {
		for _, u := range s.state.byUser[a.Username] {
			if s.uncounted(u, now) {
				used -= u.Traffic
			}
		}
	}
	return max(used, 0)
}
