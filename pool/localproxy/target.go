package localproxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// check decides on a target. It returns host:port in one spelling, and the host.
func (s *Server) check(target string) (addr, host string, err error) {
	host, port, err := splitTarget(target)
	if err != nil {
		return "", "", &refusal{status: 400, reason: "bad_target", message: err.Error()}
	}
	ip, _ := netip.ParseAddr(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case (local || ip.IsValid() && ofThisMachine(ip)) && s.isOwn(port):
		return "", "", forbidden("own_port", "%s is this proxy", target)
	case !s.private && (local || ip.IsValid() && isPrivate(ip)):
		return "", "", forbidden("private_target", "%s is a private address", host)
	case len(s.allowed) > 0 && !slices.ContainsFunc(s.allowed, func(p pattern) bool { return p.matches(host, port) }):
		return "", "", forbidden("target_not_allowed", "%s:%d is not on the list of allowed targets", host, port)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), host, nil
}

func (s *Server) isOwn(port int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, own := s.own[port]
	return own
}

// splitTarget reads host:port. What a resolver might take for an IP in another spelling
// (127.1, 0x7f000001) is an error, as are names that no resolver knows.
func splitTarget(target string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(target)
	if err != nil {
		return "", 0, fmt.Errorf("the target must be host:port, not %.300q", target)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 || p[0] == '+' || p[0] == '0' {
		return "", 0, fmt.Errorf("the port of the target must be 1 to 65535: %.300q", target)
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", 0, fmt.Errorf("the target has a zone: %.300q", target)
		}
		return ip.Unmap().String(), int(n), nil
	}
	if err := checkName(host); err != nil {
		return "", 0, err
	}
	return host, int(n), nil
}

const nameBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_."

func checkName(name string) error {
	if name == "" || len(name) > 253 {
		return fmt.Errorf("the name of the target must have 1 to 253 bytes: %.300q", name)
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if last = label; label == "" || len(label) > 63 {
			return fmt.Errorf("the name of the target has a label of %d bytes: %q", len(label), name)
		}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(nameBytes, r) }) {
		return fmt.Errorf("the name of the target has other than letters, digits, hyphens and underscores (use xn-- for others): %q", name)
	}
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return fmt.Errorf("the target is neither a name nor an IP address: %q", name)
	}
	return nil
}

// ofThisMachine tells that a connection to the address may come back here.
func ofThisMachine(ip netip.Addr) bool {
	if ip = embedded(ip); ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		own, _ := netip.AddrFromSlice(n.IP)
		return ok && own.Unmap() == ip
	})
}

var (
	notPublic = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // shared by customers of a provider
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("fec0::/10"),
	}
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
)

func isPrivate(ip netip.Addr) bool {
	ip = embedded(ip)
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return true
	}
	return slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// embedded returns the IPv4 address that an IPv6 address leads to.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixTo4.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

// pattern is an allowed target.
type pattern struct {
	host string
	sub  bool // its subdomains, not itself
	port int  // 0: any
}

func parsePattern(s string) (pattern, error) {
	var p pattern
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return p, fmt.Errorf("localproxy: the port of an allowed target must be 1 to 65535: %q", s)
		}
		host, p.port = h, int(n)
	}
	host, p.sub = strings.CutPrefix(host, "*.")
	name, _, err := splitTarget(net.JoinHostPort(strings.Trim(host, "[]"), "1"))
	if err != nil {
		return p, fmt.Errorf("localproxy: allowed target %q: %w", s, err)
	}
	p.host = name
	return p, nil
}

func (p pattern) matches(host string, port int) bool {
	if p.port != 0 && p.port != port {
		return false
	}
	if p.sub {
		return strings.HasSuffix(host, "."+p.host)
	}
	return host == p.host
}
