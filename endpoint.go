package proxylite

import (
	"cmp"
	"encoding/json"
	"errors"
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
// Host and port together identify an endpoint, since one host may serve many ports.
type Endpoint struct {
	Host string `json:"host"` // an IP address without brackets, or a name
	Port int    `json:"port"`

	Username string   `json:"username,omitempty"`
	Password Password `json:"password,omitzero"`

	// Raw is the entry as the API sent it if it was an object, since its members are
	// not documented. Otherwise Raw is zero.
	Raw RawEntry `json:"raw,omitzero"`
}

// ParseEndpoint reads a proxy as vendors write it: host:port, host:port:user:password,
// user:password@host:port, host:port@user:password, user:password:host:port, or a
// URL. A password may contain colons and at signs; an IPv6 address needs brackets.
//
// The login in a URL is percent-decoded, so that ParseEndpoint reads what [Endpoint.URL]
// returns. Without a scheme, the login is not decoded. The scheme must be http, socks5 or
// socks5h, and is not kept. The error does not contain the input, which may have a
// password.
func ParseEndpoint(s string) (Endpoint, error) {
	s = strings.TrimSpace(s)
	n := len(s)
	scheme, rest, isURL := strings.Cut(s, "://")
	if isURL {
		s = strings.TrimSuffix(rest, "/")
		switch strings.ToLower(scheme) {
		case "http", "socks5", "socks5h":
		default:
			return Endpoint{}, errors.New("proxylite: not a proxy endpoint: the scheme must be http, socks5 or socks5h, " +
				`as an Endpoint does not keep it (for a proxy over TLS, give host:port and ask for URL("https"))`)
		}
	}
	for _, read := range []func(string) (Endpoint, bool){loginFirst, loginLast, loginAfterAt, loginBeforeColon} {
		e, ok := read(s)
		if !ok {
			continue
		}
		if isURL {
			e.Username, e.Password = unescaped(e.Username), NewPassword(unescaped(e.Password.Reveal()))
		}
		return e, nil
	}
	return Endpoint{}, fmt.Errorf("proxylite: not a proxy endpoint: want host:port or host:port:user:password (%d bytes given)", n)
}

// loginFirst reads host:port and user:password@host:port.
func loginFirst(s string) (Endpoint, bool) {
	login, address, hasLogin := cutLast(s, "@")
	if !hasLogin {
		return hostPort(s)
	}
	e, ok := hostPort(address)
	// host:port:user:p@ss:80 looks the same, but for where the better host is.
	if other, isOther := loginLast(s); isOther && (isIP(other.Host) || !strings.Contains(e.Host, ".") && strings.Contains(other.Host, ".")) {
		return Endpoint{}, false
	}
	e.setLogin(login)
	return e, ok
}

// loginLast reads host:port:user:password.
func loginLast(s string) (Endpoint, bool) {
	end := strings.IndexByte(s, ':')
	if strings.HasPrefix(s, "[") {
		end = strings.Index(s, "]:") + 1
	}
	if end <= 0 {
		return Endpoint{}, false
	}
	port, login, hasLogin := strings.Cut(s[end+1:], ":")
	e, ok := hostPort(s[:end+1] + port)
	e.setLogin(login)
	return e, ok && hasLogin
}

// loginAfterAt reads host:port@user:password.
func loginAfterAt(s string) (Endpoint, bool) {
	address, login, _ := strings.Cut(s, "@")
	e, ok := hostPort(address)
	e.setLogin(login)
	return e, ok
}

// loginBeforeColon reads user:password:host:port, where the host has a dot.
func loginBeforeColon(s string) (Endpoint, bool) {
	rest, port, _ := cutLast(s, ":")
	login, host, _ := cutLast(rest, ":")
	e, ok := hostPort(host + ":" + port)
	return e, ok && e.setLogin(login) && strings.Contains(host, ".")
}

// setLogin takes user:password and reports whether it has a password, if an empty one.
func (e *Endpoint) setLogin(login string) (hasPassword bool) {
	user, password, hasPassword := strings.Cut(login, ":")
	e.Username, e.Password = user, NewPassword(password)
	return hasPassword
}

func hostPort(s string) (e Endpoint, ok bool) {
	var port string
	if inside, isV6 := strings.CutPrefix(s, "["); isV6 {
		e.Host, port, ok = strings.Cut(inside, "]:")
		addr, err := netip.ParseAddr(e.Host)
		ok = ok && err == nil && addr.Is6()
	} else {
		e.Host, port, ok = strings.Cut(s, ":")
		ok = ok && plausibleHost(e.Host)
	}
	var isPort bool
	e.Port, isPort = parsePort(port)
	return e, ok && isPort
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// unescaped decodes a part of a URL's login, unless it was not encoded.
func unescaped(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
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

// URL returns the proxy URL, for [net/http.ProxyURL] and similar functions. It includes the
// login if there is one. The scheme is "http", "https", "socks5" or "socks5h".
func (e Endpoint) URL(scheme string) *url.URL {
	u := &url.URL{Scheme: scheme, Host: e.Addr()}
	if e.Username != "" || e.Password != (Password{}) {
		u.User = url.UserPassword(e.Username, e.Password.Reveal())
	}
	return u
}

// HTTP returns the URL for an HTTP proxy.
func (e Endpoint) HTTP() *url.URL { return e.URL("http") }

// SOCKS5 returns the URL for a SOCKS5 proxy.
func (e Endpoint) SOCKS5() *url.URL { return e.URL("socks5") }

// String returns host:port, without the login.
func (e Endpoint) String() string { return e.Addr() }

// LogValue returns the same text as String, for slog.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.Addr()) }

// UnmarshalJSON reads an entry in any form that the API is known to use: a string that
// [ParseEndpoint] accepts, or an object with ip (or host) and port. It also accepts the JSON
// of a zero Endpoint. null changes nothing.
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
		IP, Host, Port, Username, User text
		Password, Pass                 Password
		Raw                            RawEntry
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
	parsed.Username, parsed.Password = string(cmp.Or(o.Username, o.User)), cmp.Or(o.Password, o.Pass)
	parsed.Raw = o.Raw
	if o.Raw == (RawEntry{}) && o.Host == "" {
		parsed.Raw = NewRawEntry(b)
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
