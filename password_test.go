package proxylite_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

const secretText = "hunter2pass"

// holders are all results of operations and all inputs that can hold a secret,
// each with one in every place.
func holders(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{"NewAccount": nil, "AccountAddParams": nil, "Password": nil, "RawEntry": nil}
	for name, v := range map[string]any{
		"NewAccount": proxylite.NewAccount{}, "AccountAddParams": proxylite.AccountAddParams{},
		"Password": proxylite.Password{}, "RawEntry": proxylite.RawEntry{},
	} {
		all[name] = withSecrets(reflect.TypeOf(v)).Interface()
	}
	for _, op := range apitest.Operations {
		if op.Full == nil {
			continue
		}
		if filled := withSecrets(reflect.TypeOf(op.Full)); secrets(filled) > 0 {
			all[op.Name] = filled.Interface()
		}
	}
	for _, name := range []string{"Accounts.List", "IP.ListStatic"} {
		require.Contains(t, all, name, "a result with passwords was not found")
	}
	return all
}

// withSecrets makes a value of t with a secret wherever one fits.
func withSecrets(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case t == reflect.TypeFor[proxylite.Password]():
		v.Set(reflect.ValueOf(proxylite.NewPassword(secretText)))
	case t == reflect.TypeFor[proxylite.RawEntry]():
		v.Set(reflect.ValueOf(apitest.Raw(`{"pass":"` + secretText + `"}`)))
	case t == reflect.TypeFor[time.Time]():
	case t == reflect.TypeFor[proxylite.Endpoint](): // which is not read without an address
		v.Set(reflect.ValueOf(proxylite.Endpoint{Host: "1.2.3.4", Port: 80, Password: proxylite.NewPassword(secretText), Raw: apitest.Raw(`{"pass":"` + secretText + `"}`)}))
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(withSecrets(t.Field(i).Type))
			}
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		v.Set(reflect.Append(v, withSecrets(t.Elem()), withSecrets(t.Elem())))
	}
	return v
}

// secrets counts those that withSecrets put in.
func secrets(v reflect.Value) (n int) {
	switch {
	case v.Type() == reflect.TypeFor[proxylite.Password](), v.Type() == reflect.TypeFor[proxylite.RawEntry]():
		return 1
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for _, field := range v.Fields() {
			n += secrets(field)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			n += secrets(v.Index(i))
		}
	}
	return n
}

// deep is all text that reflection reaches in v, as printers without methods show it.
func deep(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return v.String() + "\n"
	case reflect.Struct:
		var text strings.Builder
		for _, field := range v.Fields() {
			text.WriteString(deep(field))
		}
		return text.String()
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return string(v.Bytes()) + "\n"
		}
		var text strings.Builder
		for i := range v.Len() {
			text.WriteString(deep(v.Index(i)))
		}
		return text.String()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return deep(v.Elem())
		}
	}
	return ""
}

// failure collects what testify writes about a difference.
type failure struct{ bytes.Buffer }

func (f *failure) Errorf(format string, args ...any) { fmt.Fprintf(f, format, args...) }

func TestNoPrinterShowsAPassword(t *testing.T) {
	t.Parallel()
	for name, v := range holders(t) {
		var out bytes.Buffer
		type unexported struct{ v any }
		for _, held := range []any{v, &v, []any{v}, unexported{v}, map[string]any{"k": v}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%t", "%e"} {
				fmt.Fprintf(&out, verb+"\n", held)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", held)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", held)
		}
		b, err := json.Marshal(v)
		require.NoError(t, err, name)
		require.Contains(t, string(b), "[REDACTED]", name)
		out.Write(b)
		b, err = xml.Marshal(v)
		require.True(t, err == nil || strings.Contains(err.Error(), "unsupported type: map"), "%s: %v", name, err)
		out.Write(b)
		require.NoError(t, gob.NewEncoder(&out).Encode(v), name)
		var diff failure
		assert.Equal(&diff, reflect.Zero(reflect.TypeOf(v)).Interface(), v)
		out.WriteString(diff.String())
		out.WriteString(deep(reflect.ValueOf(v)))

		text := out.String()
		for _, form := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprintf("%X", secretText), strings.Trim(fmt.Sprint([]byte(secretText)), "[]")} {
			require.NotContains(t, text, form, name)
		}
	}
}

func TestAPasswordIsAValue(t *testing.T) {
	t.Parallel()
	var none proxylite.Password
	require.Equal(t, none, proxylite.NewPassword(""))
	require.Empty(t, fmt.Sprint(none)+none.Reveal())
	seen := map[proxylite.Password]string{}
	for _, text := range []string{"a", "hunter2pass", "hunter2past", strings.Repeat("long", 500), "密码\x00\xff", "12345678", "123456789"} {
		p := proxylite.NewPassword(text)
		require.Equal(t, text, p.Reveal())
		require.True(t, p == proxylite.NewPassword(text)) //nolint:testifylint // == is what is tested
		require.NotEqual(t, none, p)
		require.Equal(t, "[REDACTED] [REDACTED]", fmt.Sprintf("%s %d", p, p))
		require.Equal(t, `"[REDACTED]" "[REDACTED]"`, fmt.Sprintf("%q %#v", p, p))
		seen[p] = text
	}
	require.Len(t, seen, 7)
	// One known password must not give away another of the same beginning.
	a, b := deep(reflect.ValueOf(proxylite.NewPassword("hunter2pass"))), deep(reflect.ValueOf(proxylite.NewPassword("hunter2past")))
	require.NotEqual(t, a[8:16], b[8:16])
}

func TestJSONWithPasswordsIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, v := range holders(t) {
		plain, err := json.Marshal(v)
		require.NoError(t, err)
		back := reflect.New(reflect.TypeOf(v))
		require.ErrorContains(t, json.Unmarshal(plain, back.Interface()), "MarshalRevealed", "%s: the placeholder became a password", name)

		revealed, err := proxylite.MarshalRevealed(v)
		require.NoError(t, err)
		require.Equal(t, secrets(reflect.ValueOf(v)), strings.Count(string(revealed), secretText), name)
		back = reflect.New(reflect.TypeOf(v))
		require.NoError(t, json.Unmarshal(revealed, back.Interface()), name)
		require.Equal(t, v, back.Elem().Interface(), name)
	}
	// Other values are written as encoding/json writes them.
	own := struct {
		N     int            `json:"n,omitempty"`
		S     []string       `json:"s"`
		M     map[string]int `json:"m"`
		T     time.Time      `json:"t"`
		B     []byte         `json:"b"`
		H     string         `json:"<h>"`
		P     proxylite.Password
		Entry proxylite.RawEntry
	}{M: map[string]int{"b": 1, "a": 2}, B: []byte("x"), H: "<&>"}
	want, err := json.Marshal(own)
	require.NoError(t, err)
	got, err := proxylite.MarshalRevealed(own)
	require.NoError(t, err)
	require.Equal(t, strings.Replace(string(want), `"Entry":""`, `"Entry":null`, 1), string(got))
	_, err = proxylite.MarshalRevealed(func() {})
	require.ErrorContains(t, err, "MarshalRevealed")
	_, err = proxylite.MarshalRevealed(apitest.Raw("no JSON"))
	require.Error(t, err)
}

func TestPasswordsAreReadFromJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"pw"`: "pw", `""`: "", `"a\"b"`: `a"b`, `"密"`: "密", `7`: "7", `1e9`: "1e9", `true`: "true", `"\u005bx"`: "[x",
	} {
		var p proxylite.Password
		require.NoError(t, json.Unmarshal([]byte(in), &p), in)
		require.Equal(t, want, p.Reveal(), in)
	}
	kept := proxylite.NewPassword("kept")
	require.NoError(t, json.Unmarshal([]byte("null"), &kept))
	require.Equal(t, "kept", kept.Reveal())
	for _, in := range []string{`"[REDACTED]"`, `"\u005bREDACTED]"`, `{}`, `["x"]`} {
		require.Error(t, json.Unmarshal([]byte(in), new(proxylite.Password)), in)
	}
	require.Error(t, new(proxylite.Password).UnmarshalJSON([]byte(`"\x"`)))
	require.Error(t, new(proxylite.Password).UnmarshalJSON(nil))
	require.Error(t, new(proxylite.Password).UnmarshalText([]byte("[REDACTED]")))

	var entry proxylite.RawEntry
	require.Nil(t, entry.Reveal())
	require.NoError(t, json.Unmarshal([]byte(`{"a": 1}`), &entry))
	require.Equal(t, `{"a": 1}`, string(entry.Reveal()))
	require.NoError(t, json.Unmarshal([]byte(`null`), &entry))
	require.Equal(t, `{"a": 1}`, string(entry.Reveal()))
	require.Error(t, json.Unmarshal([]byte(`"[REDACTED]"`), &entry))
}

func TestPasswordsSurviveGob(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(proxylite.Account{Username: "bob"}))
	var back proxylite.Account
	require.NoError(t, gob.NewDecoder(&b).Decode(&back))
	require.Equal(t, proxylite.Account{Username: "bob"}, back)

	require.NoError(t, gob.NewEncoder(&b).Encode(proxylite.Account{Password: proxylite.NewPassword("pw")}))
	require.ErrorContains(t, gob.NewDecoder(&b).Decode(&back), "MarshalRevealed")
}

// However an account or an endpoint is held, no text of what holds it has the
// login.
func TestNoTextOfAHolderHasThePassword(t *testing.T) {
	t.Parallel()
	account := proxylite.Account{Username: "bob", Password: proxylite.NewPassword(canaryPassword)}
	added := proxylite.NewAccount{Username: "bob", Password: proxylite.NewPassword(canaryPassword)}
	static := proxylite.StaticIP{ID: "1", Username: "u", Password: proxylite.NewPassword(canaryPassword), Raw: apitest.Raw(canaryPassword)}
	endpoint := proxylite.Endpoint{Host: "h", Port: 1, Username: "u", Password: proxylite.NewPassword(canaryPassword), Raw: apitest.Raw(canaryPassword)}
	var out spill
	for _, v := range []any{
		account, &account,
		[]proxylite.Account{account},
		[]*proxylite.Account{&account}[0],
		map[string]proxylite.Account{"a": account},
		struct{ A proxylite.Account }{account},
		proxylite.Page[proxylite.Account]{Items: []proxylite.Account{account}},
		added, &added,
		proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{added}},
		&proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{added}},
		static, &static,
		proxylite.Page[proxylite.StaticIP]{Items: []proxylite.StaticIP{static}},
		map[int]proxylite.StaticIP{1: static},
		endpoint, &endpoint,
		[]proxylite.Endpoint{endpoint},
		struct{ E proxylite.Endpoint }{endpoint},
		map[proxylite.Endpoint]bool{endpoint: true},
		[2]any{account, &static},
		errors.Join(fmt.Errorf("%v %+v %#v", account, static, endpoint)),
	} {
		out.show(v)
		if text := out.texts.String(); strings.Contains(text, canaryPassword) {
			t.Errorf("%T: %s", v, text)
		}
		out.texts.Reset()
	}
}

// Printers that know GoStringer, but not Formatter, see no password either.
func TestGoStringOfAPassword(t *testing.T) {
	t.Parallel()
	require.Equal(t, "[REDACTED]", proxylite.NewPassword("s3cretpw").GoString())
	require.Empty(t, proxylite.Password{}.GoString())
}
