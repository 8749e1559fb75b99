package redact_test

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/redact"
)

var secrets = map[string]string{
	"hex":    "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
	"base64": "Zm9v+YmFy/YmF6cXV4+Zg==",
	"JWT":    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
	"word":   "Tr0ub4dor&3horse",
	"all":    `kAn/ry+=&"\<é~%20'k`,
	"plain":  "s3cret-token-000001",
	"short":  "a1B2c3",
}

// others returns texts as long as s, in most codes, in which no letter or digit is
// the same.
func others(s string) []string {
	var all []string
	for turn := 1; turn < 10; turn++ {
		b := []byte(s)
		for i, c := range b {
			for _, class := range []string{"01234567", "89", "abc", "defghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
				if at := strings.IndexByte(class, c); at >= 0 {
					b[i] = class[(at+1+turn%(len(class)-1))%len(class)]
				}
			}
		}
		all = append(all, string(b))
	}
	return all
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func reversed(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// leak says what is left of a secret in a text that was cleaned: all that would be
// otherwise with another secret must be gone. It knows no code.
func leak(clean, secret string, write func(string) string) string {
	text := write(secret)
	before, after := 0, 0
	for n, other := range others(secret) {
		for i := 0; i < len(secret) && n < 3; i++ {
			if len(write(secret[:i]+other[i:])) != len(text) { // what follows is another text in base64
				after = len(text)
			}
		}
		other = write(other)
		before = max(before, common(text, other))
		after = max(after, common(reversed(text), reversed(other)))
	}
	parts := strings.Split(clean, redact.Redacted)
	if len(parts) == 1 {
		return "nothing is hidden"
	}
	first, last := parts[0], parts[len(parts)-1]
	switch {
	case !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last):
		return "what is around is changed"
	case len(first) > before:
		return "its beginning is left"
	case len(last) > after:
		return "its end is left"
	}
	for _, part := range parts[1 : len(parts)-1] {
		if len(part) > 2 {
			return "its middle is left: " + part
		}
	}
	return ""
}

func TestEncoders(t *testing.T) {
	t.Parallel()
	for kind, secret := range secrets {
		set := redact.New(secret)
		for _, enc := range encoders {
			t.Run(kind+"/"+enc.name, func(t *testing.T) {
				t.Parallel()
				for name, around := range map[string][2]string{
					"alone": {}, "sentence": {"the key ", " is wrong"}, "query": {"/x?app_key=", "&a=b"}, "JSON": {`{"msg":"`, `"}`},
					"escaped JSON": {`{\"msg\":\"`, `\"}`}, "escaped query": {"app_key%3D", "%26a%3Db"}, "lines": {"a\nb\n", "\n"},
				} {
					write := func(s string) string { return around[0] + enc.write(s) + around[1] }
					clean := set.Text(write(secret))
					require.Empty(t, leak(clean, secret, write), "%s: %q -> %q", name, write(secret), clean)
				}
			})
		}
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	for kind, secret := range secrets {
		set := redact.New(secret)
		for _, enc := range encoders {
			t.Run(kind+"/"+enc.name, func(t *testing.T) {
				t.Parallel()
				const before = "the key is "
				whole := enc.write(secret)
				shown := 0
				for shown < len(before)+len(whole) && strings.HasPrefix(before+enc.write(secret[:4]+others(secret)[0][4:]), (before + whole)[:shown+1]) {
					shown++
				}
				step := 1
				if testing.Short() {
					step = 5
				}
				for cut := 1; cut <= len(whole); cut += step {
					clean := string(set.Start([]byte(before + whole[:cut])))
					left := len(strings.Split(clean, redact.Redacted)[0])
					require.LessOrEqual(t, left, shown+12, "%q -> %q", before+whole[:cut], clean)
				}
			})
		}
	}
}

func TestInnocentTextsStay(t *testing.T) {
	t.Parallel()
	sets := map[string]*redact.Set{"one": redact.New("s3cret-token-000001"), "passwords": redact.New(passwords(10_000)...), "all": redact.New(slices.Collect(maps.Values(secrets))...)}
	random := rand.New(rand.NewPCG(1, 2))
	image := make([]byte, 30_000)
	for i := range image {
		image[i] = byte(random.IntN(256))
	}
	for name, text := range map[string]string{
		"empty": "", "message": message, "word": "s3cret", "nearly": "s3cret-token-000002 and s3cret-token-00000", "reversed": reversed("s3cret-token-000001"),
		"Chinese": "订单不存在，请检查参数后重试。余额不足：需要 12.50 美元，当前余额 3.20 美元。", "page": "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n<body bgcolor=\"white\"><center><h1>502 Bad&nbsp;Gateway &#x2014; 1 &lt; 2</h1></center></body></html>",
		"image": `<img src="data:image/png;base64,` + to64(string(image)) + `">`, "hexadecimal": hex.EncodeToString(image), "binary": string(image),
		"JWT":   "Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODAsImFkbWluIjp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7",
		"UUIDs": "6f1c2a9e-77aa-4b0d-9c1e-0242ac120002 00000000-0000-0000-0000-000000000000", "log": "2026/11/27 03:00:00 [error] 7#7: *12345 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 192.0.2.7, request: \"GET /a?b=c%20d&amp;e=%E4%BD%A0 HTTP/1.1\"",
		"source": "func f(s string) (n int, err error) { return strconv.Atoi(s[1:len(s)-1]) } // \"\\x41\" \\u0041 \\n",
		"URL":    "https://example.com/path%2Fto/x?q=a+b%26c&redirect_uri=https%3A%2F%2Fexample.org%2F%3Fa%3Db", "prose": strings.Repeat("The quick brown fox jumps over the lazy dog, and passes the word on. ", 40),
		"numbers": "[1,2,3,65,66,67,100,255] 0x01 0x02 3.1415 1e10", "bytes": "\x00\x01\xff\xfe\x80 \xc3", "redacted": "[REDACTED]",
	} {
		for kind, set := range sets {
			require.Equal(t, text, set.Text(text), "%s, %s", name, kind)
			if !strings.HasPrefix(text, "s3cret") { // which may go on
				require.Equal(t, text, string(set.Start([]byte(text))), "%s, %s, start", name, kind)
			}
		}
	}
}

func TestCleanTextsCostNoMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	set := redact.New("s3cret-token-000001")
	set.Text(message)
	least := 100.0
	for range 50 { // the race detector makes a sync.Pool forget at random
		least = min(least, testing.AllocsPerRun(1, func() { set.Text(message) }))
	}
	require.Zero(t, least)
}

func TestManySecretsAreCheap(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	all := passwords(10_000)
	text := strings.Repeat("no ", 1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.Equal(t, text, redact.New(all...).With("s3cret-token").Text(text))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10<<20))
}

func TestShortSecretsAndNone(t *testing.T) {
	t.Parallel()
	var none *redact.Set
	require.Equal(t, "abcde", none.Text("abcde"))
	require.Equal(t, "abcde", redact.New("abcde", "", "abc").Text("abcde"), "shorter than six")
	require.Equal(t, http.Header{"A": {"b"}}, none.Header(http.Header{"A": {"b"}}))
	require.JSONEq(t, `{"a":1}`, string(none.JSON(json.RawMessage(`{"a":1}`))))
	require.Nil(t, none.Start(nil))
	require.Nil(t, none.Secrets())
	require.Same(t, none, none.With())
	set := none.With("s3cret-token")
	require.Equal(t, "a [REDACTED] b", set.Text("a s3cret-token b"))
	require.Equal(t, []string{"s3cret-token", "another-one"}, set.With("another-one").Secrets())
	require.Equal(t, "another-one", set.Text("another-one"))
}

func TestSecretsThatOverlap(t *testing.T) {
	t.Parallel()
	set := redact.New("abcdefgh", "efghijkl", "abcdefghijklmnop")
	require.Equal(t, "-[REDACTED]-", set.Text("-abcdefghijkl-"))
	require.Equal(t, "-[REDACTED]-", set.Text("-abcdefghijklmnop-"))
	require.Equal(t, "-[REDACTED] [REDACTED]-", set.Text("-abcdefgh efghijkl-"))
}

func TestJSON(t *testing.T) {
	t.Parallel()
	digits := redact.New("202611", "nabcdef", "true42")
	for in, want := range map[string]string{
		`{"order":2026110001,"x":"202611","n":1}`: `{"order":"[REDACTED]","x":"[REDACTED]","n":1}`,
		`{"a":"x\nabcdef y","202611":[1]}`:        `{"a":"[REDACTED]","[REDACTED]":[1]}`,
		`[50,48,50,54,49,49]`:                     `["[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]"]`,
		`[20, 26, 11]`:                            `[20, 26, 11]`,
		`202611`:                                  `"[REDACTED]"`,
		`{"a":"\u0032\u003026\u00311."}`:          `{"a":"[REDACTED]."}`,
		`not JSON 202611`:                         `not JSON [REDACTED]`,
		`{"a": 1}`:                                `{"a": 1}`,
	} {
		out := digits.JSON(json.RawMessage(in))
		require.Equal(t, want, string(out), in)
		require.Equal(t, json.Valid([]byte(in)), json.Valid(out))
	}
}

func FuzzJSON(f *testing.F) {
	set := redact.New("202611", "true,false", `a":"b`, `\\\\\\`, `":"":"`)
	for _, s := range []string{`{"order":2026110001}`, `{"a":"\u0032\u003026\u00311."}`, `[50,48,50,54,49,49]`, `{"a":"b","c":"\\\\\\\\"}`, `[true,false]`, `{"":"","":""}`, "[2,0,2,6,1,1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := set.JSON(json.RawMessage(s))
		if json.Valid([]byte(s)) && !json.Valid(out) {
			t.Fatalf("%q became %q", s, out)
		}
		if strings.Contains(string(out), "202611") {
			t.Fatalf("%q became %q", s, out)
		}
	})
}

func TestHeader(t *testing.T) {
	t.Parallel()
	set := redact.New("s3cret-token")
	clean := http.Header{"Content-Type": {"text/html"}}
	require.Equal(t, reflect.ValueOf(clean).Pointer(), reflect.ValueOf(set.Header(clean)).Pointer(), "a copy")
	dirty := http.Header{"X-S3cret-Token": {"1"}, "Location": {"/x?k=" + to64("s3cret-token"), "b"}}
	require.Equal(t, http.Header{"X-[REDACTED]": {"1"}, "Location": {"/x?k=[REDACTED]", "b"}}, set.Header(dirty))
	require.Contains(t, dirty, "X-S3cret-Token", "what was given is changed")
	require.Nil(t, set.Header(nil))
}

// TestHostileTexts would not end in time, or take more memory than the machine has,
// if it weren't linear.
func TestHostileTexts(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	set := redact.New("s3cret-token-000001")
	const size = 320 << 10 // more than one window
	b64 := to64(strings.Repeat("0123456789abcde ", 64))
	for name, unit := range map[string]string{
		"percent": "%25%25", "percent within percent": "%252525", "entities": "&#38;", "named": "&amp;", "alphabet": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
		"A": "A", "a": "a", "backslashes": `\`, "units": `\u005c`, "octal": `\134`, "hex": "0123456789abcdef", "base64 three times": to64(to64(b64)), "spaces": " ", "start and spaces": "s                ",
		"numbers": "65 66 ", "starts": "s3cret-token-00000", "printable": "=3D", "all": `%5c\x25&#37;=25`, "full width": "％", "quotes": `"`,
	} {
		text := strings.Repeat(unit, size/len(unit)+1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		require.Equal(t, text, set.Text(text), name)
		took := time.Since(begin)
		runtime.ReadMemStats(&after)
		t.Logf("%-24s %5.0f ns/byte, %d bytes/byte", name, float64(took)/float64(len(text)), (after.TotalAlloc-before.TotalAlloc)/uint64(len(text)))
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size)*64+10<<20, name)
	}
}

// A text is looked into by windows: what stands across two of them is found too.
func TestLargeTexts(t *testing.T) {
	t.Parallel()
	set := redact.New(secrets["word"])
	for _, write := range []func(string) string{func(s string) string { return s }, to64, func(s string) string { return to64(to64(s)) }, each(`\\u%04x`), each("%02x ")} {
		secret := write(secrets["word"])
		for _, at := range []int{0, 256<<10 - len(secret)/2, 256<<10 + 5000, 512<<10 - 1, 600_000} {
			text := strings.Repeat("-.", at/2) + secret + strings.Repeat(".-", 50_000)
			clean := set.Text(text)
			require.LessOrEqual(t, len(clean), len(text)-len(secret)+len(redact.Redacted)+8)
			require.Equal(t, 1, strings.Count(clean, redact.Redacted), "%d", at)
		}
	}
	require.Equal(t, strings.Repeat("- [REDACTED] ", 30_000), set.Text(strings.Repeat("- "+secrets["word"]+" ", 30_000)))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	set := redact.New(slices.Collect(maps.Values(secrets))...)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, enc := range encoders {
				text := enc.write(secrets["plain"])
				if set.Text(text) == text {
					t.Error(enc.name)
				}
				set.With("another-one").Start([]byte(text))
			}
		})
	}
	wg.Wait()
}
