package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

func (a *app) ipCmd() *cobra.Command {
	return group("ip", "IPs: extraction, locations, static IPs",
		a.ipExtractCmd(), a.ipCitiesCmd(), a.ipStatesCmd(), a.ipStaticCmd(), a.ipStockCmd())
}

// endpointColumns are of what proxies: the address is enough in a pipe.
var endpointColumns = []column[proxylite.Endpoint]{
	{name: "addr", value: func(x proxylite.Endpoint) any { return x.Addr() }},
	{name: "host", value: func(x proxylite.Endpoint) any { return x.Host }, extra: true},
	{name: "port", value: func(x proxylite.Endpoint) any { return x.Port }, extra: true},
	{name: "username", value: func(x proxylite.Endpoint) any { return x.Username }, extra: true},
	{name: "password", value: func(x proxylite.Endpoint) any { return x.Password }, extra: true},
}

func (a *app) ipExtractCmd() *cobra.Command {
	var (
		p      proxylite.IPExtractParams
		entry  string
		format string
	)
	cmd := &cobra.Command{
		Use:   "extract",
		Short: "Extract proxy IPs; spends quota",
		Long: `Extract proxy IPs. It spends quota, and is never sent twice. This machine's address
must be on the allow list. Fewer IPs than asked for end with exit code 7, none with 9.`,
		Example: "  proxylite ip extract --demo --yes --quantity 5 --country US --life 30m",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.Entry, p.Format = proxylite.EntryNetwork(entry), proxylite.Format(format)
			if err := p.Validate(); err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			buyer, err := a.extractor(client)
			if err != nil {
				return err
			}
			if err := a.approve("spend quota on %s", count(p.Quantity, "IP")); err != nil {
				return err
			}
			got, err := buyer.Extract(cmd.Context(), p)
			if err != nil {
				return err
			}
			n := len(got.Endpoints)
			a.note("spent: %s of quota", count(n+len(got.Rejected), "IP"))
			for _, r := range got.Rejected {
				a.note("an entry of the response is no proxy: %s", r.Reason)
			}
			if err := show(a, endpointColumns, all(got.Endpoints)); err != nil {
				return err
			}
			switch {
			case n == 0:
				return notFound("the API returned no IP: the stock is low, or the place has none")
			case n < p.Quantity:
				return partly("the API returned %d of %d IPs: the stock is low", n, p.Quantity)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVarP(&p.Quantity, "quantity", "n", 0, "how many, from 1 to 10000; required")
	f.StringVar(&p.CountryCode, "country", "", "country, such as US (default any)")
	f.StringVar(&p.State, "state", "", "state, as \"proxylite ip states\" names it")
	f.StringVar(&p.City, "city", "", "city, as \"proxylite ip cities\" names it")
	f.DurationVar(&p.Life, "life", 0, "longest life of an address in whole minutes, such as 30m (default: the API's)")
	f.StringVar(&entry, "entry", "", "network through which traffic enters: us, hk or de")
	f.StringVar(&format, "format", "", "form of the response: json or text (default json)")
	_ = cmd.MarkFlagRequired("quantity")
	return columnHelp(cmd, endpointColumns)
}

// place is a city or a state.
type place struct {
	CountryCode string `json:"country_code"`
	Country     string `json:"country,omitempty"`
	State       string `json:"state"`
	City        string `json:"city,omitempty"`
}

var placeColumns = []column[place]{
	{name: "country_code", value: func(x place) any { return x.CountryCode }},
	{name: "country", value: func(x place) any { return x.Country }},
	{name: "state", value: func(x place) any { return x.State }},
	{name: "city", value: func(x place) any { return x.City }},
}

func (a *app) ipCitiesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cities [COUNTRY [STATE]]",
		Short:   "List the cities that have dynamic IPs",
		Example: "  proxylite ip cities --demo US\n  proxylite ip cities --demo US CA",
		Args:    arguments(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			var places []place
			if len(args) == 2 {
				names, err := client.IP.SearchCities(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				for _, name := range names {
					places = append(places, place{CountryCode: args[0], State: args[1], City: name})
				}
			} else {
				countries, err := client.IP.Cities(cmd.Context())
				if err != nil {
					return err
				}
				for _, country := range countries {
					if len(args) == 1 && !strings.EqualFold(args[0], country.CountryCode) {
						continue
					}
					for _, city := range country.Cities {
						places = append(places, place{country.CountryCode, cmp.Or(country.NameEN, country.NameZH), city.State, city.City})
					}
				}
			}
			return a.showPlaces(places, args)
		},
	}
	return columnHelp(cmd, placeColumns)
}

func (a *app) ipStatesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "states [COUNTRY]",
		Short:   "List the states that have dynamic IPs",
		Example: "  proxylite ip states --demo US",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			var places []place
			if len(args) == 1 {
				names, err := client.IP.SearchStates(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				for _, name := range names {
					places = append(places, place{CountryCode: args[0], State: name})
				}
			} else {
				countries, err := client.IP.States(cmd.Context())
				if err != nil {
					return err
				}
				for _, country := range countries {
					for _, state := range country.States {
						places = append(places, place{CountryCode: country.CountryCode, Country: cmp.Or(country.NameEN, country.NameZH), State: state.State})
					}
				}
			}
			return a.showPlaces(places, args)
		},
	}
	return columnHelp(cmd, placeColumns[:3])
}

func (a *app) showPlaces(places []place, args []string) error {
	if len(places) == 0 && len(args) > 0 {
		return notFound("no place with dynamic IPs in %s", strings.Join(args, ", "))
	}
	return show(a, placeColumns, all(places))
}

// choice reads a flag that is one of some words, or a number that has no word yet.
func choice[T ~int](flag, text string, words ...string) (*T, error) {
	if text == "" {
		return nil, nil
	}
	for i, word := range words {
		if word != "" && word == text {
			return new(T(i)), nil
		}
	}
	var n int
	if _, err := fmt.Sscanf(text+"\n", "%d\n", &n); err == nil {
		return new(T(n)), nil
	}
	return nil, usage(fmt.Errorf("--%s %q: use a number or one of: %s", flag, text, strings.TrimSpace(strings.Join(words, " "))))
}

func (a *app) ipStaticCmd() *cobra.Command {
	var (
		p           pages
		params      proxylite.IPListStaticParams
		status      string
		productType int
	)
	columns := []column[proxylite.StaticIP]{
		{name: "id", value: func(x proxylite.StaticIP) any { return x.ID }},
		{name: "ip", value: func(x proxylite.StaticIP) any { return x.IP }},
		{name: "port", value: func(x proxylite.StaticIP) any { return x.Port }},
		{name: "country_code", value: func(x proxylite.StaticIP) any { return x.CountryCode }},
		{name: "status", value: func(x proxylite.StaticIP) any { return x.Status }},
		{name: "expired_at", value: func(x proxylite.StaticIP) any { return x.ExpiredAt }},
		{name: "username", value: func(x proxylite.StaticIP) any { return x.Username }, extra: true},
		{name: "password", value: func(x proxylite.StaticIP) any { return x.Password }, extra: true},
		{name: "product_type", value: func(x proxylite.StaticIP) any { return x.ProductType }, extra: true},
		{name: "trade_no", value: func(x proxylite.StaticIP) any { return x.TradeNo }, extra: true},
	}
	cmd := &cobra.Command{
		Use:   "static",
		Short: "List the purchased static IPs",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := choice[proxylite.StaticIPStatus]("status", status, "", "valid", "invalid", "expiring", "maintenance")
			if err != nil {
				return err
			}
			if chosen != nil {
				params.Status = *chosen
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			params.PageParams, params.ProductType = p.PageParams, proxylite.ProductType(productType)
			return show(a, columns, first(p.limit, client.IP.AllStatic(cmd.Context(), params)))
		},
	}
	p.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&params.CountryCode, "country", "", "country, such as US (default all)")
	f.StringVar(&params.TradeNo, "trade-no", "", "IPs of one order")
	f.StringVar(&status, "status", "", "valid, invalid, expiring or maintenance (default all)")
	f.IntVar(&productType, "product-type", 0, "25 residential, 14 data center (default all)")
	return columnHelp(cmd, columns)
}

func (a *app) ipStockCmd() *cobra.Command {
	var isp string
	columns := []column[proxylite.RegionStock]{
		{name: "country_code", value: func(x proxylite.RegionStock) any { return x.CountryCode }},
		{name: "number", value: func(x proxylite.RegionStock) any { return x.Number }},
	}
	cmd := &cobra.Command{
		Use:   "stock",
		Short: "Show how many static IPs are for sale",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := choice[proxylite.ISP]("isp", isp, "datacenter", "residential")
			if err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			list, err := client.IP.StaticStock(cmd.Context(), proxylite.IPStaticStockParams{ISP: chosen})
			if err != nil {
				return err
			}
			return show(a, columns, all(list))
		},
	}
	cmd.Flags().StringVar(&isp, "isp", "", "datacenter or residential (default all)")
	return columnHelp(cmd, columns)
}
