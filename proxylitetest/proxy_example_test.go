package proxylitetest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

// What a program sees when the address it uses comes to its end.
func ExampleNewProxy() {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s", r.Host)
	}))
	defer site.Close()
	proxy := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{ // in a test: t
		Username: "bob", Password: "secret",
		Hosts: map[string]string{"example.com": site.Listener.Addr().String()},
	})
	defer proxy.Close()

	transport := site.Client().Transport.(*http.Transport) // trusts the site's certificate
	transport.Proxy = http.ProxyURL(proxy.Endpoint().HTTP())
	transport.DisableKeepAlives = true // a tunnel for each request
	for range 2 {
		resp, err := site.Client().Get("https://example.com/")
		if err != nil {
			fmt.Println(err)
			break
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(string(body))
		proxy.Expire()
	}
	for _, r := range proxy.Requests() {
		fmt.Println(r.Protocol, r.Target, r.Username, r.Status, r.Expired)
	}
	// Output:
	// hello from example.com
	// Get "https://example.com/": OK
	// connect example.com:443 bob 200 false
	// connect example.com:443 bob 509 true
}
