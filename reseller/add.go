package reseller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// adds adds accounts, a chunk at a time. Those of a chunk get their limits before the
// next chunk is added.
func (r *run) adds(ctx context.Context, steps []Step) {
	// A request has one product type and one remark for all of its accounts.
	slices.SortStableFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.ProductType, b.ProductType), cmp.Compare(a.Remark, b.Remark))
	})
	for len(steps) > 0 {
		same := slices.IndexFunc(steps, func(s Step) bool { return s.ProductType != steps[0].ProductType })
		if same < 0 {
			same = len(steps)
		}
		for chunk := range chunks(steps[:same], r.chunk, func(s Step) int { return len(s.Name) + len(s.Password.Reveal()) + 2 }) {
			if !r.going(ctx) {
				return
			}
			r.add(ctx, chunk)
		}
		steps = steps[same:]
	}
}

// maxTries is how often accounts are added whose request has an unknown outcome.
const maxTries = 3

// add adds accounts. After a failure it looks which of them exist, limits those, and
// tries the others again: all of them if the outcome was unknown, halves if the API
// refused them, until it is known which account it refuses.
func (r *run) add(ctx context.Context, steps []Step) {
	for try := 1; r.going(ctx); try++ {
		remark := steps[0].Remark
		err := r.sendAdd(ctx, steps)
		if err == nil {
			r.added(ctx, steps, remark)
			return
		}
		if !refused(err) && (r.broken(ctx, err) || sleep(ctx, r.settleTime(err)) != nil) {
			break
		}
		var exist []Step
		var listErr error
		if exist, steps, listErr = r.whichExist(ctx, steps); listErr != nil {
			r.stop(listErr)
			break
		}
		if len(exist) > 0 {
			r.added(ctx, exist, remark)
		}
		switch {
		case len(steps) == 0:
			return
		case refused(err) && len(exist) > 0: // perhaps because of those
			try = 0
		case refused(err) && len(steps) == 1:
			r.done(steps[0], StepAdd, err)
			r.broken(ctx, err)
			return
		case refused(err):
			r.add(ctx, steps[:len(steps)/2])
			r.add(ctx, steps[len(steps)/2:])
			return
		case try == maxTries:
			r.stop(err)
		}
	}
}

// settleTime is how long to wait before the accounts are listed.
func (r *run) settleTime(err error) time.Duration {
	if e, ok := errors.AsType[*proxylite.Error](err); ok {
		return max(r.settle, min(e.RetryAfter, time.Minute))
	}
	return r.settle
}

func (r *run) sendAdd(ctx context.Context, steps []Step) error {
	p := proxylite.AccountAddParams{Remark: steps[0].Remark, ProductType: steps[0].ProductType}
	for _, s := range steps {
		p.Accounts = append(p.Accounts, proxylite.NewAccount{Username: s.Name, Password: s.Password})
	}
	if err := r.pace.wait(ctx); err != nil {
		return err
	}
	return r.client.Accounts.Add(ctx, p)
}

// whichExist lists the accounts and splits steps into those whose account is listed,
// with its name, and the others.
func (r *run) whichExist(ctx context.Context, steps []Step) (exist, missing []Step, err error) {
	accounts, err := r.list(ctx)
	if err != nil {
		return nil, steps, err
	}
	byName := index(accounts)
	for _, s := range steps {
		if found := byName[s.Name]; len(found) > 0 {
			s.listed = found[0].Username
			exist = append(exist, s)
		} else {
			missing = append(missing, s)
		}
	}
	return exist, missing, nil
}

// added does what new accounts need besides: a limit, first of all.
func (r *run) added(ctx context.Context, steps []Step, remark string) {
	for _, s := range steps {
		r.done(s, StepAdd, nil)
	}
	if nameForm(r.form.Load()) != formBare && steps[0].listed == "" {
		exist, missing, err := r.whichExist(ctx, steps)
		if err != nil {
			r.stop(err)
		}
		steps = slices.Concat(exist, missing)
	}
	var limits, disables, remarks []Step
	for _, s := range steps {
		if s.Limit > 0 {
			s := s
			s.Kind, s.open = StepLimit, true
			limits = append(limits, s)
		}
		if s.disabled {
			s := s
			s.Kind, s.extra = StepDisable, true
			disables = append(disables, s)
		}
		if s.Remark != remark {
			s := s
			s.Kind, s.extra = StepRemark, true
			remarks = append(remarks, s)
		}
	}
	r.owed = append(append(r.owed, disables...), remarks...)
	r.limits(ctx, limits)
	r.batches(ctx, disables, StepDisable, r.client.Accounts.Disable)
	r.singles(ctx, remarks, r.changeRemark)
}
