package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
)

// storm makes requests for a while, by eight workers with a deadline of two seconds
// each: every fourth one to the good target.
func storm(t *testing.T, p *pool.Pool, bad []string, d time.Duration) (good int) {
	var ok atomic.Int64
	var work sync.WaitGroup
	begin := time.Now()
	for w := range 8 {
		work.Go(func() {
			for i := 0; time.Since(begin) < d; i++ {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				url := bad[(w+i)%len(bad)]
				if i%4 == 0 {
					url = "http://good.test/"
				}
				if _, err := get(ctx, p.Transport(), url); err == nil && i%4 == 0 {
					ok.Add(1)
				}
				cancel()
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	work.Wait()
	return int(ok.Load())
}

// Whatever targets without a tunnel say or do, always or now and then, the proxies
// are well, so none of them is bought anew.
func TestNothingThatAPlainTargetDoesCostsAProxy(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
	for name, raw := range map[string]string{
		"407": "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "509": "HTTP/1.1 509 OK\r\nContent-Length: 0\r\n\r\n",
		"512": "HTTP/1.1 512 OK\r\nContent-Length: 0\r\n\r\n", "502": "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
		"403": "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "cut": "", "garbage": "SSH-2.0-OpenSSH_9.9\r\n", "body cut": head,
		"bad chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "hangs": "hang", "body hangs": "hang" + head,
	} {
		for _, share := range []int{1, 2} {
			for _, hosts := range []int{1, 6} {
				t.Run(fmt.Sprintf("%s/1 of %d/%d hosts", name, share, hosts), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						n, m := newNetwork(), &made{life: time.Hour}
						n.raw = func(_ string, req *http.Request) string {
							if !strings.HasPrefix(req.Host, "bad") || rand.IntN(share) > 0 {
								return ""
							}
							sent, hangs := strings.CutPrefix(raw, "hang")
							if hangs {
								time.Sleep(time.Minute)
							}
							return sent + cut
						}
						p := newPool(t, m.source(5), pool.WithTransport(n.transport()), pool.WithCoolDown(time.Millisecond, time.Millisecond))
						var bad []string
						for i := range hosts {
							bad = append(bad, fmt.Sprintf("http://bad%d.test/", i))
						}
						good := storm(t, p, bad, 3*time.Second)
						require.Equal(t, 5, m.made())
						require.Zero(t, p.Stats().Dead)
						require.NotZero(t, good)
						time.Sleep(2 * time.Minute)
					})
				})
			}
		}
	}
}

// The same through tunnels, which targets cut, or which are never made: by proxies that
// say so, or that hang up.
func TestNothingThatATargetDoesInATunnelCostsAProxy(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, how := range []string{"cut", "body cut", "502", "503", "hangs up"} {
		for _, hosts := range []int{1, 6} {
			t.Run(fmt.Sprintf("%s/%d hosts", how, hosts), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n, m := newNetwork(), &made{life: time.Hour}
					n.raw = func(_ string, req *http.Request) string {
						connect := req.Method == http.MethodConnect
						if !strings.HasPrefix(req.Host, "bad") || rand.IntN(2) == 0 || connect == strings.Contains(how, "cut") {
							return ""
						}
						return map[string]string{
							"body cut": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
							"502":      "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "503": "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
						}[how] + cut
					}
					p := newPool(t, m.source(5), pool.WithTransport(n.secure(site)), pool.WithCoolDown(time.Millisecond, time.Millisecond))
					var bad []string
					for i := range hosts {
						bad = append(bad, fmt.Sprintf("https://bad%d.test/", i))
					}
					require.NotZero(t, storm(t, p, bad, time.Second))
					require.Equal(t, 5, m.made())
				})
			})
		}
	}
}

// The errors of this machine are not the proxies'.
func TestLocalErrorsCostNoProxy(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENOBUFS, syscall.ENOMEM, syscall.EACCES, syscall.EPERM,
		syscall.EAGAIN,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, m := newNetwork(), &made{life: time.Hour}
				tr := n.transport()
				dial := tr.DialContext
				var broken atomic.Bool
				tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					switch {
					case broken.Load():
						return nil, &net.OpError{Op: "dial", Net: network, Err: errno}
					case rand.IntN(4) == 0:
						return nil, fmt.Errorf("some dialer: %w", errors.Join(errors.New("v6"), os.NewSyscallError("connect", errno)))
					case rand.IntN(2) == 0:
						return nil, fmt.Errorf("some dialer: %v", errno) //nolint:errorlint // as some do
					}
					return dial(ctx, network, addr)
				}
				p := newPool(t, m.source(5), pool.WithTransport(tr), pool.WithRotation(pool.PerRequest), pool.WithCoolDown(time.Millisecond, time.Millisecond))
				for range 300 {
					_, err := get(t.Context(), p.Transport(), "http://target.test/")
					if err != nil {
						require.ErrorContains(t, err, errno.Error())
						failed, _ := errors.AsType[*pool.Error](err)
						require.False(t, failed.Sent)
					}
					time.Sleep(10 * time.Millisecond)
				}
				broken.Store(true)
				for range 100 {
					_, err := get(t.Context(), p.Transport(), "http://target.test/")
					require.ErrorIs(t, err, errno)
					_, err = p.DialContext(t.Context(), "tcp", "target.test:1")
					require.ErrorIs(t, err, errno)
					time.Sleep(time.Second)
				}
				require.Equal(t, 5, m.made())
				require.Zero(t, p.Stats().Dead)
				require.Equal(t, 5, p.Stats().Live)
			})
		})
	}
}

// A proxy whose own refusals look like responses rests for the target that others reach,
// but not for one that says the same now and then.
func TestAProxyThatRefusesWithoutATunnelRests(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 402, 403, 429, 500, 502, 503, 509, 512} {
		synctest.Test(t, func(t *testing.T) {
			n, m := newNetwork(), &made{life: time.Hour}
			var page atomic.Int64
			n.answer = func(addr string, req *http.Request) *http.Response {
				if addr == first && req.Host == "target.test" || req.Host == "odd.test" && page.Add(1)%3 == 0 {
					return plain(status, "")
				}
				return plain(200, addr)
			}
			p := newPool(t, m.source(5), pool.WithTransport(n.transport()))
			for range 500 {
				_, _ = get(t.Context(), p.Transport(), "http://target.test/")
				time.Sleep(50 * time.Millisecond)
			}
			require.Less(t, n.hitsOf(first), 12, "of 100")
			hits := n.hitsOf(first)
			for range 500 {
				begin := time.Now()
				_, _ = get(t.Context(), p.Transport(), "http://odd.test/")
				require.Zero(t, time.Since(begin))
				time.Sleep(50 * time.Millisecond)
			}
			require.Greater(t, n.hitsOf(first)-hits, 80, "of 100")
			require.Equal(t, 5, m.made())
			require.Zero(t, p.Stats().Dead)
		})
	}
}

// A proxy that refuses every host, in whatever way, is found out and replaced, while
// names that no proxy reaches cost nothing.
func TestAProxyThatRefusesEveryHostIsDropped(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, status := range []int{400, 402, 403, 429, 500, 502, 503, 504, 495, 0, -1} {
		for _, dead := range []int{0, 4} {
			t.Run(fmt.Sprintf("%d/%d dead names", status, dead), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n, m := newNetwork(), &made{life: 24 * time.Hour}
					n.answer = func(addr string, req *http.Request) *http.Response {
						switch {
						case req.Method == http.MethodConnect && addr == first && status <= 0:
							time.Sleep(time.Duration(-status) * time.Hour)
							return nil
						case req.Method == http.MethodConnect && addr == first:
							return plain(status, "no")
						case req.Method == http.MethodConnect && strings.HasPrefix(req.Host, "x"):
							return plain(502, "no such host")
						}
						return plain(200, addr)
					}
					p := newPool(t, m.source(5), pool.WithTransport(n.secure(site)))
					for i := range 30 {
						for j := range dead {
							_, err := get(t.Context(), p.Transport(), fmt.Sprintf("https://x%d-%d.test/", i, j))
							require.Error(t, err)
						}
						_, err := get(t.Context(), p.Transport(), fmt.Sprintf("https://h%d.test/", i))
						require.NoError(t, err)
						time.Sleep(5 * time.Second)
					}
					require.EqualValues(t, 1, p.Stats().Dead)
					require.Equal(t, 6, m.made())
					require.Less(t, n.hitsOf(first), 60, "of %d tries", p.Stats().Uses)
					time.Sleep(2 * time.Hour)
				})
			})
		}
	}
}

// What the caller got wrong is found before a proxy is taken for it.
func TestABadRequestTakesNoProxy(t *testing.T) {
	t.Parallel()
	m := &made{life: time.Hour}
	p := newPool(t, m.source(2))
	for url, want := range map[string]string{
		"ftp://target.test/":                             "unsupported protocol scheme",
		"mailto:bob@test":                                "unsupported protocol scheme",
		"javascript:alert(1)":                            "unsupported protocol scheme",
		"http:///path":                                   "no host",
		"http://target.test:99999/":                      "invalid port",
		"https://" + strings.Repeat("a.", 127) + "test/": "too long",
		"http://" + strings.Repeat("a", 64) + ".test/":   "label",
	} {
		_, err := get(t.Context(), p.Transport(), url)
		require.ErrorContains(t, err, want, url)
	}
	for want, spoil := range map[string]func(*http.Request){
		"invalid method":              func(r *http.Request) { r.Method = "GE T" },
		"Header of the request":       func(r *http.Request) { r.Header = nil },
		"name of a header field":      func(r *http.Request) { r.Header["Bad Name"] = []string{"x"} },
		"value of the header field":   func(r *http.Request) { r.Header.Set("Cookie", "secret\n") },
		`header field: "Bad Trailer"`: func(r *http.Request) { r.Trailer = http.Header{"Bad Trailer": nil} },
		"control character":           func(r *http.Request) { r.URL.RawQuery = "a=\r\n" },
		"URL has a control":           func(r *http.Request) { r.URL.Opaque = "//target.test/\n" },
		"Host of the request":         func(r *http.Request) { r.Host = "target.test\n" },
		"invalid character":           func(r *http.Request) { r.URL.Host = "target test" },
		"no body":                     func(r *http.Request) { r.Body = nil },
		"no URL":                      func(r *http.Request) { r.URL = nil },
	} {
		req := post(t.Context(), t, "http://target.test/", "x")
		spoil(req)
		err := send(t, p.Transport(), req)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := p.DialContext(t.Context(), "tcp", strings.Repeat("a", 300)+":80")
	require.ErrorContains(t, err, "too long")
	require.Zero(t, m.made())
}

// What net/http takes is taken.
func TestAnOddRequestIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		p := newPool(t, (&made{}).source(1), pool.WithTransport(n.transport()))
		for _, odd := range []func(*http.Request){
			func(r *http.Request) { r.Method = "" },
			func(r *http.Request) { r.Method = "M-SEARCH" },
			func(r *http.Request) { r.Header["x_y!#$%&'*+.^`|~1"] = []string{"tab\tand \xff", ""} },
			func(r *http.Request) { r.URL.Path = "/a\x00b" },
			func(r *http.Request) { r.URL.Host = "b\u00fccher.test:" },
			func(r *http.Request) { r.URL.Host = "[2001:db8::1]:80" },
			func(r *http.Request) { r.URL.Host = "a_b.test." },
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://target.test/", nil)
			require.NoError(t, err)
			odd(req)
			require.NoError(t, send(t, p.Transport(), req))
		}
	})
}

// The timeout of an http.Client, and the channel of a request, are the caller's as a
// canceled context is: they cost no proxy, and no other one is tried.
func TestACallerWhoGivesUpIsNotTheProxys(t *testing.T) {
	t.Parallel()
	site := newTarget(t, true, nil)
	for _, phase := range []string{"dial", "connect", "response"} {
		for _, scheme := range []string{"http", "https"} {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.answer = func(addr string, req *http.Request) *http.Response {
					if phase == "connect" || phase == "response" && req.Method != http.MethodConnect {
						time.Sleep(time.Minute)
					}
					return plain(200, addr)
				}
				tr := n.secure(site)
				dial := tr.DialContext
				tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if phase == "dial" {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return dial(ctx, network, addr)
				}
				p := newPool(t, (&made{}).source(3), pool.WithTransport(tr))
				for range 5 {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://target.test/", nil)
					require.NoError(t, err)
					_, err = (&http.Client{Transport: p.Transport(), Timeout: 100 * time.Millisecond}).Do(req)
					require.ErrorIs(t, err, context.DeadlineExceeded)

					c := make(chan struct{})
					req.Cancel = c //nolint:staticcheck // old callers set it
					time.AfterFunc(100*time.Millisecond, func() { close(c) })
					require.Error(t, send(t, p.Transport(), req))
				}
				require.Zero(t, p.Stats().Failed)
				require.EqualValues(t, 10, p.Stats().Uses)
				time.Sleep(time.Minute)
			})
		}
	}
}

// A body that can't be read, or is shorter than it says, is the caller's.
func TestTheCallersBodyIsNotTheProxys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(), &made{life: time.Hour}
		p := newPool(t, m.source(2), pool.WithTransport(n.transport()))
		broken := errors.New("disk is gone")
		for range 10 {
			for _, body := range []io.Reader{io.MultiReader(strings.NewReader("half"), errorReader{broken}), strings.NewReader("short")} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://target.test/", body)
				require.NoError(t, err)
				req.ContentLength = 100
				require.Error(t, send(t, p.Transport(), req))
			}
		}
		require.Zero(t, p.Stats().Failed)
	})
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestVerdictOf(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err  error
		want pool.Verdict
	}{
		{nil, pool.Worked},
		{context.Canceled, pool.Unjudged},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), pool.Unjudged},
		{dial(syscall.ECONNREFUSED), pool.Failed},
		{fmt.Errorf("x: %w", dial(syscall.EMFILE)), pool.Unjudged},
		{dial(&net.DNSError{IsTemporary: true}), pool.Unjudged},
		{dial(&net.DNSError{IsNotFound: true}), pool.Failed},
		{&url.Error{Err: &net.OpError{Op: "proxyconnect", Err: dial(syscall.ECONNREFUSED)}}, pool.Failed},
		{&url.Error{Err: &net.OpError{Op: "proxyconnect", Err: dial(syscall.EMFILE)}}, pool.Unjudged},
		{&net.OpError{Op: "proxyconnect", Err: fmt.Errorf("my dialer: %w", syscall.EADDRNOTAVAIL)}, pool.Unjudged},
		{&net.OpError{Op: "socks connect", Err: dial(syscall.ENETUNREACH)}, pool.Unjudged},
		{&net.OpError{Op: "socks connect", Err: dial(syscall.ECONNRESET)}, pool.Failed},
		{io.ErrUnexpectedEOF, pool.FailedForHost},
		{pool.ErrExpired, pool.Unjudged},
		{errors.New("socks connect tcp 1.2.3.4:5->a.test:1: unknown error host unreachable"), pool.FailedForHost},
		{errors.New("username/password authentication failed"), pool.Dead},
	} {
		require.Equal(t, tt.want, pool.VerdictOf(tt.err), "%v", tt.err)
	}
}
