package pool

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// target is where a use goes. Both are empty where it is not known.
type target struct {
	host string // lower case, without a dot at the end
	addr string // host:port, or host where the port is not known
}

// targetOf reads a host name or host:port.
func targetOf(s string) target {
	if !strings.Contains(s, ":") {
		return newTarget(s, "")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host = strings.Trim(s, "[]")
		port = ""
	}
	return newTarget(host, port)
}

func targetOfURL(u *url.URL) target {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	t := newTarget(u.Hostname(), "")
	if u.Host[len(u.Host)-len(u.Port()):] == port && strings.HasPrefix(u.Host, t.host) && len(u.Host) == len(t.host)+1+len(port) {
		t.addr = u.Host // as it is, which saves an allocation
		return t
	}
	t.addr = net.JoinHostPort(t.host, port)
	return t
}

func newTarget(host, port string) target {
	t := target{host: strings.TrimSuffix(strings.ToLower(host), ".")}
	if t.addr = t.host; port != "" {
		t.addr = net.JoinHostPort(t.host, port)
	}
	return t
}

// checkRequest finds errors that no proxy could fix, before one is used for the request.
func checkRequest(req *http.Request) error {
	if req.URL == nil {
		return errors.New("pool: the request has no URL")
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return fmt.Errorf("pool: unsupported protocol scheme %q: only http and https go through a proxy", req.URL.Scheme)
	}
	return checkHost(req.URL.Hostname())
}

func checkHost(host string) error {
	name := strings.TrimSuffix(host, ".")
	if name == "" {
		return errors.New("pool: the target has no host")
	}
	if len(name) > 253 {
		return fmt.Errorf("pool: the name of the target is too long: %d bytes of at most 253", len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 {
			return fmt.Errorf("pool: the name of the target has a label of %d bytes, of at most 63", len(label))
		}
	}
	return nil
}
