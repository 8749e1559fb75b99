package proxylite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Endpoint is an address that proxies traffic. The same host and port serve HTTP
// and SOCKS5. Most need no login: the caller's IP on the allow list is enough.
//
// Host and port are its identity: one host serves many ports.
type Endpoint struct {
	Host string `json:"host"` // an IP address without brackets, or a name
	Port int    `json:"port"`

	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"` // never in String, Format or slog

	// Raw is the entry as it was sent where it was an object, which nobody
	// documented; empty otherwise.
	Raw string `json:"raw,omitempty"`
}

// ParseEndpoint reads host:port, host:port:user:password, user:password@host:port
// and the same with an IPv6 address in brackets. The error does not repeat the
// input, which may hold a password.
func ParseEndpoint(s string) (Endpoint, error) {
	s = strings.TrimSpace(s)
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = strings.TrimSuffix(rest, "/")
	}
	var e Endpoint
	if login, rest, ok := cutLast(s, "@"); ok {
		e.Username, e.Password, _ = strings.Cut(login, ":")
		s = rest
	}
	var rest string
	var ok bool
	if inside, isV6 := strings.CutPrefix(s, "["); isV6 {
		e.Host, rest, ok = strings.Cut(inside, "]:")
		if addr, err := netip.ParseAddr(e.Host); err != nil || !addr.Is6() {
			ok = false
		}
	} else {
		e.Host, rest, ok = strings.Cut(s, ":")
	}
	port, login, hasLogin := strings.Cut(rest, ":")
	if hasLogin {
		ok = ok && e.Username == "" // two logins: which one holds?
		e.Username, e.Password, _ = strings.Cut(login, ":")
	}
	n, isPort := parsePort(port)
	if !ok || !isPort || !plausibleHost(e.Host) {
		return Endpoint{}, fmt.Errorf("proxylite: not a proxy endpoint: want host:port or host:port:user:password (%d bytes given)", len(s))
	}
	e.Port = n
	return e, nil
}

func parsePort(s string) (port int, ok bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && n > 0
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func plausibleHost(h string) bool {
	if h == "" || len(h) > 253 {
		return false
	}
	if strings.Trim(h, "0123456789.") == "" {
		_, err := netip.ParseAddr(h)
		return err == nil
	}
	for _, r := range h {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_', r == ':':
		default:
			return false
		}
	}
	return true
}

// Addr returns host:port, with brackets around an IPv6 address.
func (e Endpoint) Addr() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// URL returns the proxy URL for [net/http.ProxyURL] and its like, with the login
// where there is one. The scheme is "http", "https", "socks5" or "socks5h".
func (e Endpoint) URL(scheme string) *url.URL {
	u := &url.URL{Scheme: scheme, Host: e.Addr()}
	if e.Username != "" {
		u.User = url.UserPassword(e.Username, e.Password)
	}
	return u
}

// HTTP returns the URL for an HTTP proxy.
func (e Endpoint) HTTP() *url.URL { return e.URL("http") }

// SOCKS5 returns the URL for a SOCKS5 proxy.
func (e Endpoint) SOCKS5() *url.URL { return e.URL("socks5") }

// String returns host:port; the login is left out.
func (e Endpoint) String() string { return e.Addr() }

// GoString keeps the login out of %#v.
func (e Endpoint) GoString() string { return "proxylite.Endpoint(" + e.Addr() + ")" }

// LogValue keeps the login out of logs.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.Addr()) }

// UnmarshalJSON reads an entry in any of the forms the API is seen to use: the
// text of [ParseEndpoint], or an object with ip (or host) and port. It also reads
// what JSON makes of a zero Endpoint; null changes nothing.
func (e *Endpoint) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		var err error
		*e, err = ParseEndpoint(s)
		return err
	}
	type fields struct {
		IP, Host, Port, Username, User, Password, Pass, Raw text
	}
	var o fields
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if o == (fields{Port: "0"}) {
		*e = Endpoint{}
		return nil
	}
	parsed, err := ParseEndpoint(net.JoinHostPort(string(cmp.Or(o.IP, o.Host)), string(o.Port)))
	if err != nil {
		return err
	}
	parsed.Username, parsed.Password = string(cmp.Or(o.Username, o.User)), string(cmp.Or(o.Password, o.Pass))
	parsed.Raw = string(o.Raw)
	if o.Raw == "" && o.Host == "" {
		parsed.Raw = string(b)
	}
	*e = parsed
	return nil
}

// text takes a JSON string or number.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if s := string(b); s != "null" {
		*t = text(s)
	}
	return nil
}
