package localproxy_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// 64 clients make connections over all protocols while a fifth of the upstreams dies:
// hardly one fails, and the target sees nobody but upstreams. PROXYLITE_LONG makes it 200
// connections of each client.
func TestAStorm(t *testing.T) {
	t.Parallel()
	const clients, upstreams = 64, 50
	each := 40
	if os.Getenv("PROXYLITE_LONG") != "" {
		each = 200
	}
	var dialed sync.Map // address of an upstream's end → true
	var strangers, served atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if _, ok := dialed.Load(r.RemoteAddr); !ok {
			strangers.Add(1)
		}
		_, _ = io.WriteString(w, "hello")
	})
	site, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that are cut
	secure.StartTLS()
	defer site.Close()
	defer secure.Close()
	var list []*proxylitetest.Proxy
	var endpoints []proxylite.Endpoint
	for range upstreams {
		u := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{
			Username: "bob", Password: "secret",
			Hosts: map[string]string{"site.test": site.Listener.Addr().String(), "example.com": secure.Listener.Addr().String()},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err == nil {
					dialed.Store(c.LocalAddr().String(), true)
				}
				return c, err
			},
		})
		list, endpoints = append(list, u), append(endpoints, u.Endpoint())
	}
	p, err := pool.New(pool.Fixed(endpoints...))
	require.NoError(t, err)
	defer p.Close()
	local, addr := serve(t, p)

	trusted := secure.Client().Transport.(*http.Transport).TLSClientConfig
	var sent, failed atomic.Int64
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() {
			kinds := []struct{ proxy, target string }{
				{"http://", "https://example.com/"}, {"http://", "http://site.test/"}, {"socks5://", "https://example.com/"}, {"socks5://", "http://site.test/"},
			}
			kind := kinds[i%len(kinds)]
			proxy, _ := url.Parse(kind.proxy + addr)
			tr := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted.RootCAs}}
			c := &http.Client{Transport: tr, Timeout: patience}
			for range each {
				if n := sent.Add(1); n%int64(clients*each/(upstreams/5)) == 0 { // the next one dies
					list[n/int64(clients*each/(upstreams/5))-1].SetFault(proxylitetest.ProxyFault{Dead: true})
				}
				resp, err := c.Get(kind.target)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				if err != nil || resp.StatusCode != 200 {
					failed.Add(1)
				}
			}
		})
	}
	begin := time.Now()
	work.Wait()
	dead := 0
	for _, u := range list {
		if c, err := net.Dial("tcp", u.Endpoint().Addr()); err == nil {
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := c.Write([]byte("\x05\x00")); err == nil {
				_, err = c.Read(make([]byte, 1))
				if err != nil && err != io.EOF {
					dead++
				}
			}
			_ = c.Close()
		} else {
			dead++
		}
	}
	t.Logf("%d requests in %v, %d failed, %d upstreams died, %+v", sent.Load(), time.Since(begin), failed.Load(), dead, p.Stats())
	require.EqualValues(t, clients*each, sent.Load())
	require.Equal(t, upstreams/5, dead)
	require.LessOrEqual(t, failed.Load(), sent.Load()/100)
	require.GreaterOrEqual(t, served.Load(), sent.Load()-failed.Load())
	require.Zero(t, strangers.Load(), "requests that reached the target without a proxy")
	require.Eventually(t, func() bool { return local.Stats().Active == 0 }, patience, time.Millisecond)
}
