package pool

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// target is where a use goes. Both are empty where it is not known.
type target struct {
	host string // lower case, without a dot at the end
	addr string // host:port, or host where the port is not known
}

// targetOf reads a host name, host:port or a URL.
func targetOf(s string) target {
	if !strings.Contains(s, ":") {
		return newTarget(s, "")
	}
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return targetOfURL(u)
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
	if strings.Contains(host, ":") {
		if ip, err := netip.ParseAddr(host); err == nil {
			t.host = ip.Unmap().String()
		}
	}
	if t.addr = t.host; port != "" {
		t.addr = net.JoinHostPort(t.host, port)
	}
	return t
}

// checkRequest finds errors that no proxy could fix, before one is used for the request:
// net/http finds them later.
func checkRequest(req *http.Request) error {
	if err := checkURL(req.URL); err != nil {
		return err
	}
	switch u := req.URL; {
	case req.Method != "" && !isToken(req.Method):
		return fmt.Errorf("pool: invalid method %q", req.Method)
	case strings.ContainsFunc(u.Opaque, isControl), strings.ContainsFunc(u.RawQuery, isControl):
		return errors.New("pool: the URL has a control character")
	case strings.ContainsFunc(req.Host, isControl):
		return errors.New("pool: the Host of the request has a control character")
	case req.Body == nil && req.ContentLength > 0:
		return fmt.Errorf("pool: the request has a ContentLength of %d and no body", req.ContentLength)
	case req.Header == nil:
		return errors.New("pool: the Header of the request is nil")
	}
	return cmp.Or(checkHeader(req.Header), checkHeader(req.Trailer))
}

func checkURL(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("pool: the request has no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("pool: unsupported protocol scheme %q: only http and https go through a proxy", u.Scheme)
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("pool: the target has an invalid port: %q", port)
		}
	}
	return checkHost(u.Hostname())
}

func checkHeader(h http.Header) error {
	for name, values := range h {
		if !isToken(name) {
			return fmt.Errorf("pool: invalid name of a header field: %q", name)
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return isControl(r) && r != '\t' }) {
				return fmt.Errorf("pool: invalid value of the header field %q", name) // which may be a secret
			}
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isToken tells that s is a token of RFC 9110.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func checkHost(host string) error {
	name := strings.TrimSuffix(host, ".")
	if name == "" {
		return errors.New("pool: the target has no host")
	}
	if len(name) > 253 {
		return fmt.Errorf("pool: the name of the target is too long: %d bytes of at most 253", len(name))
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("\"/<>?@\\^`{|}#", r) }); i >= 0 {
		return fmt.Errorf("pool: the name of the target has an invalid character: %q", name[i])
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 {
			return fmt.Errorf("pool: the name of the target has a label of %d bytes, of at most 63", len(label))
		}
	}
	return nil
}
