package proxylite_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// The invariants of the client, and the tests that hold them. A test of another package
// stands behind its directory.
var invariants = []struct {
	rule  string
	tests []string
}{
	{"1. One layer alone has the credential. Nothing else shows it, and it goes to one host only.", []string{
		"TestCanary", "TestCredentialPlacementOnTheWire", "TestCredentialIsEscaped", "TestRedirectsAreNotFollowed",
		"TestMiddlewareCanNotMisleadTheCredential", "TestACutAnswerShowsNoPartOfTheCredential", "TestPartsOfABadLocationAreNotShown",
		"TestRetryAfterIsNotTheKey", "TestNamesInAnAnswerAreNotShown", "TestTokenIsRedacted", "TestTheLastTokenStaysHidden",
		"TestNoPrinterShowsAPassword", "TestNoTextOfAHolderHasThePassword", "TestPersonalDataStaysOutOfTexts",
		"internal/redact TestHostileTexts", "proxyliteotel TestNoSpanHoldsASecret",
	}},
	{"2. Nothing is paid for twice.", []string{
		"TestNothingIsPaidTwice", "TestMiddlewareCanNotSpendTwice", "TestNoMiddlewareSpendsTwice", "TestATransportThatRetriesIsRefused",
		"TestWhatIsRepeated", "internal/transport TestACallThatSpendsHasAConnectionOfItsOwn", "internal/transport TestACallThatSpendsNeedsHTTP1",
		"internal/transport TestACallThatSpendsCarriesAOneShotBodyToAForeignTransport",
		"internal/faultmatrix TestFaultMatrix", "internal/faultmatrix TestSpendingIsReadOnce", "internal/faultmatrix TestStaleConnections",
		"internal/faultmatrix TestAStormOfResets", "internal/faultmatrix TestNetHTTPSendsNoMoreThanThePolicyAllows",
	}},
	{"3. Every failure says whether the call had an effect.", []string{
		"TestEveryFailureSaysItsOutcome", "TestEveryOperationFailsWell", "TestEveryOperationObeysACanceledContext",
		"TestAnUnknownAttemptKeepsTheOutcomeUnknown", "internal/transport TestWhatWasNotSentSaysSo",
		"internal/transport TestARegisteredProtocolProvesNothing", "internal/transport TestAForeignProtocolIsUsedAndProvesNothing",
		"internal/transport TestAnAlertIsNoRequest", "internal/faultmatrix TestFaultMatrix",
	}},
	{"4. A call ends, and an outage is not made worse.", []string{
		"TestACallEnds", "TestAContextThatEndsIsTheReason", "TestRetryAfterIsObeyedUpToTheCap", "TestAnswersAreBounded",
		"TestCompressedAnswersAreBounded", "TestExtractionIsBounded", "TestWalksEndForEveryLyingServer", "TestRetryBudget",
		"TestAnOutageIsNotMadeWorse", "internal/faultmatrix TestTheBudgetBoundsNetHTTPToo",
	}},
	{"5. Odd responses decode, and wrong responses are errors.", []string{
		"TestOnlyAnEnvelopeIsAnAnswer", "TestOrdersAndUsersNeedData", "TestOddAnswersDecodeOrFailHonestly",
		"TestEveryOperationDecodesTheDocumentedAnswer", "TestEveryFieldDecodes", "TestTextExtractionFailsWell", "FuzzEnvelope", "FuzzEveryAnswer",
	}},
	{"6. Nothing of a response is lost.", []string{"TestRawAnswerOfEveryOperation", "TestNothingIsLost", "TestErrorKeepsWhatTheAPISaid"}},
	{"7. Zero and absent differ.", []string{"TestZeroIsNotAbsent", "TestWhatIsLeftOutIsNotSent", "TestEveryOperationOnTheWire"}},
	{"8. A result or an error, never neither. Iterators are lazy.", []string{"TestEmptyListsAreNotNil", "TestAllIsLazy", "internal/faultmatrix TestFaultMatrix"}},
	{"9. Many may use a client at once. It starts nothing, reads no environment and changes nothing that it is handed.", []string{
		"TestMain", "TestClientIsSafeForConcurrentUse", "TestManyUseOneClientOverTheNetwork", "TestClientLeavesItsInputAlone",
		"TestNewClientReadsNoEnvironment", "TestLoggerGetsOneLineForACall",
	}},
	{"10. The root module stays light.", []string{"TestRootModuleStaysLight"}},
}

// Each test that is named for an invariant exists, and each test whose comment begins with
// "Invariant N." is named for it.
func TestInvariantsHaveTests(t *testing.T) {
	t.Parallel()
	said := map[string]string{} // what the comment of a test begins with, if it is an invariant
	for _, dir := range []string{".", "internal/transport", "internal/redact", "internal/faultmatrix", "proxyliteotel"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && regexp.MustCompile("^(Test|Fuzz)").MatchString(fn.Name.Name) {
					said[strings.TrimPrefix(dir+" "+fn.Name.Name, ". ")] = regexp.MustCompile(`^Invariant \d+\.`).FindString(fn.Doc.Text())
				}
			}
		}
	}
	for i, invariant := range invariants {
		require.True(t, strings.HasPrefix(invariant.rule, strconv.Itoa(i+1)+". "))
		require.NotEmpty(t, invariant.tests, invariant.rule)
		for _, test := range invariant.tests {
			_, exists := said[test]
			require.True(t, exists, "there is no %s, which is to hold invariant %s", test, invariant.rule)
		}
		for test, number := range said {
			if number == fmt.Sprintf("Invariant %d.", i+1) {
				require.Contains(t, invariant.tests, test, invariant.rule)
			}
		}
	}
}

// Invariant 5. A missing code is not success, nor is anything that is no envelope.
func TestOnlyAnEnvelopeIsAnAnswer(t *testing.T) {
	t.Parallel()
	for body, why := range map[string]string{
		`{}`:                           "no code",
		`{"code":null}`:                "no code",
		`{"CODE":0,"Code":200}`:        "no code",
		`{"msg":"ok","data":[]}`:       "no code",
		`null`:                         "not a JSON object",
		`[]`:                           "not a JSON object",
		`0`:                            "not a JSON object",
		`"code"`:                       "not a JSON object",
		`{"code":true}`:                "/code: not a number",
		`{"code":"ok"}`:                "/code: not a whole number",
		`{"code":0.5}`:                 "/code: not a whole number",
		`{"code":500,"code":0}`:        "code appears twice",
		`{"code":0,"data":[]} x`:       "not valid JSON",
		`{"code":0}{"code":0}`:         "data after the end of the response",
		"Warning: x in y.php\n{}":      "not valid JSON",
		`{"code":0,"data":{"list"`:     "ends too early",
		`{"code":0,"data":{"list":7}}`: "/data/list: a number where a list belongs",
		`{"data":{"list":[{"id":"x"}]},"code":0}`: "not a whole number",
	} {
		c, _ := apitest.Mocked(t, 200, body)
		got, err := c.Accounts.List(t.Context())
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse, body)
		require.ErrorContains(t, err, why, body)
		require.Nil(t, got)
		e := apitest.AsError(t, err)
		require.Equal(t, 200, e.Status)
		require.Equal(t, body, string(e.Body))
	}
	for body, want := range map[string]int{
		"\ufeff{\"code\":\"200\",\"data\":[{\"id\":\"1\"}]}": 1, `{"data":{"list":[{},{}]},"code":0.0}`: 2,
		`{"code":200}`: 0, `{"code":0,"data":null}`: 0, `{"code":0,"data":{}}`: 0, `{"code":0,"data":""}`: 0,
	} {
		c, _ := apitest.Mocked(t, 200, body)
		got, err := c.Accounts.List(t.Context())
		require.NoError(t, err, body)
		require.NotNil(t, got)
		require.Len(t, got, want)
	}
}

// Data is asked for where a success without it would be a lie.
func TestOrdersAndUsersNeedData(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		for _, body := range []string{`{"code":0}`, `{"data":null,"code":200}`, `{"code":0,"data":{}}`} {
			c, _ := apitest.Mocked(t, 200, body)
			_, err := op.Call(t.Context(), c)
			if op.NeedsData {
				require.ErrorContains(t, err, "says success but has no data")
				require.Equal(t, op.Unclear(), apitest.AsError(t, err).Outcome)
			} else {
				require.NoError(t, err, op.Name)
			}
		}
	}
}

// Invariant 6. The answer of any call can be had as it came, a failed one's too.
func TestRawAnswerOfEveryOperation(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		documentedAnswer := apitest.Fixture(t, op.Name+".json")
		for _, tt := range []struct {
			status int
			body   string
		}{{200, documentedAnswer}, {200, documentedAnswer + strings.Repeat(" ", 9000)}, {200, `{"code":9}`}, {503, apitest.WebPage}, {404, ""}, {302, strings.Repeat("moved", 2000)}} {
			c := apitest.Playing(apitest.Reply(tt.status, tt.body, "X-Trace", "t1")).Client(t, apitest.TryOnce)
			raw := proxylite.RawResponse{Status: 1, Body: []byte("old")}
			_, err := op.Call(t.Context(), c, proxylite.CallRaw(&raw))
			require.Equal(t, tt.status == 200 && tt.body != `{"code":9}`, err == nil, op.Name)
			require.Equal(t, tt.status, raw.Status, op.Name)
			require.Equal(t, tt.body, string(raw.Body), op.Name)
			require.Equal(t, http.Header{"X-Trace": {"t1"}}, raw.Header, op.Name)
		}
		raw := proxylite.RawResponse{Status: 1}
		_, err := op.Call(t.Context(), apitest.Playing(apitest.Breaks(http.ErrHandlerTimeout)).Client(t, apitest.TryOnce), proxylite.CallRaw(&raw))
		require.Error(t, err)
		require.Zero(t, raw, "nothing is left of an earlier call")
	}
}

// Unknown enum values and undocumented entries survive.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"id":1,"status":42,"product_type":77,"new":{"x":[1]}},{"ip":[],"status":"gone","id":2}]}}`)
	ips, err := c.IP.ListStatic(t.Context(), proxylite.IPListStaticParams{})
	require.NoError(t, err)
	require.Equal(t, []proxylite.StaticIP{
		{ID: "1", Status: 42, ProductType: 77, Raw: apitest.Raw(`{"id":1,"status":42,"product_type":77,"new":{"x":[1]}}`)},
		{ID: "2", Raw: apitest.Raw(`{"ip":[],"status":"gone","id":2}`)},
	}, ips.Items)
	orders, err := c.Orders.List(t.Context(), proxylite.OrderListParams{})
	require.Error(t, err, "an order's status is documented: text is no status")
	require.Zero(t, orders)
	c, _ = apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"status":42}]}}`)
	orders, err = c.Orders.List(t.Context(), proxylite.OrderListParams{})
	require.NoError(t, err)
	require.EqualValues(t, 42, orders.Items[0].Status)
}

// Invariant 7. Zero and absent differ, both ways. What is sent stands in
// TestWhatIsLeftOutIsNotSent and in the table of operations.
func TestZeroIsNotAbsent(t *testing.T) {
	t.Parallel()
	for field, tt := range map[string]struct {
		list         string
		zero, absent any
		get          func(context.Context, *proxylite.Client) (any, error)
	}{
		"order status": {`"status":0`, proxylite.OrderAwaitingPayment, proxylite.OrderStatusAbsent, func(ctx context.Context, c *proxylite.Client) (any, error) {
			p, err := c.Orders.List(ctx, proxylite.OrderListParams{})
			return p.Items[0].Status, err
		}},
		"account status": {`"status":"0"`, proxylite.AccountDisabled, proxylite.AccountStatusAbsent, func(ctx context.Context, c *proxylite.Client) (any, error) {
			a, err := c.Accounts.List(ctx)
			return a[0].Status, err
		}},
		"limit": {`"limit_flow":0`, new(int64), (*int64)(nil), func(ctx context.Context, c *proxylite.Client) (any, error) {
			a, err := c.Accounts.List(ctx)
			return a[0].LimitRaw, err
		}},
	} {
		for entry, want := range map[string]any{`{` + tt.list + `}`: tt.zero, `{}`: tt.absent, `{"status":null,"limit_flow":null}`: tt.absent} {
			c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[`+entry+`]}}`)
			got, err := tt.get(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s %s", field, entry)
		}
	}
	for data, want := range map[string]proxylite.User{
		`{"status":0,"is_real_name":false}`: {IsRealName: new(false)}, `{"id":1}`: {ID: 1, Status: -1},
		`{"is_real_name":"1","status":"3"}`: {IsRealName: new(true), Status: 3},
	} {
		decodes(t, data, want)
	}

	// What zero means something for is sent when it is zero.
	for want, call := range map[string]func(context.Context, *proxylite.Client) error{
		"GET /end-point/order/list?status=0": func(ctx context.Context, c *proxylite.Client) error {
			_, err := c.Orders.List(ctx, proxylite.OrderListParams{Status: new(proxylite.OrderAwaitingPayment)})
			return err
		},
		"GET /end-point/static-ip-region?isp=0": func(ctx context.Context, c *proxylite.Client) error {
			_, err := c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)})
			return err
		},
		`POST /end-point/whitelist-account/change-limit{"account":"bob","limit":0}`: func(ctx context.Context, c *proxylite.Client) error {
			return c.Accounts.ChangeLimit(ctx, "bob", 0)
		},
		`POST /end-point/whitelist-account/change-remark{"account":"bob","remark":""}`: func(ctx context.Context, c *proxylite.Client) error {
			return c.Accounts.ChangeRemark(ctx, "bob", "")
		},
		`POST /end-point/order/create{"pid":1,"pm_id":0,"use_invitation_registration_discount":false}`: func(ctx context.Context, c *proxylite.Client) error {
			_, err := c.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64), UseInvitationDiscount: new(bool)})
			return err
		},
	} {
		line, body := sentBy(t, call)
		require.Equal(t, want, line+body)
	}
}

// Invariant 8. A list is never nil without an error, whatever stands for none.
func TestEmptyListsAreNotNil(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		for _, body := range []string{`{"code":0,"data":null}`, `{"code":0,"data":{}}`, `{"code":0,"data":[]}`, `{"code":0,"data":{"list":null}}`} {
			c, _ := apitest.Mocked(t, 200, body)
			got, err := op.Call(t.Context(), c)
			if err != nil || got == nil {
				continue // it needs data, or has none
			}
			v := reflect.ValueOf(got)
			if v.Kind() == reflect.Struct {
				v = v.FieldByName("Items")
			}
			if v.IsValid() {
				require.False(t, v.IsNil(), "%s %s", op.Name, body)
				require.Zero(t, v.Len())
			}
		}
	}
}

// Invariant 10. A user's vendor folder gets what a call needs and no more.
func TestRootModuleStaysLight(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{
		"github.com/hashicorp/go-retryablehttp": true, "github.com/go-json-experiment/json": true,
		"github.com/go-json-experiment/json/jsontext": true, "github.com/go-json-experiment/json/v1": true,
		"github.com/proxylite/proxylite-go/internal/wire": true, "github.com/proxylite/proxylite-go/internal/redact": true,
		"github.com/proxylite/proxylite-go/internal/transport": true,
	}
	for _, dir := range []string{".", "internal/wire", "internal/redact", "internal/transport"} {
		pkg, err := build.ImportDir(dir, 0)
		require.NoError(t, err)
		for _, path := range pkg.Imports {
			host, _, _ := strings.Cut(path, "/")
			require.True(t, !strings.Contains(host, ".") || allowed[path], "%s imports %s", dir, path)
		}
	}
}
