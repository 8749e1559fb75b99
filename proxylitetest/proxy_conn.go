package proxylitetest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// handshakeTimeout is how long a client may take to say what it wants.
const handshakeTimeout = time.Minute

// accept takes connections and hands them to the protocol that their first byte
// belongs to.
func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(5 * time.Millisecond): // out of files, most likely: others will be closed
				continue
			}
		}
		c := &clientConn{Conn: conn}
		c.ctx, c.cancel = context.WithCancel(context.WithValue(p.ctx, clientConnKey{}, c))
		p.mu.Lock()
		if p.closed || p.fault.Dead {
			p.mu.Unlock()
			reset(c)
			continue
		}
		p.conns[c] = struct{}{}
		p.stats.Connections++
		p.mu.Unlock()
		p.running.Add(1)
		go p.sniff(c)
	}
}

func (p *Proxy) sniff(c *clientConn) {
	_ = c.SetReadDeadline(time.Now().Add(handshakeTimeout))
	_, err := io.ReadFull(c.Conn, c.first[:])
	switch first := c.first[0]; {
	case err == nil && first == socksVersion:
		p.serveSOCKS5(c)
	case err == nil && '!' <= first && first <= '~': // SOCKS4 or TLS, as HTTP, would wait for the end of a line
		c.unread = true
		_ = c.SetReadDeadline(time.Time{})
		select {
		case p.handover <- c:
			return
		case <-p.ctx.Done():
		}
	}
	p.finish(c)
}

// finish ends what accept began, once for each connection.
func (p *Proxy) finish(c *clientConn) {
	_ = c.Close()
	c.cancel()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	p.running.Done()
}

// clientConnKey is the key of a connection in its context.
type clientConnKey struct{}

// clientConn is a connection from a client.
type clientConn struct {
	net.Conn
	ctx      context.Context // holds the connection itself, and ends with it
	cancel   context.CancelFunc
	first    [1]byte
	unread   bool         // first is still to be read
	cutAfter atomic.Int64 // bytes to the client before it is reset, plus one; 0: never
	hijacked atomic.Bool
}

var errCut = errors.New("proxylitetest: connection reset on purpose")

func (c *clientConn) Read(b []byte) (int, error) {
	if c.unread && len(b) > 0 {
		c.unread = false
		b[0] = c.first[0]
		return 1, nil
	}
	return c.Conn.Read(b)
}

func (c *clientConn) Write(b []byte) (int, error) {
	armed := c.cutAfter.Load()
	if armed == 0 {
		return c.Conn.Write(b)
	}
	left := armed - 1
	if left > int64(len(b)) {
		c.cutAfter.Add(-int64(len(b)))
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:left])
	reset(c)
	return n, errCut
}

// CloseWrite lets net/http end a connection without losing its last response.
func (c *clientConn) CloseWrite() error { return closeWrite(c.Conn) }

// cutBy arms the Reset of a fault.
func (c *clientConn) cutBy(f ProxyFault) {
	c.cutAfter.Store(0)
	if f.Reset {
		c.cutAfter.Store(max(f.ResetAfter, 0) + 1)
	}
}

// reset closes a connection so that the other side sees it break.
func reset(c net.Conn) {
	if client, ok := c.(*clientConn); ok {
		client.cancel()
		c = client.Conn
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// tunnel copies both ways until both sides have ended or one has failed. Early is
// what the client has sent already.
func (p *Proxy) tunnel(client *clientConn, early io.Reader, target net.Conn, f ProxyFault) {
	// A target that does not read would hold up the end of a client that was cut.
	defer context.AfterFunc(client.ctx, func() { reset(target) })()
	if f.Reset && f.ResetAfter <= 0 {
		reset(client)
		return
	}
	client.cutBy(f)
	pass := func(dst, src net.Conn, from io.Reader) {
		if _, err := io.Copy(dst, from); err != nil || closeWrite(dst) != nil {
			// The other side must not take a broken stream for a whole one.
			reset(src)
			reset(dst)
		}
	}
	var up sync.WaitGroup
	up.Go(func() { pass(target, client, livingReader{p, io.MultiReader(early, client)}) })
	pass(client, target, target)
	up.Wait()
}

// livingReader fails when something is read after the life of the proxy.
type livingReader struct {
	p *Proxy
	io.Reader
}

func (r livingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 && r.p.expired() {
		return 0, errCut
	}
	return n, err
}
