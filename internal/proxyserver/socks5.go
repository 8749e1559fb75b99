package proxyserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
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
)

// The replies of a SOCKS5 proxy, for [Refusal].
const (
	ReplyGeneralFailure     = 1
	ReplyNotAllowed         = 2
	ReplyHostUnreachable    = 4
	ReplyConnectionRefused  = 5
	ReplyCommandUnsupported = 7
	ReplyAddressUnsupported = 8
)

// serveSOCKS5 serves a connection. What is not SOCKS5 ends it without a reply.
func (s *Server) serveSOCKS5(c *conn, buffered *bufio.Reader) {
	_, _ = buffered.Discard(1) // the version
	r := &Request{Protocol: SOCKS5, Conn: c.Conn, Context: c.ctx}
	target := s.socksConnect(c, r, buffered)
	if target == nil {
		s.finish(c)
		return
	}
	go s.tunnel(c, rest(buffered), target) // on a stack of its own, which is smaller
}

// socksConnect returns the connection to the target, or nil if it has refused.
func (s *Server) socksConnect(c *conn, r *Request, buffered *bufio.Reader) net.Conn {
	if !s.socksLogin(c, r, buffered) {
		return nil
	}
	target, reply, err := ReadTarget(buffered)
	if err != nil {
		return nil
	}
	r.Target = target
	var conn net.Conn
	if reply != 0 {
		err = &Refusal{Status: http.StatusNotImplemented, Reply: reply, Text: "SOCKS5: only CONNECT to a name or an IP"}
	} else {
		var stop func()
		r.Context, stop = c.watch(buffered)
		conn, err = s.handler.Connect(c.ctx, r)
		stop()
	}
	if err != nil {
		reply = max(s.handler.Refuse(r, err).Reply, ReplyGeneralFailure)
	}
	// The bound address is of no use for CONNECT: zeros, as many proxies send.
	_, _ = c.Write([]byte{socksVersion, reply, 0, addressIPv4, 0, 0, 0, 0, 0, 0})
	if conn == nil {
		_ = c.CloseWrite()
	}
	return conn
}

// socksLogin agrees on a method and reads the login where one is asked for.
func (s *Server) socksLogin(c *conn, r *Request, buffered *bufio.Reader) bool {
	methods, err := readCounted(buffered)
	if err != nil {
		return false
	}
	method := byte(methodRejected)
	r.OffersLogin = slices.Contains(methods, methodLogin)
	switch open := s.handler.Login(r); {
	case open && slices.Contains(methods, methodNone):
		method = methodNone
	case r.OffersLogin:
		method = methodLogin
	}
	_, _ = c.Write([]byte{socksVersion, method})
	switch method {
	case methodNone:
		return true
	case methodLogin:
		if readLogin(buffered, r) != nil {
			return false
		}
		if s.handler.Login(r) {
			_, _ = c.Write([]byte{loginVersion, 0})
			return true
		}
	}
	_ = s.handler.Refuse(r, &Refusal{Status: http.StatusProxyAuthRequired, Reply: ReplyNotAllowed, Text: "wrong login"})
	if method == methodLogin {
		_, _ = c.Write([]byte{loginVersion, 1})
	}
	_ = c.CloseWrite()
	return false
}

func readLogin(c io.Reader, r *Request) error {
	var version [1]byte
	if _, err := io.ReadFull(c, version[:]); err != nil {
		return err
	}
	if version[0] != loginVersion {
		return errors.New("not a login")
	}
	username, err := readCounted(c)
	if err != nil {
		return err
	}
	password, err := readCounted(c)
	r.Username, r.Password, r.HasLogin = string(username), string(password), err == nil
	return err
}

// ReadTarget reads a SOCKS5 request. The reply is what refuses one that is not for
// us, 0 otherwise.
func ReadTarget(c io.Reader) (target string, reply byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return "", 0, err
	}
	if head[0] != socksVersion {
		return "", 0, errors.New("not SOCKS5")
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
		return "", ReplyAddressUnsupported, nil
	}
	var port [2]byte
	if err == nil {
		_, err = io.ReadFull(c, port[:])
	}
	switch {
	case err != nil:
		return "", 0, err
	case head[1] != commandConnect:
		reply = ReplyCommandUnsupported
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
