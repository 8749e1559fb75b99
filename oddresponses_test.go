package proxylite_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

var updateOdd = flag.Bool("update-odd", false, "write what came out into testdata/odd; read the diff before you keep it")

// oddCalls are the names that stand behind "call:" in testdata/odd, besides those
// of operations.
var oddCalls = map[string]func(context.Context, *proxylite.Client, ...proxylite.CallOption) (any, error){
	"IP.Extract text": func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		return c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 3, Format: proxylite.FormatText}, o...)
	},
	"IP.Extract text |": func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		return c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 3, Format: proxylite.FormatText, Separator: "|"}, o...)
	},
	`IP.Extract text \t`: func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		return c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 3, Format: proxylite.FormatText, Separator: `\t`}, o...)
	},
	"Account.Limit": func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		accounts, err := c.Accounts.List(ctx, o...)
		limits := make([]string, len(accounts))
		for i, a := range accounts {
			limit, ok := a.Limit()
			limits[i] = fmt.Sprint(a.Username, " ", limit, " ", ok)
		}
		return limits, err
	},
	"StaticIP.Endpoint": func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
		page, err := c.IP.ListStatic(ctx, proxylite.IPListStaticParams{}, o...)
		endpoints := make([]string, len(page.Items))
		for i, ip := range page.Items {
			e, ok := ip.Endpoint()
			endpoints[i] = fmt.Sprint(ip.ID, " ", e, " ", ok)
		}
		return endpoints, err
	},
}

// Every file of testdata/odd is an answer as it stands on the wire and what a
// caller gets of it; testdata/odd/README.md has the form.
func TestOddAnswersDecodeOrFailHonestly(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		oddCalls[op.Name] = op.Call
	}
	files, err := filepath.Glob("testdata/odd/*.txt")
	require.NoError(t, err)
	require.Greater(t, len(files), 100)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			odd := readOdd(t, file)
			call := oddCalls[odd.call]
			require.NotNil(t, call, "no such call: %q", odd.call)

			var raw proxylite.RawResponse
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithBaseURL("http://127.0.0.1"),
				proxylite.WithTransport(&http.Transport{DialContext: odd.serve}))
			require.NoError(t, err)
			got, err := call(t.Context(), c, proxylite.CallRaw(&raw))

			var outcome string
			if err == nil {
				b, err := proxylite.MarshalRevealed(got)
				require.NoError(t, err)
				outcome = string(b)
			} else {
				require.True(t, got == nil || isZero(got), "a value besides the error: %#v", got)
				// An int is what differs between platforms.
				outcome = strings.ReplaceAll(describe(t, err), "fits "+strconv.Itoa(strconv.IntSize)+" bits", "fits 64 bits")
				e := apitest.AsError(t, err)
				if odd.plain && raw.Status != 0 {
					require.True(t, bytes.HasPrefix(odd.body, e.Body), "Body is not the beginning of the answer")
					require.Len(t, e.Body, min(len(odd.body), 4096))
				}
				require.Less(t, len(err.Error()), 1000)
				require.True(t, utf8.ValidString(err.Error()))
			}
			if odd.plain && raw.Status != 0 {
				require.Equal(t, string(odd.body), string(raw.Body))
			}
			if *updateOdd {
				require.NoError(t, os.WriteFile(file, []byte(odd.before+"-- want --\n"+pretty(outcome)+"\n"), 0o644))
				return
			}
			assert.Equal(t, pretty(odd.want), pretty(outcome))
		})
	}
}

type oddAnswer struct {
	before, call, want string
	wire, body         []byte
	plain              bool // the body stands on the wire as it is
}

func readOdd(t *testing.T, file string) oddAnswer {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var o oddAnswer
	o.before, o.want, _ = strings.Cut(string(b), "-- want --\n")
	about, rest, ok := strings.Cut(o.before, "\n-- answer")
	require.True(t, ok, "no answer")
	_, o.call, ok = strings.Cut(about, "\ncall: ")
	require.True(t, ok, "no call")
	how, rest, ok := strings.Cut(rest, " --\n")
	require.True(t, ok, "no answer")
	head, body, ok := strings.Cut(rest, "\n\n")
	require.True(t, ok, "no empty line after the header")
	body = strings.TrimSuffix(body, "\n")

	o.plain = !strings.Contains(head, "Transfer-Encoding") && !strings.Contains(head, "Content-Encoding") && !strings.Contains(head, "Content-Length")
	switch strings.TrimSpace(how) {
	case "escaped":
		body = repeats.ReplaceAllStringFunc(body, func(s string) string {
			m := repeats.FindStringSubmatch(s)
			n, _ := strconv.Atoi(m[1])
			return strings.Repeat(m[2], n)
		})
		lines := strings.Split(body, "\n")
		for i, line := range lines {
			lines[i], err = strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\x22`) + `"`)
			require.NoError(t, err, line)
		}
		body = strings.Join(lines, "")
	case "gzip":
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write([]byte(body))
		require.NoError(t, w.Close())
		body = zipped.String()
	case "":
	default:
		t.Fatalf("an answer can be escaped or gzip, not %q", how)
	}
	o.body = []byte(body)
	o.wire = []byte(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)
	return o
}

// repeats is {{10000*[}} in an escaped body.
var repeats = regexp.MustCompile(`\{\{(\d+)\*(.+?)\}\}`)

// serve is a server that answers one request with o and closes.
func (o oddAnswer) serve(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
			_, _ = server.Write(o.wire)
		}
	}()
	return client, nil
}

func isZero(v any) bool {
	r := reflect.ValueOf(v)
	return r.IsZero() || r.Kind() == reflect.Slice && r.Len() == 0
}

var sentinels = []error{
	proxylite.ErrInvalidAppKey, proxylite.ErrNotVerified, proxylite.ErrIPNotAllowed, proxylite.ErrVerificationNeeded,
	proxylite.ErrRateLimited, proxylite.ErrMalformedResponse, proxylite.ErrResponseTooLarge, proxylite.ErrOutcomeUnknown,
}

func describe(t *testing.T, err error) string {
	e := apitest.AsError(t, err)
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\nkind: %s\n", err, e.Kind)
	if e.Code != 0 {
		fmt.Fprintf(&b, "code: %d\n", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, "message: %q\n", e.Message)
	}
	if e.Details != nil {
		fmt.Fprintf(&b, "details: %s\n", e.Details)
	}
	if e.RetryAfter != 0 {
		fmt.Fprintf(&b, "retry after: %s\n", e.RetryAfter)
	}
	if addr, ok := e.CallerIP(); ok {
		fmt.Fprintf(&b, "caller IP: %s\n", addr)
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			fmt.Fprintf(&b, "is: %s\n", s)
		}
	}
	return b.String()
}

// pretty brings JSON into one form and leaves other text alone. Numbers keep
// their digits.
func pretty(s string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(strings.TrimSpace(s)), "", "  ") != nil {
		return strings.TrimSpace(s)
	}
	return b.String()
}
