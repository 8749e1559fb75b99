package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/clock"
)

// Proxy is a proxy with the end of its life.
type Proxy struct {
	Endpoint proxylite.Endpoint `json:"endpoint"` // json.Marshal redacts its password: to store it use proxylite.MarshalRevealed
	Expires  time.Time          `json:"expires"`  // zero: no known end
}

// String returns host:port.
func (p Proxy) String() string { return p.Endpoint.Addr() }

// GoString keeps the login out of %#v.
func (p Proxy) GoString() string { return "pool.Proxy(" + p.String() + ")" }

// LogValue keeps the login out of logs.
func (p Proxy) LogValue() slog.Value { return slog.StringValue(p.String()) }

// id tells proxies apart: the sessions of a gateway share host and port.
func (p Proxy) id() string {
	e := p.Endpoint
	e.Host = newTarget(e.Host, "").host
	return e.Username + "@" + e.Addr()
}

// Source says where proxies come from: [Extract], [Static], [Fixed],
// [Gateway.Sessions], or a literal with a function of your own.
type Source struct {
	// Fetch returns proxies, need of them if it can. Fewer, or none, without an
	// error means that there are no more now: the pool asks again later. Set
	// Expires from the time before the proxies were asked for. It is never called
	// twice at once by one pool. One that ends its goroutine, as t.FailNow does,
	// stops the pool.
	Fetch func(ctx context.Context, need int) ([]Proxy, error)
	// Name says what the proxies are, as "US for an hour": pools that share a store
	// share those of one name. See WithNamespace.
	Name string
	// Batch is the most to ask for at once; 0 means no limit.
	Batch int
	// Size is how many proxies to keep, unless [WithSize] says so; 0 means all
	// that the source has, or 10 where it costs.
	Size int
	// Costs means that each proxy is paid for: quota and thrift apply. An error
	// of Fetch then counts as spent, unless a *proxylite.Error in its chain says
	// that the call was refused or not sent.
	Costs bool
	// OneLogin means that all proxies share one login: two refusals of it (407) in a
	// row stop the pool, or three over a second if it has worked.
	OneLogin bool
	// Disposable means that a proxy without an end of life is replaced, too, when it
	// fails where others work: the source makes others. It never comes again.
	Disposable bool
	// Rotating means that each connection through a proxy has another exit, so that a
	// failure says nothing about the next one: nothing rests, and requests that may be
	// repeated go on at once.
	Rotating bool

	final bool          // there will never be others
	life  time.Duration // of each proxy, where it is known before

	err error // why the source is unusable, for New
}

// Extractor extracts endpoints, as [proxylite.IPService] does.
type Extractor interface {
	Extract(context.Context, proxylite.IPExtractParams, ...proxylite.CallOption) (proxylite.Extraction, error)
}

// Extract is a source that extracts proxies, with client.IP as its first argument.
// Quantity is required: how many the pool keeps (unless [WithSize] says so) and the most
// that one call asks for. Life is required: without it nobody knows when a proxy ends. It
// counts from before the call, so a slow response shortens it.
//
// It spends paid quota.
func Extract(ip Extractor, params proxylite.IPExtractParams) Source {
	s := Source{Batch: params.Quantity, Size: params.Quantity, Costs: true}
	s.Name = strings.Join([]string{"extract", params.CountryCode, params.State, params.City, params.Life.String(), string(params.Entry)}, "/")
	switch {
	case ip == nil:
		s.err = errors.New("pool: Extract needs client.IP, not nil")
	case params.Quantity <= 0:
		s.err = fmt.Errorf("pool: IPExtractParams.Quantity is required and positive, not %d: it is how many proxies to keep and to pay for", params.Quantity)
	case params.Life <= 0 || params.Life%time.Minute != 0:
		s.err = fmt.Errorf("pool: IPExtractParams.Life is required, in whole minutes, not %s: the pool must know when a proxy ends", params.Life)
	}
	s.life = params.Life
	s.Fetch = func(ctx context.Context, need int) ([]Proxy, error) {
		expires := clock.AddTo(time.Now(), params.Life)
		params := params
		params.Quantity = need
		extracted, err := ip.Extract(ctx, params)
		proxies := make([]Proxy, len(extracted.Endpoints))
		for i, e := range extracted.Endpoints {
			proxies[i] = Proxy{e, expires}
		}
		return proxies, err
	}
	return s
}

// StaticLister lists static IPs, as [proxylite.IPService] does.
type StaticLister interface {
	AllStatic(context.Context, proxylite.IPListStaticParams, ...proxylite.CallOption) iter.Seq2[proxylite.StaticIP, error]
}

// Static is a source of the static IPs that were bought, with client.IP as its
// first argument. Entries that are invalid, in maintenance, or do not say where
// they are, are left out. The list is read again when some are lost, or to see
// what was bought since, at most once a minute. Free.
func Static(ip StaticLister, params proxylite.IPListStaticParams) Source {
	if ip == nil {
		return Source{err: errors.New("pool: Static needs client.IP, not nil")}
	}
	return Source{Fetch: func(ctx context.Context, _ int) ([]Proxy, error) {
		var proxies []Proxy
		for entry, err := range ip.AllStatic(ctx, params) {
			if err != nil {
				return nil, err
			}
			e, ok := entry.Endpoint()
			if ok && entry.Status != proxylite.StaticIPInvalid && entry.Status != proxylite.StaticIPMaintenance {
				proxies = append(proxies, Proxy{e, entry.ExpiredAt})
			}
		}
		return proxies, nil
	}}
}

// Fixed is a source of proxies that are known already. They have no end of life.
// When all are out for good, the pool stops.
func Fixed(endpoints ...proxylite.Endpoint) Source {
	s := Source{Size: len(endpoints), final: true}
	if len(endpoints) == 0 {
		s.err = errors.New("pool: Fixed needs at least one endpoint")
	}
	s.Fetch = func(context.Context, int) ([]Proxy, error) {
		proxies := make([]Proxy, len(endpoints))
		for i, e := range endpoints {
			proxies[i] = Proxy{Endpoint: e}
		}
		return proxies, nil
	}
	return s
}
