package proxylite

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// AccountsService manages proxy accounts (代理账户). An account is a user name and a password
// with which traffic goes through the vendor's gateway.
type AccountsService struct{ c *Client }

// Account is a proxy account (代理账户).
type Account struct {
	// Package internal/wire describes the options of the wire tags.

	ID int64 `json:"id"`
	// Username begins with the brand's prefix: an account that was added as bob is
	// listed as pl-bob, and logs in at the gateway as pl-bob. See [Account.Name].
	Username  string    `json:"username"`
	Password  Password  `json:"password"`
	CreatedAt time.Time `json:"created_at"`
	Remark    string    `json:"remark"`

	ProductType ProductType `json:"product_type"`
	// Used is the traffic used. The vendor does not say whether it is counted from
	// the beginning or since the limit was last set.
	Used Traffic `json:"usage_flow" wire:"round"`
	// LimitRaw is the limit as the API sent it, nil if it sent none. Its unit
	// varies: use [Account.Limit].
	LimitRaw *int64        `json:"limit_flow"`
	Status   AccountStatus `json:"status" wire:"absent=-1"`

	Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
}

// Name returns the user name without the brand's prefix: bob for pl-bob. That is
// the name with which the account was added.
func (a Account) Name() string {
	_, name := cutPrefix(a.Username)
	return name
}

// SameAccount reports whether two user names are those of the same account. Each may have
// the prefix of the brand: bob and pl-bob are the same account.
func SameAccount(a, b string) bool {
	prefixA, nameA := cutPrefix(a)
	prefixB, nameB := cutPrefix(b)
	return nameA == nameB && (prefixA == prefixB || prefixA == "" || prefixB == "")
}

// cutPrefix splits the brand's prefix off a user name. New names are letters and
// digits only, so a hyphen can come from nowhere else.
func cutPrefix(username string) (prefix, name string) {
	if prefix, name, ok := strings.Cut(username, "-"); ok && alphanumeric(prefix) && name != "" {
		return prefix, name
	}
	return "", username
}

// AccountStatus says whether an account can be used. It is an open set: a value
// without a constant is kept and printed as a number.
type AccountStatus int

// The account states.
const (
	AccountStatusAbsent AccountStatus = -1 // the response had no status
	AccountDisabled     AccountStatus = 0
	AccountEnabled      AccountStatus = 1
)

var accountStatusNames = map[AccountStatus]string{
	AccountStatusAbsent: "absent", AccountDisabled: "disabled", AccountEnabled: "enabled",
}

// String returns an English name, or "account status N" for a value without one.
func (s AccountStatus) String() string { return enumName(accountStatusNames, s, "account status") }

// maxLimitGB is the highest limit that the API accepts.
const maxLimitGB = 102400

// Limit returns the traffic limit; 0 means that there is no limit. ok is false if the
// response had no valid limit.
//
// The API documents a number of GB, at most 102400. A sister brand sends a number of KB,
// which is at least 1048576, or 1 GB. So a number up to 102400 counts as GB, and one from
// 1048576 as KB. Numbers between them are not valid.
func (a Account) Limit() (limit Traffic, ok bool) {
	switch {
	case a.LimitRaw == nil || *a.LimitRaw < 0:
		return 0, false
	case *a.LimitRaw <= maxLimitGB:
		return Traffic(*a.LimitRaw) * GB, true
	case Traffic(*a.LimitRaw) >= GB:
		return Traffic(*a.LimitRaw), true
	default:
		return 0, false
	}
}

// String describes the account in a line: name, ID, status and traffic used.
func (a Account) String() string {
	return fmt.Sprintf("account %s (id %d, %s, used %s)", a.Username, a.ID, a.Status, a.Used)
}

var (
	opAccountsList           = Operation{Name: "Accounts.List", Method: http.MethodGet, Path: "/whitelist-account/list", Class: ClassSafe}
	opAccountsAdd            = Operation{Name: "Accounts.Add", Method: http.MethodPost, Path: "/whitelist-account/add", Class: ClassUnsafe, KeyInBody: true}
	opAccountsDelete         = Operation{Name: "Accounts.Delete", Method: http.MethodPost, Path: "/whitelist-account/delete", Class: ClassIdempotent, KeyInBody: true}
	opAccountsDisable        = Operation{Name: "Accounts.Disable", Method: http.MethodPost, Path: "/whitelist-account/disable", Class: ClassIdempotent, KeyInBody: true}
	opAccountsEnable         = Operation{Name: "Accounts.Enable", Method: http.MethodPost, Path: "/whitelist-account/enable", Class: ClassIdempotent, KeyInBody: true}
	opAccountsChangePassword = Operation{Name: "Accounts.ChangePassword", Method: http.MethodPost, Path: "/whitelist-account/change-password", Class: ClassIdempotent, KeyInBody: true}
	opAccountsChangeRemark   = Operation{Name: "Accounts.ChangeRemark", Method: http.MethodPost, Path: "/whitelist-account/change-remark", Class: ClassIdempotent, KeyInBody: true}
	opAccountsChangeLimit    = Operation{Name: "Accounts.ChangeLimit", Method: http.MethodPost, Path: "/whitelist-account/change-limit", Class: ClassIdempotent, KeyInBody: true}
)

// List returns all proxy accounts, with their passwords.
//
// GET /whitelist-account/list. Free; safe to retry.
func (s *AccountsService) List(ctx context.Context, opts ...CallOption) ([]Account, error) {
	return sendList[Account](ctx, s.c, &opAccountsList, s.c.input(), opts)
}

// NewAccount is the login of an account to add. Name and password are letters and
// digits only. Sister brands accept names of up to 12 and passwords of 6 to 16
// characters; ProxyLite documents no length.
type NewAccount struct {
	Username string
	Password Password // [NewPassword]("s3cret")
}

// AccountAddParams are the accounts to add and what they have in common.
type AccountAddParams struct {
	Accounts    []NewAccount // required
	Remark      string       // of each of them; see [AccountsService.ChangeRemark]
	ProductType ProductType  // what they can use, e.g. ProductResidentialTraffic; 0 leaves it to the API
}

// Validate checks the parameters as Add does, and sends nothing. The error is an
// [*InputError] that lists all problems. It includes the rules that
// [WithoutVendorRules] turns off.
func (p AccountAddParams) Validate() error {
	c := checks{vendor: true}
	p.check(&c)
	return c.err()
}

func (p AccountAddParams) check(in *checks) {
	in.must(len(p.Accounts) > 0, "Accounts", "", "needs at least one account")
	seen := make(map[string]bool, len(p.Accounts))
	for i, a := range p.Accounts {
		in.newWord(fmt.Sprintf("Accounts[%d].Username", i), a.Username, false)
		in.newWord(fmt.Sprintf("Accounts[%d].Password", i), a.Password.Reveal(), true)
		in.must(!seen[a.Username] || a.Username == "", fmt.Sprintf("Accounts[%d].Username", i), a.Username, "is given twice")
		seen[a.Username] = true
	}
	in.remark("Remark", p.Remark)
	in.notNegative("ProductType", int64(p.ProductType))
}

// Add adds proxy accounts. The response has no data: list the accounts to see
// their IDs, and their names with the brand's prefix. Set limits with
// [AccountsService.ChangeLimit].
//
// The API documents no limit on the number of accounts. A web server in front of
// it may refuse large bodies. With names of 8 and passwords of 12 characters an
// account takes 22 bytes, so that about 5,900 fit in 128 KiB (ModSecurity's default
// limit) and 47,000 in 1 MiB (nginx's default limit). With 12 and 16 characters it
// takes 30 bytes: 4,300 and 34,000.
//
// POST /whitelist-account/add. Never retried once it may have reached the server:
// after a failure whose outcome is unknown, list the accounts before you add again.
func (s *AccountsService) Add(ctx context.Context, p AccountAddParams, opts ...CallOption) error {
	in := s.c.input()
	p.check(&in.checks)
	logins := make([]string, len(p.Accounts))
	for i, a := range p.Accounts {
		password := a.Password.Reveal()
		in.passwords = append(in.passwords, password)
		logins[i] = a.Username + ":" + password
	}
	in.body = struct {
		Accounts    string      `json:"accounts"`
		Remark      string      `json:"remark"`
		ProductType ProductType `json:"product_type,omitempty"`
	}{strings.Join(logins, ","), p.Remark, p.ProductType}
	return s.c.run(ctx, &opAccountsAdd, in, opts)
}

// names sends an operation whose only input is a list of existing accounts.
func (s *AccountsService) names(ctx context.Context, op *Operation, usernames []string, opts []CallOption) error {
	in := s.c.input()
	in.must(len(usernames) > 0, "usernames", "", "needs at least one account")
	for i, name := range usernames {
		in.accountName(fmt.Sprintf("usernames[%d]", i), name)
	}
	in.body = struct {
		Accounts string `json:"accounts"`
	}{strings.Join(usernames, ",")}
	return s.c.run(ctx, op, in, opts)
}

// Delete deletes accounts for good. It takes effect within about 5 minutes; the
// accounts may incur cost until then.
//
// Names are sent as given, with or without the brand's prefix. ProxyLite does not
// document which form it wants. Its document and a sister brand's official client
// allow letters and digits only, so no prefix; one client of a sister brand's
// dashboard needed the full name, as listed. Try [Account.Name] first.
//
// POST /whitelist-account/delete. Idempotent: it may be repeated.
func (s *AccountsService) Delete(ctx context.Context, usernames []string, opts ...CallOption) error {
	return s.names(ctx, &opAccountsDelete, usernames, opts)
}

// Disable disables accounts. It takes effect within about 5 minutes; the accounts
// may incur cost until then. For the form of the names see [AccountsService.Delete].
//
// POST /whitelist-account/disable. Idempotent: it may be repeated.
func (s *AccountsService) Disable(ctx context.Context, usernames []string, opts ...CallOption) error {
	return s.names(ctx, &opAccountsDisable, usernames, opts)
}

// Enable enables disabled accounts. For the form of the names see
// [AccountsService.Delete].
//
// POST /whitelist-account/enable. Idempotent: it may be repeated.
func (s *AccountsService) Enable(ctx context.Context, usernames []string, opts ...CallOption) error {
	return s.names(ctx, &opAccountsEnable, usernames, opts)
}

// ChangePassword sets the password of an account, letters and digits only. The old
// password may work for another 5 minutes. For the form of the name see
// [AccountsService.Delete].
//
// POST /whitelist-account/change-password. Idempotent: it may be repeated.
func (s *AccountsService) ChangePassword(ctx context.Context, username string, password Password, opts ...CallOption) error {
	in := s.c.input()
	in.accountName("username", username)
	text := password.Reveal()
	in.newWord("password", text, true)
	in.passwords = []string{text}
	in.body = struct {
		Account  string `json:"account"`
		Password string `json:"password"`
	}{username, text}
	return s.c.run(ctx, &opAccountsChangePassword, in, opts)
}

// ChangeRemark sets the remark of an account; an empty one clears it. The vendor
// allows 64 English or 32 Chinese characters and is silent on mixtures: ASCII
// counts as 1 here, any other character as 2. For the form of the name see
// [AccountsService.Delete].
//
// POST /whitelist-account/change-remark. Idempotent: it may be repeated.
func (s *AccountsService) ChangeRemark(ctx context.Context, username, remark string, opts ...CallOption) error {
	in := s.c.input()
	in.accountName("username", username)
	in.remark("remark", remark)
	in.body = struct {
		Account string `json:"account"`
		Remark  string `json:"remark"`
	}{username, remark}
	return s.c.run(ctx, &opAccountsChangeRemark, in, opts)
}

// ChangeLimit sets the traffic limit (流量限制) of an account, such as 5*proxylite.GB: whole
// GB, at most 102400. 0 removes the limit. Traffic is counted up to 5 minutes late,
// so an account can use somewhat more than its limit. For the form of the name see
// [AccountsService.Delete].
//
// POST /whitelist-account/change-limit. Idempotent: it may be repeated.
func (s *AccountsService) ChangeLimit(ctx context.Context, username string, limit Traffic, opts ...CallOption) error {
	in := s.c.input()
	in.accountName("username", username)
	in.must(limit >= 0 && limit%GB == 0, "limit", limit.String(), "must be a whole number of GB, not negative: 5*proxylite.GB")
	in.vendorRule(limit <= maxLimitGB*GB, "limit", limit.String(), "must be at most 102400 GB")
	in.body = struct {
		Account string `json:"account"`
		Limit   int64  `json:"limit"`
	}{username, int64(limit / GB)}
	return s.c.run(ctx, &opAccountsChangeLimit, in, opts)
}
