package pool

import (
	"context"
	"net/http"
	"net/url"

	"github.com/proxylite/proxylite-go"
)

// Proxy is for http.Transport.Proxy, where a library makes its own transport. It
// returns another URL each time, with the login, or an error: never nil, which
// would mean a direct connection.
//
// Beware: an http.Transport asks it for each request, but keeps a tunnel for each
// URL it ever got and uses it again, over HTTP/2 even for many requests at once.
// For a new proxy with each request set DisableKeepAlives; to have proxies that
// refuse taken out, set [Pool.OnProxyConnectResponse] too. Nothing else of what
// becomes of the request is known here, unless [Pool.Report] tells. Prefer
// [Pool.Transport].
func (p *Pool) Proxy(req *http.Request) (*url.URL, error) {
	if err := checkURL(req.URL); err != nil { // libraries make a request of a URL alone
		return nil, err
	}
	ctx := req.Context()
	l, err := p.lease(ctx, newQuery(ctx, targetOfURL(req.URL)))
	if err != nil {
		return nil, err
	}
	l.a.release() // its end will not be seen
	u := *l.a.url
	return &u, nil
}

// OnProxyConnectResponse is for the field of this name of an http.Transport that
// uses [Pool.Proxy]: it turns a refusal into a [*ConnectError] and tells the pool.
func (p *Pool) OnProxyConnectResponse(_ context.Context, proxy *url.URL, connect *http.Request, resp *http.Response) error {
	var refusal *ConnectError
	f := finding{verdict: Worked}
	if resp.StatusCode != http.StatusOK {
		refusal = refused(proxy, resp)
		f = judge(situation{err: refusal})
	}
	password, _ := proxy.User.Password()
	a := p.find(func(a *address) bool {
		return a.url.Host == proxy.Host && a.endpoint.Username == proxy.User.Username() && a.endpoint.Password.Reveal() == password
	})
	if a != nil {
		p.reportOn(a, targetOf(connect.Host), f)
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// Report tells the pool what a use has shown that it could not see: of a URL of
// [Pool.Proxy], or of a lease that is done. The target is as in [Pool.GetFor], or
// empty. It returns false if the pool does not have the proxy any more.
func (p *Pool) Report(e proxylite.Endpoint, target string, v Verdict) bool {
	return p.tell(e, func(a *address) { p.reportOn(a, targetOf(target), finding{verdict: v}) })
}

// Drop takes a proxy out for good; it is replaced as if it had been used up. It
// returns false if the pool does not have the proxy any more.
func (p *Pool) Drop(e proxylite.Endpoint) bool {
	return p.tell(e, func(a *address) { p.drop(a, ReasonUsedUp) })
}

func (p *Pool) tell(e proxylite.Endpoint, f func(*address)) bool {
	id := Proxy{Endpoint: e}.id()
	a := p.find(func(a *address) bool { return a.id == id })
	if a == nil {
		return false
	}
	f(a)
	return true
}

func (p *Pool) find(is func(*address) bool) *address {
	for _, a := range p.live.Load().proxies {
		if is(a) {
			return a
		}
	}
	return nil
}

func (p *Pool) reportOn(a *address, t target, f finding) {
	l := &Lease{pool: p, a: a, target: t, start: p.now().mono}
	l.report(f)
}
