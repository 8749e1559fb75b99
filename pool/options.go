package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Option sets up a pool; see [New].
type Option func(*settings) error

type settings struct {
	size       int
	rotation   Rotation
	scheme     string
	attempts   int
	failFast   bool
	margin     time.Duration
	quota      int
	per        time.Duration
	coolFirst  time.Duration
	coolMax    time.Duration
	coolHost   time.Duration
	judges     []func(*http.Response) Verdict
	stopOn     func(error) bool
	probe      func(context.Context, http.RoundTripper) error
	store      Store
	namespace  string
	template   *http.Transport
	connecting time.Duration
	hooks      allHooks
	log        *slog.Logger

	useLimit     uint64
	concurrency  int64
	sessionLimit int
	byteBudget   int64
}

func (s *settings) apply(source Source, opts []Option) error {
	*s = settings{
		size: source.Size, scheme: "http", attempts: 3, margin: -1,
		coolFirst: time.Second, coolMax: time.Minute, coolHost: time.Minute,
		connecting: 15 * time.Second, log: slog.New(slog.DiscardHandler), sessionLimit: 100_000,
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(s); err != nil {
			return err
		}
	}
	if s.size < 0 || source.Batch < 0 {
		return fmt.Errorf("pool: Source.Size and Source.Batch must not be negative, not %d and %d", s.size, source.Batch)
	}
	if source.life > 0 && s.margin >= source.life {
		return fmt.Errorf("pool: the margin (%s) must be less than IPExtractParams.Life (%s), or all proxies are paid for and none is used", s.margin, source.life)
	}
	if s.size == 0 {
		s.size = math.MaxInt32
		if source.Costs {
			s.size = 10
		}
	}
	if s.template == nil {
		s.template = proxylite.NewTransport()
	}
	//lint:ignore SA1019 whoever sets the deprecated field must hear of it, too
	if (s.template.DialTLSContext != nil || s.template.DialTLS != nil) && s.scheme != "https" { //nolint:staticcheck // the same
		return errors.New("pool: DialTLSContext of the transport would not be used, as net/http makes TLS with targets behind a proxy itself: " +
			"use an http.Transport of your own with DialContext: pool.DialContext, and make TLS on that")
	}
	return nil
}

func positive[T int | int64 | time.Duration](what string, v T) error {
	if v <= 0 {
		return fmt.Errorf("pool: %s must be positive, not %v", what, v)
	}
	return nil
}

// WithSize sets how many proxies to keep alive. Fewer are fetched while fewer
// are used, where they cost. Default: the size of the source, which for [Extract]
// is Quantity, or 10 where the source has none.
func WithSize(n int) Option {
	return func(s *settings) error { s.size = n; return positive("the size", n) }
}

// WithRotation sets which proxy is next; default [RoundRobin].
func WithRotation(r Rotation) Option {
	return func(s *settings) error {
		if r < RoundRobin || r > Fastest {
			return fmt.Errorf("pool: no such rotation: %d", r)
		}
		s.rotation = r
		return nil
	}
}

// WithScheme sets how [Pool.Transport] and [Pool.Proxy] speak to the proxies:
// "http" (the default), "https" (HTTP over TLS), "socks5" or "socks5h".
func WithScheme(scheme string) Option {
	return func(s *settings) error {
		switch scheme {
		case "http", "https", "socks5", "socks5h":
			s.scheme = scheme
			return nil
		}
		return fmt.Errorf("pool: the scheme must be http, https, socks5 or socks5h, not %q", scheme)
	}
}

// WithAttempts sets through how many proxies a request may be tried, the first
// one included; default 3. See [Pool.Transport] for what may be repeated.
func WithAttempts(n int) Option {
	return func(s *settings) error { s.attempts = n; return positive("the number of attempts", n) }
}

// WithFailFast makes an empty pool fail at once with ErrNoProxy, and fetch behind
// the caller's back. By default callers wait for a proxy until their context ends.
func WithFailFast() Option {
	return func(s *settings) error { s.failFast = true; return nil }
}

// WithMargin sets how long before its end of life a proxy is given out for the
// last time; default 10 s, or a tenth of the life if that is less.
func WithMargin(d time.Duration) Option {
	return func(s *settings) error {
		if d < 0 {
			return fmt.Errorf("pool: the margin must not be negative: %v", d)
		}
		s.margin = d
		return nil
	}
}

// WithQuota is a ceiling of spending: at most n proxies are fetched in any
// interval of the given length, by all pools that share the store, which must all
// have the same ceiling. Unknown outcomes count as spent. It applies to sources that cost. Default: none.
func WithQuota(n int, per time.Duration) Option {
	return func(s *settings) error {
		s.quota, s.per = n, per
		return errors.Join(positive("the quota", n), positive("its interval", per))
	}
}

// WithCoolDown sets how long a proxy that failed rests: first, twice as long each
// time it fails again while others work, and at most longest. Default 1 s, 1 min. When
// all rest, they are tried again after a second.
func WithCoolDown(first, longest time.Duration) Option {
	return func(s *settings) error {
		s.coolFirst, s.coolMax = first, max(first, longest)
		return positive("the cool-down", first)
	}
}

// WithHostCoolDown sets how long a proxy is out for a host after a judgement of
// [FailedForHost]; default 1 min.
func WithHostCoolDown(d time.Duration) Option {
	return func(s *settings) error { s.coolHost = d; return positive("the cool-down", d) }
}

// WithJudge lets f judge the proxy by the target's response: by status, header, or
// body; what f reads of the body is put back. [Unjudged] means that all is well. Given
// more than once, the first judge with something against it decides.
//
// A response with another verdict is repeated through another proxy where that is
// allowed and one is free; the last one is returned as it is. [FailedForHost] counts
// for a second, and for the time of [WithHostCoolDown] once another proxy has got a
// better response to the same request: if none has, it may be the page. On status 429
// it counts for as long as Retry-After says, and sessions wait for it.
func WithJudge(f func(*http.Response) Verdict) Option {
	return func(s *settings) error {
		if f != nil {
			s.judges = append(s.judges, f) //nolint:bodyclose // the caller of a judge closes it
		}
		return nil
	}
}

// WithBanStatus is [WithJudge] with [FailedForHost] for these statuses, such as
// 403 and 429.
func WithBanStatus(statuses ...int) Option {
	statuses = slices.Clone(statuses)
	return WithJudge(func(resp *http.Response) Verdict {
		if slices.Contains(statuses, resp.StatusCode) {
			return FailedForHost
		}
		return Unjudged
	})
}

// WithStopOn names more errors of the source that stop the fetching, beside those
// that always do: a refused credential, an account without verification, an IP
// that is not allowed, invalid input, [ErrExhausted], three refusals in a row, and three
// batches in a row of paid proxies that end within the margin.
func WithStopOn(f func(error) bool) Option {
	return func(s *settings) error { s.stopOn = f; return nil }
}

// WithProbe tries each new proxy before it is given out; an error drops it, if other
// proxies pass or it is not reached. When none passes the probe itself may be at
// fault: then nothing is bought, and they are held back and tried again later. It is
// off by default, as it costs traffic and time.
//
//	pool.WithProbe(func(ctx context.Context, through http.RoundTripper) error { … })
func WithProbe(f func(ctx context.Context, through http.RoundTripper) error) Option {
	return func(s *settings) error { s.probe = f; return nil }
}

// WithStore shares proxies, sessions, the right to fetch and the quota with other
// pools: a proxy is used by one of them at a time, and what one has fetched and does
// not need is for the others. While the store is not reached, nothing is bought, and the
// pool uses what it has until its claims on that end; then connections are cut. A
// session of a new key waits for the store to say where it lives. Default: nothing is shared.
//
// It does nothing for a source that is Rotating, whose exits are nobody's.
func WithStore(store Store) Option {
	return func(s *settings) error { s.store = store; return nil }
}

// WithNamespace names the stock that the pool shares in the store of [WithStore].
// Pools with one namespace must have the same source; pools with different ones may
// have the same proxies, such as for different targets. The default is the name of the
// source, which for [Extract] says its parameters, or "default". The quota is for all
// namespaces of the store together.
func WithNamespace(name string) Option {
	return func(s *settings) error { s.namespace = name; return nil }
}

// WithTransport sets what the transport of each proxy is cloned from: time-outs,
// TLS, the dialer that reaches the proxies. Its Proxy is the pool's affair, and its
// MaxIdleConns is for all proxies together, with one for each at least (0 means 256).
// DialTLSContext is an error, but with https:// proxies. Default: [proxylite.NewTransport].
func WithTransport(template *http.Transport) Option {
	return func(s *settings) error { s.template = template; return nil }
}

// WithConnectTimeout limits the time before the request is sent: reaching the proxy,
// its response, and TLS with the target. The default is 15 s. Until then, it is safe to
// use another proxy.
func WithConnectTimeout(d time.Duration) Option {
	return func(s *settings) error { s.connecting = d; return positive("the connect timeout", d) }
}

// WithUses gives each proxy out n times, and then replaces it; default: no limit.
func WithUses(n int) Option {
	return func(s *settings) error { s.useLimit = uint64(max(0, n)); return positive("the number of uses", n) }
}

// WithConcurrency allows n uses of a proxy at once; default: no limit. Further ones
// go to another proxy, or wait.
func WithConcurrency(n int) Option {
	return func(s *settings) error { s.concurrency = int64(n); return positive("the concurrency", n) }
}

// WithSessionLimit sets how many keys of sessions (and hosts of [PerHost]) are
// remembered; default 100,000. When there are more, keys that were not used for long
// are forgotten: at least n/2 that were used last are kept.
func WithSessionLimit(n int) Option {
	return func(s *settings) error { s.sessionLimit = n; return positive("the session limit", n) }
}

// WithByteBudget stops all traffic with [ErrByteBudget] after n bytes, both ways, until
// [Pool.Resume] starts a new one. Requests under way are cut. Default: none.
func WithByteBudget(n int64) Option {
	return func(s *settings) error { s.byteBudget = n; return positive("the byte budget", n) }
}

// WithHooks adds what is called for metrics.
func WithHooks(h Hooks) Option {
	return func(s *settings) error {
		s.hooks.list = append(s.hooks.list, h)
		s.hooks.wantUsed = s.hooks.wantUsed || h.Used != nil
		return nil
	}
}

// WithLogger logs fetches at debug, lost proxies at info, failures of the source
// at warn, and a stop at error. No line has a login. By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) error {
		if l != nil {
			s.log = l
		}
		return nil
	}
}
