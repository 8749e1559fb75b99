// Package cli is the command proxylite.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/proxylite/proxylite-go"
)

// app is one run of the command: its streams, its global flags and what it has opened.
type app struct {
	version  string
	in       *os.File
	out, err *os.File

	demo        bool
	baseURL     string
	profile     string
	timeout     time.Duration
	timeZone    string
	output      string
	columns     []string
	jq          string
	yes         bool
	dryRun      bool
	showSecrets bool
	jsonErrors  bool
	verbose     bool

	live     bool // rows come over time: a table shows each at once
	parsed   bool // the command line is valid, so that a later error is not one of usage
	approved bool // a person or --yes has allowed what changes or spends
	onClose  []func()

	interrupted <-chan struct{} // closed by Ctrl-C
	typed       *bufio.Reader   // of in
}

// Errors of cobra about groups of flags.
var (
	exclusiveFlags = regexp.MustCompile(`none of the others can be; \[(.*)\] were all set`)
	neededFlags    = regexp.MustCompile(`at least one of the flags in the group \[(.*)\] is required`)
)

// plainly says an error of cobra about flags in plain English.
func plainly(err error) error {
	list := func(names string) string {
		all := strings.Fields(names)
		last := len(all) - 1
		return "--" + strings.Join(all[:last], ", --") + " and --" + all[last]
	}
	if names := exclusiveFlags.FindStringSubmatch(err.Error()); names != nil {
		return errors.New(list(names[1]) + " can't be used together")
	}
	if names := neededFlags.FindStringSubmatch(err.Error()); names != nil {
		return errors.New("one of " + list(names[1]) + " is needed")
	}
	return err
}

// Main runs the command line of the process and returns its exit code. The version is
// that of a released archive, or empty.
func Main(version string) int {
	// A closed pipe is an error of the write, not the end of the process: what the
	// command has spent is still told.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	a := &app{version: version, in: os.Stdin, out: os.Stdout, err: os.Stderr, interrupted: ctx.Done()}
	defer a.close()
	root := a.root()
	err := root.ExecuteContext(ctx)
	if err != nil && !a.parsed {
		err = usage(plainly(err))
	}
	return a.report(err)
}

func (a *app) close() {
	for _, f := range a.onClose {
		f()
	}
}

func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proxylite",
		Short: "Manage ProxyLite proxies: accounts, traffic, IPs and orders",
		Long: `Manage ProxyLite proxies: accounts, traffic, IPs and orders.

The credential is taken from PROXYLITE_APP_KEY or PROXYLITE_TOKEN, or else from
"proxylite login". With --demo every command runs against a server in this
process, without an account.

Data goes to stdout and everything else to stderr. What changes or spends asks
first on a terminal, and needs --yes elsewhere.

Exit codes:
` + exitCodes(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkFlags() },
		Args:              commandsOnly,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetIn(a.in)
	cmd.SetOut(a.out)
	cmd.SetErr(a.err)
	cmd.CompletionOptions.HiddenDefaultCmd = false
	f := cmd.PersistentFlags()
	f.BoolVar(&a.demo, "demo", false, "run against a server in this process, with demo data")
	f.StringVar(&a.baseURL, "base-url", "", "URL of the API (PROXYLITE_BASE_URL)")
	f.StringVar(&a.profile, "profile", "", "profile of \"proxylite login\" (PROXYLITE_PROFILE, default \"default\")")
	f.DurationVar(&a.timeout, "timeout", 30*time.Second, "timeout of one request")
	f.StringVar(&a.timeZone, "time-zone", "", "time zone of the API's times, such as Asia/Shanghai (default UTC+8)")
	f.StringVarP(&a.output, "output", "o", "", "table, tsv, csv, json or ndjson (PROXYLITE_OUTPUT; default table on a terminal, else tsv)")
	f.StringSliceVar(&a.columns, "columns", nil, "columns to print, in this order")
	f.StringVar(&a.jq, "jq", "", "jq expression that is applied to each row, in JSON")
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask before something is changed or spent")
	f.BoolVar(&a.dryRun, "dry-run", false, "print the requests that change or spend, and do not send them")
	f.BoolVar(&a.showSecrets, "show-secrets", false, "print passwords")
	f.BoolVar(&a.jsonErrors, "json-errors", false, "print errors as JSON")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log each call to stderr")
	cmd.AddGroup(&cobra.Group{ID: "api", Title: "The API:"})
	for _, c := range []*cobra.Command{
		a.accountsCmd(), a.usageCmd(), a.productsCmd(), a.ipCmd(), a.ordersCmd(),
		a.paymentCmd(), a.bonusCmd(), a.userCmd(), a.rawCmd(),
	} {
		c.GroupID = "api"
		cmd.AddCommand(c)
	}
	cmd.AddGroup(&cobra.Group{ID: "proxies", Title: "Proxies and operation:"})
	for _, c := range []*cobra.Command{a.doctorCmd(), a.gatewayCmd(), a.proxyCmd(), a.fetchCmd(), a.watchCmd(), a.sandboxCmd(), a.exporterCmd()} {
		c.GroupID = "proxies"
		cmd.AddCommand(c)
	}
	cmd.AddCommand(a.loginCmd(), a.logoutCmd(), a.versionCmd(), a.manCmd())
	a.noteStart(cmd)
	return cmd
}

// noteStart makes each command note that its command line is valid.
func (a *app) noteStart(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.parsed = true
		return run(cmd, args)
	}
	for _, c := range cmd.Commands() {
		a.noteStart(c)
	}
}

// group is a command that only has commands below it.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: commandsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

func commandsOnly(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q: see \"%s --help\"", args[0], cmd.CommandPath())
	}
	return nil
}

// note tells the person something, on stderr.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.err, printable(fmt.Sprintf(format, args...)))
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// interactive reports whether a person can be asked.
func (a *app) interactive() bool { return isTerminal(a.in) && isTerminal(a.err) }

// approve asks whether to do what changes or spends. Nothing of that kind is sent
// before: see gate.
func (a *app) approve(format string, args ...any) error {
	what := printable(fmt.Sprintf(format, args...))
	switch {
	case a.dryRun:
		return nil
	case a.yes:
	case !a.interactive():
		return refused("to %s, add --yes: nothing was sent", what)
	default:
		fmt.Fprintf(a.err, "%s%s? [y/N] ", strings.ToUpper(what[:1]), what[1:])
		answer, err := a.readLine()
		if err != nil {
			return err
		}
		if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
			return refused("not confirmed: nothing was sent")
		}
	}
	a.approved = true
	return nil
}

// readLine reads a line of stdin, without its end.
func (a *app) readLine() (string, error) {
	if a.typed == nil {
		a.typed = bufio.NewReader(a.in)
	}
	var line string
	var err error
	read := make(chan struct{})
	go func() {
		defer close(read)
		line, err = a.typed.ReadString('\n')
	}()
	select {
	case <-read:
	case <-a.interrupted: // the read goes on, until the process ends
		fmt.Fprintln(a.err)
		return "", refused("interrupted: nothing was sent")
	}
	if err != nil && line == "" {
		return "", usage(errors.New("nothing to read on stdin"))
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// readSecret reads a line that a terminal does not show.
func (a *app) readSecret(prompt string) (string, error) {
	if !isTerminal(a.in) {
		return a.readLine()
	}
	// The echo is off before the prompt is there, so that nothing typed is shown.
	fd := int(a.in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("can't read from the terminal: %w", err)
	}
	defer func() { _ = term.Restore(fd, state) }()
	text, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{a.in, a.err}, "").ReadPassword(prompt)
	if err != nil {
		return "", usage(errors.New("nothing was typed"))
	}
	return text, nil
}

// pages are the flags of a list that the API serves in pages.
type pages struct {
	proxylite.PageParams
	limit int
}

func (p *pages) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.Page, "page", 0, "page to begin with (default 1)")
	cmd.Flags().IntVar(&p.Size, "page-size", 0, "entries of a page (default: the API's, 20)")
	cmd.Flags().IntVar(&p.limit, "limit", 0, "stop after so many entries (default all)")
}

// arguments checks their number, and says what they are.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fmt.Errorf("wrong number of arguments: use \"%s\"", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}
