package pool_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

func TestTheGatewayUserName(t *testing.T) {
	t.Parallel()
	for want, g := range map[string]pool.Gateway{
		"pl-bob":                  {Account: "pl-bob"},
		"pl-eve":                  {Account: "eve"},
		"dk-bob_area-GB":          {Account: "dk-bob", Area: "GB"},
		"pl-bob_session-a1":       {Account: "bob", Session: "a1"},
		"pl-bob_area-US_city-NYC": {Account: "bob", Area: "US", City: "NYC"},
		"pl-bob_area-US_state-NewYork_city-Albany_life-90_session-X9": {
			Account: "bob", Area: "US", State: "NewYork", City: "Albany", Life: 90 * time.Minute, Session: "X9",
		},
	} {
		user, err := g.Username()
		require.NoError(t, err)
		require.Equal(t, want, user)
		parsed, err := pool.ParseGatewayUsername(user)
		require.NoError(t, err)
		if !strings.Contains(g.Account, "-") {
			g.Account = "pl-" + g.Account
		}
		require.Equal(t, g, parsed)
	}
}

func TestWhatTheGatewayWouldIgnoreIsAnError(t *testing.T) {
	t.Parallel()
	for field, list := range map[string][]pool.Gateway{
		"Account":  {{}, {Account: "pl-"}, {Account: "-bob"}, {Account: "bo_b"}, {Account: "pl-bob-x"}, {Account: "bob "}, {Account: "bøb"}},
		"Area":     {{Account: "bob", Area: "us"}, {Account: "bob", Area: "USA"}, {Account: "bob", Area: "U"}, {Account: "bob", Area: "U1"}, {Account: "bob", State: "Texas"}, {Account: "bob", City: "Rome"}},
		"State":    {{Account: "bob", Area: "US", State: "New York"}, {Account: "bob", Area: "US", State: "New_York"}},
		"City":     {{Account: "bob", Area: "US", City: "Los Angeles"}, {Account: "bob", Area: "US", City: "x-y"}},
		"Life":     {{Account: "bob", Session: "a", Life: 90 * time.Second}, {Account: "bob", Session: "a", Life: -time.Minute}, {Account: "bob", Life: time.Minute}},
		"Session":  {{Account: "bob", Session: "a-b"}, {Account: "bob", Session: "a b"}, {Account: "bob", Session: "ä"}},
		"255":      {{Account: "bob", Session: strings.Repeat("x", 256)}},
		"Password": {{Account: "bob"}, {Account: "bob", Password: proxylite.NewPassword(strings.Repeat("x", 256))}},
		"Host":     {{Account: "bob", Password: proxylite.NewPassword("p"), Host: "gate"}, {Account: "bob", Password: proxylite.NewPassword("p"), Host: "u:p@gate:1"}},
	} {
		for _, g := range list {
			_, err := g.Endpoint()
			require.ErrorContains(t, err, field, "%#v", g)
			_, err = g.URL("http")
			require.ErrorContains(t, err, field)
			g.Session = ""
			_, err = pool.New(g.Rotating())
			if field != "255" && field != "Session" && g.Life == 0 {
				require.ErrorContains(t, err, field)
			}
		}
	}
	for _, user := range []string{
		"", "bob", "pl-bob_", "pl-bob_area", "pl-bob_area-", "pl-bob_area-us", "pl-bob_life-x_session-a", "pl-bob_life-0_session-a", "pl-bob_life-01_session-a",
		"pl-bob_session-a_life-1", "pl-bob_area-US_area-US", "pl-bob_country-US", "pl-bob_session-a b",
	} {
		_, err := pool.ParseGatewayUsername(user)
		require.Error(t, err, user)
	}
	_, err := pool.New(pool.Gateway{Account: "bob", Password: proxylite.NewPassword("p"), Session: "a"}.Sessions(3))
	require.ErrorContains(t, err, "makes their ids itself")
	_, err = pool.New(pool.Gateway{Account: "bob", Password: proxylite.NewPassword("p")}.Sessions(0))
	require.ErrorContains(t, err, "number of sessions")
	_, err = pool.New(pool.Gateway{Account: "bob"}.Sessions(1))
	require.ErrorContains(t, err, "Password")
}

func TestTheGatewayURL(t *testing.T) {
	t.Parallel()
	g := pool.Gateway{Account: "bob", Password: proxylite.NewPassword("p@ss:/w"), Area: "US"}
	u, err := g.URL("socks5")
	require.NoError(t, err)
	require.Equal(t, "socks5://pl-bob_area-US:p%40ss%3A%2Fw@gate-us.proxylite.com:9595", u.String())
	g.Host = pool.GatewayEU
	u, err = g.URL("http")
	require.NoError(t, err)
	require.Equal(t, "gate-eu.proxylite.com:9595", u.Host)
}

// Sessions end with their life, and the next ones have other ids.
func TestSessionsAreReplacedAtTheEndOfTheirLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, pool.Gateway{Account: "bob", Password: proxylite.NewPassword("secret"), Life: 10 * time.Minute}.Sessions(3))
		users := map[string]time.Time{}
		for range 3600 {
			l, err := p.Get(t.Context())
			require.NoError(t, err)
			user := l.Proxy().Endpoint.Username
			g, err := pool.ParseGatewayUsername(user)
			require.NoError(t, err)
			require.NotEmpty(t, g.Session)
			if users[user].IsZero() {
				users[user] = time.Now()
			}
			require.Less(t, time.Since(users[user]), 10*time.Minute)
			l.Done(pool.Worked)
			time.Sleep(time.Second)
		}
		require.InDelta(t, 3*6, len(users), 4)
		require.Zero(t, p.Stats().Spent)
	})
}

func FuzzParseGatewayUsername(f *testing.F) {
	f.Add("pl-bob_area-US_state-NewYork_city-Albany_life-90_session-X9")
	f.Add("pl-bob_life-07_session-a")
	f.Fuzz(func(t *testing.T, user string) {
		g, err := pool.ParseGatewayUsername(user)
		if err != nil {
			return
		}
		again, err := g.Username()
		if err != nil || again != user {
			t.Fatalf("%q is read as %#v and written as %q, %v", user, g, again, err)
		}
		if strings.ContainsAny(user, " \t\r\n@:/") || len(user) > 255 {
			t.Fatalf("%q is not fit to be sent", user)
		}
	})
}
