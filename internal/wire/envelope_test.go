package wire_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/wire"
)

type thing struct {
	N int `json:"n"`
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for body, tt := range map[string]struct {
		env wire.Envelope
		out thing
		why string
	}{
		`{"code":200,"msg":"a","data":{"n":1}}`:               {env: wire.Envelope{Code: 200, HasCode: true, Message: "a", HasData: true}, out: thing{1}},
		`{"data":{"n":"2"},"message":"b","code":"0"}`:         {env: wire.Envelope{HasCode: true, Message: "b", HasData: true}, out: thing{2}},
		"\ufeff {\"code\":0.0,\"data\":null,\"x\":[{}]}\r\n":  {env: wire.Envelope{HasCode: true}},
		`{"msg":"","message":"b","code":" 7 ","data":[[{}]]}`: {env: wire.Envelope{Code: 7, HasCode: true, Message: "b", HasData: true}},
		`{"code":3,"errors":{"a" : 1},"data":"what"}`:         {env: wire.Envelope{Code: 3, HasCode: true, Errors: json.RawMessage(`{"a" : 1}`), HasData: true}},
		`{"data":"what","code":3,"errors":null}`:              {env: wire.Envelope{Code: 3, HasCode: true, HasData: true}},
		`{"msg":"a","message":"b","code":0}`:                  {env: wire.Envelope{HasCode: true, Message: "a"}},
		`{"msg":[1],"code":9}`:                                {env: wire.Envelope{Code: 9, HasCode: true, Message: "[1]"}},
		"{\"msg\":\"a\xff\",\"code\":9}":                      {env: wire.Envelope{Code: 9, HasCode: true, Message: "a\ufffd"}},
		`{}`:                                                  {},
		`{"code":null,"data":{"n":1}}`:                        {env: wire.Envelope{HasData: true}},
		`{"code":0,"data":{"n":"x"},"msg":"late"}`:            {env: wire.Envelope{HasCode: true, HasData: true}, why: "/data/n: not a whole number"},
		`{"msg":"m","data":{"n":"x"},"code":0}`:               {env: wire.Envelope{HasCode: true, HasData: true, Message: "m"}, why: "/n: not a whole number"},
		`{"code":1e30}`:                                       {why: "/code: not a whole number"},
		`{"code":{}}`:                                         {why: "/code: not a number"},
		`{"code":0,"code":0}`:                                 {env: wire.Envelope{HasCode: true}, why: "code appears twice"},
		`{"code":null,"code":0}`:                              {why: "code appears twice"},
		`{"co\u0064e":500,"code":0}`:                          {env: wire.Envelope{Code: 500, HasCode: true}, why: "code appears twice"},
		`{"data":null,"data":{"n":1}}`:                        {why: "data appears twice"},
		`{"errors":1,"errors":2}`:                             {env: wire.Envelope{Errors: json.RawMessage(`1`)}, why: "errors appears twice"},
		`{"code":0} {}`:                                       {env: wire.Envelope{HasCode: true}, why: "data after the end of the response"},
		`{"code":0}` + "\x00":                                 {env: wire.Envelope{HasCode: true}, why: "not valid JSON"},
		`{"code":7,"msg":"no"`:                                {env: wire.Envelope{Code: 7, HasCode: true, Message: "no"}, why: "ends too early"},
		`{"code":7,"msg":"n`:                                  {env: wire.Envelope{Code: 7, HasCode: true}, why: "ends too early"},
		`{"code":7,"data":[`:                                  {env: wire.Envelope{Code: 7, HasCode: true, HasData: true}, why: "ends too early"},
		`{"code":7,"errors":[`:                                {env: wire.Envelope{Code: 7, HasCode: true}, why: "ends too early"},
		`{"code":7,x}`:                                        {env: wire.Envelope{Code: 7, HasCode: true}, why: "not valid JSON"},
		`{"code":7,"x":tru}`:                                  {env: wire.Envelope{Code: 7, HasCode: true}, why: "not valid JSON"},
		`[{"code":0}]`:                                        {why: "not a JSON object"},
		`nul`:                                                 {why: "ends too early"},
		``:                                                    {why: "ends too early"},
		"\ufeff":                                              {why: "ends too early"},
		`{`:                                                   {why: "ends too early"},
		`{"code":0,"data":` + strings.Repeat("[", 20_000):     {env: wire.Envelope{HasCode: true, HasData: true}, why: "not valid JSON"},
		`{"code":0,"x":` + strings.Repeat("[", 20_000):        {env: wire.Envelope{HasCode: true}, why: "not valid JSON"},
		`{"code":9,"data":` + strings.Repeat(`{"a":`, 20_000): {env: wire.Envelope{Code: 9, HasCode: true, HasData: true}, why: "not valid JSON"},
	} {
		for _, r := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body)), iotest.DataErrReader(strings.NewReader(body))} {
			var out thing
			env, err := newBody(t, r).Decode(zone, &out)
			name := body[:min(len(body), 60)]
			if tt.why == "" {
				require.NoError(t, err, name)
				require.Equal(t, tt.out, out, name)
			} else {
				require.ErrorContains(t, err, tt.why, name)
			}
			require.Equal(t, tt.env, env, name)
		}
	}
}

// Data counts as there when it holds something of what is wanted, and something
// else in its place is an error.
func TestDataIsThereOrNot(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"code":0,"data":{"n":0}}`: true, `{"data":{"n":0},"code":0}`: true,
		`{"code":0,"data":{}}`: false, `{"code":0,"data":{"x":0}}`: false, `{"data":{"x":0},"code":0}`: false, `{"code":0,"data":[]}`: false, `{"code":0,"data":""}`: false, `{"code":0,"data":false}`: false,
		`{"code":0,"data":null,"other":[1]}`: false, `{"code":0,"other":[]}`: false, `{"code":0,"other":7}`: false,
	} {
		var out thing
		env, err := newBody(t, strings.NewReader(body)).Decode(zone, &out)
		require.NoError(t, err, body)
		require.Equal(t, want, env.HasData, body)
	}
	for _, body := range []string{`{"code":0,"other":{"n":1}}`, `{"other":[1],"code":0}`} {
		var out thing
		_, err := newBody(t, strings.NewReader(body)).Decode(zone, &out)
		require.EqualError(t, err, "no data, but an unknown list or object", body)
		_, err = newBody(t, strings.NewReader(body)).Decode(zone, nil)
		require.NoError(t, err)
	}
	var texts []string
	env, err := newBody(t, strings.NewReader(`{"code":0,"data":[]}`)).Decode(zone, &texts)
	require.NoError(t, err)
	require.True(t, env.HasData)
}

// Where nobody wants the data, or it is a refusal's, it may be anything.
func TestDataThatNobodyWantsIsSkipped(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"code":0,"data":{"n":"x"}}`, `{"data":{"n":"x"},"code":0}`} {
		env, err := newBody(t, strings.NewReader(body)).Decode(zone, nil)
		require.NoError(t, err)
		require.True(t, env.OK())
		require.True(t, env.HasData)
	}
	out := thing{5}
	_, err := newBody(t, strings.NewReader(`{"code":1,"data":{"n":7}}`)).Decode(zone, &out)
	require.NoError(t, err)
	require.Equal(t, thing{5}, out)
}

func TestOK(t *testing.T) {
	t.Parallel()
	for env, want := range map[*wire.Envelope]bool{
		{}: false, {HasCode: true}: true, {Code: 200, HasCode: true}: true, {Code: 200}: false, {Code: 1, HasCode: true}: false, {Code: 201, HasCode: true}: false,
	} {
		require.Equal(t, want, env.OK(), env)
	}
}

// A reader that fails is told from JSON that is wrong, wherever it fails: even
// after the last brace, where a bad checksum of a compressed answer shows.
func TestACutAnswerIsAReadError(t *testing.T) {
	t.Parallel()
	const body = `{"code":0,"data":{"n":1}}`
	cause := errors.New("gzip: invalid checksum")
	for n := range len(body) + 1 {
		var out thing
		_, err := newBody(t, io.MultiReader(strings.NewReader(body[:n]), iotest.ErrReader(cause))).Decode(zone, &out)
		var read *wire.ReadError
		require.ErrorAs(t, err, &read, "%d bytes", n)
		require.ErrorIs(t, err, cause)
		require.EqualError(t, err, "the response was cut: gzip: invalid checksum")
	}
}

// Errors say where and why, and never quote the answer.
func TestSyntaxErrorsDoNotQuote(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"code":"s3cret"}`, `{"code":0,"data":{"n":"s3cret"}}`, `s3cret`, `{"code":0,s3cret`, `{"code":0}s3cret`, `"s3cret"`} {
		var out thing
		_, err := newBody(t, strings.NewReader(body)).Decode(zone, &out)
		var syntax *wire.SyntaxError
		require.ErrorAs(t, err, &syntax, body)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// Decoders are pooled: what one answer leaves behind must not reach another.
func TestDecodingIsConcurrent(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				var out thing
				_, _ = newBody(t, strings.NewReader(`{"code":0,"data":{"n":1`)).Decode(zone, &out)
				env, err := newBody(t, strings.NewReader(`{"code":0,"data":{"n":2}}`)).Decode(zone, &out)
				if err != nil || !env.OK() || out.N != 2 {
					t.Errorf("%v %v %v", env, err, out)
				}
			}
		})
	}
	wg.Wait()
}

// A list that is there is read, wherever it stands, and a success with neither a
// list nor emptiness is an error: [] would be a lie.
func TestNoListIsLost(t *testing.T) {
	t.Parallel()
	type page struct {
		List  []thing `json:"list"`
		Page  int     `json:"page" wire:"soft"`
		Total int     `json:"total" wire:"total"`
		In    struct {
			Total int `json:"total" wire:"total"`
			Page  int `json:"page" wire:"soft"`
		} `json:"in" wire:"soft"`
	}
	const noList, noData = "/data: has no list, but other fields", "no data, but an unknown list or object"
	for text, tt := range map[string]struct {
		n    int
		page int
		why  string
	}{
		`{"code":0,"data":{},"list":[{"n":1}]}`:                                  {n: 1},
		`{"code":0,"data":null,"list":[{"n":1}]}`:                                {n: 1},
		`{"code":0,"data":[],"list":[{"n":1}]}`:                                  {n: 1},
		`{"code":0,"data":"","list":{"3":{"n":1}}}`:                              {n: 1},
		`{"code":0,"list":[{"n":1},null,{"n":2}]}`:                               {n: 2},
		`{"list":[{"n":1}],"code":0,"data":{}}`:                                  {n: 1},
		`{"list":[{"n":1}],"data":{"list":[]},"code":0}`:                         {n: 1},
		`{"data":{"page":3},"list":[{"n":1}],"code":0}`:                          {n: 1, page: 3},
		`{"list":[{"n":1}],"data":{"page":3},"code":0}`:                          {n: 1, page: 3},
		`{"code":0,"data":{"page":3,"list":[{"n":1}]},"list":[{"n":1},{"n":2}]}`: {n: 1, page: 3}, // the documented place counts
		`{"list":[{"n":1},{"n":2}],"data":{"page":3,"list":[{"n":1}]},"code":0}`: {n: 1, page: 3},
		`{"code":0,"data":{"page":3},"list":[]}`:                                 {page: 3},
		`{"code":0,"data":{"page":3},"list":null}`:                               {page: 3},
		`{"list":[],"code":0,"data":{"page":3}}`:                                 {page: 3},
		`{"code":0,"data":{"page":3,"list":null}}`:                               {page: 3},
		`{"code":0,"data":{"page":3,"list":[]},"debug":[1]}`:                     {page: 3},
		`{"code":0,"data":[],"debug":[1]}`:                                       {},
		`{"code":0,"data":{},"debug":{"a":1},"time":1}`:                          {},
		`{"code":0,"data":{"page":1,"total":0}}`:                                 {page: 1},
		`{"code":0,"data":{"in":{"page":1,"total":"0"},"rows":[]}}`:              {},
		`{"code":0,"data":{"x":0,"y":"","z":false,"u":{},"v":[ ],"w":null}}`:     {},
		`{"code":0}`:                                          {},
		`{"code":0,"data":{"page":1}}`:                        {why: noList},
		`{"data":{"page":1},"code":0}`:                        {why: noList},
		`{"code":0,"data":{"page":1,"total":7}}`:              {why: noList},
		`{"code":0,"data":{"page":1,"total":null}}`:           {why: noList},
		`{"code":0,"data":{"total":0,"in":{"total":7}}}`:      {why: noList},
		`{"code":0,"data":{"total":0,"rows":[{"n":1}]}}`:      {why: noList},
		`{"code":0,"data":{"x":7}}`:                           {why: noList},
		`{"code":0,"data":{"x":true}}`:                        {why: noList},
		`{"code":0,"data":{"x":"y"}}`:                         {why: noList},
		`{"code":0,"data":{"rows":[{"n":1}]}}`:                {why: noList},
		`{"code":0,"data":{"0":{"n":1}}}`:                     {why: noList},
		`{"code":0,"data":{},"rows":[{"n":1}]}`:               {why: noData},
		`{"code":0,"data":null,"rows":[{"n":1}]}`:             {why: noData},
		`{"code":0,"rows":[{"n":1}]}`:                         {why: noData},
		`{"code":0,"data":{},"list":7}`:                       {why: "/list: a number where a list belongs"},
		`{"code":0,"data":{},"list":[{"n":"x"}]}`:             {why: "/list/0/n: not a whole number"},
		`{"list":[{"n":"x"}],"data":{},"code":0}`:             {why: "/list/0/n: not a whole number"},
		`{"code":0,"data":{},"list":[],"list":[{"n":1}]}`:     {why: "list appears twice"},
		`{"code":0,"data":{"list":[{"list":1}],"list":[{}]}}`: {why: "appears twice"},
	} {
		var out page
		env, err := newBody(t, strings.NewReader(text)).Decode(zone, &out)
		if tt.why != "" {
			require.ErrorContains(t, err, tt.why, text)
			continue
		}
		require.NoError(t, err, text)
		require.Len(t, out.List, tt.n, text)
		require.Equal(t, tt.page, out.Page, text)
		require.Equal(t, tt.n > 0, tt.n > 0 && env.HasData, text)
	}

	var bare []thing
	_, err := newBody(t, strings.NewReader(`{"code":0,"data":[],"list":[{"n":1}]}`)).Decode(zone, &bare)
	require.NoError(t, err)
	require.Equal(t, []thing{{1}}, bare)

	// Below the top, a list is looked for where it stands and nowhere else.
	var in struct {
		In page `json:"in"`
	}
	_, err = newBody(t, strings.NewReader(`{"code":0,"data":{"in":{"page":1}},"list":[]}`)).Decode(zone, &in)
	require.ErrorContains(t, err, "/data/in: has no list")
}

// Data is decoded as it comes, also before the code is known; a refusal leaves
// nothing of it.
func TestDataOfARefusalLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"data":{"n":7},"code":3}`, `{"data":{"n":"x"},"code":3}`, `{"data":[1,[2]],"code":3}`, `{"data":{"a":[{"b":1}],"n":{"c":[1]}},"code":3}`, `{"data":{"n":7}}`} {
		var out thing
		env, err := newBody(t, strings.NewReader(text)).Decode(zone, &out)
		require.NoError(t, err, text)
		require.False(t, env.OK())
		require.Zero(t, out, text)
	}
}
