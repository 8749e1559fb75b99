package pool

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"time"
)

// Verdict is what a use says about the proxy.
type Verdict int

// The verdicts.
const (
	// Unjudged says nothing about it.
	Unjudged Verdict = iota
	// Worked clears what was held against it.
	Worked
	// Failed takes it out for a cool-down that doubles. After three in a row, while
	// others work, it is out for good if it has an end of life, and is replaced.
	Failed
	// FailedForHost takes it out for the target host only.
	FailedForHost
	// Dead takes it out for good.
	Dead

	// notNow takes it out for a cool-down, but is not its fault.
	notNow
)

var verdicts = [...]string{"unjudged", "worked", "failed", "failed for host", "dead", "refused for now"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdicts) {
		return "no verdict"
	}
	return verdicts[v]
}

const (
	strikesOut = 3  // failures in a row that make a proxy one not to count on
	outage     = 10 // failures in a row, of all, that are not the proxies' fault
)

var errJudgedDead = errors.New("the last proxy was judged dead")

// report takes a verdict to the proxy's account. err is the pool's own evidence.
func (l *Lease) report(v Verdict, err error) {
	p, a := l.pool, l.a
	if v == FailedForHost && l.host == "" {
		v = Failed
	}
	if p.hooks.Used != nil {
		p.hooks.Used(Use{Proxy: a.String(), Host: l.host, Verdict: v, Duration: time.Duration(time.Now().UnixNano() - l.start), Err: err})
	}
	switch v {
	case Unjudged:
		return
	case Worked:
		p.counters.worked.Add(1)
		a.worked.Add(1)
		switch n := p.counters.streak.Load(); {
		case n >= outage:
			p.forgive()
		case n > 0:
			p.counters.streak.Store(0)
		}
		if !a.shaky.Load() {
			return
		}
	default:
		p.counters.failed.Add(1)
		p.counters.streak.Add(1)
		a.failed.Add(1)
	}
	now := time.Now().UnixNano()
	p.mu.Lock()
	defer p.unlock()
	switch v {
	case Worked:
		a.strikes, a.rests = 0, 0
		a.shaky.Store(false)
	case FailedForHost:
		cool := p.coolHost
		if err != nil { // not the user's judgement: the host may just be down
			cool = p.coolFirst
		}
		hosts := map[string]int64{l.host: now + int64(cool)}
		if old := a.hosts.Load(); old != nil {
			for host, until := range *old {
				if until > now {
					hosts[host] = max(until, hosts[host])
				}
			}
		}
		a.hosts.Store(&hosts)
	case Failed, notNow:
		if l.start <= a.failedAt || a.gone.Load() {
			return // it belongs to a failure that is counted
		}
		p.strike(a, now, v)
	case Dead:
		if !a.gone.Load() {
			p.retire(a, ReasonDead)
			p.supply.lastErr = cmp.Or(err, errJudgedDead)
			if errors.Is(err, ErrProxyAuth) {
				p.loginRefused(err)
			}
			p.publish()
		}
	}
	if errors.Is(err, ErrNotAllowed) {
		p.log.Warn("proxy does not let this source IP in, or has no stock", slog.Any("proxy", a.Proxy))
	}
}

// forgive ends an outage: what failed in it need not be at fault.
func (p *Pool) forgive() {
	p.mu.Lock()
	defer p.unlock()
	for _, a := range p.all {
		a.strikes, a.rests = 0, 0
		a.until.Store(0)
	}
	p.counters.streak.Store(0) // not before: all would be replaced
	p.publish()
}

func (p *Pool) strike(a *address, now int64, v Verdict) {
	if a.strikes == 0 {
		a.workedBefore = p.counters.worked.Load()
	}
	if v == Failed {
		a.strikes++
	} else {
		a.rests++
	}
	a.shaky.Store(true)
	a.failedAt = now
	cool := p.coolMax
	if n := a.strikes + a.rests - 1; n < 20 {
		cool = min(cool, p.coolFirst<<n)
	}
	a.until.Store(now + int64(cool))
	if v != Failed || a.strikes < strikesOut {
		return
	}
	// When nothing works, the fault may be on this side: it is not dropped then,
	// only not counted on any more.
	if !a.Expires.IsZero() && p.counters.worked.Load() > a.workedBefore {
		p.retire(a, ReasonFailed)
	}
	p.publish()
}

// loginRefused stops the pool where all share the login that was refused, or when
// no proxy is left that might take it.
func (p *Pool) loginRefused(err error) {
	if !p.source.OneLogin && (len(p.all) > 0 || p.counters.worked.Load() > p.supply.worked) {
		return
	}
	p.stop(err)
	for len(p.all) > 0 {
		p.retire(p.all[0], ReasonDead)
	}
}

// judge says whose fault an error is. The tunnel is what leads through the proxy
// to the target: once there, an error may be the target's.
func judge(ctx context.Context, err error, tunnel bool) Verdict {
	refused, ok := errors.AsType[*ConnectError](err)
	switch {
	case ok:
		return refused.verdict()
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, ErrExpired):
		return Unjudged
	case tunnel:
		return FailedForHost
	}
	return Failed
}

func (e *ConnectError) verdict() Verdict {
	switch e.kind {
	case ErrProxyAuth, ErrProxyDead:
		return Dead
	case ErrNotAllowed:
		return notNow
	case ErrProxyTLS:
		return Failed
	}
	return FailedForHost // it answered, but can't or won't reach that host
}

// socksRefusal finds a SOCKS5 proxy's own answer in an error. The libraries give
// it as text only.
func socksRefusal(proxy string, err error) error {
	text := err.Error()
	_, reply, ok := strings.Cut(text, "unknown error ")
	switch {
	case strings.Contains(text, "username/password authentication failed"), strings.Contains(text, "no acceptable authentication methods"):
		return &ConnectError{Proxy: proxy, Reason: "login refused", kind: ErrProxyAuth}
	case ok && strings.Contains(text, "socks connect"):
		return &ConnectError{Proxy: proxy, Reason: reply}
	}
	return err
}

// forever is a time that does not come.
const forever = math.MaxInt64
