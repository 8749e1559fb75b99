package proxylitetest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

// Whatever a client sends, its connection ends when it has nothing more to say, and
// nothing is dialed for one that did not log in.
func FuzzProxy(f *testing.F) {
	for _, s := range []string{
		"", "\x05", "\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50", "\x05\x01\x02\x01\x01u\x01p\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "\x04\x01",
		"CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n", "GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	var dialed atomic.Int32
	locked := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{
		Auth: func(string, string) bool { return false },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			dialed.Add(1)
			return nil, syscall.ECONNREFUSED
		},
	})
	f.Cleanup(locked.Close)
	open := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED },
	})
	f.Cleanup(open.Close)
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, p := range []*proxylitetest.Proxy{locked, open} {
			c := dial(t, p)
			if _, err := c.Write(sent); err == nil {
				_ = c.CloseWrite()
			}
			_, err := io.Copy(io.Discard, c)
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				require.NoError(t, err)
			}
			_ = c.Close()
		}
		require.Zero(t, dialed.Load())
	})
}
