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
	judge      func(*http.Response) Verdict
	stopOn     func(error) bool
	probe      func(context.Context, http.RoundTripper) error
	store      Store
	template   *http.Transport
	connecting time.Duration
	hooks      Hooks
	log        *slog.Logger
}

func (s *settings) apply(source Source, opts []Option) error {
	*s = settings{
		size: source.Size, scheme: "http", attempts: 3, margin: -1,
		coolFirst: time.Second, coolMax: time.Minute, coolHost: time.Minute,
		connecting: 15 * time.Second, log: slog.New(slog.DiscardHandler),
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
	if s.size == 0 {
		s.size = math.MaxInt32
		if source.Costs {
			s.size = 10
		}
	}
	if s.store == nil {
		s.store = NewMemoryStore()
	}
	if s.template == nil {
		s.template = proxylite.NewTransport()
	}
	return nil
}

func positive[T int | time.Duration](what string, v T) error {
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
		if r < RoundRobin || r > Weighted {
			return fmt.Errorf("pool: no such rotation: %d", r)
		}
		s.rotation = r
		return nil
	}
}

// WithScheme sets how [Pool.Transport] and [Pool.Proxy] speak to the proxies:
// "http" (the default), "socks5" or "socks5h".
func WithScheme(scheme string) Option {
	return func(s *settings) error {
		switch scheme {
		case "http", "socks5", "socks5h":
			s.scheme = scheme
			return nil
		}
		return fmt.Errorf("pool: the scheme must be http, socks5 or socks5h, not %q", scheme)
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

// WithCoolDown sets how long a proxy that failed is out: first, twice as long
// after each further failure in a row, and at most longest. Default 1 s, 1 min.
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

// WithJudge lets f judge the proxy by the target's answer: by status, header, or
// body; what f reads of the body is put back. [Unjudged] means that all is well.
// Answers with another verdict are repeated through another proxy where that is
// allowed; the last one is returned as it is.
func WithJudge(f func(*http.Response) Verdict) Option {
	return func(s *settings) error { s.judge = f; return nil }
}

// WithBanStatus is [WithJudge] with [FailedForHost] for these statuses, such as
// 403 and 429.
func WithBanStatus(statuses ...int) Option {
	return WithJudge(func(resp *http.Response) Verdict {
		if slices.Contains(statuses, resp.StatusCode) {
			return FailedForHost
		}
		return Unjudged
	})
}

// WithStopOn names more errors of the source that stop the fetching, beside those
// that always do: a refused credential, an account without verification, an IP
// that is not allowed, invalid input, [ErrExhausted], and three refusals in a row.
func WithStopOn(f func(error) bool) Option {
	return func(s *settings) error { s.stopOn = f; return nil }
}

// WithProbe tries each new proxy before it is given out; an error drops it. It is
// off by default, as it costs traffic and time.
//
//	pool.WithProbe(func(ctx context.Context, through http.RoundTripper) error { … })
func WithProbe(f func(ctx context.Context, through http.RoundTripper) error) Option {
	return func(s *settings) error { s.probe = f; return nil }
}

// WithStore shares fetched proxies and the quota with other pools; default: a
// store of its own in memory.
func WithStore(store Store) Option {
	return func(s *settings) error { s.store = store; return nil }
}

// WithTransport sets what the transport of each proxy is cloned from: time-outs,
// TLS, the dialer that reaches the proxies. Its Proxy, OnProxyConnectResponse and
// DisableKeepAlives are the pool's affair. Default: [proxylite.NewTransport].
func WithTransport(template *http.Transport) Option {
	return func(s *settings) error { s.template = template; return nil }
}

// WithConnectTimeout bounds what comes before the request is sent: reaching the
// proxy, its answer, and TLS with the target; default 15 s. Until then a request
// can go to another proxy without harm.
func WithConnectTimeout(d time.Duration) Option {
	return func(s *settings) error { s.connecting = d; return positive("the connect timeout", d) }
}

// WithHooks sets what is called for metrics.
func WithHooks(h Hooks) Option {
	return func(s *settings) error { s.hooks = h; return nil }
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
