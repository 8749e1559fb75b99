package proxylitetest_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestExtractionSpendsTheStock(t *testing.T) {
	t.Parallel()
	s := demo(t)
	s.Update(func(st *proxylitetest.State) { st.IPStock = 5 })
	c := s.Client()
	seen := map[string]bool{}
	for _, want := range []int{3, 2, 0} {
		extracted, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 3})
		require.NoError(t, err)
		require.Len(t, extracted.Endpoints, want)
		for _, e := range extracted.Endpoints {
			seen[e.Addr()] = true
			require.Regexp(t, `^203\.0\.113\.`, e.Host)
		}
	}
	require.Len(t, seen, 5)
	require.Zero(t, s.State().IPStock)
	require.Empty(t, s.Proxies())
}

func TestExtractionInTextIsSeparatedAsAsked(t *testing.T) {
	t.Parallel()
	s := demo(t)
	for lb, want := range map[string]string{"": "\r\n", `&lb=\r\n`: "\r\n", `&lb=\n`: "\n", `&lb=\t`: "\t", "&lb=%0A": "\n", "&lb=|": "|", "&lb=<br>": "<br>"} {
		op := operation{method: "GET", path: "/ip/v3", query: "num=2&format=text" + lb}
		status, kind, body := op.ask(t, s, s.Key)
		require.Equal(t, 200, status)
		require.Equal(t, "text/plain; charset=utf-8", kind)
		require.Regexp(t, `^203\.0\.113\.10:\d{5}203\.0\.113\.10:\d{5}$`, strings.Replace(body, want, "", 1))
		for _, separator := range []string{"", `\r\n`, "\n", "|", "<br>"} {
			extracted, err := s.Client().IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2, Format: proxylite.FormatText, Separator: separator})
			require.NoError(t, err)
			require.Len(t, extracted.Endpoints, 2)
		}
	}
	s.Update(func(st *proxylitetest.State) { st.IPStock = 0 })
	extracted, err := s.Client().IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2, Format: proxylite.FormatText})
	require.NoError(t, err)
	require.Empty(t, extracted.Endpoints)
}

func TestExtractionTakesThePlacesThatAreListed(t *testing.T) {
	t.Parallel()
	c := demo(t).Client()
	countries, err := c.IP.Cities(t.Context())
	require.NoError(t, err)
	for _, country := range countries {
		for _, city := range country.Cities {
			_, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, CountryCode: country.CountryCode, State: city.State, City: city.City})
			require.NoError(t, err)
		}
	}
	// As the gateway writes them: country in any case, names without spaces.
	_, err = c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, CountryCode: "us", City: "losangeles"})
	require.NoError(t, err)
}

func TestACallerOffTheAllowListIsToldItsIP(t *testing.T) {
	t.Parallel()
	for _, format := range []proxylite.Format{proxylite.FormatJSON, proxylite.FormatText} {
		s := demo(t)
		s.Update(func(st *proxylitetest.State) { st.CallerNotAllowed = true })
		_, err := s.Client().IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: format})
		require.ErrorIs(t, err, proxylite.ErrIPNotAllowed)
		var e *proxylite.Error
		require.ErrorAs(t, err, &e)
		ip, ok := e.CallerIP()
		require.True(t, ok)
		require.Equal(t, "127.0.0.1", ip.String())
		require.Equal(t, 1000, s.State().IPStock)
	}
}

func TestLocationsAgreeWithEachOther(t *testing.T) {
	t.Parallel()
	c := demo(t).Client()
	cities, err := c.IP.Cities(t.Context())
	require.NoError(t, err)
	states, err := c.IP.States(t.Context())
	require.NoError(t, err)
	require.Len(t, states, len(cities))
	for i, country := range cities {
		names, err := c.IP.SearchStates(t.Context(), country.CountryCode)
		require.NoError(t, err)
		listed := []string{}
		for _, state := range states[i].States {
			listed = append(listed, state.State)
			require.Equal(t, country.CountryCode, state.CountryCode)
			require.Equal(t, country.ContinentCode, state.ContinentCode)
		}
		require.Equal(t, listed, names)
		found := 0
		for _, name := range names {
			in, err := c.IP.SearchCities(t.Context(), country.CountryCode, name)
			require.NoError(t, err)
			for _, city := range in {
				require.Contains(t, country.Cities, proxylite.City{
					City: city, State: name, ContinentCode: country.ContinentCode, CountryCode: country.CountryCode,
				})
			}
			found += len(in)
		}
		if len(names) > 0 {
			require.Len(t, country.Cities, found)
		}
	}
	require.Equal(t, []string{"CA", "NY", "TX", "FL", "WA"}, must(c.IP.SearchStates(t.Context(), "us")))
	require.Empty(t, must(c.IP.SearchStates(t.Context(), "ZZ")))
	require.Empty(t, must(c.IP.SearchStates(t.Context(), "SG")))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestStaticIPsAreFiltered(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client()
	all := s.State().StaticIPs
	for _, tt := range []struct {
		params proxylite.IPListStaticParams
		keep   func(proxylite.StaticIP) bool
	}{
		{proxylite.IPListStaticParams{CountryCode: "de"}, func(ip proxylite.StaticIP) bool { return ip.CountryCode == "DE" }},
		{proxylite.IPListStaticParams{ProductType: 14}, func(ip proxylite.StaticIP) bool { return ip.ProductType == 14 }},
		{proxylite.IPListStaticParams{Status: 3}, func(ip proxylite.StaticIP) bool { return ip.Status == 3 }},
		{proxylite.IPListStaticParams{TradeNo: all[2].TradeNo}, func(ip proxylite.StaticIP) bool { return ip.TradeNo == all[2].TradeNo }},
		{proxylite.IPListStaticParams{CountryCode: "US", ProductType: 25, Status: 1}, func(ip proxylite.StaticIP) bool {
			return ip.CountryCode == "US" && ip.ProductType == 25 && ip.Status == 1
		}},
		{proxylite.IPListStaticParams{TradeNo: "1"}, func(proxylite.StaticIP) bool { return false }},
	} {
		want, got := []string{}, []string{}
		for _, ip := range all {
			if tt.keep(ip) {
				want = append(want, ip.ID)
			}
		}
		for ip, err := range c.IP.AllStatic(t.Context(), tt.params) {
			require.NoError(t, err)
			got = append(got, ip.ID)
		}
		require.Equal(t, want, got)
		require.Less(t, len(got), len(all))
	}
	ip := must(c.IP.ListStatic(t.Context(), proxylite.IPListStaticParams{})).Items[0]
	ip.Raw = proxylite.RawEntry{}
	sameTime(t, all[0].ExpiredAt, &ip.ExpiredAt)
	require.Equal(t, all[0], ip)
}

func TestAStaticIPWithARawEntryIsSentAsThat(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithState(proxylitetest.State{StaticIPs: []proxylite.StaticIP{
		{ID: "abc", CountryCode: "US"}, {CountryCode: "US", Raw: proxylite.NewRawEntry([]byte(`{"id":"x-1","line":"bgp"}`))}, {CountryCode: "DE", Raw: proxylite.NewRawEntry([]byte(`{}`))},
	}}))
	_, _, body := operation{method: "GET", path: "/ip/get-static-ip", query: "country_code=US"}.ask(t, s, s.Key)
	require.Contains(t, body, `"list":[{"id":"abc",`)
	require.Contains(t, body, `,{"id":"x-1","line":"bgp"}],`)
}

func TestStaticStockIsCountedByKind(t *testing.T) {
	t.Parallel()
	c := demo(t, proxylitetest.WithState(proxylitetest.State{StaticStock: []proxylitetest.StaticStock{
		{proxylite.ISPResidential, "US", 5}, {proxylite.ISPDatacenter, "US", 70}, {proxylite.ISPResidential, "DE", 3},
	}})).Client()
	for _, tt := range []struct {
		isp  *proxylite.ISP
		want []proxylite.RegionStock
	}{
		{nil, []proxylite.RegionStock{{CountryCode: "US", Number: 75}, {CountryCode: "DE", Number: 3}}},
		{new(proxylite.ISPDatacenter), []proxylite.RegionStock{{CountryCode: "US", Number: 70}}},
		{new(proxylite.ISPResidential), []proxylite.RegionStock{{CountryCode: "US", Number: 5}, {CountryCode: "DE", Number: 3}}},
	} {
		require.Equal(t, tt.want, must(c.IP.StaticStock(t.Context(), proxylite.IPStaticStockParams{ISP: tt.isp})))
	}
}

// status is what a target answers to a client that goes through an endpoint.
func status(t *testing.T, proxy *url.URL, target *httptest.Server) int {
	t.Helper()
	resp, _ := fetch(t, through(t, proxy, target), target.URL)
	return resp.StatusCode
}

func TestExtractedEndpointsAreProxies(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	var clock atomic.Pointer[time.Time]
	clock.Store(&now)
	s := proxylitetest.NewServer(t, proxylitetest.WithNow(func() time.Time { return *clock.Load() }))
	c := s.Client()
	short := must(c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2, Life: 10 * time.Minute})).Endpoints
	long := must(c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText})).Endpoints
	for _, e := range append(short, long...) {
		require.Empty(t, e.Username)
		for _, u := range []string{"http", "socks5"} {
			require.Equal(t, 200, status(t, e.URL(u), target))
		}
	}
	proxies := s.Proxies()
	require.Len(t, proxies, 3)
	require.Equal(t, short[1], proxies[1].Endpoint())
	require.Equal(t, long[0], proxies[2].Endpoint())

	proxies[0].SetFault(proxylitetest.ProxyFault{Status: 512})
	require.Equal(t, 512, status(t, short[0].HTTP(), target))

	clock.Store(new(now.Add(10 * time.Minute)))
	require.Equal(t, proxies[2:], s.Proxies())
	require.Equal(t, 509, status(t, short[1].HTTP(), target))
	proxies[2].Close()
	require.Empty(t, s.Proxies())
}

func TestExtractedEndpointsMayHaveALogin(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	s := proxylitetest.NewServer(t, proxylitetest.WithProxyOptions(proxylitetest.ProxyOptions{
		Username: "u", Password: "p", Hosts: map[string]string{"shop.test": strings.TrimPrefix(target.URL, "http://")},
	}))
	for _, format := range []proxylite.Format{proxylite.FormatJSON, proxylite.FormatText} {
		e := must(s.Client().IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: format})).Endpoints[0]
		require.Equal(t, []string{"u", "p"}, []string{e.Username, e.Password.Reveal()})
		_, body := fetch(t, through(t, e.HTTP(), target), "http://shop.test/")
		require.Equal(t, "shop.test", body)
		e.Password = proxylite.NewPassword("q")
		require.Equal(t, 407, status(t, e.HTTP(), target))
	}
}

func TestTheGatewayTakesAccounts(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).Start)
	s := demo(t, proxylitetest.WithProxyOptions(proxylitetest.ProxyOptions{Username: "u", Password: "p"}))
	gateway := s.Gateway()
	e := gateway.Endpoint()
	require.Empty(t, e.Username)
	require.Same(t, gateway, s.Gateway())
	login := func(username, password string) int {
		e.Username, e.Password = username, proxylite.NewPassword(password)
		return status(t, e.HTTP(), target)
	}
	require.Equal(t, 200, login("pl-bob", "bob2024"))
	require.Equal(t, 200, login("pl-bob_area-US_session-7", "bob2024"))
	require.Equal(t, 407, login("bob", "bob2024"), "the prefix is part of the name")
	require.Equal(t, 407, login("pl-bob", "bob2025"))
	require.Equal(t, 407, login("pl-nobody", "bob2024"))
	require.Equal(t, 407, login("pl-erin", "erin2024"), "it is disabled")
	require.Equal(t, 407, login("u", "p"))

	c := s.Client()
	require.NoError(t, c.Accounts.Disable(t.Context(), []string{"bob"}))
	require.Equal(t, 407, login("pl-bob", "bob2024"))
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"bob"}))
	require.NoError(t, c.Accounts.ChangePassword(t.Context(), "bob", proxylite.NewPassword("new1")))
	require.Equal(t, 200, login("pl-bob", "new1"))
	s.Update(func(st *proxylitetest.State) { st.Accounts[1].Used = 2*proxylite.GB - 1 })
	require.NoError(t, c.Accounts.ChangeLimit(t.Context(), "bob", 2*proxylite.GB))
	require.Equal(t, 200, login("pl-bob", "new1"))
	s.Update(func(st *proxylitetest.State) { st.Use("bob", now, 1) })
	require.Equal(t, 407, login("pl-bob", "new1"), "the limit is used up")
	require.NoError(t, c.Accounts.ChangeLimit(t.Context(), "bob", 0))
	require.Equal(t, 200, login("pl-bob", "new1"))
	require.Empty(t, s.Proxies(), "the gateway was not extracted")
}
