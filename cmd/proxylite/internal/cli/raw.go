package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

const rawName = "Raw"

// readOperations are the documented ones that only read, by path. Everything else counts
// as spending.
var readOperations = map[string]proxylite.Operation{
	"/whitelist-account/list":               {Name: "Accounts.List"},
	"/user-usage-flow/total":                {Name: "Usage.Daily"},
	"/user-product/list":                    {Name: "Products.List"},
	"/ip/dynamic-citys":                     {Name: "IP.Cities"},
	"/ip/dynamic-citys/search":              {Name: "IP.SearchCities"},
	"/ip/dynamic-states":                    {Name: "IP.States"},
	"/ip/dynamic-states/search":             {Name: "IP.SearchStates"},
	"/ip/get-static-ip":                     {Name: "IP.ListStatic"},
	"/static-ip-region":                     {Name: "IP.StaticStock"},
	"/order/list":                           {Name: "Orders.List"},
	"/user/info":                            {Name: "User.Info"},
	"/payment/groups":                       {Name: "Payment.Groups"},
	"/activity/balance-recharge-gift-ratio": {Name: "Marketing.RechargeGiftRatios"},
}

// reads reports whether an operation of the SDK only reads.
func reads(name string) bool {
	for _, op := range readOperations {
		if op.Name == name {
			return true
		}
	}
	return false
}

// rawOperation is how a path is called.
func rawOperation(method, path string) proxylite.Operation {
	if op, ok := readOperations[path]; ok && method == http.MethodGet {
		op.Method, op.Path, op.Class = method, path, proxylite.ClassSafe
		return op
	}
	return proxylite.Operation{
		Name: rawName, Method: method, Path: path, Class: proxylite.ClassUnsafe,
		KeyInBody: method == http.MethodPost && strings.HasPrefix(path, "/whitelist-account/"),
	}
}

func (a *app) rawCmd() *cobra.Command {
	var (
		query          []string
		body, bodyFile string
	)
	cmd := &cobra.Command{
		Use:   "raw METHOD PATH",
		Short: "Call any endpoint of the API",
		Long: `Call any endpoint of the API and print the response as it is, with passwords masked.
The path is the one below the base URL. Every POST and every path that is not known
to only read counts as spending. A body with a password is read from a file or from
stdin (--body-file -), never from the command line.`,
		Example: "  proxylite raw --demo GET /order/list -q page_size=2\n  proxylite raw --demo --dry-run POST /order/close --body '{\"trade_no\": \"1\"}'",
		Args:    arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			values := url.Values{}
			for _, q := range query {
				name, value, ok := strings.Cut(q, "=")
				if !ok {
					return usage(fmt.Errorf("--query %q: use name=value", q))
				}
				values.Add(name, value)
			}
			payload, err := a.rawBody(args[1], body, bodyFile)
			if err != nil {
				return err
			}
			op := rawOperation(strings.ToUpper(args[0]), args[1])
			return a.raw(cmd, op, values, payload)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&query, "query", "q", nil, "query parameter, as name=value")
	f.StringVar(&body, "body", "", "JSON body")
	f.StringVar(&bodyFile, "body-file", "", "file with the JSON body; - is stdin")
	cmd.MarkFlagsMutuallyExclusive("body", "body-file")
	return cmd
}

func (a *app) rawBody(path, body, file string) (any, error) {
	text := []byte(body)
	switch {
	case file != "":
		var err error
		if text, err = a.readFile(file); err != nil {
			return nil, err
		}
	case body == "":
		return nil, nil
	case secretMember.Match(text) || slices.Contains([]string{"/whitelist-account/add", "/whitelist-account/change-password"}, path):
		return nil, refused("a password does not belong on the command line, where others can read it: use --body-file; nothing was sent")
	}
	if !json.Valid(text) {
		return nil, usage(errors.New("the body is not JSON"))
	}
	return json.RawMessage(text), nil
}

func (a *app) raw(cmd *cobra.Command, op proxylite.Operation, query url.Values, body any) error {
	if !reads(op.Name) && op.Path != "/order/close" && !strings.HasPrefix(op.Path, "/whitelist-account/") {
		if err := a.uncapped("orders buy\" or \"proxylite ip extract"); err != nil {
			return err
		}
	}
	client, err := a.connect()
	if err != nil {
		return err
	}
	if !reads(op.Name) {
		if err := a.approve("send %s %s, which may change or spend", op.Method, op.Path); err != nil {
			return err
		}
	}
	var response proxylite.RawResponse
	if _, err := proxylite.Call[any](cmd.Context(), client, op, query, body, proxylite.CallRaw(&response)); err != nil {
		return err
	}
	text := response.Body
	if !a.showSecrets {
		if json.Valid(text) {
			text = maskJSON(text)
		} else {
			text = []byte(maskLogins(string(text)))
		}
	}
	if a.jq != "" {
		jq, err := newJQ(a, nil)
		if err != nil {
			return err
		}
		return jq.document(text)
	}
	return a.write(string(bytes.TrimRight(text, "\n")) + "\n")
}
