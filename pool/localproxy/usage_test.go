package localproxy_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/localproxy"
)

func TestWhatPassesIsCounted(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	l := newLab(t, 2, nil)
	for range 2 {
		_, c, r := l.connect("echo.test:7", "Proxy-Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("session-a:"))+"\r\n")
		go func() {
			_, _ = c.Write(make([]byte, size))
			_ = c.CloseWrite()
		}()
		n, err := io.Copy(io.Discard, r)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
	}
	require.Eventually(t, func() bool { return l.local.Stats().Active == 0 }, patience, time.Millisecond)
	session, target, all := l.local.Sessions()[0], l.local.Targets()[0], l.local.Stats()
	require.Equal(t, "session-a", session.Name)
	require.Equal(t, "echo.test", target.Name)
	for _, n := range []int64{session.Up, session.Down, target.Up, target.Down, all.Up, all.Down} {
		require.InDelta(t, 2*size, n, 1000, "and the two headers")
		require.Greater(t, n, int64(2*size))
	}
	require.Equal(t, []uint64{2, 2}, []uint64{session.Requests, all.Tunnels})
}

func TestACapOfBytesCutsAndRefuses(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	l := newLab(t, 2, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 4*most) })
	l.local, l.addr = serve(t, l.pool, localproxy.WithSessionBytes(most))
	fetch := func(user, url string) (int64, error) {
		resp, err := l.client("http", user).Get(url)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		return io.Copy(io.Discard, resp.Body)
	}
	for i, url := range []string{"http://site.test/", "https://example.com/"} {
		user := fmt.Sprint("session-", i)
		n, err := fetch(user, url)
		require.Error(t, err)
		require.Less(t, n, int64(2*most), url)
		resp, _ := l.get(l.client("http", user), "http://site.test/")
		require.Equal(t, []any{503, "session_byte_cap"}, []any{resp.StatusCode, resp.Header.Get("Proxylite-Reason")})
		n, err = fetch("", url)
		require.NoError(t, err, "no session")
		require.EqualValues(t, 4*most, n)
		require.True(t, l.local.EndSession(user))
		_, err = fetch(user, url)
		require.Error(t, err, "it has begun anew, and is cut again")
	}

	l.local, l.addr = serve(t, l.pool, localproxy.WithBytes(most))
	_, err := fetch("", "http://site.test/")
	require.Error(t, err)
	resp, _ := l.get(l.client("http", "session-x"), "http://site.test/")
	require.Equal(t, []any{503, "byte_cap"}, []any{resp.StatusCode, resp.Header.Get("Proxylite-Reason")})
}

func TestASessionMayBeFull(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil, localproxy.WithMaxPerSession(2))
	login := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("session-a:")) + "\r\n"
	_, first, _ := l.connect("echo.test:7", login)
	resp, _, _ := l.connect("echo.test:7", login)
	require.Equal(t, 200, resp.StatusCode)
	resp, _, _ = l.connect("echo.test:7", login)
	require.Equal(t, []any{503, "session_full"}, []any{resp.StatusCode, resp.Header.Get("Proxylite-Reason")})
	resp, _, _ = l.connect("echo.test:7", "")
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return l.local.Sessions()[0].Active == 1 }, patience, time.Millisecond)
	resp, _, _ = l.connect("echo.test:7", login)
	require.Equal(t, 200, resp.StatusCode)
}

// Clients that make up names do not fill the memory.
func TestNamesAreForgotten(t *testing.T) {
	t.Parallel()
	const clients, most = 16, 10_000
	l := newLab(t, 1, nil)
	_, _, _ = l.connect("echo.test:7", "Proxy-Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("session-stays:"))+"\r\n")
	require.NoError(t, l.pool.Close())
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() {
			c := l.client("http", "")
			tr := c.Transport.(*http.Transport)
			for j := range most / clients * 9 / 8 {
				tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: l.addr, User: url.UserPassword(fmt.Sprintf("session-%d-%d", i, j), "")})
				resp, err := c.Get("http://site.test/")
				if assert.NoError(t, err) {
					_ = resp.Body.Close()
				}
			}
		})
	}
	work.Wait()
	list := l.local.Sessions()
	require.LessOrEqual(t, len(list), most+1)
	var sum uint64
	for _, u := range list {
		sum += u.Requests
	}
	require.EqualValues(t, clients*(most/clients*9/8)+1, sum, "their requests are kept under an empty name")
	require.Contains(t, fmt.Sprint(list), "session-stays")
}
