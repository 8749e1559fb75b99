package reseller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
)

// WatchConfig configures a [Watch]. Only Notify is required.
type WatchConfig struct {
	// Notify gets each event once. If it returns an error, the event and those after it
	// are delivered at the next look.
	Notify func(context.Context, Event) error
	// Save stores the state after each look. Give it to NewWatch after a restart.
	Save func(ctx context.Context, state []byte) error

	Traffic    []int           // thresholds in percent of the limit; default 80, 90, 100
	Hysteresis int             // how many percent below a threshold it is recovered; default 5
	Expiry     []time.Duration // thresholds before the end; default 7, 3 and 1 days
	// Expires says when an account ends, in your own books: the API has no such date.
	// Zero means never. The ends of purchased plans are watched in any case.
	Expires  func(proxylite.Account) time.Time
	Counting Counting // what a limit counts

	Every      time.Duration // between two looks; default 5 minutes, as traffic is counted that late
	StaleAfter time.Duration // without a list that succeeds; default 15 minutes

	// DisableAt has accounts disabled that have used so many percent of their limit.
	// 0 means never: then the watch changes nothing. It never enables an account.
	DisableAt int

	Now func() time.Time // default time.Now
}

// Watch looks at all accounts and purchased plans from time to time, and tells when
// traffic or time runs out. See [Manager.NewWatch]. Its methods must not be called
// concurrently.
type Watch struct {
	config WatchConfig
	m      *Manager
	state  watchState
}

// NewWatch returns a watch. Its state is empty, or what [WatchConfig.Save] or
// [Watch.State] got from an earlier one: then events are not told again.
func (m *Manager) NewWatch(config WatchConfig, state []byte) (*Watch, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	w := &Watch{config: config, m: m}
	w.state = watchState{Version: 1, Born: config.Now(), Seen: config.Now(), Accounts: map[string]*watched{}, Plans: map[int64]*expiring{}}
	if len(state) > 0 {
		if err := json.Unmarshal(state, &w.state); err != nil {
			return nil, fmt.Errorf("reseller: the state of the watch can't be read: %w", err)
		}
		if w.state.Version != 1 {
			return nil, fmt.Errorf("reseller: the state of the watch has version %d, want 1", w.state.Version)
		}
	}
	return w, nil
}

// complete checks the configuration and sets what is left out.
func (c *WatchConfig) complete() error {
	if c.Notify == nil {
		return errors.New("reseller: WatchConfig.Notify is required")
	}
	if c.Hysteresis < 0 || c.Every < 0 || c.StaleAfter < 0 || c.DisableAt < 0 {
		return errors.New("reseller: the numbers and times of a WatchConfig must not be negative")
	}
	if c.Traffic == nil {
		c.Traffic = []int{80, 90, 100}
	}
	if c.Expiry == nil {
		c.Expiry = []time.Duration{7 * 24 * time.Hour, 3 * 24 * time.Hour, 24 * time.Hour}
	}
	c.Traffic, c.Expiry = slices.Sorted(slices.Values(c.Traffic)), slices.Sorted(slices.Values(c.Expiry))
	if len(c.Traffic) > 0 && c.Traffic[0] <= 0 || len(c.Expiry) > 0 && c.Expiry[0] <= 0 {
		return errors.New("reseller: the thresholds of a WatchConfig must be positive")
	}
	c.Hysteresis = cmp.Or(c.Hysteresis, 5)
	c.Every = cmp.Or(c.Every, 5*time.Minute)
	c.StaleAfter = cmp.Or(c.StaleAfter, 15*time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// State returns the state as JSON. It has names and traffic, and no passwords.
func (w *Watch) State() ([]byte, error) { return json.Marshal(&w.state) }

// Run looks until ctx ends or the state can't be saved, and returns why. Other errors
// are told as events, or come again at the next look.
func (w *Watch) Run(ctx context.Context) error {
	for {
		if err := w.Look(ctx); errors.Is(err, errSave) {
			return err
		}
		if err := sleep(ctx, w.config.Every); err != nil {
			return err
		}
	}
}

var errSave = errors.New("the state of the watch could not be saved")

// Look looks once: one list of the accounts, and once an hour the list of the plans.
// It returns the first error; what could not be told is told at the next look.
func (w *Watch) Look(ctx context.Context) error {
	now := w.config.Now()
	accounts, err := w.m.list(ctx)
	if err != nil {
		err = fmt.Errorf("reseller: %w", err)
		if !w.state.Stale && now.Sub(w.state.Seen) >= w.config.StaleAfter && ctx.Err() == nil {
			text := fmt.Sprintf("The accounts could not be listed since %s: %v", w.state.Seen.Format(time.RFC3339), err)
			err = errors.Join(err, w.tell(ctx, Event{Kind: EventStale, Time: now, Text: text}, &w.state.Number, func() { w.state.Stale = true }))
		}
		return errors.Join(err, w.save(ctx))
	}
	slices.SortFunc(accounts, func(a, b proxylite.Account) int { return strings.Compare(a.Username, b.Username) })
	w.update(now, accounts)
	err = w.events(ctx, now, accounts)
	if err == nil && now.Sub(w.state.PlansSeen) >= time.Hour {
		err = w.plans(ctx, now)
	}
	if w.config.DisableAt > 0 {
		err = errors.Join(err, w.disable(ctx, now, accounts))
	}
	return errors.Join(err, w.save(ctx))
}

func (w *Watch) save(ctx context.Context) error {
	if w.config.Save == nil {
		return nil
	}
	state, err := w.State()
	if err == nil {
		err = w.config.Save(ctx, state)
	}
	if err != nil {
		return fmt.Errorf("reseller: %w: %w", errSave, err)
	}
	return nil
}

// tell delivers an event, and then remembers it by told.
func (w *Watch) tell(ctx context.Context, e Event, number *int, told func()) error {
	e.ID = eventID(w.state.Born, fmt.Sprint(e.Account, " ", e.PlanID), *number)
	if err := w.config.Notify(ctx, e); err != nil {
		return fmt.Errorf("reseller: the event %q was not delivered: %w", e.Text, err)
	}
	*number++
	told()
	return nil
}

// events tells what is new.
func (w *Watch) events(ctx context.Context, now time.Time, accounts []proxylite.Account) error {
	if w.state.Stale {
		err := w.tell(ctx, Event{Kind: EventFresh, Time: now, Text: "The accounts can be listed again."}, &w.state.Number, func() { w.state.Stale = false })
		if err != nil {
			return err
		}
	}
	for i := range accounts {
		s := w.state.Accounts[accounts[i].Name()]
		if err := w.traffic(ctx, now, accounts[i].Name(), s); err != nil {
			return err
		}
		if w.config.Expires != nil {
			e := Event{Time: now, Account: accounts[i].Name(), Text: "Account " + accounts[i].Name()}
			if err := w.expiry(ctx, e, w.config.Expires(accounts[i]), &s.expiring); err != nil {
				return err
			}
		}
	}
	return nil
}

// traffic tells of one account that it passed a threshold, either way.
func (w *Watch) traffic(ctx context.Context, now time.Time, name string, s *watched) error {
	percent, reached := s.percent(), 0
	for _, threshold := range w.config.Traffic {
		if percent >= threshold {
			reached = threshold
		}
	}
	e := Event{Kind: EventTraffic, Time: now, Account: name, Percent: reached, Used: s.used(), Limit: s.Limit}
	switch {
	case reached > s.Told:
		e.Forecast = s.Rate.forecast(now, s.Limit-s.used())
		e.Text = fmt.Sprintf("Account %s has used %d %% of its limit: %s of %s.", name, percent, e.Used, e.Limit)
	case s.Told > 0 && percent < s.Told-w.config.Hysteresis:
		e.Kind, e.Percent = EventTrafficRecovered, s.Told
		e.Text = fmt.Sprintf("Account %s is below %d %% of its limit again.", name, s.Told)
	default:
		return nil
	}
	return w.tell(ctx, e, &s.Number, func() { s.Told = reached })
}

// expiry tells that an end comes near, or moves away. e has what it is the end of.
func (w *Watch) expiry(ctx context.Context, e Event, end time.Time, s *expiring) error {
	left := end.Sub(e.Time)
	if unseen := s.End.IsZero(); unseen || !s.End.Equal(end) {
		s.Over = unseen && left < 0 // over before it was seen is no news
	}
	s.End = end
	if s.Over {
		return nil
	}
	reached := time.Duration(0) // the nearest threshold; 0 for none
	if i := slices.IndexFunc(w.config.Expiry, func(before time.Duration) bool { return left <= before }); i >= 0 && !end.IsZero() {
		reached = w.config.Expiry[i]
	}
	e.Expires = end
	switch {
	case reached != 0 && (s.Told == 0 || reached < s.Told):
		e.Kind, e.Before = EventExpiry, reached
		e.Text += fmt.Sprintf(" ends within %s, at %s.", days(reached), end.Format(time.RFC3339))
	case s.Told != 0 && (reached == 0 || reached > s.Told):
		e.Kind, e.Before = EventExpiryRecovered, s.Told
		e.Text += fmt.Sprintf(" does not end within %s any more.", days(s.Told))
	default:
		return nil
	}
	return w.tell(ctx, e, &s.Number, func() { s.Told = reached })
}

func days(d time.Duration) string {
	switch {
	case d == 24*time.Hour:
		return "1 day"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

// plans tells which purchased plans come to their end.
func (w *Watch) plans(ctx context.Context, now time.Time) error {
	for plan, err := range w.m.client.Products.All(ctx, proxylite.ProductListParams{}) {
		if err != nil {
			return fmt.Errorf("reseller: %w", err)
		}
		s := w.state.Plans[plan.ID]
		if s == nil {
			s = &expiring{}
			w.state.Plans[plan.ID] = s
		}
		e := Event{Time: now, PlanID: plan.ID, Text: fmt.Sprintf("Plan %d (%s)", plan.ID, plan.ProductType)}
		if err := w.expiry(ctx, e, plan.ExpiredAt, s); err != nil {
			return err
		}
	}
	w.state.PlansSeen = now
	return nil
}

// disableAgain is when an account is disabled once more that is still enabled.
const disableAgain = 10 * time.Minute

// disable disables the accounts that have used too much. What it is about to do is
// saved first, so that a crash in between does not keep it from being told.
func (w *Watch) disable(ctx context.Context, now time.Time, accounts []proxylite.Account) error {
	p := &Plan{base: accounts, wants: w.toDisable(now, accounts)}
	var errs error
	outcome := map[string]error{} // of what was tried now
	if len(p.wants) > 0 {
		if err := errors.Join(w.save(ctx), p.complete(index(accounts))); err != nil {
			return err
		}
		var results []Result
		results, errs = w.m.run(ctx, p)
		for _, r := range results {
			outcome[r.Name] = r.Err
			if slices.Contains(r.Done, StepDisable) {
				outcome[r.Name] = nil // although it may be doubled
			}
		}
	}
	for i := range accounts {
		name := accounts[i].Name()
		err, tried := outcome[name]
		if s := w.state.Accounts[name]; s.Untold && (tried || accounts[i].Status == proxylite.AccountDisabled) {
			errs = errors.Join(errs, w.tellDisabled(ctx, now, name, s, err))
		}
	}
	return errs
}

// toDisable returns the accounts that have used too much, and notes that they are
// about to be disabled.
func (w *Watch) toDisable(now time.Time, accounts []proxylite.Account) (wants []Want) {
	for i := range accounts {
		a, s := &accounts[i], w.state.Accounts[accounts[i].Name()]
		recovered := s.percent() < w.config.DisableAt-w.config.Hysteresis
		if a.Status == proxylite.AccountDisabled || recovered {
			s.Asked, s.Failed, s.Untold = time.Time{}, false, s.Untold && !recovered
			continue
		}
		if s.percent() >= w.config.DisableAt && (s.Untold || now.Sub(s.Asked) >= disableAgain) {
			s.Untold = s.Untold || s.Asked.IsZero()
			s.Asked = now
			wants = append(wants, Want{Name: a.Name(), State: StateDisabled})
		}
	}
	return wants
}

func (w *Watch) tellDisabled(ctx context.Context, now time.Time, name string, s *watched, failed error) error {
	e := Event{Kind: EventDisabled, Time: now, Account: name, Percent: w.config.DisableAt, Used: s.used(), Limit: s.Limit}
	e.Text = fmt.Sprintf("Account %s was disabled at %d %% of its limit. About 5 minutes may pass until that has an effect; until then it may cost.", name, s.percent())
	if failed == nil {
		return w.tell(ctx, e, &s.Number, func() { s.Untold, s.Failed = false, false })
	}
	if s.Failed {
		return nil
	}
	e.Kind, e.Text = EventDisableFailed, fmt.Sprintf("Account %s could not be disabled at %d %% of its limit: %v", name, s.percent(), failed)
	return w.tell(ctx, e, &s.Number, func() { s.Failed = true })
}
