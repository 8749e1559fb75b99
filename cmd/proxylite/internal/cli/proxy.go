package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
)

// proxyFlags are the flags of "proxy".
type proxyFlags struct {
	from      sourceFlags
	listen    string
	admin     string
	login     string
	stdin     bool
	user      string
	perHour   int
	ban       []int
	targets   []string
	private   bool
	gigabytes int64
}

func (a *app) proxyCmd() *cobra.Command {
	var p proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Serve a local proxy over a pool, for browsers, curl and other languages",
		Long: `Serve a local proxy over a pool, for browsers, curl and other languages. Behind one
port, proxies rotate, stay, expire and are replaced. It speaks HTTP and SOCKS5, and
prints how to use it. The user name of a client picks a session: session-a1.

With --extract it keeps so many IPs alive, and fetches the next ones only while it is
used: at most --max-per-hour.

Beyond this machine it needs --login. --admin serves statistics and control with the
token of PROXYLITE_ADMIN_TOKEN, at least 16 characters.`,
		Example: "  proxylite proxy --extract 20 --country US --life 30m\n  proxylite proxy --account bob --country US",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.proxy(cmd, &p) },
	}
	p.from.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&p.listen, "listen", "127.0.0.1:8118", "address and port")
	f.StringVar(&p.admin, "admin", "", "loopback address and port for statistics and control")
	f.StringVar(&p.login, "login", "", "user name that clients must have; the password is asked for")
	f.BoolVar(&p.stdin, "password-stdin", false, "read the password of --login from stdin")
	f.StringVar(&p.user, "default-user", "", "user name for clients without one, such as session-a1")
	f.IntVar(&p.perHour, "max-per-hour", 0, "most IPs to extract in an hour (default ten times --extract)")
	f.IntSliceVar(&p.ban, "ban-status", nil, "status codes of targets that mean a ban, such as 403,429")
	f.StringSliceVar(&p.targets, "target", nil, "targets to allow, such as *.example.com (default all)")
	f.BoolVar(&p.private, "private-targets", false, "allow addresses of private networks as targets")
	f.Int64Var(&p.gigabytes, "max-gb", 0, "most traffic in all, in GB (default no limit)")
	return cmd
}

// options are those of the pool and of the server.
func (a *app) proxyOptions(p *proxyFlags) ([]pool.Option, []localproxy.Option, error) {
	of := []pool.Option{pool.WithHooks(pool.Hooks{Stopped: func(err error) { a.note("no more proxies are fetched: %s", err) }})}
	server := []localproxy.Option{}
	if p.from.extract > 0 {
		of = append(of, pool.WithQuota(p.perHour, time.Hour))
	}
	if len(p.ban) > 0 {
		of = append(of, pool.WithBanStatus(p.ban...))
	}
	if p.login != "" {
		passwords, err := a.passwords([]string{p.login}, p.stdin, false)
		if err != nil {
			return nil, nil, err
		}
		server = append(server, localproxy.WithLogin(p.login, passwords[0].Reveal()))
	}
	if p.user != "" {
		server = append(server, localproxy.WithDefaultUser(p.user))
	}
	if len(p.targets) > 0 {
		server = append(server, localproxy.WithTargets(p.targets...))
	}
	if p.private {
		server = append(server, localproxy.WithPrivateTargets())
	}
	if p.gigabytes > 0 {
		server = append(server, localproxy.WithBytes(p.gigabytes<<30))
	}
	if a.verbose {
		logger := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
		of, server = append(of, pool.WithLogger(logger)), append(server, localproxy.WithLogger(logger))
	}
	return of, server, nil
}

func (a *app) proxy(cmd *cobra.Command, p *proxyFlags) error {
	if p.perHour == 0 {
		p.perHour = 10 * p.from.extract
	}
	ofPool, ofServer, err := a.proxyOptions(p)
	if err != nil {
		return err
	}
	source, err := a.source(cmd, &p.from, fmt.Sprintf("up to %s an hour, while the proxy is used", count(p.perHour, "IP")))
	if err != nil {
		return err
	}
	proxies, err := pool.New(source, ofPool...)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = proxies.Close() }()
	server, err := localproxy.New(proxies, ofServer...)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = server.Close() }()
	err = a.serveProxy(cmd.Context(), server, p)
	used, spent := server.Stats(), proxies.Stats().Spent
	a.note("served: %s, %s up, %s down; spent: %s of quota", count(int(used.Requests), "request"),
		kilobytes(used.Up), kilobytes(used.Down), count(int(spent), "IP"))
	return err
}

func kilobytes(n int64) proxylite.Traffic { return proxylite.Traffic((n + 1023) / 1024) }

// serveProxy serves until the context ends, and then lets what is under way end.
func (a *app) serveProxy(ctx context.Context, server *localproxy.Server, p *proxyFlags) error {
	listener, err := listen(ctx, p.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	if p.admin != "" {
		closeAdmin, err := a.serveAdmin(ctx, server, p.admin)
		if err != nil {
			return err
		}
		defer closeAdmin()
	}
	login := ""
	if p.login != "" {
		login = p.login + ":PASSWORD@"
	}
	address := listener.Addr().String()
	if err := a.write(fmt.Sprintf("curl -x http://%s%s https://example.com\nchromium --proxy-server=%s\n", login, address, address)); err != nil {
		return err
	}
	err = serve(ctx, func() error { return server.Serve(listener) }, server.Shutdown)
	if ctx.Err() == nil {
		return usage(err) // it can't be served at this address
	}
	return err
}

// serveAdmin serves the handler for statistics and control.
func (a *app) serveAdmin(ctx context.Context, server *localproxy.Server, address string) (closeAdmin func(), err error) {
	handler, err := server.Admin(os.Getenv("PROXYLITE_ADMIN_TOKEN"))
	if err != nil {
		return nil, usage(fmt.Errorf("PROXYLITE_ADMIN_TOKEN: %w", err))
	}
	listener, err := listenHere(ctx, "--admin", address)
	if err != nil {
		return nil, err
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: a.timeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.note("the admin address is not served any more: %s", err)
		}
	}()
	a.note("admin: http://%s", listener.Addr())
	return func() {
		_ = web.Close()
		<-done
	}, nil
}
