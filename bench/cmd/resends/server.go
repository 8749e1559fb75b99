package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// server plays a fault to every request but those of the warm-up.
type server struct {
	fault fault
	url   string
	ln    net.Listener
	read  atomic.Int64 // requests, to their end

	warm    chan struct{} // a request of the warm-up has come
	release chan struct{} // all have come, and may be answered

	mu    sync.Mutex
	conns []net.Conn
}

const warmUp = "/warm"

func newServer(f fault) (*server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{fault: f, url: "http://" + ln.Addr().String(), ln: ln, warm: make(chan struct{}), release: make(chan struct{})}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			if f.h1 != nil {
				go s.serve1(conn)
			} else {
				go s.serve2(conn)
			}
		}
	}()
	return s, nil
}

func (s *server) close() {
	_ = s.ln.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
}

// warmUp opens the connections, by as many requests at once.
func (s *server) warmUp(client *http.Client) error {
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = s.fault.warm
	ended := make(chan error)
	for range s.fault.warm {
		go func() {
			resp, err := client.Get(s.url + warmUp)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			ended <- err
		}()
	}
	for range s.fault.warm {
		select {
		case <-s.warm:
		case <-time.After(10 * time.Second):
			return errors.New("a connection of the warm-up does not come")
		}
	}
	close(s.release)
	for range s.fault.warm {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// exchange1 is a request over HTTP/1 that was read.
type exchange1 struct{ net.Conn }

func (e *exchange1) close() { _ = e.Close() }

func (e *exchange1) reset() {
	_ = e.Conn.(*net.TCPConn).SetLinger(0)
	_ = e.Close()
}

func (s *server) serve1(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if r.URL.Path == warmUp {
			s.warm <- struct{}{}
			<-s.release
		} else if s.read.Add(1) <= int64(s.fault.times) {
			s.fault.h1(&exchange1{conn})
			continue // until it is closed
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			return
		}
	}
}

// exchange2 is a request over HTTP/2 that was read.
type exchange2 struct {
	*http2.Framer
	conn   net.Conn
	stream uint32
}

func (e *exchange2) close()  { _ = e.conn.Close() }
func (e *exchange2) goAway() { _ = e.WriteGoAway(max(e.stream, 2)-2, http2.ErrCodeNo, nil) }

func rst(code http2.ErrCode) func(*exchange2) {
	return func(e *exchange2) { _ = e.WriteRSTStream(e.stream, code) }
}

func (e *exchange2) answer() {
	var head bytes.Buffer
	_ = hpack.NewEncoder(&head).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = e.WriteHeaders(http2.HeadersFrameParam{StreamID: e.stream, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true})
}

func (s *server) serve2(conn net.Conn) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			_ = f.WriteSettingsAck()
		}
		if end, ok := frame.(interface{ StreamEnded() bool }); !ok || !end.StreamEnded() {
			continue
		}
		e := &exchange2{f, conn, frame.Header().StreamID}
		if s.read.Add(1) <= int64(s.fault.times) {
			s.fault.h2(e)
		} else {
			e.answer()
		}
	}
}
