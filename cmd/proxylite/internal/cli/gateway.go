package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

func (a *app) gatewayCmd() *cobra.Command {
	return group("gateway", "The gateway: proxy URLs of accounts, without extraction", a.gatewayURLCmd(), a.gatewayCheckCmd())
}

// gatewayFlags say where the traffic of an account is to come out.
type gatewayFlags struct{ pool.Gateway }

func (g *gatewayFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.Host, "gateway", pool.GatewayUS, "host:port of the gateway")
	f.StringVar(&g.Area, "country", "", "country, such as US (default any)")
	f.StringVar(&g.State, "state", "", "state without spaces, such as NewYork; needs --country")
	f.StringVar(&g.City, "city", "", "city without spaces, such as LosAngeles; needs --country")
	f.StringVar(&g.Session, "session", "", "id of a session, which keeps its IP (default: a new IP for each connection)")
	f.DurationVar(&g.Life, "life", 0, "how long a session keeps its IP, in whole minutes such as 30m")
}

// login adds the account's listed name and password.
func (g *gatewayFlags) login(ctx context.Context, client *proxylite.Client, account string) error {
	g.Account = account
	if _, err := g.Username(); err != nil {
		return usage(err)
	}
	list, err := client.Accounts.List(ctx)
	if err != nil {
		return err
	}
	if list, err = named(list, []string{account}); err != nil {
		return err
	}
	g.Account, g.Password = list[0].Username, list[0].Password
	if list[0].Status != proxylite.AccountEnabled {
		return &codedError{exitFailure, fmt.Errorf("the account %s is %s: enable it first", list[0].Username, list[0].Status)}
	}
	return nil
}

func (a *app) gatewayURLCmd() *cobra.Command {
	var (
		g      gatewayFlags
		scheme string
	)
	type line struct {
		URL      string             `json:"url"`
		Host     string             `json:"host"`
		Username string             `json:"username"`
		Password proxylite.Password `json:"password"`
	}
	columns := []column[line]{
		{name: "url", value: func(x line) any { return x.URL }},
		{name: "host", value: func(x line) any { return x.Host }, extra: true},
		{name: "username", value: func(x line) any { return x.Username }, extra: true},
		{name: "password", value: func(x line) any { return x.Password }, extra: true},
	}
	cmd := &cobra.Command{
		Use:   "url ACCOUNT",
		Short: "Print the proxy URL of an account",
		Long: `Print the proxy URL of an account. The user name says where the traffic is to come
out; what the gateway would ignore there is an error here. The password is taken from
the list of the accounts, and printed with --show-secrets.`,
		Example: "  curl -x \"$(proxylite gateway url bob --country US --session a1 --show-secrets)\" https://example.com",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"http", "socks5", "socks5h"}, scheme) {
				return usage(fmt.Errorf("--scheme %q: use http, socks5 or socks5h", scheme))
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			if err := g.login(cmd.Context(), client, args[0]); err != nil {
				return err
			}
			user, err := g.Username()
			if err != nil {
				return usage(err)
			}
			address := g.Host
			text := fmt.Sprintf("%s://%s:%s@%s", scheme, user, hidden, address)
			if a.showSecrets {
				e, err := g.Endpoint()
				if err != nil {
					return usage(err)
				}
				text = e.URL(scheme).String()
			}
			return show(a, columns, all([]line{{text, address, user, g.Password}}))
		},
	}
	g.flags(cmd)
	cmd.Flags().StringVar(&scheme, "scheme", "http", "http, socks5 or socks5h")
	return columnHelp(cmd, columns)
}

func (a *app) gatewayCheckCmd() *cobra.Command {
	type part struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	cmd := &cobra.Command{
		Use:     "check USERNAME",
		Short:   "Check a user name of the gateway, and say what it asks for",
		Long:    "Check a user name of the gateway. The gateway ignores what it does not understand,\nsuch as a wrong order or an unknown part. Nothing is sent.",
		Example: "  proxylite gateway check pl-bob_area-US_life-30_session-a1",
		Args:    arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			g, err := pool.ParseGatewayUsername(args[0])
			if err != nil {
				return usage(err)
			}
			life := ""
			if g.Life > 0 {
				life = g.Life.String()
			}
			parts := slices.DeleteFunc([]part{
				{"account", g.Account},
				{"country", cmp.Or(g.Area, "any")},
				{"state", g.State},
				{"city", g.City},
				{"session", cmp.Or(g.Session, "none: a new IP for each connection")},
				{"life", life},
			}, func(p part) bool { return p.Value == "" })
			return show(a, []column[part]{
				{name: "name", value: func(x part) any { return x.Name }},
				{name: "value", value: func(x part) any { return x.Value }},
			}, all(parts))
		},
	}
	return cmd
}
