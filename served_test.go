package proxylite_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// What proxylitetest serves, for every operation.

// served is a server whose demo data fits the input of operations.
func served(t *testing.T, opts ...proxylitetest.Option) *proxylitetest.Server {
	t.Helper()
	at := proxylitetest.WithNow(func() time.Time { return apitest.End })
	return proxylitetest.NewServer(t, append([]proxylitetest.Option{at, proxylitetest.WithoutProxies()}, opts...)...)
}

// ask sends an operation as a program without the SDK does, with a key where the
// document has it.
func ask(t *testing.T, op apitest.Operation, s *proxylitetest.Server, key string) (status int, kind, body string) {
	t.Helper()
	query, err := url.ParseQuery(op.Query)
	require.NoError(t, err)
	body = op.Body
	switch {
	case op.KeyInBody:
		body = strings.Replace(body, "{", `{"app_key":"`+key+`",`, 1)
	case key != "":
		query.Set("app_key", key)
	}
	req, err := http.NewRequestWithContext(t.Context(), op.Method, s.URL+"/end-point"+op.Path+"?"+query.Encode(), strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

// envelope is what the documented response says besides its data.
func envelope(t *testing.T, op apitest.Operation) (e struct {
	Code int
	Msg  *string
},
) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(apitest.Fixture(t, op.Name+".json")), &e))
	return e
}

func TestEveryOperationIsServed(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			s := served(t)
			_, err := op.Call(t.Context(), s.Client(proxylite.WithObserver(func(ctx context.Context, info proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
				require.Equal(t, op.Name, info.Operation)
				return ctx, nil
			})))
			require.NoError(t, err)
			calls := s.Calls()
			require.Len(t, calls, 1)
			call := calls[0]
			query, err := url.ParseQuery(op.Query)
			require.NoError(t, err)
			require.Equal(t, query, call.Query)
			if op.Body == "" {
				require.Empty(t, call.Body)
			} else {
				require.JSONEq(t, op.Body, call.Body)
			}
			auth := "query"
			if op.KeyInBody {
				auth = "body"
			}
			call.Query, call.Body = nil, ""
			require.Equal(t, proxylitetest.Call{
				Operation: op.Name, Method: op.Method, Path: "/end-point" + op.Path, Auth: auth, Status: 200, Code: envelope(t, op).Code, Time: apitest.End,
			}, call)
		})
	}
}

// The fixtures are the responses of the vendor's document as they stand there.
// Members, their order, and the type of each value must be the same.
func TestEveryServedResponseHasTheDocumentedShape(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			s := served(t)
			status, kind, body := ask(t, op, s, s.Key)
			require.Equal(t, 200, status)
			require.Equal(t, "application/json", kind)
			documented := apitest.Fixture(t, op.Name+".json")
			if op.Name == "IP.ListStatic" { // the document has no response
				documented = `{"code":200,"msg":"","data":{"list":[{"id":1,"country_code":"US","product_type":25,"trade_no":"","status":3,` +
					`"ip":"","port":1,"username":"","password":"","expired_at":"2022-05-13 12:14:15"}],"page":1,"page_size":1,"total_count":1,"total_page":1}}`
			}
			want, got := json.NewDecoder(strings.NewReader(documented)), json.NewDecoder(strings.NewReader(body))
			want.UseNumber()
			got.UseNumber()
			sameShape(t, "", read(t, want), read(t, got))
		})
	}
}

// member is a name of an object with its value.
type member struct {
	name  string
	value any
}

// read reads a value, an object as its members in order.
func read(t *testing.T, d *json.Decoder) any {
	t.Helper()
	token, err := d.Token()
	require.NoError(t, err)
	switch token {
	case json.Delim('{'):
		object := []member{}
		for d.More() {
			name, err := d.Token()
			require.NoError(t, err)
			object = append(object, member{name.(string), read(t, d)})
		}
		_, err = d.Token()
		require.NoError(t, err)
		return object
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, read(t, d))
		}
		_, err = d.Token()
		require.NoError(t, err)
		return list
	}
	return token
}

func sameShape(t *testing.T, where string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case []member:
		require.IsType(t, want, got, where)
		var names, gotNames []string
		for _, m := range want {
			names = append(names, m.name)
		}
		for _, m := range got.([]member) {
			gotNames = append(gotNames, m.name)
		}
		require.Equal(t, names, gotNames, where)
		for i, m := range want {
			sameShape(t, where+"."+m.name, m.value, got.([]member)[i].value)
		}
	case []any:
		require.IsType(t, want, got, where)
		require.True(t, where != ".data.list" || len(got.([]any)) > 0, "the list is empty")
		for _, entry := range got.([]any) {
			sameShape(t, where+"[]", want[0], entry)
		}
	case json.Number:
		require.IsType(t, want, got, where)
		if !strings.Contains(want.String(), ".") && where != ".data.list[].items[].min" && where != ".data.list[].items[].max" {
			require.NotContains(t, got.(json.Number).String(), ".", where)
		}
		if where == ".code" {
			require.Equal(t, want, got)
		}
	case string:
		require.IsType(t, want, got, where)
		for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
			if _, err := time.Parse(layout, want); err == nil {
				_, err = time.Parse(layout, got.(string))
				require.NoError(t, err, where)
			}
		}
	case bool:
		require.IsType(t, want, got, where)
	case nil: // placeholders of the document; add and its like answer null
		if where == ".data" {
			require.Nil(t, got)
		}
	}
}

func TestAWrongKeyIsRefusedByEveryOperation(t *testing.T) {
	t.Parallel()
	s := served(t, proxylitetest.WithToken("header.payload.signature"))
	before := s.State()
	for _, op := range apitest.Operations {
		for _, key := range []string{"ffffffffffffffffffffffffffffffff", ""} {
			status, kind, body := ask(t, op, s, key)
			require.Equal(t, 200, status)
			require.Equal(t, "application/json", kind)
			text := "message"
			if envelope(t, op).Msg != nil {
				text = "msg"
			}
			require.Equal(t, `{"code":3,"`+text+`":"app_key 无效","data":null}`, body, op.Name)
			if key == "" && !op.KeyInBody {
				require.Empty(t, s.Calls()[len(s.Calls())-1].Auth)
			}
		}
		c, err := proxylite.NewClient(proxylite.BearerToken("header.payload.forged"), proxylite.WithBaseURL(s.URL))
		require.NoError(t, err)
		_, err = op.Call(t.Context(), c)
		require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
	}
	require.Equal(t, before, s.State())
	for _, call := range s.Calls() {
		require.Equal(t, 3, call.Code)
		require.NotContains(t, call.Query, "app_key")
		require.NotContains(t, call.Body, "app_key")
	}
}

func TestABearerTokenIsTakenWithoutAKey(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		s := served(t, proxylitetest.WithToken("header.payload.signature"))
		c, err := proxylite.NewClient(proxylite.BearerToken("header.payload.signature"), proxylite.WithBaseURL(s.URL))
		require.NoError(t, err)
		_, err = op.Call(t.Context(), c)
		require.NoError(t, err, op.Name)
		require.Equal(t, "bearer", s.Calls()[0].Auth)
	}
}

func TestAnUnverifiedUserIsRefusedWhereTheDocumentSaysSo(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		s := served(t)
		s.Update(func(st *proxylitetest.State) { st.User.IsRealName = new(false) })
		_, err := op.Call(t.Context(), s.Client())
		if op.NeedsVerification {
			require.ErrorIs(t, err, proxylite.ErrNotVerified, op.Name)
		} else {
			require.NoError(t, err, op.Name)
		}
	}
}
