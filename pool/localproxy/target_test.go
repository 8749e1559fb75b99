package localproxy_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/localproxy"
)

func TestPrivateTargetsAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	_, port, _ := net.SplitHostPort(l.addr)
	for target, reason := range map[string]string{
		"127.0.0.1:80": "private_target", "10.1.2.3:80": "private_target", "192.168.0.1:80": "private_target", "169.254.169.254:80": "private_target",
		"[::1]:80": "private_target", "[fe80::1]:80": "private_target", "[fd00::1]:80": "private_target", "[::ffff:127.0.0.1]:80": "private_target",
		"[64:ff9b::7f00:1]:80": "private_target", "[2002:7f00:1::]:80": "private_target", "0.0.0.0:80": "private_target", "100.64.0.1:80": "private_target",
		"224.0.0.1:80": "private_target", "255.255.255.255:80": "private_target", "localhost:80": "private_target", "LOCALHOST.:80": "private_target",
		"a.localhost:80": "private_target", "127.0.0.1.:80": "private_target",
		"127.0.0.1:" + port: "own_port", "127.9.9.9:" + port: "own_port", "localhost:" + port: "own_port", "0.0.0.0:" + port: "own_port", "[::1]:" + port: "own_port",
	} {
		resp, _, _ := l.connect(target, "")
		require.Equal(t, []any{403, reason}, []any{resp.StatusCode, resp.Header.Get("Proxylite-Reason")}, target)
	}
	resp, _ := l.get(l.client("http", ""), "http://127.0.0.1/")
	require.Equal(t, 403, resp.StatusCode)
	require.Equal(t, []int{0}, l.used())

	// Asked for, they are passed on, but for the proxy itself.
	l.local, l.addr = serve(t, l.pool, localproxy.WithPrivateTargets())
	resp, _ = l.get(l.client("http", ""), l.site.URL)
	require.Equal(t, 200, resp.StatusCode)
	resp, _, _ = l.connect(l.addr, "")
	require.Equal(t, []any{403, "own_port"}, []any{resp.StatusCode, resp.Header.Get("Proxylite-Reason")})
}

func TestOnlyAllowedTargets(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil, localproxy.WithTargets("site.test:80", "*.Example.org"), localproxy.WithTargets("192.0.2.1"), localproxy.WithConnectTimeout(20*time.Millisecond))
	for target, allowed := range map[string]bool{
		"site.test:80": true, "SITE.test.:80": true, "site.test:81": false, "a.site.test:80": false, "example.org:80": false,
		"a.example.org:1": true, "a.b.example.org:443": true, "badexample.org:443": false, "192.0.2.1:5": true, "192.0.2.2:5": false,
	} {
		resp, _, _ := l.connect(target, "")
		if refused := resp.Header.Get("Proxylite-Reason") == "target_not_allowed"; refused == allowed {
			t.Errorf("%s: %d %s", target, resp.StatusCode, resp.Header.Get("Proxylite-Reason"))
		}
	}
	for _, bad := range []string{"", "a b", "https://a.test", "a.test:0", "*.", "*", "a.*.test"} {
		_, err := localproxy.New(l.pool, localproxy.WithTargets(bad))
		require.Error(t, err, "%q", bad)
	}
}
