package proxylitetest_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/proxy"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

// socksRequest is a greeting without login, and a request for a name.
func socksRequest(t *testing.T, target string) []byte {
	t.Helper()
	host, port, err := net.SplitHostPort(target)
	require.NoError(t, err)
	n, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	b := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(host))}, host...)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

// socksReply asks for a tunnel without a login and returns the reply code.
func socksReply(t *testing.T, p *proxylitetest.Proxy, target string) byte {
	t.Helper()
	c := dial(t, p)
	_, err := c.Write(socksRequest(t, target))
	require.NoError(t, err)
	answer := make([]byte, 12)
	_, err = io.ReadFull(c, answer)
	require.NoError(t, err)
	require.Equal(t, []byte{5, 0, 5}, answer[:3])
	require.Equal(t, []byte{0, 1, 0, 0, 0, 0, 0, 0}, answer[4:])
	return answer[3]
}

func TestSOCKS5TakesEveryFormOfAddress(t *testing.T) {
	t.Parallel()
	target := listen(t, echo)
	_, port, _ := net.SplitHostPort(target)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{
		Username: "u", Password: "p", Hosts: map[string]string{"target.test": "127.0.0.1", "::1": "127.0.0.1"},
	})
	e := p.Endpoint()
	d, err := proxy.SOCKS5("tcp", e.Addr(), &proxy.Auth{User: e.Username, Password: e.Password.Reveal()}, nil)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "target.test", "::1"} {
		c, err := d.(proxy.ContextDialer).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		require.NoError(t, err)
		_, err = io.WriteString(c, "ping")
		require.NoError(t, err)
		got := make([]byte, 4)
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "ping", string(got))
		require.NoError(t, c.Close())
		require.Equal(t, net.JoinHostPort(host, port), p.Requests()[p.Stats().Requests-1].Target)
	}
}

func TestSOCKS5MayBeSentInOnePiece(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	c := dial(t, p)
	_, err := c.Write(append(socksRequest(t, listen(t, echo)), "early"...))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00early", string(got))
}

func TestSOCKS5RefusesWhatItCanNotDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sent, answer string }{
		{"BIND", "\x05\x01\x00" + "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00" + "\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"UDP", "\x05\x01\x00" + "\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00" + "\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"unknown kind of address", "\x05\x01\x00" + "\x05\x01\x00\x02\x00\x00\x00\x00", "\x05\x00" + "\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"GSSAPI only", "\x05\x01\x01", "\x05\xff"},
		{"no method", "\x05\x00", "\x05\xff"},
		{"SOCKS4 request", "\x05\x01\x00" + "\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00"},
		{"unknown login version", "\x05\x01\x02" + "\x02\x01u\x01p", "\x05\x02"},
		{"empty name", "\x05\x01\x00" + "\x05\x01\x00\x03\x00\x00\x50", "\x05\x00" + "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"login though none is asked for", "\x05\x01\x02" + "\x01\x01u\x00" + "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x02" + "\x01\x00" + "\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
			c := dial(t, p)
			_, err := io.WriteString(c, tt.sent)
			require.NoError(t, err)
			got, err := io.ReadAll(c)
			if err == nil { // bytes that were not read reset the connection
				require.Equal(t, tt.answer, string(got))
			}
			require.Zero(t, p.Stats().Tunnels)
		})
	}
}

func TestAClosedSOCKS5ClientLeavesNothing(t *testing.T) {
	t.Parallel()
	target := site(t, (*httptest.Server).StartTLS)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: "u", Password: "p"})
	whole := append([]byte("\x05\x01\x02\x01\x01u\x01p"), socksRequest(t, target.Listener.Addr().String())[3:]...)
	for n := range whole {
		c := dial(t, p)
		_, err := c.Write(whole[:n])
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { s := p.Stats(); return s.Connections == len(whole) && s.Open == 0 }, patience, time.Millisecond)
	require.Zero(t, p.Stats().Tunnels)
}

func TestADeadProxyEndsASOCKS5Delay(t *testing.T) {
	t.Parallel()
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	p.SetFault(proxylitetest.ProxyFault{Delay: time.Hour})
	d, err := proxy.SOCKS5("tcp", p.Endpoint().Addr(), nil, nil)
	require.NoError(t, err)
	failed := make(chan error)
	go func() {
		_, err := d.(proxy.ContextDialer).DialContext(t.Context(), "tcp", "127.0.0.1:1")
		failed <- err
	}()
	require.Eventually(t, func() bool { return p.Stats().Open == 1 }, patience, time.Millisecond)
	p.SetFault(proxylitetest.ProxyFault{Dead: true})
	require.Error(t, <-failed)
	require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)
}
