package localproxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// program finds a program of other people, or skips the test: they are tested when
// scripts/browser.sh asks for it.
func program(t *testing.T, names ...string) string {
	t.Helper()
	if os.Getenv("PROXYLITE_TEST_BROWSER") == "" {
		t.Skip("programs of other people are tested by scripts/browser.sh")
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("not installed: %s", strings.Join(names, ", "))
	return ""
}

// page reports what it has loaded, lets its proxy die and reloads, unless it is to stay.
const page = `<!doctype html><title>test</title><img id=i src=/image.png><script src=/script.js></script>`

const script = `
window.onload = async () => {
	const load = sessionStorage.load = 1 + (+sessionStorage.load || 0);
	await fetch("/report?load=" + load + "&width=" + document.getElementById("i").naturalWidth);
	if (load > 1 || location.hash == "#stay") return;
	try { await fetch("/die", {method: "POST"}); } catch (e) {}
	location.reload();
};`

// browser is a site that a browser visits, with reports of the page.
type browser struct {
	*lab
	reports chan string
	path    string
	spki    string
}

func newBrowser(t *testing.T) *browser {
	path := program(t, "chromium", "chromium-browser", "google-chrome", "chrome")
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 7, 7))))
	b := &browser{path: path, reports: make(chan string, 100)}
	var killed atomic.Bool
	b.lab = newLab(t, 3, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page)
		case "/script.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, script)
		case "/image.png":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(picture.Bytes())
		case "/report":
			b.reports <- r.URL.RawQuery
		case "/die":
			for _, u := range b.upstreams {
				if visits(u) > 0 && !killed.Swap(true) { // the one that this came through
					u.SetFault(proxylitetest.ProxyFault{Dead: true})
				}
			}
		}
	})
	// What browsers ask for by themselves gets a response, too: a session leaves a proxy
	// that refuses one target after the other.
	b.upstreams = nil
	b.elsewhere = b.site.Listener.Addr().String()
	b.pool = b.newPool(3)
	sum := sha256.Sum256(b.secure.Certificate().RawSubjectPublicKeyInfo)
	b.spki = base64.StdEncoding.EncodeToString(sum[:])
	return b
}

// visits counts the tunnels to the site.
func visits(u *proxylitetest.Proxy) (n int) {
	for _, r := range u.Requests() {
		if r.Target == "example.com:443" && !r.Refused {
			n++
		}
	}
	return n
}

// visit starts a browser, with a profile of its own, until the test ends.
func (b *browser) visit(proxy, url string) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	args := []string{
		"--headless", "--proxy-server=" + proxy, "--user-data-dir=" + b.t.TempDir(),
		"--ignore-certificate-errors-spki-list=" + b.spki, // the site's certificate is of this test
		"--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
	}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox")
	}
	cmd := exec.CommandContext(ctx, b.path, append(args, url)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that its children end, too
	cmd.WaitDelay = 20 * time.Second
	var output lockedBuffer
	cmd.Stderr = &output
	require.NoError(b.t, cmd.Start())
	b.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if b.t.Failed() {
			b.t.Logf("%.2000s", output.String())
		}
	})
}

func (b *browser) expect(want string) {
	b.t.Helper()
	select {
	case got := <-b.reports:
		require.Equal(b.t, want, got)
	case <-time.After(2 * patience):
		b.t.Fatalf("the browser has not reported %s", want)
	}
}

// A browser with nothing but a proxy on its command line loads a page with a script and
// an image through upstreams that need a login; when its upstream dies, a reload works.
func TestABrowser(t *testing.T) { //nolint:paralleltest // a browser takes the machine
	for _, scheme := range []string{"http://", "socks5://"} {
		t.Run(scheme, func(t *testing.T) {
			b := newBrowser(t)
			b.local, b.addr = serve(t, b.pool, localproxy.WithDefaultUser("session-a"))
			b.visit(scheme+b.addr, "https://example.com/")
			b.expect("load=1&width=7")
			b.expect("load=2&width=7")
			used := 0
			for _, u := range b.upstreams {
				if visits(u) > 0 {
					used++
				}
			}
			require.GreaterOrEqual(t, used, 2, "one, and the one that replaced it")
		})
	}
}

// Two profiles with two sessions have two addresses.
func TestTwoBrowsersHaveTwoAddresses(t *testing.T) { //nolint:paralleltest // the same
	b := newBrowser(t)
	var browsers []map[string]bool
	for _, user := range []string{"session-a", "session-b"} {
		_, addr := serve(t, b.pool, localproxy.WithDefaultUser(user))
		before := map[string]int{}
		for _, u := range b.upstreams {
			before[u.String()] = visits(u)
		}
		b.visit(addr, "https://example.com/#stay")
		b.expect("load=1&width=7")
		used := map[string]bool{}
		for _, u := range b.upstreams {
			if visits(u) > before[u.String()] {
				used[u.String()] = true
			}
		}
		require.Len(t, used, 1)
		browsers = append(browsers, used)
	}
	require.NotEqual(t, browsers[0], browsers[1])
}

// curl and Python go through it as they go through any proxy.
func TestOtherPrograms(t *testing.T) {
	t.Parallel()
	const python = `
import os, sys, requests
proxy, ca = sys.argv[1:]
s = requests.Session()
s.proxies = {"http": proxy, "https": proxy}
print(s.get("http://site.test/", timeout=60).text, s.get("https://example.com/", verify=ca, timeout=60).text)
r = s.get("http://127.0.0.1/", timeout=60)
print(r.status_code, r.headers["Proxylite-Reason"], r.json()["reason"])`
	l := newLab(t, 2, nil)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.secure.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, cert, 0o600))
	run := func(path string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	t.Run("curl", func(t *testing.T) {
		curl := program(t, "curl")
		for _, proxy := range []string{"http://", "socks5h://", "http://session-a:@", "socks5h://session-a:@"} {
			for _, target := range []string{"http://site.test/", "https://example.com/"} {
				require.Equal(t, "hello", run(curl, "-sS", "--cacert", ca, "-x", proxy+l.addr, target), proxy+" "+target)
			}
		}
		require.Equal(t, "session-a", l.local.Sessions()[0].Name)
		out := run(curl, "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-x", "http://session_a:@"+l.addr, "http://site.test/")
		require.Equal(t, "407", out)
	})
	t.Run("python3", func(t *testing.T) {
		path := program(t, "/usr/bin/python3", "python3")
		if exec.CommandContext(t.Context(), path, "-c", "import requests").Run() != nil {
			t.Skip("not installed: requests for Python")
		}
		require.Equal(t, "hello hello\n403 private_target private_target", run(path, "-c", python, "http://"+l.addr, ca))
	})
}
