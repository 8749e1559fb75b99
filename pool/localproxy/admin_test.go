package localproxy_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAdminHandler(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	l := newLab(t, 2, nil)
	_, err := l.local.Admin("short")
	require.Error(t, err)
	admin, err := l.local.Admin(token)
	require.NoError(t, err)
	do := func(method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Host = "127.0.0.1:9"
		r.Header.Set("Authorization", "Bearer "+token)
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		require.NotContains(t, w.Body.String(), "secret")
		return w
	}
	_, _ = l.get(l.client("http", "session-a"), "http://site.test/")
	for path, want := range map[string]string{
		"/stats": `"requests":1`, "/sessions": `"name":"session-a"`, "/users": "[]", "/targets": `"name":"site.test"`,
		"/proxies": `"proxy":"` + l.upstreams[0].String() + `"`,
	} {
		w := do("GET", path, nil)
		require.Equal(t, 200, w.Code, path)
		require.Contains(t, w.Body.String(), want)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	}

	// Pages in a browser behind the proxy get nothing.
	for want, change := range map[int][]func(*http.Request){
		403: {
			func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:9") },
			func(r *http.Request) { r.Header.Set("Origin", "null") },
			func(r *http.Request) { r.Header["Origin"] = []string{""} },
			func(r *http.Request) { r.Host = "evil.test:9" }, // a name that resolves to loopback
			func(r *http.Request) { r.Host = "127.0.0.1.evil.test" },
			func(r *http.Request) { r.Host = "" },
			func(r *http.Request) { r.Host = "10.0.0.1:9" },
		},
		401: {
			func(r *http.Request) { r.Header.Del("Authorization") },
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") },
			func(r *http.Request) { r.Header.Set("Authorization", token) },
		},
		200: {
			func(r *http.Request) { r.Host = "localhost:9" },
			func(r *http.Request) { r.Host = "[::1]:9" },
			func(r *http.Request) { r.Host = "127.0.0.1" },
		},
	} {
		for i, change := range change {
			require.Equal(t, want, do("GET", "/stats", change).Code, "%d/%d", want, i)
		}
	}

	require.Equal(t, 404, do("DELETE", "/sessions/session-b", nil).Code)
	require.Equal(t, 204, do("DELETE", "/sessions/session-a", nil).Code)
	require.Equal(t, 404, do("POST", "/proxies/127.0.0.1:1/dead", nil).Code)
	require.Equal(t, 204, do("POST", "/proxies/"+l.upstreams[0].String()+"/dead", nil).Code)
	require.NotContains(t, do("GET", "/proxies", nil).Body.String(), l.upstreams[0].String())
	require.Equal(t, 405, do("GET", "/sessions/session-a", nil).Code)
	require.Equal(t, 404, do("GET", "/", nil).Code)
}
