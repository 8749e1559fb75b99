package reseller

import "errors"

// The errors to branch on, with errors.Is. An account's own error is in its [Result].
var (
	// ErrDoubled: more than one account of that name is listed. With and without the
	// brand's prefix is one name. Steps are sent until all of them are as wanted, but
	// which of them the API changes is not documented: look, and delete one.
	ErrDoubled = errors.New("the account is listed more than once")
	// ErrProductType: the account exists with another product type, which can't be
	// changed. Its other fields are made as wanted.
	ErrProductType = errors.New("the account has another product type")
	// ErrChanged: accounts have changed since the plan was made, in more than their
	// usage and what the plan itself does. Make a new plan.
	ErrChanged = errors.New("the accounts have changed since the plan was made")
	// ErrStopped: the run ended before this account was as wanted. Run it again.
	ErrStopped = errors.New("the run stopped before it came to the account")
	// ErrNotListed: the API accepted the change, but does not list it. It may do so
	// later: run it again.
	ErrNotListed = errors.New("the change was accepted but is not listed")
	// ErrLeftOpen: the account can be used without limit although a limit is wanted,
	// and could be neither limited nor disabled. The next run tries that first.
	ErrLeftOpen = errors.New("the account is left without its limit")
	// ErrNoAccount: no account of that name is listed. It is what the list shows, not
	// the meaning of an error code.
	ErrNoAccount = errors.New("no account of that name is listed")
)
