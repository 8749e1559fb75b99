package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Group is several pools behind one handle, such as one for each country: a key, the
// affinity of a context, says which one. Each has a stock of its own, and all have one
// quota. Close it.
type Group struct {
	open func(key string) (Source, error)
	opts []Option
	own  Store

	mu     sync.Mutex
	pools  map[string]*Pool
	closed bool
}

// NewGroup returns a group. open returns the source for a key, and is called when the
// key is first used; an error is given to that use. The options are for each pool, but
// the ceiling of [WithQuota] is for all together. With [WithStore], each key has a
// namespace of its own in the store, and groups of other processes share it.
//
//	g := pool.NewGroup(func(country string) (pool.Source, error) {
//		return pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 5, CountryCode: country, Life: time.Hour}), nil
//	}, pool.WithQuota(100, time.Hour))
//	web := &http.Client{Transport: g.Transport()}
//	req = req.WithContext(pool.WithAffinity(ctx, "US"))
//
// A pool is kept until Close, so keys should be few, and not taken from strangers.
func NewGroup(open func(key string) (Source, error), opts ...Option) *Group {
	return &Group{open: open, opts: opts, own: newMemoryStore(0), pools: map[string]*Pool{}}
}

type affinityKey struct{}

// WithAffinity says which pool of a [Group] is for this context.
func WithAffinity(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, affinityKey{}, key)
}

// Pool returns the pool for a key, and makes it if there is none.
func (g *Group) Pool(key string) (*Pool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.pools[key]; p != nil {
		return p, nil
	}
	if g.closed {
		return nil, ErrClosed
	}
	source, err := g.open(key)
	if err != nil {
		return nil, fmt.Errorf("pool: opening the pool for %q: %w", key, err)
	}
	opts := slices.Concat(g.opts, []Option{func(s *settings) error {
		if s.store == nil {
			s.store = g.own
		}
		s.namespace = strings.TrimPrefix(s.namespace+"/"+key, "/")
		return nil
	}})
	p, err := New(source, opts...)
	if err != nil {
		return nil, err
	}
	g.pools[key] = p
	return p, nil
}

func (g *Group) of(ctx context.Context) (*Pool, error) {
	key, ok := ctx.Value(affinityKey{}).(string)
	if !ok {
		return nil, errors.New("pool: the context says no pool of the group: use WithAffinity")
	}
	return g.Pool(key)
}

// Get is [Pool.Get] of the context's pool.
func (g *Group) Get(ctx context.Context) (*Lease, error) { return g.GetFor(ctx, "") }

// GetFor is [Pool.GetFor] of the context's pool.
func (g *Group) GetFor(ctx context.Context, target string) (*Lease, error) {
	p, err := g.of(ctx)
	if err != nil {
		return nil, err
	}
	return p.GetFor(ctx, target)
}

// DialContext is [Pool.DialContext] of the context's pool.
func (g *Group) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	p, err := g.of(ctx)
	if err != nil {
		return nil, err
	}
	return p.DialContext(ctx, network, addr)
}

// Transport sends each request through the pool that its context says.
func (g *Group) Transport() http.RoundTripper { return groupTransport{g} }

type groupTransport struct{ g *Group }

func (t groupTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, err := t.g.of(req.Context())
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	return p.Transport().RoundTrip(req)
}

// CloseIdleConnections closes those of all pools.
func (t groupTransport) CloseIdleConnections() {
	for _, p := range t.g.all() {
		roundTripper{p}.CloseIdleConnections()
	}
}

// Stats returns the figures of each pool by its key.
func (g *Group) Stats() map[string]Stats {
	stats := map[string]Stats{}
	for key, p := range g.all() {
		stats[key] = p.Stats()
	}
	return stats
}

func (g *Group) all() map[string]*Pool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.pools)
}

// Close closes all pools.
func (g *Group) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	var errs []error
	for _, p := range g.all() {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
