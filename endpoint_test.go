package proxylite_test

import (
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]proxylite.Endpoint{
		"1.2.3.4:80":                         {Host: "1.2.3.4", Port: 80},
		" gate-us.proxylite.com:9595\n":      {Host: "gate-us.proxylite.com", Port: 9595},
		"1.2.3.4:80:bob:pw":                  {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("pw")},
		"1.2.3.4:80:bob:p:w":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p:w")},
		"bob:p@w@1.2.3.4:80":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p@w")},
		"http://bob@1.2.3.4:80/":             {Host: "1.2.3.4", Port: 80, Username: "bob"},
		"socks5://1.2.3.4:65535":             {Host: "1.2.3.4", Port: 65535},
		"[2001:db8::1]:80":                   {Host: "2001:db8::1", Port: 80},
		"[2001:db8::1]:80:bob:pw":            {Host: "2001:db8::1", Port: 80, Username: "bob", Password: proxylite.NewPassword("pw")},
		strings.Repeat("a", 253) + ":1":      {Host: strings.Repeat("a", 253), Port: 1},
		"under_score-dash.example.com:00080": {Host: "under_score-dash.example.com", Port: 80},
		"1.2.3.4:80:bob:p@w":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p@w")},
		"1.2.3.4:80:b@b:pw":                  {Host: "1.2.3.4", Port: 80, Username: "b@b", Password: proxylite.NewPassword("pw")},
		"gate.example.com:80:bob:p@ss:80":    {Host: "gate.example.com", Port: 80, Username: "bob", Password: proxylite.NewPassword("p@ss:80")},
		"1.2.3.4:80:bob:p@5.6.7.8:81":        {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p@5.6.7.8:81")},
		"bob:80:pw@gate:81":                  {Host: "gate", Port: 81, Username: "bob", Password: proxylite.NewPassword("80:pw")},
		"1.2.3.4:80@bob:p@w":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p@w")},
		"bob:p:w:1.2.3.4:80":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p:w")},
		"1.2.3.4:80:bob:p w":                 {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p w")},
		"1.2.3.4:80:bob:":                    {Host: "1.2.3.4", Port: 80, Username: "bob"},
		"bob:pw@Gate.Example.com.:80":        {Host: "Gate.Example.com.", Port: 80, Username: "bob", Password: proxylite.NewPassword("pw")},
		"bob:p%40w@1.2.3.4:80":               {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p%40w")},
		"HTTP://b%2Db:a%3Ab%25@1.2.3.4:80":   {Host: "1.2.3.4", Port: 80, Username: "b-b", Password: proxylite.NewPassword("a:b%")},
		"http://bob:5%@1.2.3.4:80":           {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("5%")},
		"http://bob:p/w@1.2.3.4:80":          {Host: "1.2.3.4", Port: 80, Username: "bob", Password: proxylite.NewPassword("p/w")},
	} {
		got, err := proxylite.ParseEndpoint(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{
		"", ":", "1.2.3.4", "1.2.3.4:", ":80", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4:x:s3cret:s3cret",
		"2001:db8::1:80", "[1.2.3.4]:80", "[2001:db8::1]", "[x]:80", "a b:80", "爬.com:80", "a/b:80", "https://bob:s3cret@1.2.3.4:80", "ftp://1.2.3.4:80", "bob:s3cret:host:80", strings.Repeat("a", 254) + ":1",
	} {
		got, err := proxylite.ParseEndpoint(in)
		require.Error(t, err, in)
		require.Zero(t, got)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestEndpointURL(t *testing.T) {
	t.Parallel()
	plain := proxylite.Endpoint{Host: "1.2.3.4", Port: 80}
	login := proxylite.Endpoint{Host: "2001:db8::1", Port: 81, Username: "b@b", Password: proxylite.NewPassword("p:w/")}
	require.Equal(t, "http://1.2.3.4:80", plain.HTTP().String())
	require.Equal(t, "socks5://1.2.3.4:80", plain.SOCKS5().String())
	require.Equal(t, "socks5h://b%40b:p%3Aw%2F@[2001:db8::1]:81", login.URL("socks5h").String())
	require.Equal(t, "[2001:db8::1]:81", login.Addr())
	back, err := proxylite.ParseEndpoint("u:p@" + login.Addr())
	require.NoError(t, err)
	require.Equal(t, proxylite.Endpoint{Host: "2001:db8::1", Port: 81, Username: "u", Password: proxylite.NewPassword("p")}, back)
}

// What URL writes, ParseEndpoint reads, for every login.
func FuzzEndpointURLReadsBack(f *testing.F) {
	for _, s := range []string{"", "plain", "p@ss", "p%40ss", "p%ss", "p/ss", "p:ss", " p ss ", "ü爬", "p#s?s", "\x00\xff", "a:b@1.2.3.4:80", "+&=;"} {
		f.Add("bob", s)
		f.Add(s, "pw")
	}
	f.Fuzz(func(t *testing.T, user, password string) {
		for _, host := range []string{"1.2.3.4", "2001:db8::1", "gate.example.com"} {
			for _, scheme := range []string{"http", "socks5"} {
				want := proxylite.Endpoint{Host: host, Port: 80, Username: user, Password: proxylite.NewPassword(password)}
				got, err := proxylite.ParseEndpoint(want.URL(scheme).String())
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
}

// Endpoints and static IPs survive JSON, so that they can be stored.
func TestEndpointRoundTrips(t *testing.T) {
	t.Parallel()
	for _, want := range []proxylite.Endpoint{
		{Host: "1.2.3.4", Port: 80}, {Host: "2001:db8::1", Port: 81, Username: "u", Password: proxylite.NewPassword("p"), Raw: apitest.Raw(`{"ip":"x"}`)},
	} {
		b, err := proxylite.MarshalRevealed(want)
		require.NoError(t, err)
		var got proxylite.Endpoint
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, want, got)
	}
	b, err := json.Marshal(proxylite.Endpoint{Host: "1.2.3.4", Port: 80, Username: "u", Password: proxylite.NewPassword("p")})
	require.NoError(t, err)
	require.JSONEq(t, `{"host":"1.2.3.4","port":80,"username":"u","password":"[REDACTED]"}`, string(b))
	require.ErrorContains(t, json.Unmarshal(b, new(proxylite.Endpoint)), "MarshalRevealed")
	require.Error(t, new(proxylite.Endpoint).UnmarshalJSON([]byte(`"\x"`)))
}

func TestEveryLetterOfAHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"azAZ09-_.example", "a", "z", "A", "Z", "a0", "a9"} {
		e, err := proxylite.ParseEndpoint(host + ":80")
		require.NoError(t, err)
		require.Equal(t, proxylite.Endpoint{Host: host, Port: 80}, e)
	}
	for _, host := range []string{"a`", "a{", "a@[", "a/", "a[", "a;"} { // beside those in ASCII
		_, err := proxylite.ParseEndpoint(host + ":80")
		require.Error(t, err, host)
	}
	e, err := proxylite.ParseEndpoint("@1.2.3.4:80") // an empty login
	require.NoError(t, err)
	require.Equal(t, proxylite.Endpoint{Host: "1.2.3.4", Port: 80}, e)
	require.Error(t, new(proxylite.Endpoint).UnmarshalJSON(nil))
}

func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"1.2.3.4:80", "[2001:db8::1]:80", "h.example:1:u:p", "u:p@h.example:65535", "socks5://1.2.3.4:80/", "1.2.3.4:80:u:p:q", "u@1.2.3.4:5", "[::ffff:1.2.3.4]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := proxylite.ParseEndpoint(s)
		if err != nil {
			require.Zero(t, e)
			require.Less(t, len(err.Error()), 200, "the error repeats the input")
			return
		}
		host, port, err := net.SplitHostPort(e.Addr())
		require.NoError(t, err)
		require.Equal(t, e.Host, host)
		require.Equal(t, strconv.Itoa(e.Port), port)
		require.Contains(t, s, host)
		if strings.Contains(host, ":") {
			_, err := netip.ParseAddr(host)
			require.NoError(t, err)
		}
		bare, err := proxylite.ParseEndpoint(e.Addr())
		require.NoError(t, err)
		require.Equal(t, proxylite.Endpoint{Host: e.Host, Port: e.Port}, bare)

		u, err := url.Parse(e.HTTP().String())
		require.NoError(t, err)
		require.Equal(t, e.Addr(), u.Host)
		if e.Username != "" {
			password, _ := u.User.Password()
			require.Equal(t, []string{e.Username, e.Password.Reveal()}, []string{u.User.Username(), password})
		}
		if utf8.ValidString(s) {
			b, err := proxylite.MarshalRevealed(e)
			require.NoError(t, err)
			var back proxylite.Endpoint
			require.NoError(t, json.Unmarshal(b, &back))
			require.Equal(t, e, back)
		}
	})
}
