package localproxy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
)

func TestTheUserNamePicks(t *testing.T) {
	t.Parallel()
	l := newLab(t, 4, nil)
	for _, scheme := range []string{"http", "socks5"} {
		proxy := func(user string) map[int]int {
			before, changed := l.used(), map[int]int{}
			for range 4 {
				_, _ = l.get(l.client(scheme, user), "https://example.com/")
			}
			for i, n := range l.used() {
				if n > before[i] {
					changed[i] = n - before[i]
				}
			}
			return changed
		}
		a, b := proxy("session-a"), proxy("session-b")
		require.Len(t, a, 1)
		require.Len(t, b, 1)
		require.NotEqual(t, a, b, "two sessions have two proxies")
		require.Equal(t, a, proxy("session-a"))
		require.Len(t, proxy("rotate"), 4)
		require.Len(t, proxy(""), 4)
	}
	names := map[string]bool{}
	for _, s := range l.local.Sessions() {
		names[s.Name] = s.Requests == map[string]uint64{"session-a": 16, "session-b": 8}[s.Name]
	}
	require.Equal(t, map[string]bool{"session-a": true, "session-b": true}, names)

	require.True(t, l.local.EndSession("session-a"))
	require.False(t, l.local.EndSession("session-a"))
	require.False(t, l.local.EndSession("rotate"))
}

func TestAUserNameIsReadStrictly(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	for _, user := range []string{
		"sess-a", "session", "session-", "session-a_b", "session-a_session-b", "rotate_session-a", "rotate-1", "rotate_rotate",
		"session-a/b", "session-ä", "session-" + strings.Repeat("x", 65), "country-us", "country-USA", "country-US", "_", "session-a_", "bob", " rotate",
	} {
		resp, body := l.get(l.client("http", user), "http://site.test/")
		require.Equal(t, []any{407, "bad_user"}, []any{resp.StatusCode, resp.Header.Get("Proxylite-Reason")}, "%q", user)
		var refusal struct{ Reason, Message string }
		require.NoError(t, json.Unmarshal([]byte(body), &refusal))
		require.Equal(t, "bad_user", refusal.Reason)
		require.NotEmpty(t, refusal.Message)
		_, err := l.client("socks5", user).Get("http://site.test/")
		require.Error(t, err, "%q", user)
	}
	require.Equal(t, []int{0}, l.used())
	for _, user := range []string{"session-A.1-b", "session-" + strings.Repeat("x", 64), "rotate"} {
		resp, _ := l.get(l.client("http", user), "http://site.test/")
		require.Equal(t, 200, resp.StatusCode)
	}
}

func TestACountryIsAPoolOfTheGroup(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2, nil)
	endpoints := map[string]proxylite.Endpoint{"US": l.upstreams[0].Endpoint(), "DE": l.upstreams[1].Endpoint()}
	g := pool.NewGroup(func(country string) (pool.Source, error) {
		e, ok := endpoints[country]
		if !ok {
			return pool.Source{}, errors.New("no such country")
		}
		return pool.Fixed(e), nil
	})
	defer g.Close()
	local, err := localproxy.NewGroup(g)
	require.NoError(t, err)
	l.addr = start(t, local)
	for _, user := range []string{"country-US", "country-DE_session-a", "session-a_country-DE"} {
		resp, _ := l.get(l.client("http", user), "http://site.test/")
		require.Equal(t, 200, resp.StatusCode)
	}
	require.Equal(t, []int{1, 2}, l.used())
	for user, status := range map[string]int{"": 407, "session-a": 407, "country-FR": 502} {
		resp, _ := l.get(l.client("http", user), "http://site.test/")
		require.Equal(t, status, resp.StatusCode, user)
	}
	require.Len(t, local.Sessions(), 1)
	require.Equal(t, "country-DE_session-a", local.Sessions()[0].Name)
	require.True(t, local.EndSession("session-a_country-DE"))

	local, err = localproxy.NewGroup(g, localproxy.WithDefaultUser("country-DE"))
	require.NoError(t, err)
	l.addr = start(t, local)
	resp, _ := l.get(l.client("http", ""), "http://site.test/")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, []int{1, 3}, l.used())
}

func TestALoginIsRequired(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2, nil, localproxy.WithLogin("ann", "x"), localproxy.WithLogin("joe", "y"), localproxy.WithDefaultUser("session-d"))
	for _, user := range []string{"", "joe", "ann2", "session-a", "ann-session-a"} {
		resp, body := l.get(l.client("http", user), "http://site.test/")
		require.Equal(t, 407, resp.StatusCode, user)
		require.Equal(t, "wrong_login", resp.Header.Get("Proxylite-Reason"))
		require.NotEmpty(t, resp.Header.Get("Proxy-Authenticate"))
		require.True(t, json.Valid([]byte(body)))
		_, err := l.client("socks5", user).Get("http://site.test/")
		require.Error(t, err)
	}
	require.Equal(t, []int{0, 0}, l.used())
	for _, user := range []string{"ann", "ann_session-a"} {
		for _, scheme := range []string{"http", "socks5"} {
			resp, _ := l.get(l.client(scheme, user), "http://site.test/")
			require.Equal(t, 200, resp.StatusCode)
		}
	}
	require.Equal(t, "ann", l.local.Users()[0].Name)
	require.EqualValues(t, 4, l.local.Users()[0].Requests)
	require.ElementsMatch(t, []string{"ann_session-a", "ann_session-d"}, []string{l.local.Sessions()[0].Name, l.local.Sessions()[1].Name})
}
