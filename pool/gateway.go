package pool

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/clock"
)

// The gateways. They serve HTTP and SOCKS5 on one port.
const (
	GatewayUS = "gate-us.proxylite.com:9595"
	GatewayEU = "gate-eu.proxylite.com:9595"
)

// Gateway is traffic of an account through a gateway, without extraction. The
// user name says where the traffic is to come out; the gateway ignores what it
// does not understand there, so whatever it might ignore is an error here.
type Gateway struct {
	// Account as Accounts.List returns it: "pl-bob". A name without a hyphen
	// gets the prefix "pl-".
	Account  string
	Password proxylite.Password // as Accounts.List returns it, or NewPassword of a text
	Host     string             // host:port; default GatewayUS

	Area  string // country of two upper-case letters: "US"
	State string // letters and digits, without spaces: "NewYork"; needs Area
	City  string // the same
	// Life is how long a session keeps its IP, in whole minutes; needs a session.
	Life time.Duration
	// Session is an id of letters and digits: one id keeps one IP. Without it
	// each connection has a new one.
	Session string
}

// Username returns the user name that asks the gateway for all this, such as
// "pl-bob_area-US_life-30_session-a1". The error names the field that is wrong.
func (g Gateway) Username() (string, error) { //nolint:cyclop // one list of rules
	alnum := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool {
			return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
		})
	}
	country := len(g.Area) == 2 && strings.Trim(g.Area, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	prefix, name, ok := strings.Cut(g.Account, "-")
	if !ok {
		prefix, name = "pl", g.Account
	}
	for _, rule := range []struct {
		ok                 bool
		field, value, must string
	}{
		{prefix != "" && name != "" && alnum(prefix+name), "Account", g.Account, `must be letters and digits after a prefix, such as "pl-bob"`},
		{g.Area == "" || country, "Area", g.Area, `must be a country of two upper-case letters, such as "US"`},
		{alnum(g.State), "State", g.State, `must be letters and digits, without spaces: "NewYork"`},
		{alnum(g.City), "City", g.City, `must be letters and digits, without spaces: "LosAngeles"`},
		{g.Area != "" || g.State+g.City == "", "Area", "", "is required with State or City"},
		{g.Life >= 0 && g.Life%time.Minute == 0, "Life", g.Life.String(), "must be whole minutes, not negative: 30*time.Minute"},
		{g.Life == 0 || g.Session != "", "Life", g.Life.String(), "needs a Session"},
		{alnum(g.Session), "Session", g.Session, "must be letters and digits"},
	} {
		if !rule.ok {
			return "", fmt.Errorf("pool: Gateway.%s %s (got %q)", rule.field, rule.must, rule.value)
		}
	}
	user := prefix + "-" + name
	life := ""
	if g.Life > 0 {
		life = strconv.FormatInt(int64(g.Life/time.Minute), 10)
	}
	for _, part := range [][2]string{{"area", g.Area}, {"state", g.State}, {"city", g.City}, {"life", life}, {"session", g.Session}} {
		if part[1] != "" {
			user += "_" + part[0] + "-" + part[1]
		}
	}
	if len(user) > 255 {
		return "", fmt.Errorf("pool: the gateway user name must have at most 255 bytes, as SOCKS5 takes no more (got %d)", len(user))
	}
	return user, nil
}

// ParseGatewayUsername reads what [Gateway.Username] writes. What a gateway might
// ignore is an error: another order, an unknown or empty part.
func ParseGatewayUsername(user string) (Gateway, error) {
	parts := strings.Split(user, "_")
	g := Gateway{Account: parts[0]}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "-")
		switch key {
		case "area":
			g.Area = value
		case "state":
			g.State = value
		case "city":
			g.City = value
		case "session":
			g.Session = value
		case "life":
			minutes, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return Gateway{}, fmt.Errorf("pool: gateway user name: life must be whole minutes (got %q)", value)
			}
			g.Life = time.Duration(minutes) * time.Minute
		default:
			return Gateway{}, fmt.Errorf("pool: gateway user name: unknown part %q", part)
		}
	}
	again, err := g.Username()
	if err == nil && again != user {
		err = fmt.Errorf("pool: gateway user name: the gateway would not understand all of %q: it is written %q", user, again)
	}
	if err != nil {
		return Gateway{}, err
	}
	return g, nil
}

// Endpoint returns the gateway with the login.
func (g Gateway) Endpoint() (proxylite.Endpoint, error) {
	user, err := g.Username()
	if err != nil {
		return proxylite.Endpoint{}, err
	}
	if n := len(g.Password.Reveal()); n == 0 || n > 255 {
		return proxylite.Endpoint{}, errors.New("pool: Gateway.Password is required, and of at most 255 bytes")
	}
	e, err := proxylite.ParseEndpoint(cmp.Or(g.Host, GatewayUS))
	if err != nil || e.Username != "" {
		return proxylite.Endpoint{}, errors.New("pool: Gateway.Host must be host:port, such as " + GatewayUS)
	}
	e.Username, e.Password = user, g.Password
	return e, nil
}

// URL returns the proxy URL with the login, for the scheme "http" or "socks5".
func (g Gateway) URL(scheme string) (*url.URL, error) {
	e, err := g.Endpoint()
	if err != nil {
		return nil, err
	}
	return e.URL(scheme), nil
}

// Sessions is a source of n sticky sessions with ids of their own. One that ends,
// by Life or by failing, is replaced with a new one. Sessions are free; their
// traffic is not.
func (g Gateway) Sessions(n int) Source {
	s := Source{Size: n, OneLogin: true, Disposable: true}
	if n <= 0 || g.Session != "" {
		s.err = errors.New("pool: Gateway.Sessions needs a number of sessions, and makes their ids itself")
		return s
	}
	s.Fetch = func(_ context.Context, need int) ([]Proxy, error) {
		proxies := make([]Proxy, 0, need)
		for range need {
			session := g
			session.Session = rand.Text()[:16]
			e, err := session.Endpoint()
			if err != nil {
				return nil, err
			}
			p := Proxy{Endpoint: e}
			if g.Life > 0 {
				p.Expires = clock.AddTo(time.Now(), g.Life)
			}
			proxies = append(proxies, p)
		}
		return proxies, nil
	}
	_, s.err = s.Fetch(context.Background(), 1)
	return s
}

// Rotating is a source of the gateway as it is: without a Session each connection
// has a new IP, which [PerRequest] makes a new IP for each request.
func (g Gateway) Rotating() Source {
	e, err := g.Endpoint()
	s := Fixed(e)
	s.OneLogin, s.Rotating, s.err = true, true, err
	return s
}

// String names gateway and account, without the password.
func (g Gateway) String() string { return "gateway " + cmp.Or(g.Host, GatewayUS) + " for " + g.Account }

// GoString keeps the password out of %#v.
func (g Gateway) GoString() string { return "pool.Gateway(" + g.String() + ")" }

// LogValue keeps the password out of logs.
func (g Gateway) LogValue() slog.Value { return slog.StringValue(g.String()) }
