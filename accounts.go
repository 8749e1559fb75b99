package proxylite

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// AccountsService manages proxy accounts: the user names and passwords with which
// traffic goes through the gateway.
type AccountsService struct{ c *Client }

// Account is a proxy account.
type Account struct {
	ID int64 `json:"id"`
	// Username has the brand's prefix in front of the name that was added: bob
	// is listed, and used at the gateway, as pl-bob.
	Username  string    `json:"username"`
	Password  Password  `json:"password"`
	CreatedAt time.Time `json:"created_at"`
	Remark    string    `json:"remark"`

	ProductType ProductType `json:"product_type"`
	Used        Traffic     `json:"usage_flow" wire:"round"` // in KB
	// LimitRaw is the limit as it was sent, nil if it was not. Take
	// [Account.Limit], which knows its unit.
	LimitRaw *int64        `json:"limit_flow"`
	Status   AccountStatus `json:"status" wire:"absent=-1"`
}

// Name returns the user name without the brand's prefix: bob for pl-bob. That is
// the name with which the account was added.
func (a Account) Name() string {
	_, name := cutPrefix(a.Username)
	return name
}

// SameAccount reports whether two user names are the same account, each with or
// without the brand's prefix: bob and pl-bob are.
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

// AccountStatus tells whether a proxy account may be used, an open set.
type AccountStatus int

// The account states.
const (
	AccountStatusAbsent AccountStatus = -1 // the answer had no status
	AccountDisabled     AccountStatus = 0
	AccountEnabled      AccountStatus = 1
)

var accountStatusNames = map[AccountStatus]string{
	AccountStatusAbsent: "absent", AccountDisabled: "disabled", AccountEnabled: "enabled",
}

// String returns an English name, or "account status N" for a value without one.
func (s AccountStatus) String() string { return enumName(accountStatusNames, s, "account status") }

// maxLimitGB is the highest limit the API takes.
const maxLimitGB = 102400

// Limit returns the traffic limit; 0 means that there is no limit. ok is false if
// the response had no limit, or one that makes no sense in any unit.
//
// The API documents GB, of at most 102400. A sister brand is seen to send KB, where
// the least is 1 GB, 1048576 KB. A number from there on is taken as KB, and one in
// between is not a limit.
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
// GET /whitelist-account/list. Free; may be repeated.
func (s *AccountsService) List(ctx context.Context, opts ...CallOption) ([]Account, error) {
	return sendList[Account](ctx, s.c, &opAccountsList, s.c.input(), opts)
}

// NewAccount is the login of an account to add. Both are letters and digits only.
type NewAccount struct {
	Username string
	Password Password // [NewPassword]("s3cret")
}

// AccountAddParams are the accounts to add and what they have in common.
type AccountAddParams struct {
	Accounts    []NewAccount // required
	Remark      string       // at most 64 English or 32 Chinese characters
	ProductType ProductType  // what they may use, e.g. ProductResidentialTraffic; 0 leaves it to the API
}

// Add makes proxy accounts. The answer has no data: list them to see their names,
// which get the brand's prefix. Limits are set with [AccountsService.ChangeLimit].
//
// POST /whitelist-account/add. Sent once: after a failure whose outcome is
// unknown, list the accounts before adding again.
func (s *AccountsService) Add(ctx context.Context, p AccountAddParams, opts ...CallOption) error {
	in := s.c.input()
	in.must(len(p.Accounts) > 0, "Accounts", "", "needs at least one account")
	logins := make([]string, len(p.Accounts))
	seen := make(map[string]bool, len(p.Accounts))
	for i, a := range p.Accounts {
		in.newWord(fmt.Sprintf("Accounts[%d].Username", i), a.Username, false)
		password := a.Password.Reveal()
		in.newWord(fmt.Sprintf("Accounts[%d].Password", i), password, true)
		in.must(!seen[a.Username] || a.Username == "", fmt.Sprintf("Accounts[%d].Username", i), a.Username, "is given twice")
		seen[a.Username] = true
		in.passwords = append(in.passwords, password)
		logins[i] = a.Username + ":" + password
	}
	in.remark("Remark", p.Remark)
	in.notNegative("ProductType", int64(p.ProductType))
	in.body = struct {
		Accounts    string      `json:"accounts"`
		Remark      string      `json:"remark"`
		ProductType ProductType `json:"product_type,omitempty"`
	}{strings.Join(logins, ","), p.Remark, p.ProductType}
	return s.c.run(ctx, &opAccountsAdd, in, opts)
}

// names sends an operation that takes nothing but accounts that exist.
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

// Delete removes accounts for good, with their usage. It takes about 5 minutes to
// act, in which they may go on costing.
//
// The names are sent as given: as they were added, or with the brand's prefix as
// the list returns them. Which of the two the API wants, nobody has documented.
//
// POST /whitelist-account/delete. May be repeated.
func (s *AccountsService) Delete(ctx context.Context, usernames []string, opts ...CallOption) error {
	return s.names(ctx, &opAccountsDelete, usernames, opts)
}

// Disable stops accounts. It takes about 5 minutes to act, in which they may go
// on costing. For the names see [AccountsService.Delete].
//
// POST /whitelist-account/disable. May be repeated.
func (s *AccountsService) Disable(ctx context.Context, usernames []string, opts ...CallOption) error {
	return s.names(ctx, &opAccountsDisable, usernames, opts)
}

// Enable lets disabled accounts work again. For the names see [AccountsService.Delete].
//
// POST /whitelist-account/enable. May be repeated.
func (s *AccountsService) Enable(ctx context.Context, usernames []string, opts ...CallOption) error {
	return s.names(ctx, &opAccountsEnable, usernames, opts)
}

// ChangePassword gives an account a new password, letters and digits only. The
// old one may work for another 5 minutes. For the name see [AccountsService.Delete].
//
// POST /whitelist-account/change-password. May be repeated.
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

// ChangeRemark sets the remark of an account, at most 64 English or 32 Chinese
// characters (ASCII counts one, any other character two); an empty one clears it.
// For the name see [AccountsService.Delete].
//
// POST /whitelist-account/change-remark. May be repeated.
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

// ChangeLimit sets the traffic limit of an account in whole GB, at most 102400 GB;
// 0 ends the limit: 5*proxylite.GB. Traffic is counted up to 5 minutes late, so an
// account may use somewhat more. For the name see [AccountsService.Delete].
//
// POST /whitelist-account/change-limit. May be repeated.
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
