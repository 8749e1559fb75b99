package reseller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// limits sets limits, and disables accounts that are open and can't be limited. Until
// a list has shown that a limit is in effect, it goes by chunks and looks.
func (r *run) limits(ctx context.Context, steps []Step) {
	for len(steps) > 0 && r.going(ctx) {
		n := len(steps)
		if nameForm(r.form.Load()) == formUnknown {
			n = min(n, r.chunk)
		}
		r.limitChunk(ctx, steps[:n])
		steps = steps[n:]
	}
	r.leftOpen(steps)
}

func (r *run) limitChunk(ctx context.Context, steps []Step) {
	l := &limiting{run: r, steps: steps, forms: make([]nameForm, len(steps)), errs: make([]error, len(steps))}
	for i := range l.errs {
		l.errs[i] = errNotSent
	}
	l.send(ctx)
	if nameForm(r.form.Load()) == formUnknown {
		l.proveForm(ctx)
	}
	var open []Step
	for i, s := range steps {
		if l.errs[i] != errNotSent {
			r.done(s, StepLimit, l.errs[i])
		}
		if l.errs[i] != nil && s.open {
			open = append(open, s)
		}
	}
	r.batches(ctx, open, StepDisable, r.client.Accounts.Disable)
	r.leftOpen(slices.DeleteFunc(open, func(s Step) bool {
		res := r.results[s.Name]
		return slices.Contains(res.Done, StepDisable) && !errors.Is(res.Err, ErrNotListed)
	}))
}

// leftOpen ends the run if accounts are open that could not be limited or disabled.
func (r *run) leftOpen(steps []Step) {
	for _, s := range steps {
		if res := r.results[s.Name]; s.open && !errors.Is(res.Err, ErrLeftOpen) {
			res.Err = both(ErrLeftOpen, cmp.Or(res.Err, r.stopped))
			r.stop(ErrLeftOpen)
		}
	}
}

// limiting sets the limits of some accounts.
type limiting struct {
	*run
	steps []Step
	forms []nameForm // how the account was named
	errs  []error    // nil if the API accepted the limit
}

var errNotSent = errors.New("not sent")

// send sets the limits. What fails without being refused is tried in three rounds, so
// that no account is disabled for a moment's trouble.
func (l *limiting) send(ctx context.Context) {
	for round := range 3 {
		var left []int
		for i, err := range l.errs {
			if round == 0 || err != nil && !refused(err) {
				left = append(left, i)
			}
		}
		if len(left) == 0 || !l.going(ctx) || round > 0 && sleep(ctx, l.settle) != nil {
			return
		}
		l.each(ctx, len(left), func(n int) bool {
			i := left[n]
			s := &l.steps[i]
			l.forms[i], l.errs[i] = l.named(ctx, []target{{s.Name, s.listed}}, func(ctx context.Context, names []string) error {
				return l.client.Accounts.ChangeLimit(ctx, names[0], s.Limit)
			})
			if l.errs[i] == nil {
				l.worked()
			}
			return l.errs[i] == nil || !l.broken(ctx, l.errs[i])
		})
	}
}

// proveForm looks whether accepted limits are listed, so that it is known by which
// form of the name accounts are found: an API may accept a name that it does not
// know. It tries the other form, and then waits: five minutes by default.
func (l *limiting) proveForm(ctx context.Context) {
	if !slices.Contains(l.errs, nil) {
		return
	}
	err := fmt.Errorf("%w: %s", ErrNotListed, StepLimit)
	for look := 0; ; look++ {
		form, listErr := l.look(ctx)
		if listErr != nil { // nobody is disabled for that
			l.stop(listErr)
			err = listErr
			break
		}
		switch {
		case form != formUnknown && look == 0:
			l.form.Store(int32(form))
			return
		case form != formUnknown && look == 1:
			l.form.Store(int32(formListed))
			return
		case form != formUnknown: // nobody knows which of the two has worked
			return
		case look == 0:
			l.form.Store(int32(formListed))
			l.send(ctx)
			l.form.Store(int32(formUnknown))
			continue
		}
		if look > 6 || sleep(ctx, l.settle<<(look-1)) != nil {
			break
		}
	}
	for i := range l.errs {
		if l.errs[i] == nil {
			l.errs[i] = err
		}
	}
}

// look lists the accounts and returns the form in which an account was named whose
// new limit is listed; unknown if there is none. It learns the names as listed.
func (l *limiting) look(ctx context.Context) (nameForm, error) {
	accounts, err := l.list(ctx)
	if err != nil {
		return formUnknown, err
	}
	form := formUnknown
	byName := index(accounts)
	for i := range l.steps {
		for _, a := range byName[l.steps[i].Name] {
			l.steps[i].listed = a.Username
			if limit, known := a.Limit(); known && limit == l.steps[i].Limit && l.errs[i] == nil {
				form = l.forms[i]
			}
		}
	}
	return form, nil
}
