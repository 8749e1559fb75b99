package proxylitetest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The numbers of RFC 1928 and, for the login, RFC 1929.
const (
	socksVersion = 5
	loginVersion = 1

	methodNone     = 0
	methodLogin    = 2
	methodRejected = 0xff

	commandConnect = 1

	addressIPv4   = 1
	addressDomain = 3
	addressIPv6   = 4

	replyGeneralFailure     = 1
	replyNotAllowed         = 2
	replyHostUnreachable    = 4
	replyConnectionRefused  = 5
	replyCommandUnsupported = 7
	replyAddressUnsupported = 8
)

// serveSOCKS5 goes on after the first byte. What is not SOCKS5 ends it without an
// reply.
func (p *Proxy) serveSOCKS5(c *clientConn) {
	request := &ProxyRequest{Protocol: protocolSOCKS5}
	if !p.socksLogin(c, request) {
		return
	}
	target, reply, err := readSOCKSTarget(c)
	if err != nil {
		return
	}
	request.Target, request.Time = target, p.opts.Now()
	fault, err := p.admit(c.ctx, request, true)
	if err == nil && reply != 0 {
		err = &proxyRefusal{status: http.StatusNotImplemented, reply: reply}
	}
	var conn net.Conn
	if err == nil {
		conn, err = p.dial(c.ctx, "tcp", target)
	}
	request.Status = http.StatusOK
	if err != nil {
		own := &proxyRefusal{status: http.StatusBadGateway}
		_ = errors.As(err, &own)
		request.Status, request.Refused = own.status, true
		reply = max(own.reply, replyGeneralFailure)
	}
	p.record(request)
	// The bound address is of no use for CONNECT: zeros, as many proxies send.
	_, _ = c.Write([]byte{socksVersion, reply, 0, addressIPv4, 0, 0, 0, 0, 0, 0})
	if conn == nil {
		_ = c.CloseWrite()
		return
	}
	defer conn.Close()
	_ = c.SetReadDeadline(time.Time{})
	p.tunnel(c, strings.NewReader(""), conn, fault)
}

// socksLogin agrees on a method and reads the login where one is asked for.
func (p *Proxy) socksLogin(c *clientConn, request *ProxyRequest) bool {
	methods, err := readCounted(c)
	if err != nil {
		return false
	}
	p.mu.Lock()
	wrong := p.fault.Status == http.StatusProxyAuthRequired
	p.mu.Unlock()
	method := byte(methodRejected)
	switch open := !wrong && p.login("", "", false); {
	case open && slices.Contains(methods, methodNone):
		method = methodNone
	case slices.Contains(methods, methodLogin):
		method = methodLogin
	}
	_, _ = c.Write([]byte{socksVersion, method})
	switch method {
	case methodNone:
		return true
	case methodLogin:
		var version [1]byte
		if _, err := io.ReadFull(c, version[:]); err != nil || version[0] != loginVersion {
			return false
		}
		username, err := readCounted(c)
		if err != nil {
			return false
		}
		password, err := readCounted(c)
		if err != nil {
			return false
		}
		request.Username = string(username)
		if !wrong && p.login(string(username), string(password), true) {
			_, _ = c.Write([]byte{loginVersion, 0})
			return true
		}
	}
	request.Time, request.Expired = p.opts.Now(), p.expired()
	request.Status, request.Refused = http.StatusProxyAuthRequired, true
	p.record(request)
	if method == methodLogin {
		_, _ = c.Write([]byte{loginVersion, 1})
	}
	_ = c.CloseWrite()
	return false
}

// readSOCKSTarget reads a request. The reply is what refuses one that is not for
// us, 0 otherwise.
func readSOCKSTarget(c io.Reader) (target string, reply byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return "", 0, err
	}
	var host string
	switch head[3] {
	case addressIPv4, addressIPv6:
		ip := make([]byte, 4)
		if head[3] == addressIPv6 {
			ip = make([]byte, 16)
		}
		_, err = io.ReadFull(c, ip)
		addr, _ := netip.AddrFromSlice(ip)
		host = addr.String()
	case addressDomain:
		var name []byte
		name, err = readCounted(c)
		host = string(name)
	default:
		return "", replyAddressUnsupported, nil
	}
	var port [2]byte
	if err == nil {
		_, err = io.ReadFull(c, port[:])
	}
	switch {
	case err != nil:
		return "", 0, err
	case head[0] != socksVersion:
		return "", 0, errors.New("proxylitetest: not SOCKS5")
	case head[1] != commandConnect:
		reply = replyCommandUnsupported
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port[:])))), reply, nil
}

// readCounted reads bytes that are led by their count.
func readCounted(c io.Reader) ([]byte, error) {
	var n [1]byte
	if _, err := io.ReadFull(c, n[:]); err != nil {
		return nil, err
	}
	b := make([]byte, n[0])
	_, err := io.ReadFull(c, b)
	return b, err
}
