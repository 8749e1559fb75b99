package pool_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// A proxy may echo the login in any form that it travels in.
func TestAnEchoedLoginIsHidden(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, login := range [][2]string{{"sentinel-user", "p@ss:/w+rd ü"}, {"sentinel-user", "ab"}, {"u", "sentinelpass"}} {
		pair := login[0] + ":" + login[1]
		forms := []string{
			pair, url.UserPassword(login[0], login[1]).String(), url.QueryEscape(pair), url.PathEscape(pair),
			base64.StdEncoding.EncodeToString([]byte(pair)), base64.URLEncoding.EncodeToString([]byte(pair)), base64.RawStdEncoding.EncodeToString([]byte(pair)),
		}
		for _, secret := range login {
			if len(secret) > 2 {
				forms = append(forms, secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
			}
		}
		for _, form := range forms {
			n := newNetwork()
			n.raw = func(string, *http.Request) string {
				return "HTTP/1.1 502 Bad about Gateway\r\nContent-Length: 1000\r\n\r\nfor <" + form + "> about "
			}
			p := newPool(t, pool.Fixed(proxylite.Endpoint{Host: "10.0.0.1", Port: 1000, Username: login[0], Password: proxylite.NewPassword(login[1])}),
				pool.WithTransport(n.secure(site)), pool.WithAttempts(1))
			_, err := get(t.Context(), p.Transport(), "https://target.test/")
			require.Error(t, err)
			text := err.Error()
			require.NotContains(t, text, form)
			require.Equal(t, 2, strings.Count(text, "about"), "%q: %s: nothing else is hidden", form, text)
			require.Contains(t, text, "[REDACTED]")
		}
	}
}
