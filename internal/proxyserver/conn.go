package proxyserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// connKey is the key of a connection in its context.
type connKey struct{}

// conn is a connection from a client.
type conn struct {
	net.Conn                 // as the handler has wrapped it
	raw      net.Conn        // as it was accepted
	ctx      context.Context // holds the connection itself, and ends with it
	cancel   context.CancelFunc
	unread   []byte // was read, and is still to be served
	sniffing atomic.Bool
	hijacked atomic.Bool
}

func (c *conn) Read(b []byte) (int, error) {
	if len(c.unread) > 0 {
		n := copy(b, c.unread)
		if c.unread = c.unread[n:]; len(c.unread) == 0 {
			c.unread = nil // and its buffer
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

// watch returns a context that ends when the client goes while its target is connected
// to, if that takes long. Nothing else may read from r until stop has returned.
func (c *conn) watch(r *bufio.Reader) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	done := make(chan struct{})
	_ = c.raw.SetReadDeadline(time.Time{})
	timer := time.AfterFunc(time.Second, func() {
		defer close(done)
		if _, err := r.Peek(1); err != nil {
			cancel()
		}
	})
	return ctx, func() {
		if !timer.Stop() {
			_ = c.raw.SetReadDeadline(time.Unix(1, 0))
			<-done
			_ = c.raw.SetReadDeadline(time.Time{})
		}
		cancel()
	}
}

// CloseWrite lets net/http end a connection without losing its last response.
func (c *conn) CloseWrite() error { return closeWrite(c.raw) }

// reset closes the connection so that the client sees it break.
func (c *conn) reset() {
	c.cancel()
	Reset(c.raw)
}

// Reset closes a connection so that the other side sees it break.
func Reset(c net.Conn) {
	if l, ok := find[interface{ SetLinger(sec int) error }](c); ok {
		_ = l.SetLinger(0)
	}
	_ = c.Close()
}

func closeWrite(c net.Conn) error {
	if half, ok := find[interface{ CloseWrite() error }](c); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// find looks for a method in a connection, and in those that it wraps.
func find[T any](c net.Conn) (T, bool) {
	for {
		if t, ok := c.(T); ok {
			return t, true
		}
		wrapping, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return *new(T), false
		}
		c = wrapping.NetConn()
	}
}

// tunnel copies both ways until both sides have ended or one has failed, and finishes
// the connection. Early is what the client has sent already.
func (s *Server) tunnel(client *conn, early []byte, target net.Conn) {
	defer s.finish(client)
	defer target.Close()
	// A target that does not read would hold up the end of a client that was cut.
	defer context.AfterFunc(client.ctx, func() { Reset(target) })()
	pass := func(dst, src net.Conn, early []byte, end func() error) {
		var err error
		if len(early) > 0 {
			_, err = dst.Write(early)
		}
		if err != nil || stream(dst, src) != nil || end() != nil {
			// The other side must not take a broken stream for a whole one.
			client.reset()
			Reset(target)
		}
	}
	var up sync.WaitGroup
	up.Go(func() { pass(target, client.Conn, early, func() error { return closeWrite(target) }) })
	pass(client.Conn, target, nil, client.CloseWrite)
	up.Wait()
}

// Messages up to messageSize are copied by hand, so that a tunnel at rest holds
// little memory. What is larger goes on as io.Copy does it, without leaving the kernel
// where it can, until it stalls for so long: splicing holds a pipe.
const (
	messageSize = 2 << 10
	stall       = time.Second
)

// stream copies until the end of src.
func stream(dst, src net.Conn) error {
	buf := make([]byte, messageSize)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n < len(buf):
			continue
		}
		_ = src.SetReadDeadline(time.Now().Add(stall))
		_, err = io.Copy(dst, src)
		_ = src.SetReadDeadline(time.Time{})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}
