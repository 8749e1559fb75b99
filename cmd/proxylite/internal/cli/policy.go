package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/purchase"
)

// systemPolicy is the policy of the machine. Its operator owns it; nothing that a user
// sets goes beyond it.
const systemPolicy = "/etc/proxylite/policy.json"

const capHelp = `Caps come from /etc/proxylite/policy.json, from the files that PROXYLITE_POLICY
and --policy name, and from the flags; the strictest of them counts. A policy is JSON:
  {"pays_later": [7], "max_per_order": "20", "max_per_day": "100",
   "max_per_month": "500", "max_ips": 100, "max_ips_per_day": 1000,
   "accept_immediate_payment": false}`

// caps are what a policy may say.
type caps struct {
	PaysLater    []int64           `json:"pays_later"`
	MaxPerOrder  proxylite.Decimal `json:"max_per_order"`
	MaxPerDay    proxylite.Decimal `json:"max_per_day"`
	MaxPerMonth  proxylite.Decimal `json:"max_per_month"`
	MaxIPs       int               `json:"max_ips"`
	MaxIPsPerDay int               `json:"max_ips_per_day"`
	// Immediate allows --accept-immediate-payment, with which an order can cost more
	// than its limit.
	Immediate bool `json:"accept_immediate_payment"`
}

// within is the stricter of two policies in each respect. The payment methods of the
// first one that names any can be narrowed, not extended.
func (c caps) within(outer caps) caps {
	switch {
	case outer.PaysLater == nil:
	case c.PaysLater == nil:
		c.PaysLater = outer.PaysLater
	default:
		c.PaysLater = slices.DeleteFunc(slices.Clone(c.PaysLater), func(id int64) bool { return !slices.Contains(outer.PaysLater, id) })
	}
	c.MaxPerOrder = lower(c.MaxPerOrder, outer.MaxPerOrder)
	c.MaxPerDay = lower(c.MaxPerDay, outer.MaxPerDay)
	c.MaxPerMonth = lower(c.MaxPerMonth, outer.MaxPerMonth)
	c.MaxIPs = fewer(c.MaxIPs, outer.MaxIPs)
	c.MaxIPsPerDay = fewer(c.MaxIPsPerDay, outer.MaxIPsPerDay)
	c.Immediate = c.Immediate && outer.Immediate
	return c
}

func lower(a, b proxylite.Decimal) proxylite.Decimal {
	if a == "" || b != "" && b.Cmp(a) < 0 {
		return b
	}
	return a
}

func fewer(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// readCaps reads a policy. A member that it does not know is an error: it might be a
// cap with a wrong name.
func readCaps(path string) (caps, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return caps{}, fmt.Errorf("can't read the policy: %w", err)
	}
	var c caps
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return caps{}, usage(fmt.Errorf("the policy %s can't be used: %w", path, err))
	}
	for name, d := range map[string]proxylite.Decimal{"max_per_order": c.MaxPerOrder, "max_per_day": c.MaxPerDay, "max_per_month": c.MaxPerMonth} {
		if _, err := amount(name, string(d)); d != "" && err != nil {
			return caps{}, usage(fmt.Errorf("the policy %s can't be used: %w", path, err))
		}
	}
	return c, nil
}

// amount reads an amount of money.
func amount(flag, s string) (proxylite.Decimal, error) {
	var d proxylite.Decimal
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil || d == "" || d.Rat().Cmp(new(big.Rat)) <= 0 {
		return "", usage(fmt.Errorf("%s %q: use an amount such as 20 or 19.99", flag, s))
	}
	return d, nil
}

// policyFiles returns the caps that are set by files, and whether there are any.
func policyFiles(flag string) (c caps, set bool, err error) {
	for _, path := range []string{systemPolicy, os.Getenv("PROXYLITE_POLICY"), flag} {
		if path == "" {
			continue
		}
		next, err := readCaps(path)
		if path == systemPolicy && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return caps{}, false, err
		}
		if set {
			next = next.within(c)
		}
		c, set = next, true
	}
	return c, set, nil
}

// uncapped refuses a command that spends without caps where a policy sets some.
func (a *app) uncapped(instead string) error {
	_, set, err := policyFiles("")
	if err != nil {
		return err
	}
	if set {
		return refused("a policy is set, and this command can't keep to it: use \"proxylite %s\"; nothing was sent", instead)
	}
	return nil
}

// capFlags are the flags of what buys.
type capFlags struct {
	policy, journal   string
	order, day, month string
	paysLater         []int64
	immediate         bool
}

func (c *capFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.policy, "policy", "", "file with caps (PROXYLITE_POLICY)")
	f.StringVar(&c.journal, "journal", "", "file that keeps the purchases (PROXYLITE_JOURNAL, default in the configuration directory)")
	f.Int64SliceVar(&c.paysLater, "pays-later", nil, "payment methods that wait for payment")
	f.StringVar(&c.order, "max-per-order", "", "highest --max-pay")
	f.StringVar(&c.day, "max-per-day", "", "most to spend on a day (UTC)")
	f.StringVar(&c.month, "max-per-month", "", "most to spend in a month (UTC)")
}

func (c *capFlags) caps() (caps, error) {
	flags := caps{PaysLater: c.paysLater, Immediate: true}
	for _, x := range []struct {
		flag, text string
		to         *proxylite.Decimal
	}{
		{"--max-per-order", c.order, &flags.MaxPerOrder}, {"--max-per-day", c.day, &flags.MaxPerDay}, {"--max-per-month", c.month, &flags.MaxPerMonth},
	} {
		if x.text == "" {
			continue
		}
		var err error
		if *x.to, err = amount(x.flag, x.text); err != nil {
			return caps{}, err
		}
	}
	files, set, err := policyFiles(c.policy)
	if set {
		flags = flags.within(files)
	}
	return flags, err
}

// buyer returns a buyer within the caps. A dry run and a demo write no journal.
func (a *app) buyer(client *proxylite.Client, flags capFlags) (*purchase.Buyer, error) {
	c, err := flags.caps()
	if err != nil {
		return nil, err
	}
	if flags.immediate && !c.Immediate {
		return nil, refused("the policy does not accept a payment method that may pay at once; nothing was sent")
	}
	journal, err := a.journal(flags.journal)
	if err != nil {
		return nil, err
	}
	buyer, err := purchase.New(client, journal, purchase.Policy{
		PaysLater: c.PaysLater, MaxPerOrder: c.MaxPerOrder, MaxPerDay: c.MaxPerDay, MaxPerMonth: c.MaxPerMonth,
		MaxIPs: c.MaxIPs, MaxIPsPerDay: c.MaxIPsPerDay,
	})
	if err != nil {
		return nil, usage(err)
	}
	return buyer, nil
}

// extractor extracts IPs, within a policy if there is one.
func (a *app) extractor(client *proxylite.Client) (pool.Extractor, error) {
	_, set, err := policyFiles("")
	if err != nil {
		return nil, err
	}
	if !set {
		return client.IP, nil
	}
	return a.buyer(client, capFlags{})
}

func (a *app) journal(path string) (purchase.Journal, error) {
	if a.demo {
		return &memoryJournal{}, nil
	}
	if path = cmp.Or(path, os.Getenv("PROXYLITE_JOURNAL")); path == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("no place for the journal, name one with --journal: %w", err)
		}
		path = filepath.Join(dir, "proxylite", "purchases-"+a.profileName()+".jsonl")
	}
	if a.dryRun {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return &memoryJournal{}, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := purchase.OpenFile(path)
	if err != nil {
		return nil, err
	}
	a.onClose = append(a.onClose, func() { _ = file.Close() })
	if a.dryRun {
		records, err := file.Read(context.Background(), 0)
		return &memoryJournal{records}, err
	}
	return file, nil
}

// memoryJournal is a journal that is not kept. It serves one command.
type memoryJournal struct{ records []purchase.Record }

func (j *memoryJournal) Read(_ context.Context, after int64) ([]purchase.Record, error) {
	return slices.DeleteFunc(slices.Clone(j.records), func(r purchase.Record) bool { return r.Seq <= after }), nil
}

func (j *memoryJournal) Append(_ context.Context, r purchase.Record) error {
	j.records = append(j.records, r)
	return nil
}
