package proxylite_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// An account's limit knows its unit: GB as documented, KB where it can't be GB.
func TestAccountLimit(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"limit_flow":5}`: "5 GB true", `{"limit_flow":0}`: "0 KB true", `{"limit_flow":102400}`: "100 TB true",
		`{"limit_flow":102401}`: "0 KB false", `{"limit_flow":1048575}`: "0 KB false", `{"limit_flow":"1048576"}`: "1 GB true",
		`{"limit_flow":-1}`: "0 KB false", `{"limit_flow":9223372036854775807}`: "8589934592.00 TB true",
		`{"limit_flow":null}`: "0 KB false", `{}`: "0 KB false",
	} {
		c, _ := apitest.Mocked(t, 200, `{"code":200,"data":{"list":[`+raw+`]}}`)
		accounts, err := c.Accounts.List(t.Context())
		require.NoError(t, err, raw)
		limit, ok := accounts[0].Limit()
		require.Equal(t, want, limit.String()+" "+strconv.FormatBool(ok), raw)
	}
}

func TestNamesWithAndWithoutTheBrandsPrefix(t *testing.T) {
	t.Parallel()
	for username, name := range map[string]string{
		"pl-bob": "bob", "bob": "bob", "xx9-bob": "bob", "": "", "-bob": "-bob", "pl-": "pl-", "a b-bob": "a b-bob", "pl-a-b": "a-b", "-": "-",
	} {
		require.Equal(t, name, proxylite.Account{Username: username}.Name(), username)
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"bob", "bob", true},
		{"pl-bob", "bob", true},
		{"bob", "pl-bob", true},
		{"pl-bob", "pl-bob", true},
		{"pl-bob", "xx-bob", false},
		{"bob", "eve", false},
		{"pl-bob", "pl-eve", false},
		{"bob", "Bob", false},
		{"", "pl-", false},
		{"", "", true},
	} {
		require.Equal(t, tt.same, proxylite.SameAccount(tt.a, tt.b), fmt.Sprint(tt))
	}
}

// The figures in the comment of Add.
func TestAccountsThatFitIntoABody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, password, n, limit int }{
		{8, 12, 5_900, 128 << 10}, {8, 12, 47_000, 1 << 20}, {12, 16, 4_300, 128 << 10}, {12, 16, 34_000, 1 << 20},
	} {
		p := proxylite.AccountAddParams{Remark: strings.Repeat("x", 64), ProductType: proxylite.ProductResidentialTraffic}
		for i := range tt.n {
			p.Accounts = append(p.Accounts, proxylite.NewAccount{
				Username: fmt.Sprintf("u%0*d", tt.name-1, i), Password: proxylite.NewPassword(strings.Repeat("p", tt.password)),
			})
		}
		s := apitest.Playing(apitest.Reply(200, `{"code":0}`))
		require.NoError(t, s.Client(t).Accounts.Add(t.Context(), p))
		require.LessOrEqual(t, len(s.Bodies[0]), tt.limit)
		require.Greater(t, len(s.Bodies[0]), tt.limit*97/100)
	}
}
