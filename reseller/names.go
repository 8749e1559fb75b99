package reseller

import (
	"context"
	"errors"
	"slices"

	"github.com/proxylite/proxylite-go"
)

// nameForm is how existing accounts are named in requests, which is not documented.
type nameForm int32

const (
	formUnknown nameForm = iota // bare until it is seen to have no effect
	formBare
	formListed
)

// target is an existing account.
type target struct {
	name   string // without the prefix
	listed string // as listed; empty if it was not listed yet
}

func (t target) as(form nameForm) string {
	if form == formListed && t.listed != "" {
		return t.listed
	}
	return t.name
}

// named sends an operation for accounts, and again in the other form if the API
// refuses the first one and no list has yet shown which one works. A refused
// operation has done nothing, so this is safe. It returns the form that was accepted.
func (m *Manager) named(ctx context.Context, targets []target, send func(ctx context.Context, names []string) error) (nameForm, error) {
	names := func(form nameForm) []string {
		list := make([]string, len(targets))
		for i, t := range targets {
			list[i] = t.as(form)
		}
		return list
	}
	form := nameForm(m.form.Load())
	first := names(form)
	err := send(ctx, first)
	if form != formUnknown || !refused(err) {
		return max(form, formBare), err
	}
	second := names(formListed)
	if slices.Equal(first, second) || m.pace.wait(ctx) != nil || send(ctx, second) != nil {
		return formBare, err
	}
	return formListed, nil
}

// refused reports whether the API, or the client, refused a request for what is in it,
// so that another request may do better. What a code means is mostly unknown.
func refused(err error) bool {
	e, ok := errors.AsType[*proxylite.Error](err)
	return ok && (e.Kind == proxylite.KindInput || e.Kind == proxylite.KindAPI && e.Outcome == proxylite.OutcomeRejected && !forAll(err))
}

// forAll reports whether every other request would fail in the same way.
func forAll(err error) bool {
	for _, sentinel := range []error{
		proxylite.ErrInvalidAppKey, proxylite.ErrNotVerified, proxylite.ErrIPNotAllowed, proxylite.ErrVerificationNeeded,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	e, ok := errors.AsType[*proxylite.Error](err)
	return ok && (e.Kind == proxylite.KindConfig || e.Kind == proxylite.KindRedirect)
}
