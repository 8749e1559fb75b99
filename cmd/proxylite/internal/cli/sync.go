package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/reseller"
)

// want is an account of the file of "accounts sync".
type want struct {
	Name        string                `json:"name"`
	Password    string                `json:"password"`
	Limit       string                `json:"limit"`
	Remark      *string               `json:"remark"`
	State       string                `json:"state"`
	ProductType proxylite.ProductType `json:"product_type"`
}

// readWants reads the accounts, as a JSON array or as CSV with a header. What it does
// not know is an error: it might be a limit with a wrong name.
func readWants(text []byte) ([]reseller.Want, error) {
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] != '[' {
		var err error
		if text, err = csvToJSON(text); err != nil {
			return nil, err
		}
	}
	var list []want
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, usage(fmt.Errorf("the accounts can't be read: %w", err))
	}
	wants := make([]reseller.Want, len(list))
	for i, x := range list {
		w := reseller.Want{Name: x.Name, Password: proxylite.NewPassword(x.Password), Remark: x.Remark, ProductType: x.ProductType}
		if x.Limit != "" {
			limit, err := parseTraffic(x.Limit)
			if err != nil {
				return nil, fmt.Errorf("account %q: %w", x.Name, err)
			}
			if w.Limit = limit; limit == 0 {
				w.Limit = reseller.NoLimit
			}
		}
		switch x.State {
		case "":
		case "enabled":
			w.State = reseller.StateEnabled
		case "disabled":
			w.State = reseller.StateDisabled
		default:
			return nil, usage(fmt.Errorf("account %q: state %q: use enabled or disabled, or leave it out", x.Name, x.State))
		}
		wants[i] = w
	}
	return wants, nil
}

// csvToJSON makes a JSON array of the rows. An empty field is left out, but for a
// remark, where "" in quotes can't be told from nothing either: JSON can clear one.
func csvToJSON(text []byte) ([]byte, error) {
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, usage(fmt.Errorf("the accounts can't be read: %w", err))
	}
	list := make([]map[string]any, 0, len(records))
	for _, record := range records[1:] {
		row := map[string]any{}
		for i, name := range records[0] {
			switch {
			case record[i] == "":
			case name == "product_type":
				row[name] = json.RawMessage(record[i])
			default:
				row[name] = record[i]
			}
		}
		list = append(list, row)
	}
	out, err := json.Marshal(list)
	if err != nil {
		return nil, usage(errors.New("the accounts can't be read: a product_type is no number"))
	}
	return out, nil
}

// synced is what became of an account.
type synced struct {
	Name     string             `json:"name"`
	Done     string             `json:"done"`
	Error    string             `json:"error,omitempty"`
	Password proxylite.Password `json:"password,omitzero"`
}

var syncedColumns = []column[synced]{
	{name: "name", value: func(x synced) any { return x.Name }},
	{name: "done", value: func(x synced) any { return x.Done }},
	{name: "error", value: func(x synced) any { return x.Error }},
	{name: "password", value: func(x synced) any { return x.Password }, extra: true},
}

func (a *app) accountsSyncCmd() *cobra.Command {
	var (
		remove   []string
		generate bool
	)
	cmd := &cobra.Command{
		Use:   "sync FILE",
		Short: "Make accounts as a file says",
		Long: `Make accounts as a file says: add what is missing, and correct limits, passwords,
remarks and states. Other accounts are left alone. The plan is shown before anything
is sent. After an error or a crash run it again: it does what is left.

The file is CSV with a header, or a JSON array of objects, with the fields name,
password, limit (5GB, 2TB or none), remark, state (enabled or disabled) and
product_type. A field that is left out leaves alone what an account has; a new one
needs a password and a limit. FILE can be - for stdin.`,
		Example: "  proxylite accounts sync customers.csv --dry-run\n  proxylite accounts sync customers.csv --generate --yes",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			wants, err := readWants(text)
			if err != nil {
				return err
			}
			return a.sync(cmd, wants, remove, generate)
		},
	}
	cmd.Flags().StringSliceVar(&remove, "delete", nil, "accounts to delete for good")
	cmd.Flags().BoolVar(&generate, "generate", false, "make up the passwords of new accounts that have none")
	return columnHelp(cmd, syncedColumns)
}

// readFile reads a file of the user, or stdin for -.
func (a *app) readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(a.in)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usage(err)
	}
	return text, nil
}

func (a *app) sync(cmd *cobra.Command, wants []reseller.Want, remove []string, generate bool) error {
	client, err := a.connect()
	if err != nil {
		return err
	}
	actual, err := client.Accounts.List(cmd.Context())
	if err != nil {
		return err
	}
	for i, w := range wants {
		exists := slices.ContainsFunc(actual, func(x proxylite.Account) bool { return proxylite.SameAccount(x.Username, w.Name) })
		if generate && !exists && w.Password == (proxylite.Password{}) {
			wants[i].Password = newPassword()
		}
	}
	plan, err := reseller.NewPlan(wants, actual, reseller.Delete(remove...))
	if err != nil {
		return usage(err)
	}
	for line := range strings.Lines(plan.String()) {
		a.note("%s", strings.TrimRight(line, "\n"))
	}
	if plan.Empty() && len(plan.Problems) == 0 {
		a.note("all accounts are as wanted")
	}
	if a.dryRun {
		a.note("dry run: %s not sent", count(len(plan.Steps), "step"))
		return nil
	}
	if !plan.Empty() {
		if err := a.approve("carry out %s", count(len(plan.Steps), "step")); err != nil {
			return err
		}
	}
	bar := a.progress("step")
	manager, err := reseller.New(client, reseller.WithProgress(func(p reseller.Progress) { bar.set(p.Done, p.Total) }))
	if err != nil {
		return err
	}
	results, err := manager.Apply(cmd.Context(), plan)
	bar.end()
	return a.synced(wants, results, err)
}

func (a *app) synced(wants []reseller.Want, results []reseller.Result, err error) error {
	list := make([]synced, len(results))
	failed := 0
	for i, r := range results {
		done := make([]string, len(r.Done))
		for j, kind := range r.Done {
			done[j] = string(kind)
		}
		list[i] = synced{Name: r.Name, Done: strings.Join(done, " ")}
		if i < len(wants) && slices.Contains(r.Done, reseller.StepAdd) {
			list[i].Password = wants[i].Password
		}
		if r.Err != nil {
			list[i].Error = r.Err.Error()
			failed++
		}
	}
	if err := show(a, syncedColumns, all(list)); err != nil {
		return err
	}
	if failed > 0 && failed < len(results) {
		return partly("%d of %d accounts are not as wanted: %w", failed, len(results), err)
	}
	return err
}
