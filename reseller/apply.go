package reseller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/proxylite/proxylite-go"
)

// Result is what became of one account.
type Result struct {
	Name string // as wanted, or as given to [Delete]
	// Done is what was changed in this run, in that order. It is empty if the account
	// was as wanted already.
	Done []StepKind
	// Err is nil if the account is as wanted. Otherwise it is, or wraps, a
	// [proxylite.Error] or an error of this package.
	Err error
}

// Ensure makes accounts as they are wanted, and leaves all others alone. It lists the
// accounts, adds what is missing, and corrects limits, passwords, remarks and states.
// It needs one request for each chunk of new accounts and for each limit, password
// and remark, and two or three lists.
//
// Nothing is sent, apart from the first list, if anything is wrong with any want; the
// error is then a [proxylite.InputError]. Otherwise there is a result for each want,
// in the same order, and an error if one of them has one.
//
// Run it again after an error or a crash: it does what is left. A new account has no
// limit until a second request sets it. One chunk is added at a time and limited
// before the next one, so a crash leaves at most one chunk of accounts open; the next
// run limits these before it adds any. An account whose limit is refused, or fails in
// three rounds, is disabled instead, and stays so until a Want has StateEnabled. If that
// fails too, the run stops, and the error is [ErrLeftOpen].
//
// A request to add accounts can fail with an unknown outcome, and the API may accept
// a name twice. So the accounts are listed before any are added again, after the time
// of [WithSettle]. Doubles that come about nevertheless are reported as [ErrDoubled].
func (m *Manager) Ensure(ctx context.Context, wants []Want) ([]Result, error) {
	if err := checkWants(wants, m.vendorRules); err != nil {
		return nil, err
	}
	accounts, err := m.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("reseller: nothing was changed: %w", err)
	}
	p := &Plan{wants: wants, base: accounts, rules: m.vendorRules}
	if err := p.complete(index(accounts)); err != nil {
		return nil, err
	}
	return m.run(ctx, p)
}

// Apply carries out a plan, as [Manager.Ensure] does. It lists the accounts first and
// does nothing if they have changed since the plan was made, in anything but their
// usage and what the plan itself does: the error is then [ErrChanged]. So Apply can be
// called again with the same plan after an error; in another process, make the plan
// again from a new list. There is a result for each want, then for each deletion.
func (m *Manager) Apply(ctx context.Context, p *Plan) ([]Result, error) {
	accounts, err := m.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("reseller: nothing was changed: %w", err)
	}
	rest, err := p.rest(accounts)
	if err != nil {
		return nil, err
	}
	return m.run(ctx, rest)
}

// run is one run of a plan.
type run struct {
	*Manager
	plan *Plan

	breaker

	doneMu     sync.Mutex
	results    map[string]*Result // by name without the prefix
	owed       []Step             // what new accounts need besides what they were added with
	progressed Progress
}

func (m *Manager) run(ctx context.Context, p *Plan) ([]Result, error) {
	results := make([]Result, 0, len(p.wants)+len(p.deletes))
	for _, w := range p.wants {
		results = append(results, Result{Name: w.Name})
	}
	for _, name := range p.deletes {
		results = append(results, Result{Name: name})
	}
	r := &run{Manager: m, plan: p, results: make(map[string]*Result, len(results))}
	for i := range results {
		r.results[bare(results[i].Name)] = &results[i]
	}
	steps := map[StepKind][]Step{}
	for _, s := range p.steps {
		steps[s.Kind] = append(steps[s.Kind], s)
		if r.progressed.Total++; s.Kind == StepAdd && s.Limit > 0 {
			r.progressed.Total++
		}
	}
	r.limits(ctx, steps[StepLimit])
	r.batches(ctx, steps[StepDisable], StepDisable, m.client.Accounts.Disable)
	r.adds(ctx, steps[StepAdd])
	r.singles(ctx, steps[StepPassword], func(ctx context.Context, name string, s Step) error {
		return m.client.Accounts.ChangePassword(ctx, name, s.Password)
	})
	r.singles(ctx, steps[StepRemark], r.changeRemark)
	r.batches(ctx, steps[StepEnable], StepEnable, m.client.Accounts.Enable)
	r.batches(ctx, steps[StepDelete], StepDelete, m.client.Accounts.Delete)
	return results, r.finish(ctx, results)
}

func (r *run) changeRemark(ctx context.Context, name string, s Step) error {
	return r.client.Accounts.ChangeRemark(ctx, name, s.Remark)
}

// finish checks the results against a last list.
func (r *run) finish(ctx context.Context, results []Result) error {
	for _, s := range slices.Concat(r.plan.steps, r.owed) {
		if res := r.results[s.Name]; res.Err == nil && !slices.Contains(res.Done, s.Kind) {
			res.Err = fmt.Errorf("%w: %w", ErrStopped, cmp.Or(r.stopped, ctx.Err()))
		}
	}
	problems := r.plan.Problems
	if len(r.plan.steps) > 0 && r.stopped == nil && ctx.Err() == nil {
		now, err := r.verify(ctx)
		if err != nil {
			return fmt.Errorf("reseller: all was done, but the accounts could not be listed afterwards: %w", err)
		}
		problems = now
	}
	for _, p := range problems {
		r.results[p.Name].Err = both(r.results[p.Name].Err, p.Err)
	}
	failed, first := 0, (*Result)(nil)
	for i := range results {
		if results[i].Err != nil {
			if failed++; first == nil || errors.Is(results[i].Err, ErrLeftOpen) {
				first = &results[i]
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("reseller: %d of %d accounts are not as wanted, such as %s: %w", failed, len(results), first.Name, first.Err)
}

// verify lists the accounts, and again if the list does not show all that was done.
// What takes minutes to act is not looked for.
func (r *run) verify(ctx context.Context) ([]Problem, error) {
	for look := 0; ; look++ {
		accounts, err := r.list(ctx)
		if err != nil {
			return nil, err
		}
		now := &Plan{wants: r.plan.wants}
		_ = now.complete(index(accounts)) // the input was checked
		var unseen []Step
		for _, s := range now.steps {
			// A value that a list never shows is not unseen.
			if r.results[s.Name].Err == nil && s.was != unlisted && slices.Contains([]StepKind{StepAdd, StepLimit, StepPassword, StepRemark}, s.Kind) {
				unseen = append(unseen, s)
			}
		}
		if len(unseen) == 0 {
			return now.Problems, nil
		}
		if look == 0 {
			// Also a double that came late: it has no limit yet.
			var limits []Step
			for _, s := range unseen {
				if s.extra = true; s.Kind == StepLimit {
					limits = append(limits, s)
				}
			}
			r.limits(ctx, limits)
			if err := sleep(ctx, r.settle); err != nil {
				return nil, err
			}
			continue
		}
		for _, s := range unseen {
			if res := r.results[s.Name]; res.Err == nil {
				res.Err = fmt.Errorf("%w: %s", ErrNotListed, s.Kind)
			}
		}
		return now.Problems, nil
	}
}

// done records a step, and tells the progress if the plan has that step.
func (r *run) done(s Step, kind StepKind, err error) {
	r.doneMu.Lock()
	defer r.doneMu.Unlock()
	res := r.results[s.Name]
	if err == nil {
		res.Done = append(res.Done, kind)
		r.worked()
	} else {
		res.Err = both(res.Err, err)
	}
	if s.Kind == kind && !s.extra && r.progress != nil {
		r.progressed.Done++
		r.progress(r.progressed)
	}
}

// both is errors.Join in one line.
func both(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return fmt.Errorf("%w; %w", a, b)
}

// singles sends a request for each step.
func (r *run) singles(ctx context.Context, steps []Step, send func(ctx context.Context, name string, s Step) error) {
	if !r.going(ctx) {
		return
	}
	r.each(ctx, len(steps), func(i int) bool {
		s := steps[i]
		_, err := r.named(ctx, []target{{s.Name, s.listed}}, func(ctx context.Context, names []string) error { return send(ctx, names[0], s) })
		r.done(s, s.Kind, err)
		return err == nil || !r.broken(ctx, err)
	})
}

// batches sends a request for each chunk of steps. If the API refuses a chunk, halves
// of it are tried, until it is known which account it refuses.
func (r *run) batches(ctx context.Context, steps []Step, kind StepKind, send func(ctx context.Context, names []string, opts ...proxylite.CallOption) error) {
	for chunk := range chunks(steps, r.chunk, func(s Step) int { return max(len(s.listed), len(s.Name)) + 1 }) {
		if !r.going(ctx) {
			return
		}
		r.batch(ctx, chunk, kind, send)
	}
}

func (r *run) batch(ctx context.Context, steps []Step, kind StepKind, send func(ctx context.Context, names []string, opts ...proxylite.CallOption) error) {
	if err := r.pace.wait(ctx); err != nil {
		return
	}
	targets := make([]target, len(steps))
	for i, s := range steps {
		targets[i] = target{s.Name, s.listed}
	}
	_, err := r.named(ctx, targets, func(ctx context.Context, names []string) error { return send(ctx, names) })
	if refused(err) && len(steps) > 1 {
		r.batch(ctx, steps[:len(steps)/2], kind, send)
		r.batch(ctx, steps[len(steps)/2:], kind, send)
		return
	}
	for _, s := range steps {
		r.done(s, kind, err)
	}
	if err != nil {
		r.broken(ctx, err)
	}
}

// maxBody is how much of a request the names and logins of a chunk may take. Common
// web application firewalls refuse bodies of more than 128 KiB.
const maxBody = 120 << 10

// chunks cuts steps into parts of at most n of them and of maxBody bytes.
func chunks(steps []Step, n int, size func(Step) int) func(yield func([]Step) bool) {
	return func(yield func([]Step) bool) {
		for len(steps) > 0 {
			end, bytes := 0, 0
			for end < min(n, len(steps)) && (end == 0 || bytes+size(steps[end]) <= maxBody) {
				bytes += size(steps[end])
				end++
			}
			if !yield(steps[:end]) {
				return
			}
			steps = steps[end:]
		}
	}
}
