package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o, err := startOrigin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	return o
}

// Two requests on one connection are kept apart, each to its last byte.
func TestRequestsAreKeptAsTheyCame(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	conn, err := net.Dial("tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	sent := []string{
		"POST /end-point/order/create?call=a&app_key=" + key + " HTTP/1.1\r\nhost:  odd\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"pid\":90\r\n2\r\n1}\r\n0\r\n\r\n",
		"GET /end-point/user/info?call=b&app_key=" + key + " HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	for i, text := range sent {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		got := o.received()[i]
		if string(got.raw) != text || got.id != string(rune('a'+i)) || got.framed() != (i == 0) {
			t.Errorf("got %q, want %q", got.raw, text)
		}
	}
}
