package pool

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/clock"
)

// Verdict is what a use says about the proxy.
type Verdict int

// The verdicts.
const (
	// Unjudged says nothing about it.
	Unjudged Verdict = iota
	// Worked clears what was held against it.
	Worked
	// Failed takes it out for a cool-down that doubles. When that happens for the
	// third time, with no use of it that worked in between while others did, it is
	// out for good and replaced, if it has an end of life or the source is Disposable.
	Failed
	// FailedForHost takes it out for the target host only.
	FailedForHost
	// Dead takes it out for good.
	Dead
	// UsedUp takes it out for good, too, though nothing is wrong with it: the next
	// one is fetched at once, within the quota.
	UsedUp
)

var verdicts = [...]string{"unjudged", "worked", "failed", "failed for host", "dead", "used up"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdicts) {
		return "no verdict"
	}
	return verdicts[v]
}

// How the pool finds out whose fault a failure is
//
// A failure accuses the proxy: of not being reached, or of one target (host:port).
// The accusation is open until other uses settle it, in one of three ways:
//
//   - The proxy works, for any target: it is acquitted of all.
//   - Another proxy works for that target, in a use that began after the failure (for
//     a proxy that was not reached: any target): the accusation is proven.
//   - Neither: nothing works, or not there. It stays open and costs nothing but a
//     short rest.
//
// What is proven rests the proxy, longer each time, and only a use that began after
// that can accuse it again: the end of an outage proves one accusation of each, and
// not three. Enough proven ones condemn it. A failure that a target may have caused
// counts once for each target, so no single target can condemn a proxy, whatever it
// does; one of a proxy that hangs up without a word counts half when it is for a target
// that has counted. How many are enough is three where proxies that work hardly ever fail, and
// more the more often they do.
//
// Errors of this machine and of the caller accuse nobody (see fault.go). Behind a
// gateway that rotates, each connection has another exit, so nothing is held against
// anything there.

// record is what speaks against an address, under Pool.mu but for row.
type record struct {
	row     atomic.Int32       // failures in a row, of any kind
	accused atomic.Bool        // something is open or proven
	open    map[string]*charge // by target; "" is for not being reached
	proven  map[string]int     // by target, in a row

	failedAt clock.Instant // it was not reached
	provenAt clock.Instant
	missed   int // times it was not reached in a row, each after a rest, while no other was
	refusals int // in a row, that are not its fault (512)
	logins   int // refused in a row
	loginAt  clock.Instant
	guilty   bool // condemned, but there is no other one to be had
}

// charge is an open accusation.
type charge struct {
	at     clock.Instant
	target bool // the target may have caused it
	quiet  bool // it may have been a response of the target
	mute   bool // the proxy said nothing, which some do when they do not reach a target
}

// doubt is what is open, of all addresses.
type doubt struct {
	unreached atomic.Int64 // addresses with an open charge of not being reached
	targets   sync.Map     // with an open charge: string → struct{}
	some      atomic.Int64 // of them

	// Under Pool.mu.
	accused map[string]map[*address]*charge // by target
	login   int                             // refused in a row by all, where they share one
	loginAt clock.Instant

	// How often proxies that work fail where others succeed: what was proven and then
	// acquitted, and successes.
	reach, targetRate rate
}

const (
	strikesOut = 3  // proven failures that condemn a proxy where others hardly fail
	outage     = 10 // failures in a row, of all, that are not the proxies' fault
	mostOpen   = 32 // targets that one address can be accused of

	// How long a proxy rests at most when there is no other one: after an outage of
	// all, traffic goes on about that long after they are back.
	grace = time.Second
	// A login that worked is wrong when it is refused that often, for that long,
	// with nothing that works in between.
	refusedLogins = 3
	refusedFor    = time.Second
	refusedFirst  = 2 // where all share one that has never worked
)

var errJudgedDead = errors.New("the last proxy was judged dead")

// conclude draws the conclusions of one use. It is the one place that does.
func (p *Pool) conclude(l *Lease, f finding, now moment) {
	if !p.tally(l, f) || p.source.Rotating && p.shrug(l, f, now) {
		return
	}
	a := l.a
	p.mu.Lock()
	defer p.unlock()
	switch f.verdict {
	case Worked:
		p.acquit(a)
		a.until.Store(0)
		a.out.forgive(l.target.addr)
		p.prove(l, now)
	case FailedForHost:
		if f.class <= byJudge {
			p.ban(a, l.target.host, f, now)
			return
		}
		a.record.row.Add(1)
		p.accuse(l, f, now)
	case Failed:
		a.record.row.Add(1)
		p.unreached(l, f, now)
	case Unjudged:
		p.accuse(l, f, now)
	case Dead:
		p.bury(l, f, now)
	case UsedUp:
		p.giveBack(a, ReasonUsedUp)
	}
}

// tally counts a use, without a lock. It returns false if that is all there is to do,
// as it is for nearly all that worked.
func (p *Pool) tally(l *Lease, f finding) bool {
	a := l.a
	switch f.verdict {
	case Unjudged:
		if f.class == byTarget && f.err == nil { // a response, which may be the target's
			p.counters.worked.Add(1)
		}
		return f.class == byTarget
	case Worked:
		p.counters.worked.Add(1)
		a.worked.Add(1)
		p.arrived(l)
		if p.counters.streak.Load() > 0 {
			p.counters.streak.Store(0)
		}
		a.record.row.Store(0)
		return a.record.accused.Load() || p.doubted(l.target.addr)
	case UsedUp:
	default:
		p.counters.failed.Add(1)
		a.failed.Add(1)
		p.failedAway(l)
	}
	return true
}

// shrug is what a failure means behind a gateway that rotates: the next connection
// has another exit. It returns false for what concerns the gateway itself.
func (p *Pool) shrug(l *Lease, f finding, now moment) bool {
	switch {
	case f.verdict == Worked, f.verdict == UsedUp, f.class == byCaller && f.verdict == Dead, errors.Is(f.err, ErrProxyAuth) && f.class != byTarget:
		return false
	case errors.Is(f.err, ErrNotAllowed), f.class == byReach && isDial(f.err): // a few are nothing, many in a row an outage
		row := int(l.a.record.row.Add(1))
		l.a.until.Store(int64(now.mono.Add(clock.Double(10*time.Millisecond, row-1, min(grace, p.coolFirst)))))
	case f.verdict != Unjudged:
		l.a.leave()
	}
	return true
}

// doubted tells that a success would settle something.
func (p *Pool) doubted(target string) bool {
	d := &p.doubt
	if d.unreached.Load() > 0 {
		return true
	}
	if d.some.Load() == 0 {
		return false
	}
	_, ok := d.targets.Load(target)
	return ok
}

// unreached accuses an address of not being reached.
func (p *Pool) unreached(l *Lease, f finding, now moment) {
	a, r := l.a, &l.a.record
	if l.start <= r.failedAt && r.failedAt > 0 || a.gone.Load() {
		return // it belongs to a failure that is counted
	}
	r.failedAt = now.mono
	p.counters.streak.Add(1)
	if errors.Is(f.err, ErrNotAllowed) {
		r.refusals++
		r.accused.Store(true)
		p.log.Warn("proxy does not let this source IP in, or has no stock", slog.String("proxy", a.String()))
		a.until.Store(int64(now.mono.Add(clock.Double(p.coolFirst, r.refusals-1, p.coolMax))))
		return
	}
	r.missed++
	proven := r.proven[""]
	a.until.Store(int64(now.mono.Add(clock.Double(p.coolFirst, proven, p.coolMax))))
	// It failed again after others have worked. There is no need to wait for more.
	enough := strikesOut
	if f.class != byCaller {
		enough = p.enough(&p.doubt.reach)
	}
	if proven+1 >= enough {
		p.condemn(a, now)
		return
	}
	p.open(a, "", &charge{at: now.mono})
	if r.missed == strikesOut {
		p.publish() // it is not counted on any more
	}
}

// accuse accuses an address of failing for a target.
func (p *Pool) accuse(l *Lease, f finding, now moment) {
	a, addr := l.a, l.target.addr
	if addr == "" || a.gone.Load() {
		return
	}
	c := &charge{at: now.mono, target: f.class == byTarget, quiet: f.verdict == Unjudged, mute: !isRefusal(f.err)}
	if !c.quiet {
		a.out.set(addr, outFor{until: now.mono.Add(clock.Double(p.coolFirst, a.record.proven[addr], p.coolMax))}, now.mono)
	}
	if len(a.record.open) >= mostOpen { // names that nobody reaches, most of them: the oldest goes
		oldest := ""
		for t, o := range a.record.open {
			if t != "" && (oldest == "" || o.at < a.record.open[oldest].at) {
				oldest = t
			}
		}
		p.settleCharge(a, oldest)
	}
	p.open(a, addr, c)
}

func (p *Pool) open(a *address, target string, c *charge) {
	d, r := &p.doubt, &a.record
	if r.open[target] != nil {
		return
	}
	if r.open == nil {
		r.open, r.proven = map[string]*charge{}, map[string]int{}
	}
	if d.accused == nil {
		d.accused = map[string]map[*address]*charge{}
	}
	if d.accused[target] == nil {
		d.accused[target] = map[*address]*charge{}
		if target != "" {
			d.targets.Store(target, struct{}{})
			d.some.Add(1)
		}
	}
	if target == "" {
		d.unreached.Add(1)
	}
	r.open[target], d.accused[target][a] = c, c
	r.accused.Store(true)
}

func (p *Pool) settleCharge(a *address, target string) {
	d := &p.doubt
	delete(a.record.open, target)
	delete(d.accused[target], a)
	if target == "" {
		d.unreached.Add(-1)
	}
	if len(d.accused[target]) == 0 {
		delete(d.accused, target)
		if target != "" {
			d.targets.Delete(target)
			d.some.Add(-1)
		}
	}
}

// acquit clears an address, which has worked or is gone.
func (p *Pool) acquit(a *address) {
	r := &a.record
	if !r.accused.Load() {
		return
	}
	if !a.gone.Load() {
		for target, n := range r.proven {
			p.doubt.rate(target).excused += uint64(n)
		}
	}
	for target := range r.open {
		p.settleCharge(a, target)
	}
	clear(r.proven)
	wasOut := r.guilty || r.missed >= strikesOut
	r.missed, r.refusals, r.logins, r.guilty = 0, 0, 0, false
	r.failedAt, r.provenAt = 0, 0
	r.accused.Store(false)
	if wasOut && !a.gone.Load() {
		p.publish()
	}
}

// prove settles what a success says about the others.
func (p *Pool) prove(l *Lease, now moment) {
	d := &p.doubt
	if d.login > 0 && l.start > d.loginAt {
		d.login = 0
	}
	recovered := false // some are counted on again
	for _, target := range []string{"", l.target.addr} {
		for a, c := range d.accused[target] {
			if a == l.a || l.start < c.at {
				continue
			}
			p.settleCharge(a, target)
			r := &a.record
			if target == "" { // from now on, what is proven counts
				recovered = recovered || r.missed >= strikesOut
				r.missed = 0
			}
			if r.provenAt == 0 || c.at > r.provenAt {
				r.provenAt = now.mono
				r.proven[target]++
				p.sentence(a, target, c, now)
			}
		}
		if l.target.addr == "" {
			break
		}
	}
	if recovered {
		p.publish()
	}
}

// sentence rests an address of which something was proven, or condemns it.
func (p *Pool) sentence(a *address, target string, c *charge, now moment) {
	r := &a.record
	n := 0
	for t, times := range r.proven {
		switch {
		case t != "" && (c.target || t != target):
			times = 1
		case c.mute:
			times = (times + 1) / 2
		}
		n += times
	}
	if n >= p.enough(p.doubt.rate(target)) {
		p.condemn(a, now)
		return
	}
	if target == "" || c.quiet && r.proven[target] < strikesOut {
		return
	}
	a.out.set(target, outFor{until: now.mono.Add(clock.Double(p.coolFirst, r.proven[target]-1, p.coolMax))}, now.mono)
	if n > 1 {
		a.until.Store(int64(now.mono.Add(clock.Double(p.coolFirst, n-2, p.coolMax))))
	}
}

// rate is how often proxies that work have failed, under Pool.mu.
type rate struct{ excused, worked0 uint64 }

func (d *doubt) rate(target string) *rate {
	if target == "" {
		return &d.reach
	}
	return &d.targetRate
}

// enough is how many proven failures condemn: so many that a proxy that works has
// them once in ten thousand times at most.
func (p *Pool) enough(r *rate) int {
	worked := p.counters.worked.Load() - r.worked0
	if worked+r.excused > 4096 { // what was long ago counts less and less
		r.excused /= 2
		r.worked0 += worked / 2
	}
	prior := 0.5
	if r == &p.doubt.targetRate { // targets fail more than proxies that are well do
		prior = 2
	}
	share := (float64(r.excused) + prior) / float64(worked+r.excused+10)
	return max(strikesOut, int(math.Ceil(math.Log(1e-4)/math.Log(share))))
}

// condemn drops an address that fails where others succeed, if another one is to be
// had for it.
func (p *Pool) condemn(a *address, now moment) {
	r := &a.record
	if a.deadlineAt() != clock.Never || p.source.Disposable {
		p.retire(a, ReasonFailed)
	} else {
		n := 0
		for _, times := range r.proven {
			n += times
		}
		a.until.Store(int64(now.mono.Add(clock.Double(p.coolFirst, n, p.coolMax))))
		if target := ""; r.open[target] == nil {
			p.open(a, target, &charge{at: now.mono})
		}
		r.guilty = true
	}
	p.publish()
}

// ban takes an address out for a host, as somebody has judged.
func (p *Pool) ban(a *address, host string, f finding, now moment) {
	old := a.out.get(host)
	out := outFor{until: now.mono.Add(p.coolHost), why: outBanned}
	switch {
	case f.slow:
		if out.why = outSlowed; old.why == outSlowed {
			out.n = old.n + 1
		}
		out.until = now.mono.Add(cmp.Or(f.retryAfter, clock.Double(p.coolFirst, out.n, p.coolHost)))
	case f.unproven:
		out.until = now.mono.Add(min(p.coolFirst, p.coolHost))
	}
	if old.until > now.mono {
		out.until = max(out.until, old.until)
	}
	a.out.set(host, out, now.mono)
}

// bury takes an address out for good.
func (p *Pool) bury(l *Lease, f finding, now moment) {
	a := l.a
	if a.gone.Load() {
		return
	}
	if f.class != byCaller || l.auto {
		p.counters.streak.Add(1)
	}
	login := errors.Is(f.err, ErrProxyAuth)
	if login && !p.loginIsWrong(l, f, now) {
		return
	}
	p.retire(a, ReasonDead)
	p.supply.lastErr = cmp.Or(f.err, errJudgedDead)
	if login {
		p.loginRefused(f.err)
	}
	p.publish()
}

// loginIsWrong tells that a login that was refused is wrong. One that has worked, or
// that all share, must be refused again and again for that.
func (p *Pool) loginIsWrong(l *Lease, f finding, now moment) bool {
	a, d := l.a, &p.doubt
	one := p.source.OneLogin
	if !one && a.worked.Load() == 0 {
		return true
	}
	r := &a.record
	if d.login++; d.login == 1 {
		d.loginAt = now.mono
	}
	if r.logins++; r.logins == 1 {
		r.loginAt = now.mono
	}
	n, since := r.logins, r.loginAt
	if one {
		n, since = d.login, d.loginAt
	}
	never := one && p.counters.worked.Load() == p.supply.resumed
	if never && n >= refusedFirst || n >= refusedLogins && now.mono.Sub(since) >= refusedFor {
		return true
	}
	if p.source.Rotating { // so that a success comes here and settles it
		p.open(a, "", &charge{at: now.mono})
		return false
	}
	p.unreached(l, f, now)
	return false
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

// endOutage lets addresses be tried again soon when all are resting: then there is
// no better one to wait for.
func (p *Pool) endOutage(now moment, q query) {
	resting := func(a *address) bool { return a.outUntil(q) > now.mono && now.wall < a.deadlineAt() }
	if !slices.ContainsFunc(p.all, resting) || slices.ContainsFunc(p.all, func(a *address) bool { return a.usable(now, q) }) {
		return
	}
	soon := now.mono.Add(grace)
	for _, a := range p.all {
		if clock.Instant(a.until.Load()) > soon {
			a.until.Store(int64(soon))
		}
		if f := a.out.get(q.addr); q.addr != q.host && f.why == outUnproven && f.until > soon {
			f.until = soon
			a.out.set(q.addr, f, now.mono)
		}
	}
}

// accused tells that something is open or proven.
func (a *address) accused() bool { return a.record.accused.Load() }

// unreliable tells that the supply should not count on the address.
func (a *address) unreliable() bool { return a.record.guilty || a.record.missed >= strikesOut }

func (a *address) slowedUntil(q query) clock.Instant {
	if f := a.out.get(q.host); f.why == outSlowed {
		return f.until
	}
	return 0
}

// forgive ends what was unproven against the address there.
func (o *outs) forgive(target string) {
	if f := o.get(target); f.until > 0 && f.why == outUnproven {
		o.remove(target)
	}
}

// arrived makes the proxy that a session has tried its home, as it works.
func (p *Pool) arrived(l *Lease) {
	if l.moved != nil && l.session != nil && p.sessions.move(l.session, l.moved, l.a) {
		p.member.pin(l.session, l.a)
		p.moved(l.session, l.moved, l.a)
	}
}

// failedAway gives up what a session has tried in place of its home.
func (p *Pool) failedAway(l *Lease) {
	if l.session != nil && l.moved != nil {
		l.session.away.CompareAndSwap(l.a, nil)
	}
}

// drop takes an address out for good.
func (p *Pool) drop(a *address, why Reason) {
	p.mu.Lock()
	defer p.unlock()
	p.giveBack(a, why)
}

// giveBack takes an address out, and lets the next one come at once.
func (p *Pool) giveBack(a *address, why Reason) {
	if a.gone.Load() {
		return
	}
	p.retire(a, why)
	if p.supply.strikes == 0 {
		p.supply.next = 0
	}
	p.publish()
}
