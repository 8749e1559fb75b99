package reseller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// watching is a watch of a server, with a time of their own.
type watching struct {
	t      *testing.T
	server *proxylitetest.Server
	config reseller.WatchConfig
	watch  *reseller.Watch
	now    time.Time
	events []reseller.Event
	saved  []byte
	refuse bool // events
}

func newWatching(t *testing.T, config reseller.WatchConfig, accounts ...proxylite.Account) *watching {
	t.Helper()
	w := &watching{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.server = empty(t, proxylitetest.WithState(proxylitetest.State{Accounts: accounts}), proxylitetest.WithNow(func() time.Time { return w.now }), proxylitetest.WithLag(5*time.Minute))
	w.config = config
	w.config.Now = func() time.Time { return w.now }
	w.config.Save = func(_ context.Context, state []byte) error { w.saved = state; return nil }
	w.config.Notify = func(_ context.Context, e reseller.Event) error {
		if w.refuse {
			return errors.New("nobody there")
		}
		w.events = append(w.events, e)
		return nil
	}
	w.restart()
	return w
}

// restart is what a new process does.
func (w *watching) restart() {
	w.t.Helper()
	watch, err := manager(w.t, w.server).NewWatch(w.config, w.saved)
	require.NoError(w.t, err)
	w.watch = watch
}

// look returns the new events, a line each.
func (w *watching) look() []string {
	w.t.Helper()
	w.events = nil
	err := w.watch.Look(w.t.Context())
	if !w.refuse {
		require.NoError(w.t, err)
	}
	var lines []string
	for _, e := range w.events {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Account, e.PlanID, " ", e.Percent, " ", e.Before)))
	}
	return lines
}

func (w *watching) use(traffic proxylite.Traffic) {
	w.server.Update(func(st *proxylitetest.State) { st.Use("bob", w.now.Add(-time.Hour), traffic) })
}

func (w *watching) limit(gb int64) {
	w.server.Update(func(st *proxylitetest.State) { st.Accounts[0].LimitRaw = &gb })
}

func bob(limit int64) proxylite.Account {
	return proxylite.Account{ID: 1, Username: "pl-bob", LimitRaw: &limit, Status: proxylite.AccountEnabled, Password: proxylite.NewPassword("hidden")}
}

const percent = proxylite.GB // of 100 GB

func TestThresholdsAreToldOnce(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{}, bob(100), proxylite.Account{ID: 2, Username: "pl-free", LimitRaw: new(int64(0)), Used: proxylite.TB})
	require.Empty(t, w.look())
	w.use(79 * percent)
	require.Empty(t, w.look())
	w.use(1 * percent)
	require.Equal(t, []string{"traffic bob0 80 0s"}, w.look())
	require.Empty(t, w.look())
	w.restart()
	require.Empty(t, w.look(), "also after a restart")
	w.use(25 * percent)
	require.Equal(t, []string{"traffic bob0 100 0s"}, w.look(), "a leap is one event")
	require.Equal(t, "Account bob has used 105 % of its limit: 105 GB of 100 GB.", w.events[0].Text)

	w.limit(109) // 96 %
	require.Empty(t, w.look(), "not clearly below")
	w.limit(100)
	require.Empty(t, w.look(), "so nothing happens at the boundary")
	w.limit(120) // 87 %
	require.Equal(t, []string{"traffic_recovered bob0 100 0s"}, w.look())
	w.limit(100)
	require.Equal(t, []string{"traffic bob0 100 0s"}, w.look(), "it is armed again")
	require.NotContains(t, string(w.saved), "hidden")
}

// An event that was not delivered comes again with the same ID.
func TestAnEventIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{}, bob(100))
	w.use(80 * percent)
	w.refuse = true
	require.Empty(t, w.look())
	w.refuse = false
	require.Equal(t, []string{"traffic bob0 80 0s"}, w.look())
	id := w.events[0].ID
	w.use(10 * percent)
	require.Equal(t, []string{"traffic bob0 90 0s"}, w.look())
	require.NotEqual(t, id, w.events[0].ID)

	w = newWatching(t, reseller.WatchConfig{}, bob(100))
	w.look()
	before := w.saved
	w.use(80 * percent)
	require.Len(t, w.look(), 1)
	id = w.events[0].ID
	w.saved = before // a crash before the state was saved
	w.restart()
	require.Len(t, w.look(), 1)
	require.Equal(t, id, w.events[0].ID)
}

func TestTheTwoReadingsOfALimit(t *testing.T) {
	t.Parallel()
	all := newWatching(t, reseller.WatchConfig{}, bob(100))
	since := newWatching(t, reseller.WatchConfig{Counting: reseller.CountsSinceSet}, bob(100))
	for _, w := range []*watching{all, since} {
		w.use(95 * percent)
		require.Len(t, w.look(), 1)
		w.limit(110) // 86 % of all, 0 % since then
		w.look()
		w.use(90 * percent)
	}
	require.Equal(t, []string{"traffic bob0 100 0s"}, all.look())
	require.Equal(t, []string{"traffic bob0 80 0s"}, since.look())
	since.watch.LimitSet("pl-bob")
	require.Equal(t, []string{"traffic_recovered bob0 80 0s"}, since.look())

	require.Equal(t, 8*proxylite.GB, reseller.CountsAll.LimitFor(2*proxylite.GB+1, 5*proxylite.GB))
	require.Equal(t, 5*proxylite.GB, reseller.CountsSinceSet.LimitFor(2*proxylite.GB+1, 5*proxylite.GB))
}

func TestExpiryIsToldOnce(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	end := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC) // in ten days
	w := newWatching(t, reseller.WatchConfig{Expires: func(proxylite.Account) time.Time { return end }}, bob(100))
	w.server.Update(func(st *proxylitetest.State) {
		st.Products = []proxylite.PurchasedProduct{{ID: 7, ExpiredAt: end.Add(-4 * day)}, {ID: 8, ExpiredAt: end.Add(-365 * day)}}
	})
	require.Equal(t, []string{"expiry 7 0 168h0m0s"}, w.look(), "what is long over is no news")
	w.now = w.now.Add(3 * day)
	require.Equal(t, []string{"expiry bob0 0 168h0m0s", "expiry 7 0 72h0m0s"}, w.look())
	w.now = w.now.Add(30 * time.Minute)
	w.restart()
	require.Empty(t, w.look())
	w.now = w.now.Add(6 * day)
	require.Equal(t, []string{"expiry bob0 0 24h0m0s", "expiry 7 0 24h0m0s"}, w.look(), "a leap is one event")
	require.Equal(t, "Account bob ends within 1 day, at 2026-03-11T12:00:00Z.", w.events[0].Text)
	end = end.Add(30 * day)
	require.Equal(t, []string{"expiry_recovered bob0 0 24h0m0s"}, w.look())
	end = w.now.Add(-day)
	require.Equal(t, []string{"expiry bob0 0 24h0m0s"}, w.look(), "cut short")
	end = time.Time{}
	require.Equal(t, []string{"expiry_recovered bob0 0 24h0m0s"}, w.look(), "without end")
	require.Empty(t, w.look())
}

func TestStaleDataIsTold(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{}, bob(100))
	require.Empty(t, w.look())
	for i := range 5 {
		w.now = w.now.Add(5 * time.Minute)
		w.server.FailNext("Accounts.List", proxylitetest.Fault{Code: 3})
		w.events = nil
		require.ErrorIs(t, w.watch.Look(t.Context()), proxylite.ErrInvalidAppKey)
		require.Equal(t, i == 2, len(w.events) == 1, "after 15 minutes, once")
		w.restart()
	}
	require.Equal(t, []string{"fresh 0 0 0s"}, w.look())
	require.Empty(t, w.look())
}

// A watch that ends right after it has disabled an account tells so when it is back.
func TestADisablingIsSavedBefore(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{DisableAt: 100, Traffic: []int{100}}, bob(100))
	w.use(100 * percent)
	ctx, crash := context.WithCancel(t.Context())
	saves := 0
	w.config.Save = func(_ context.Context, state []byte) error {
		if saves++; saves == 1 {
			require.Zero(t, count(w.server)["Accounts.Disable"])
			w.saved = state
		}
		return nil
	}
	w.config.Notify = func(_ context.Context, e reseller.Event) error {
		if e.Kind == reseller.EventDisabled {
			crash()
		}
		return ctx.Err()
	}
	w.restart()
	require.Error(t, w.watch.Look(ctx))
	w.now = w.now.Add(6 * time.Minute)
	var told []reseller.EventKind
	w.config.Notify = func(_ context.Context, e reseller.Event) error { told = append(told, e.Kind); return nil }
	w.restart()
	require.NoError(t, w.watch.Look(t.Context()))
	require.Equal(t, []reseller.EventKind{reseller.EventDisabled}, told)
	require.Equal(t, 1, count(w.server)["Accounts.Disable"])
}

// Unless it is told to, a watch changes nothing.
func TestAWatchActsOnlyWhenToldTo(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{}, bob(100))
	w.use(200 * percent)
	w.look()
	for _, c := range w.server.Calls() {
		require.Equal(t, "GET", c.Method)
	}

	w = newWatching(t, reseller.WatchConfig{DisableAt: 100}, bob(100))
	w.use(99 * percent)
	require.Len(t, w.look(), 1)
	w.use(1 * percent)
	require.Equal(t, []string{"traffic bob0 100 0s", "disabled bob0 100 0s"}, w.look())
	require.Contains(t, w.events[1].Text, "About 5 minutes may pass")
	require.Equal(t, 1, count(w.server)["Accounts.Disable"])
	require.Empty(t, w.look(), "it is listed as enabled for five minutes")
	require.Equal(t, 1, count(w.server)["Accounts.Disable"])
	w.now = w.now.Add(5 * time.Minute)
	require.Empty(t, w.look())
	require.Equal(t, proxylite.AccountDisabled, w.server.State().Accounts[0].Status)
	w.limit(500)
	require.Equal(t, []string{"traffic_recovered bob0 100 0s"}, w.look())
	require.Equal(t, proxylite.AccountDisabled, w.server.State().Accounts[0].Status, "it enables nothing")
	require.Equal(t, 1, count(w.server)["Accounts.Disable"])
}

func TestADisablingThatFailsOrIsNotToldIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{DisableAt: 100, Traffic: []int{100}}, bob(100))
	w.use(100 * percent)
	w.server.FailNext("Accounts.Disable", refusals(4)...) // each time bare and as listed
	w.events = nil
	require.Error(t, w.watch.Look(t.Context()))
	require.Len(t, w.events, 2)
	require.Equal(t, reseller.EventDisableFailed, w.events[1].Kind)
	w.events = nil
	require.Error(t, w.watch.Look(t.Context()))
	require.Empty(t, w.events, "told once")
	w.refuse = true
	require.Empty(t, w.look())
	w.now = w.now.Add(6 * time.Minute)
	require.Equal(t, proxylite.AccountDisabled, w.server.State().Accounts[0].Status)
	w.refuse = false
	w.restart()
	require.Equal(t, []string{"disabled bob0 100 0s"}, w.look())
}

func TestRunEndsWithItsContextOrAStateThatIsNotSaved(t *testing.T) {
	t.Parallel()
	w := newWatching(t, reseller.WatchConfig{Every: time.Millisecond}, bob(100))
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	w.config.Save = func(context.Context, []byte) error {
		if looks++; looks == 3 {
			cancel()
		}
		return nil
	}
	w.restart()
	require.ErrorIs(t, w.watch.Run(ctx), context.Canceled)
	require.Equal(t, 3, looks)

	w.config.Save = func(context.Context, []byte) error { return errors.New("disk full") }
	w.restart()
	require.ErrorContains(t, w.watch.Run(t.Context()), "disk full")
}

func TestAWatchRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	m := manager(t, empty(t))
	notify := func(context.Context, reseller.Event) error { return nil }
	for _, config := range []reseller.WatchConfig{{}, {Notify: notify, Traffic: []int{0}}, {Notify: notify, DisableAt: -1}} {
		_, err := m.NewWatch(config, nil)
		require.Error(t, err)
	}
	for _, state := range []string{"{", "[]", `{"version":2}`} {
		_, err := m.NewWatch(reseller.WatchConfig{Notify: notify}, []byte(state))
		require.Error(t, err)
	}
}
