package localproxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// A program that knows nothing of the pool goes through it, in a session.
func ExampleNew() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	defer site.Close()
	upstream := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{
		Username: "pl-bob", Password: "secret",
		Hosts: map[string]string{"example.com": site.Listener.Addr().String()},
	})
	defer upstream.Close()
	p, err := pool.New(pool.Fixed(upstream.Endpoint()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	local, err := localproxy.New(p)
	if err != nil {
		fmt.Println(err)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = local.Serve(listener) }()
	defer local.Close()

	// Any program that takes a proxy will do, such as
	// curl -x http://session-a1:@127.0.0.1:8118 http://example.com
	proxy := &url.URL{Scheme: "http", Host: listener.Addr().String(), User: url.UserPassword("session-a1", "")}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
	resp, err := client.Get("http://example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %v\n", body, err)
	fmt.Println(local.Sessions()[0].Name)
	// Output:
	// hello <nil>
	// session-a1
}
