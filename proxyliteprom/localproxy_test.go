package proxyliteprom_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxyliteprom"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestLocalProxy(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(site.Close)
	p, err := pool.New(pool.Fixed(proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{}).Endpoint()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	server, err := localproxy.New(p, localproxy.WithPrivateTargets())
	require.NoError(t, err)
	reg := registry(t, proxyliteprom.NewLocalProxyCollector("browser", server))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() { _ = server.Serve(listener); close(served) }()

	through := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: listener.Addr().String()})}
	resp, err := (&http.Client{Transport: through}).Get(site.URL)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	through.CloseIdleConnections()
	require.NoError(t, server.Shutdown(context.Background()))
	<-served
	expect(t, reg, `
# HELP proxylite_localproxy_active Tunnels and requests under way.
# TYPE proxylite_localproxy_active gauge
proxylite_localproxy_active{proxy="browser"} 0
# HELP proxylite_localproxy_refused_total Requests refused, or failed without a response of the target.
# TYPE proxylite_localproxy_refused_total counter
proxylite_localproxy_refused_total{proxy="browser"} 0
# HELP proxylite_localproxy_requests_total Requests admitted, with tunnels.
# TYPE proxylite_localproxy_requests_total counter
proxylite_localproxy_requests_total{proxy="browser"} 1
`, "proxylite_localproxy_active", "proxylite_localproxy_requests_total", "proxylite_localproxy_refused_total")
}
