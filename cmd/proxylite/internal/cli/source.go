package cli

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// sourceFlags say where a pool gets its proxies from.
type sourceFlags struct {
	gatewayFlags
	account string
	extract int
	proxies []string
}

func (s *sourceFlags) flags(cmd *cobra.Command) {
	s.gatewayFlags.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.account, "account", "", "go through the gateway as this account")
	f.IntVar(&s.extract, "extract", 0, "extract so many IPs and go through them; spends quota")
	f.StringSliceVar(&s.proxies, "proxy", nil, "go through this proxy, host:port")
	cmd.MarkFlagsMutuallyExclusive("account", "extract", "proxy")
	cmd.MarkFlagsOneRequired("account", "extract", "proxy")
}

// source returns the source, after it has asked whether to spend that much.
func (a *app) source(cmd *cobra.Command, s *sourceFlags, spends string) (pool.Source, error) {
	if len(s.proxies) > 0 {
		return fixed(s.proxies)
	}
	client, err := a.connect()
	if err != nil {
		return pool.Source{}, err
	}
	if s.account != "" {
		if err := s.login(cmd.Context(), client, s.account); err != nil {
			return pool.Source{}, err
		}
		return s.Rotating(), nil
	}
	params := proxylite.IPExtractParams{Quantity: s.extract, CountryCode: s.Area, State: s.State, City: s.City, Life: cmp.Or(s.Life, 10*time.Minute)}
	if err := params.Validate(); err != nil {
		return pool.Source{}, err
	}
	if err := a.approve("spend quota on %s", spends); err != nil {
		return pool.Source{}, err
	}
	extractor, err := a.extractor(client)
	if err != nil {
		return pool.Source{}, err
	}
	if a.dryRun {
		_, err := extractor.Extract(cmd.Context(), params)
		return pool.Source{}, err
	}
	return pool.Extract(extractor, params), nil
}

func fixed(proxies []string) (pool.Source, error) {
	list := make([]proxylite.Endpoint, len(proxies))
	for i, p := range proxies {
		e, err := proxylite.ParseEndpoint(p)
		if err != nil {
			return pool.Source{}, usage(fmt.Errorf("--proxy: %w", err))
		}
		if e.Password != (proxylite.Password{}) {
			return pool.Source{}, usage(errors.New("--proxy: a password does not belong on the command line: use --account"))
		}
		list[i] = e
	}
	return pool.Fixed(list...), nil
}
