package reseller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Manager manages the accounts of one client. It is safe for concurrent use, but
// let only one Ensure or Apply run at a time, in all processes together: two of
// them can add the same account twice.
type Manager struct {
	client      *proxylite.Client
	chunk       int
	concurrency int
	pace        pace
	settle      time.Duration
	poll        time.Duration
	vendorRules bool
	progress    func(Progress)
	form        atomic.Int32 // the nameForm that changes accounts
	usageForm   atomic.Int32 // the one that finds usage, which can be another
}

// Option configures a [Manager].
type Option func(*Manager) error

// WithChunk sets how many accounts go into one request that adds, enables, disables
// or deletes them; default 100. A crash can leave the new accounts of one chunk
// without their limits until the next run, so small is safe. Large saves little:
// limits take a request for each account anyway.
//
// The highest value is 4,000. A request never has more than 120 KiB, because web
// application firewalls commonly refuse bodies of more than 128 KiB; a chunk of long
// names is smaller for that reason.
func WithChunk(accounts int) Option {
	return func(m *Manager) error {
		if accounts < 1 || accounts > 4000 {
			return fmt.Errorf("reseller: a chunk of %d accounts: want 1 to 4000", accounts)
		}
		m.chunk = accounts
		return nil
	}
}

// WithConcurrency sets how many requests are under way at a time; default 8.
func WithConcurrency(requests int) Option {
	return func(m *Manager) error {
		if requests < 1 {
			return fmt.Errorf("reseller: a concurrency of %d: want 1 or more", requests)
		}
		m.concurrency = requests
		return nil
	}
}

// WithPace sets how many calls begin in a second, at most; default 20. 0 means as
// many as the concurrency allows. It does not count retries of the client:
// [proxylite.WithLimiter] does. To pace all that a client does, give the client a
// limiter and set the pace here to 0.
func WithPace(perSecond float64) Option {
	return func(m *Manager) error {
		switch {
		case perSecond == 0:
			m.pace.gap = 0
		case perSecond >= 0.001 && perSecond <= 1e6:
			m.pace.gap = time.Duration(float64(time.Second) / perSecond)
		default:
			return fmt.Errorf("reseller: a pace of %g calls a second: want 0, or 0.001 to 1000000", perSecond)
		}
		return nil
	}
}

// WithSettle sets how long to wait before the accounts are listed after a request to
// add some had an unknown outcome; default 5 s. The server may still be busy with
// that request. An account that is added again too early can exist twice.
func WithSettle(d time.Duration) Option {
	return func(m *Manager) error {
		if d < 0 {
			return fmt.Errorf("reseller: a settle time of %s: must not be negative", d)
		}
		m.settle = d
		return nil
	}
}

// WithPoll sets how often [Manager.Wait] lists the accounts; default 15 s.
func WithPoll(d time.Duration) Option {
	return func(m *Manager) error {
		if d <= 0 {
			return fmt.Errorf("reseller: a poll interval of %s: must be positive", d)
		}
		m.poll = d
		return nil
	}
}

// WithProgress has f called after each step. The calls never overlap; f must be
// quick, and must not call the Manager.
func WithProgress(f func(Progress)) Option {
	return func(m *Manager) error { m.progress = f; return nil }
}

// WithListedNames sends names as they are listed, with the brand's prefix, from the
// beginning. The API does not document which form it wants. By default names are
// sent without the prefix, and with it if those have no effect; the form that a list
// has shown to work is used from then on.
func WithListedNames() Option {
	return func(m *Manager) error { m.form.Store(int32(formListed)); return nil }
}

// WithoutVendorRules turns off the checks of what the vendor may relax one day, as
// [proxylite.WithoutVendorRules] does for a client. Set both.
func WithoutVendorRules() Option {
	return func(m *Manager) error { m.vendorRules = false; return nil }
}

// Progress says how far a run is.
type Progress struct {
	Done, Total int // steps, or accounts for [Manager.Usage]
}

// New returns a manager of the accounts of client.
func New(client *proxylite.Client, opts ...Option) (*Manager, error) {
	if client == nil {
		return nil, errors.New("reseller: the client is nil")
	}
	m := &Manager{
		client: client, chunk: 100, concurrency: 8, pace: pace{gap: time.Second / 20},
		settle: 5 * time.Second, poll: 15 * time.Second, vendorRules: true,
	}
	for _, opt := range opts {
		if err := opt(m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// list is a paced Accounts.List.
func (m *Manager) list(ctx context.Context) ([]proxylite.Account, error) {
	if err := m.pace.wait(ctx); err != nil {
		return nil, err
	}
	return m.client.Accounts.List(ctx)
}

// each calls f for 0 to n-1, several at a time, until f returns false or ctx ends.
func (m *Manager) each(ctx context.Context, n int, f func(i int) bool) {
	var next atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	for range min(n, m.concurrency) {
		workers.Go(func() {
			for !stop.Load() {
				i := int(next.Add(1)) - 1
				if i >= n || m.pace.wait(ctx) != nil {
					return
				}
				if !f(i) {
					stop.Store(true)
				}
			}
		})
	}
	workers.Wait()
}

// pace lets calls begin at regular intervals.
type pace struct {
	gap  time.Duration
	mu   sync.Mutex
	next time.Time
}

func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(p.gap)
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
