package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// verdict is what a check of the doctor has found.
type verdict string

const (
	good    verdict = "ok"
	warning verdict = "warning"
	bad     verdict = "failed"
	skipped verdict = "skipped"
)

type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Fix     string  `json:"fix,omitempty"`
	code    int     // exit code of a failure
}

var findingColumns = []column[finding]{
	{name: "check", value: func(x finding) any { return x.Check }},
	{name: "verdict", value: func(x finding) any { return x.Verdict }},
	{name: "detail", value: func(x finding) any { return x.Detail }},
	{name: "fix", value: func(x finding) any { return x.Fix }},
}

// doctor runs the checks. Each writes one finding.
type doctor struct {
	a      *app
	client *proxylite.Client
	base   *url.URL
	found  []finding

	accounts []proxylite.Account
	refused  error     // of the list of the accounts
	date     time.Time // of the API's response
	at       time.Time // by this machine's clock
}

func (d *doctor) add(check string, v verdict, fix, format string, args ...any) {
	d.found = append(d.found, finding{Check: check, Verdict: v, Detail: fmt.Sprintf(format, args...), Fix: fix, code: exitFailure})
}

// failed adds a failure with the exit code of an error.
func (d *doctor) failed(check string, err error, fix string) {
	d.add(check, bad, fix, "%s", err)
	d.found[len(d.found)-1].code = max(exitCode(err), exitFailure)
}

const soon = 7 * 24 * time.Hour

func (a *app) doctorCmd() *cobra.Command {
	var (
		g        gatewayFlags
		account  string
		echo     string
		username string
		extract  bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is wrong, from DNS to the gateway",
		Long: `Find out what is wrong: DNS, TLS, the clock, the key, the verification, the allow
list, plans and static IPs that end within a week, and accounts that are disabled or
at their limit. Each failure has its fix.

That is free. What costs is asked for:
  --account NAME       log in at the gateway; uses some KB of the account's traffic
  --echo-url URL       ask for this page, which returns the caller's IP, through the
                       gateway twice: does a session hold its IP? some KB, too
  --extract            extract one IP to try the allow list; spends quota
The exit code is that of the first failure; warnings end with 0.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			base, err := url.Parse(cmp.Or(a.baseURL, os.Getenv("PROXYLITE_BASE_URL"), proxylite.DefaultBaseURL))
			if err != nil {
				return usage(err)
			}
			if extract {
				if err := a.approve("extract one IP, which spends quota,"); err != nil {
					return err
				}
			}
			ctx := cmd.Context()
			d := &doctor{a: a, client: client, base: base}
			d.checkDNS(ctx)
			d.checkTLS(ctx)
			d.listAccounts(ctx)
			d.checkClock()
			d.checkKey()
			d.checkAllowList(ctx, extract)
			d.checkPlans(ctx)
			d.checkStatic(ctx)
			d.checkAccounts()
			d.checkUsername(username)
			d.checkGateway(ctx, g, account, echo)
			return d.report()
		},
	}
	g.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&account, "account", "", "log in at the gateway as this account")
	f.StringVar(&echo, "echo-url", "", "page that returns the caller's IP; needs --account")
	f.StringVar(&username, "username", "", "check this user name of the gateway")
	f.BoolVar(&extract, "extract", false, "extract one IP to try the allow list; spends quota")
	return columnHelp(cmd, findingColumns)
}

func (d *doctor) report() error {
	if err := show(d.a, findingColumns, all(d.found)); err != nil {
		return err
	}
	failures, code := 0, 0
	for _, f := range d.found {
		if f.Verdict == bad {
			failures++
			if code == 0 {
				code = f.code
			}
		}
	}
	if failures == 0 {
		return nil
	}
	return &codedError{code, fmt.Errorf("%s failed", count(failures, "check"))}
}

func (d *doctor) checkDNS(ctx context.Context) {
	host := d.base.Hostname()
	if net.ParseIP(host) != nil {
		d.add("dns", skipped, "", "%s is an address", host)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.a.timeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		d.failed("dns", &codedError{exitNetwork, fmt.Errorf("%s has no address: %w", host, err)}, "check the DNS server of this machine, and the base URL")
		return
	}
	d.add("dns", good, "", "%s is %s", host, strings.Join(addresses, ", "))
}

func (d *doctor) checkTLS(ctx context.Context) {
	if d.base.Scheme != "https" {
		d.add("tls", skipped, "", "%s is on this machine, without TLS", d.base.Host)
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, d.base.Scheme+"://"+d.base.Host+"/", http.NoBody)
	if err != nil {
		d.failed("tls", usage(err), "")
		return
	}
	transport := proxylite.NewTransport()
	transport.Proxy = http.ProxyFromEnvironment
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport, Timeout: d.a.timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := web.Do(req)
	if err != nil {
		d.failed("tls", &codedError{exitNetwork, err}, "check the network, HTTPS_PROXY, and the certificates of this machine")
		return
	}
	_ = resp.Body.Close()
	leaf := resp.TLS.PeerCertificates[0]
	d.add("tls", good, "", "%s, certificate valid until %s", tls.VersionName(resp.TLS.Version), leaf.NotAfter.Format(time.DateOnly))
}

func (d *doctor) listAccounts(ctx context.Context) {
	var raw proxylite.RawResponse
	d.accounts, d.refused = d.client.Accounts.List(ctx, proxylite.CallRaw(&raw))
	d.at = time.Now()
	if raw.Header != nil {
		d.date, _ = http.ParseTime(raw.Header.Get("Date"))
	}
}

func (d *doctor) checkClock() {
	if d.date.IsZero() {
		d.add("clock", skipped, "", "no response with a date")
		return
	}
	off := d.at.Sub(d.date).Round(time.Second)
	if off.Abs() > 2*time.Minute {
		d.add("clock", bad, "set the clock of this machine, with NTP", "this machine's clock is off by %s", off)
		return
	}
	d.add("clock", good, "", "it agrees with the API's to %s", max(off.Abs(), time.Second))
}

func (d *doctor) checkKey() {
	switch err := d.refused; {
	case err == nil:
		d.add("key", good, "", "the API accepts it")
		d.add("verification", good, "", "the API asks for none")
	case errors.Is(err, proxylite.ErrInvalidAppKey):
		d.failed("key", err, nextAction(exitCredential, err))
		d.add("verification", skipped, "", "the key is not accepted")
	case exitCode(err) == exitNotAllowed && !errors.Is(err, proxylite.ErrIPNotAllowed):
		d.add("key", good, "", "the API knows it")
		d.failed("verification", err, nextAction(exitNotAllowed, err))
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		d.add("key", good, "", "the API knows it")
		d.add("verification", skipped, "", "the API refuses this machine's address")
	default:
		d.failed("key", err, nextAction(exitCode(err), err))
		d.add("verification", skipped, "", "the API can't be asked")
	}
}

func (d *doctor) checkAllowList(ctx context.Context, extract bool) {
	err := d.refused
	if extract {
		var extractor pool.Extractor
		if extractor, err = d.a.extractor(d.client); err == nil {
			_, err = extractor.Extract(ctx, proxylite.IPExtractParams{Quantity: 1, Life: 5 * time.Minute})
		}
	}
	switch {
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		d.failed("allow list", err, nextAction(exitNotAllowed, err))
	case !extract:
		d.add("allow list", skipped, "", "only an extraction shows it: --extract spends one IP")
	case err != nil:
		d.failed("allow list", err, nextAction(exitCode(err), err))
	default:
		d.add("allow list", good, "", "one IP was extracted and spent")
	}
}

func (d *doctor) checkPlans(ctx context.Context) {
	checkEnds(d, "plans", "plan", "buy the next one: proxylite orders buy", d.client.Products.All(ctx, proxylite.ProductListParams{}),
		func(p proxylite.PurchasedProduct) time.Time { return p.ExpiredAt })
}

func (d *doctor) checkStatic(ctx context.Context) {
	checkEnds(d, "static IPs", "static IP", "renew them: proxylite orders buy --static-ip", d.client.IP.AllStatic(ctx, proxylite.IPListStaticParams{}),
		func(ip proxylite.StaticIP) time.Time { return ip.ExpiredAt })
}

// checkEnds reports what of a list ends soon.
func checkEnds[T any](d *doctor, check, noun, fix string, list iter.Seq2[T, error], end func(T) time.Time) {
	if d.refused != nil {
		d.add(check, skipped, "", "the API can't be asked")
		return
	}
	total, ending, left := 0, 0, soon
	for x, err := range list {
		if err != nil {
			d.failed(check, err, nextAction(exitCode(err), err))
			return
		}
		total++
		if rest := end(x).Sub(d.at); rest > 0 && rest < soon {
			ending++
			left = min(left, rest)
		}
	}
	if ending > 0 {
		d.add(check, warning, fix, "ends within a week: %d of %s, the first in %s", ending, count(total, noun), left.Round(time.Hour))
		return
	}
	d.add(check, good, "", "%s, none ends within a week", count(total, noun))
}

func (d *doctor) checkAccounts() {
	if d.refused != nil {
		d.add("accounts", skipped, "", "the API can't be asked")
		return
	}
	var disabled, full []string
	for _, x := range d.accounts {
		limit, ok := x.Limit()
		switch {
		case x.Status != proxylite.AccountEnabled:
			disabled = append(disabled, x.Username)
		case ok && limit > 0 && x.Used >= limit:
			full = append(full, x.Username)
		}
	}
	shown := func(names []string) string {
		if len(names) > 5 {
			return strings.Join(names[:5], ", ") + ", …"
		}
		return strings.Join(names, ", ")
	}
	switch {
	case len(full) > 0:
		d.add("accounts", warning, "raise the limit: proxylite accounts limit", "at their limit: %s", shown(full))
	case len(disabled) > 0:
		d.add("accounts", warning, "proxylite accounts enable", "disabled: %s", shown(disabled))
	default:
		d.add("accounts", good, "", "%s, none disabled or at its limit", count(len(d.accounts), "account"))
	}
}

func (d *doctor) checkUsername(name string) {
	if name == "" {
		return
	}
	if _, err := pool.ParseGatewayUsername(name); err != nil {
		d.failed("user name", usage(err), "proxylite gateway url writes it")
		return
	}
	d.add("user name", good, "", "the gateway understands all of it")
}

// checkGateway logs in at the gateway, and asks twice which IP a session has.
func (d *doctor) checkGateway(ctx context.Context, g gatewayFlags, account, echo string) {
	if account == "" {
		d.add("gateway", skipped, "", "--account NAME logs in, with some KB of traffic")
		return
	}
	g.Session = cmp.Or(g.Session, "doctor")
	if err := g.login(ctx, d.client, account); err != nil {
		d.failed("gateway", err, "see \"proxylite accounts list "+account+"\"")
		return
	}
	p, err := pool.New(g.Rotating(), pool.WithConnectTimeout(d.a.timeout), pool.WithAttempts(1), pool.WithRotation(pool.PerRequest))
	if err != nil {
		d.failed("gateway", usage(err), "")
		return
	}
	defer func() { _ = p.Close() }()
	target := cmp.Or(echo, d.base.String())
	web := &http.Client{Transport: p.Transport(), Timeout: 2 * d.a.timeout}
	first, err := d.through(ctx, web, target)
	switch {
	case errors.Is(err, pool.ErrProxyAuth):
		d.failed("gateway", &codedError{exitCredential, err}, "check the account: its password, whether it is enabled, and its limit")
		return
	case errors.Is(err, pool.ErrNotAllowed):
		d.failed("gateway", &codedError{exitNotAllowed, err}, "add this machine's address to the allow list, or choose another place")
		return
	case err != nil:
		d.failed("gateway", &codedError{exitNetwork, err}, "check whether this machine can reach "+g.Host)
		return
	}
	d.add("gateway", good, "", "the login of %s works", g.Account)
	if echo == "" {
		d.add("session", skipped, "", "--echo-url URL asks a page twice which IP it sees")
		return
	}
	switch second, err := d.through(ctx, web, target); {
	case err != nil:
		d.failed("session", &codedError{exitNetwork, err}, "try it again")
	case first != second:
		d.add("session", bad, "the IP may have gone; with another --session it begins anew", "it came from %s, then from %s", first, second)
	default:
		d.add("session", good, "", "it keeps its IP, %s", first)
	}
}

// through returns the first line of a page.
func (d *doctor) through(ctx context.Context, web *http.Client, target string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return "", usage(err)
	}
	resp, err := web.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line), err
}
