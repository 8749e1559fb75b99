package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

func (a *app) accountsCmd() *cobra.Command {
	return group("accounts", "Proxy accounts: the logins of the gateway",
		a.accountsListCmd(), a.accountsAddCmd(), a.accountsPasswordCmd(), a.accountsRemarkCmd(), a.accountsLimitCmd(),
		a.accountsSyncCmd(),
		a.accountsNamesCmd("delete", "Delete accounts for good", (*proxylite.AccountsService).Delete),
		a.accountsNamesCmd("disable", "Disable accounts", (*proxylite.AccountsService).Disable),
		a.accountsNamesCmd("enable", "Enable disabled accounts", (*proxylite.AccountsService).Enable),
	)
}

var accountColumns = []column[proxylite.Account]{
	{name: "id", value: func(x proxylite.Account) any { return x.ID }},
	{name: "username", value: func(x proxylite.Account) any { return x.Username }},
	{name: "status", value: func(x proxylite.Account) any { return x.Status }},
	{name: "used", value: func(x proxylite.Account) any { return x.Used }},
	{name: "limit", value: func(x proxylite.Account) any {
		limit, ok := x.Limit()
		if !ok {
			return nil
		}
		return unlimited(limit)
	}},
	{name: "use", value: func(x proxylite.Account) any {
		limit, ok := x.Limit()
		if !ok || limit == 0 {
			return nil
		}
		return share(float64(x.Used) / float64(limit))
	}},
	{name: "remark", value: func(x proxylite.Account) any { return x.Remark }},
	{name: "password", value: func(x proxylite.Account) any { return x.Password }, extra: true},
	{name: "product_type", value: func(x proxylite.Account) any { return x.ProductType }, extra: true},
	{name: "created_at", value: func(x proxylite.Account) any { return x.CreatedAt }, extra: true},
}

func (a *app) accountsListCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [NAME...]",
		Short:   "List accounts, with the traffic used and its limit",
		Example: "  proxylite accounts list --demo\n  proxylite accounts list bob -o json --show-secrets",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			list, err := client.Accounts.List(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if list, err = named(list, args); err != nil {
					return err
				}
			}
			return show(a, accountColumns, all(list))
		},
	}
	return columnHelp(cmd, accountColumns)
}

// named selects accounts by name, with or without the brand's prefix.
func named(list []proxylite.Account, names []string) ([]proxylite.Account, error) {
	for _, name := range names {
		if !slices.ContainsFunc(list, func(x proxylite.Account) bool { return proxylite.SameAccount(x.Username, name) }) {
			return nil, notFound("no account of the name %q is listed", name)
		}
	}
	return slices.DeleteFunc(list, func(x proxylite.Account) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return proxylite.SameAccount(x.Username, name) })
	}), nil
}

// change is what a command has done to an account.
type change struct {
	Username string             `json:"username"`
	Change   string             `json:"change"`
	Password proxylite.Password `json:"password,omitzero"`
	Error    string             `json:"error,omitempty"`
}

var changeColumns = []column[change]{
	{name: "username", value: func(x change) any { return x.Username }},
	{name: "change", value: func(x change) any { return x.Change }},
	{name: "error", value: func(x change) any { return x.Error }, extra: true},
}

// loginColumns are those of a change that sets passwords.
var loginColumns = append(slices.Clone(changeColumns), column[change]{name: "password", value: func(x change) any { return x.Password }})

// changed prints what was done, unless it was not done.
func (a *app) changed(columns []column[change], changes []change) error {
	if a.dryRun {
		return nil
	}
	return show(a, columns, all(changes))
}

func changes(names []string, what string) []change {
	list := make([]change, len(names))
	for i, name := range names {
		list[i] = change{Username: name, Change: what}
	}
	return list
}

func (a *app) accountsAddCmd() *cobra.Command {
	var (
		remark, limit   string
		productType     int
		stdin, generate bool
	)
	cmd := &cobra.Command{
		Use:   "add NAME...",
		Short: "Add accounts",
		Long: `Add accounts. Names and passwords are letters and digits; the API lists bob as
pl-bob. Passwords are asked for, read from stdin with --password-stdin (a line for
each account), or made up with --generate. They are printed with --show-secrets.

With --limit the limit is set in a second request: for a moment the accounts can be
used without it.`,
		Example: "  proxylite accounts add bob --generate --limit 5GB --show-secrets",
		Args:    arguments(1, 1<<20),
		RunE: func(cmd *cobra.Command, names []string) error {
			var traffic *proxylite.Traffic
			if limit != "" {
				t, err := parseTraffic(limit)
				if err != nil {
					return err
				}
				traffic = &t
			}
			passwords, err := a.passwords(names, stdin, generate)
			if err != nil {
				return err
			}
			params := proxylite.AccountAddParams{Remark: remark, ProductType: proxylite.ProductType(productType)}
			for i, name := range names {
				params.Accounts = append(params.Accounts, proxylite.NewAccount{Username: name, Password: passwords[i]})
			}
			if err := params.Validate(); err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("add %s", count(len(names), "account")); err != nil {
				return err
			}
			if err := client.Accounts.Add(cmd.Context(), params); err != nil {
				return err
			}
			return a.added(cmd.Context(), client, params.Accounts, traffic)
		},
	}
	f := cmd.Flags()
	f.StringVar(&remark, "remark", "", "remark of each of them")
	f.StringVar(&limit, "limit", "", "traffic limit of each of them in whole GB, such as 5GB")
	f.IntVar(&productType, "product-type", 0, "what they can use, such as 9 (default: the API's)")
	f.BoolVar(&stdin, "password-stdin", false, "read the passwords from stdin")
	f.BoolVar(&generate, "generate", false, "make up the passwords")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "generate")
	return cmd
}

// added sets the limits of new accounts, if there is one, and prints what was done.
func (a *app) added(ctx context.Context, client *proxylite.Client, accounts []proxylite.NewAccount, limit *proxylite.Traffic) error {
	var failed error
	done := make([]change, len(accounts))
	for i, x := range accounts {
		done[i] = change{Username: x.Username, Change: "added", Password: x.Password}
		if limit == nil {
			continue
		}
		if err := client.Accounts.ChangeLimit(ctx, x.Username, *limit); err != nil {
			done[i].Error = err.Error()
			failed = partly("%s is added, but its limit is not set: %w", x.Username, err)
		}
	}
	return errors.Join(a.changed(loginColumns, done), failed)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

type namesMethod = func(*proxylite.AccountsService, context.Context, []string, ...proxylite.CallOption) error

func (a *app) accountsNamesCmd(verb, short string, do namesMethod) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NAME...",
		Short: short,
		Long: short + `. It takes effect within about 5 minutes; the accounts may incur cost until
then. Names are sent as given: try the name without the prefix first.`,
		Args: arguments(1, 1<<20),
		RunE: func(cmd *cobra.Command, names []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("%s %s", verb, strings.Join(names, ", ")); err != nil {
				return err
			}
			if err := do(client.Accounts, cmd.Context(), names); err != nil {
				return err
			}
			return a.changed(changeColumns, changes(names, verb+"d"))
		},
	}
}

func (a *app) accountsPasswordCmd() *cobra.Command {
	var stdin, generate bool
	cmd := &cobra.Command{
		Use:   "password NAME",
		Short: "Change the password of an account",
		Long: `Change the password of an account: asked for, read from stdin with
--password-stdin, or made up with --generate. The old one may work for another 5
minutes.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, names []string) error {
			passwords, err := a.passwords(names, stdin, generate)
			if err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("change the password of %s", names[0]); err != nil {
				return err
			}
			if err := client.Accounts.ChangePassword(cmd.Context(), names[0], passwords[0]); err != nil {
				return err
			}
			return a.changed(loginColumns, []change{{Username: names[0], Change: "password", Password: passwords[0]}})
		},
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from stdin")
	cmd.Flags().BoolVar(&generate, "generate", false, "make up the password")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "generate")
	return cmd
}

func (a *app) accountsRemarkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "remark NAME TEXT",
		Short: "Change the remark of an account",
		Long:  `Change the remark of an account. An empty text clears it.`,
		Args:  arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("change the remark of %s to %q", args[0], args[1]); err != nil {
				return err
			}
			if err := client.Accounts.ChangeRemark(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			return a.changed(changeColumns, changes(args[:1], "remark"))
		},
	}
}

func (a *app) accountsLimitCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "limit NAME LIMIT",
		Short: "Change the traffic limit of an account",
		Long: `Change the traffic limit of an account: whole GB such as 5GB or 2TB, or none.
Traffic is counted up to 5 minutes late, so an account can use somewhat more.`,
		Args: arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := parseTraffic(args[1])
			if err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := a.approve("set the limit of %s to %s", args[0], a.human(unlimited(limit))); err != nil {
				return err
			}
			if err := client.Accounts.ChangeLimit(cmd.Context(), args[0], limit); err != nil {
				return err
			}
			return a.changed(changeColumns, changes(args[:1], "limit"))
		},
	}
}

// parseTraffic reads a limit: whole GB or TB, or "none", which is 0.
func parseTraffic(s string) (proxylite.Traffic, error) {
	text := strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	if text == "NONE" {
		return 0, nil
	}
	unit := proxylite.GB
	number, ok := strings.CutSuffix(text, "GB")
	if !ok {
		number, ok = strings.CutSuffix(text, "TB")
		unit = proxylite.TB
	}
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > 102400 {
		return 0, usage(fmt.Errorf("limit %q: use whole GB, such as 5GB or 2TB, or none", s))
	}
	return proxylite.Traffic(n) * unit, nil
}
