package proxylite_test

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Extraction understands every form that the API is seen to use.
func TestExtractForms(t *testing.T) {
	t.Parallel()
	two := []proxylite.Endpoint{{Host: "1.2.3.4", Port: 80}, {Host: "1.2.3.4", Port: 81, Username: "u", Password: proxylite.NewPassword("p")}}
	object := `{"ip":"1.2.3.4","port":"80","city":"Austin"}`
	host := `{"host":"1.2.3.4","port":81,"user":"u","pass":"p"}`
	for body, want := range map[string][]proxylite.Endpoint{
		`{"code":0,"data":{"list":[["1.2.3.4:80"],["1.2.3.4:81:u:p"]]}}`:            two,
		`{"code":0,"data":{"list":["1.2.3.4:80","1.2.3.4:81:u:p"]}}`:                two,
		`{"code":0,"data":["1.2.3.4:80","u:p@1.2.3.4:81"]}`:                         two,
		`{"code":0,"data":{"list":[null,[],["1.2.3.4:80"],null,"1.2.3.4:81:u:p"]}}`: two,
		`{"code":0,"data":{"list":null}}`:                                           {},
		`{"code":0,"data":{"list":{}}}`:                                             {},
		`{"code":0,"data":{}}`:                                                      {},
		`{"code":0}`:                                                                {},
		`{"code":0,"data":{"list":[[` + object + `],` + host + `]}}`: {
			{Host: "1.2.3.4", Port: 80, Raw: apitest.Raw(object)}, {Host: "1.2.3.4", Port: 81, Username: "u", Password: proxylite.NewPassword("p")},
		},
		`{"code":0,"data":{"list":[{"ip":"1.2.3.4","port":80,"username":"u","password":7,"raw":null}]}}`: {
			{Host: "1.2.3.4", Port: 80, Username: "u", Password: proxylite.NewPassword("7"), Raw: apitest.Raw(`{"ip":"1.2.3.4","port":80,"username":"u","password":7,"raw":null}`)},
		},
	} {
		c, _ := apitest.Mocked(t, 200, body)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2})
		require.NoError(t, err, body)
		require.Equal(t, proxylite.Extraction{Endpoints: want}, got, body)
	}
	for _, entry := range []string{`"sold out"`, `7`, `{}`, `{"ip":"1.2.3.4"}`, `{"ip":{},"port":1}`, `["x:y:1:2",null]`, `[["1.2.3.4:80"]]`} {
		c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[`+entry+`]}}`)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2})
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse, entry)
		require.Zero(t, got)
	}
}

func TestExtractText(t *testing.T) {
	t.Parallel()
	two := []proxylite.Endpoint{{Host: "1.2.3.4", Port: 80}, {Host: "1.2.3.4", Port: 81, Username: "u", Password: proxylite.NewPassword("p")}}
	for _, tt := range []struct {
		separator, body string
		want            []proxylite.Endpoint
	}{
		{"", "1.2.3.4:80\r\n1.2.3.4:81:u:p\r\n", two},
		{"", "\ufeff1.2.3.4:80\n\n 1.2.3.4:81:u:p ", two},
		{"", `1.2.3.4:80\r\n1.2.3.4:81:u:p\n`, two},
		{"", "1.2.3.4:80<br>1.2.3.4:81:u:p<br/>", two},
		{`\r\n`, "1.2.3.4:80\r1.2.3.4:81:u:p", two},
		{"|", "1.2.3.4:80|1.2.3.4:81:u:p", two},
		{"<br />", "1.2.3.4:80<br />1.2.3.4:81:u:p", two},
		{";", "", []proxylite.Endpoint{}},
		{"", " \r\n", []proxylite.Endpoint{}},
	} {
		c, _ := apitest.Mocked(t, 200, tt.body)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2, Format: proxylite.FormatText, Separator: tt.separator})
		require.NoError(t, err, tt.body)
		require.Equal(t, proxylite.Extraction{Endpoints: tt.want}, got, tt.body)
	}
}

// One odd entry must not cost the others, which were paid for.
func TestOddEntriesAreRejectedOneByOne(t *testing.T) {
	t.Parallel()
	good := []proxylite.Endpoint{{Host: "1.2.3.4", Port: 80}, {Host: "1.2.3.5", Port: 81}}
	for entry, reason := range map[string]string{
		`"N/A"`:                             `"N/A" is not host:port`,
		`"x:99999"`:                         `"x:99999" is not host:port`,
		`"1.2.3.4"`:                         `"1.2.3.4" is not host:port`,
		`"1.2.3.4:0"`:                       `"1.2.3.4:0" is not host:port`,
		`"2001:db8::1:80"`:                  `"2001:db8::1:80" is not host:port`,
		`"售罄"`:                              `"售罄" is not host:port`,
		`"\u001b[31m"`:                      `"\x1b[31m" is not host:port`,
		`7`:                                 `7 is not host:port`,
		`false`:                             `false is not host:port`,
		`["1.2.3.4:82"]`:                    `a list is not host:port`,
		`{}`:                                `an object with ip none, host none and port none is not host:port`,
		`{"host":"","port":0}`:              `an object with ip none, host "" and port 0 is not host:port`,
		`{"ip":"1.2.3.4","port":"abc"}`:     `an object with ip "1.2.3.4", host none and port "abc" is not host:port`,
		`"` + strings.Repeat("x", 99) + `"`: `"` + strings.Repeat("x", 80) + `…" is not host:port`,
		// A login is not shown, wherever it stands.
		`"1.2.3.4:99999:bob:s3cret"`:                            `"1.2.3.4:99999:"[REDACTED] is not host:port`,
		`"s3cret:bob:nohost:80"`:                                `[REDACTED] is not host:port`,
		`"bob:s3cret@1.2.3.4:0"`:                                `[REDACTED] is not host:port`,
		`{"host":"bob:s3cret@x","port":{"password":"s3cret"}}`:  `an object with ip none, host [REDACTED] and port [REDACTED] is not host:port`,
		`{"ip":"1.2.3.4","username":"bob","password":"s3cret"}`: `an object with ip "1.2.3.4", host none and port none is not host:port`,
	} {
		for _, list := range []string{
			`[["1.2.3.4:80",` + entry + `,"1.2.3.5:81"]]`, `[["1.2.3.4:80"],[` + entry + `],["1.2.3.5:81"]]`,
			`[{"0":"1.2.3.4:80","2":` + entry + `,"3":"1.2.3.5:81"}]`,
		} {
			c, _ := apitest.Mocked(t, 200, `{"code":200,"data":{"list":`+list+`}}`)
			got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 3})
			require.NoError(t, err, list)
			require.Equal(t, good, got.Endpoints, list)
			require.Len(t, got.Rejected, 1, list)
			require.Equal(t, reason, got.Rejected[0].String())
			require.Equal(t, entry, string(got.Rejected[0].Entry.Reveal()))
		}

		// If there is nothing else, it is a message and not an extraction.
		c, _ := apitest.Mocked(t, 200, `{"code":200,"data":{"list":[[`+entry+`,"x"]]}}`)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 3})
		require.Zero(t, got)
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "none of 2 entries is an endpoint: "+reason)

		var text string
		if json.Unmarshal([]byte(entry), &text) != nil || strings.Contains(text, "\x1b") {
			continue
		}
		c, _ = apitest.Mocked(t, 200, "1.2.3.4:80\n"+text+"\n1.2.3.5:81")
		got, err = c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 3, Format: proxylite.FormatText})
		require.NoError(t, err, entry)
		require.Equal(t, good, got.Endpoints, entry)
		require.Equal(t, reason, got.Rejected[0].Reason)
		require.JSONEq(t, entry, string(got.Rejected[0].Entry.Reveal()))
	}
}

// Neither what the caller asks for nor what the server says makes room for more
// than what is there.
func TestExtractionIsBounded(t *testing.T) {
	t.Parallel()
	for quantity, ok := range map[int]bool{1: true, 10_000: true, 10_001: false, math.MaxInt: false, math.MinInt: false} {
		c, mock := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[["1.2.3.4:80"]],"total_count":`+strconv.Itoa(math.MaxInt)+`}}`, proxylite.WithoutVendorRules())
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: quantity})
		require.Equal(t, ok, err == nil, quantity)
		require.Equal(t, ok, mock.GetTotalCallCount() == 1, quantity)
		if ok {
			require.Len(t, got.Endpoints, 1)
			require.Less(t, cap(got.Endpoints), 10)
		}
	}
	for _, entry := range []string{"1.2.3.4:80", "x"} {
		for n, ok := range map[int]bool{99_999: true, 100_000: false} {
			all := strings.Repeat(`"`+entry+`",`, n)
			c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[[`+all+`"1.2.3.4:80"]]}}`)
			got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1})
			require.Equal(t, ok, err == nil, "%v", err)
			if !ok {
				require.ErrorContains(t, err, "more than 100000 entries")
				require.Zero(t, got)
			}
			c, _ = apitest.Mocked(t, 200, strings.Repeat(entry+"\n", n)+"1.2.3.4:80")
			_, err = c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText})
			require.Equal(t, ok, err == nil)
		}
	}
}

func TestStaticIPEndpoint(t *testing.T) {
	t.Parallel()
	ip := proxylite.StaticIP{IP: "1.2.3.4", Port: 80, Username: "u", Password: proxylite.NewPassword("p")}
	e, ok := ip.Endpoint()
	require.True(t, ok)
	require.Equal(t, proxylite.Endpoint{Host: "1.2.3.4", Port: 80, Username: "u", Password: proxylite.NewPassword("p")}, e)
	for _, ip := range []proxylite.StaticIP{{IP: "1.2.3.4"}, {Port: 80}, {IP: "a b", Port: 80}, {IP: "1.2.3.4", Port: 65536}} {
		_, ok := ip.Endpoint()
		require.False(t, ok, ip)
	}
}

// What was paid for is not lost because PHP has written a list as an object.
func TestExtractedListsThatPHPWroteAsObjects(t *testing.T) {
	t.Parallel()
	want := []proxylite.Endpoint{{Host: "1.2.3.4", Port: 80}, {Host: "1.2.3.4", Port: 81}}
	for _, body := range []string{
		`{"code":200,"data":{"list":{"0":["1.2.3.4:80","1.2.3.4:81"]}}}`,
		`{"code":200,"data":{"list":{"0":{"3":"1.2.3.4:81","1":"1.2.3.4:80"}}}}`,
		`{"code":200,"data":{"list":[{"0":"1.2.3.4:80","1":null,"2":"","3":"1.2.3.4:81"}]}}`,
	} {
		c, _ := apitest.Mocked(t, 200, body)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2})
		require.NoError(t, err, body)
		require.Equal(t, proxylite.Extraction{Endpoints: want}, got, body)
	}
	// Without a list, something is there that an empty answer would not have.
	for _, data := range []string{`{"0":"1.2.3.4:80"}`, `{"ip":"1.2.3.4","port":80}`, `{"0":1}`} {
		c, _ := apitest.Mocked(t, 200, `{"code":200,"data":`+data+`}`)
		_, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1})
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse, data)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, data)
	}
	c, _ := apitest.Mocked(t, 200, `{"code":200,"data":{"total":0}}`)
	got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1})
	require.NoError(t, err)
	require.Equal(t, proxylite.Extraction{Endpoints: []proxylite.Endpoint{}}, got)
}

// An error still comes as the JSON envelope where text was asked for, and a page
// or a line that is no endpoint is no extraction.
func TestTextExtractionFailsWell(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]proxylite.Kind{
		" {\"code\":202,\"msg\":\"\"}": proxylite.KindAPI,
		"\ufeff{\"code\":3}":           proxylite.KindAPI,
		`{"msg":"x"}`:                  proxylite.KindMalformed,
		apitest.WebPage:                proxylite.KindEdge,
		"please add IP first":          proxylite.KindMalformed,
	} {
		c, _ := apitest.Mocked(t, 200, body)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText})
		require.Equal(t, kind, apitest.AsError(t, err).Kind, body)
		require.Zero(t, got, body)
	}
}

func FuzzTextExtraction(f *testing.F) {
	f.Add("1.2.3.4:80\r\n1.2.3.5:81:u:p\n", "")
	f.Add(`1.2.3.4:80\r\n[::1]:81`, `\r\n`)
	f.Add("1.2.3.4:80|1.2.3.5:81|", "|")
	f.Add(`{"code":202,"msg":"no"}`, "\t")
	f.Add("error:3", ";")
	f.Fuzz(func(t *testing.T, answer, separator string) {
		got, err := answers(t, 200, []byte(answer)).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText, Separator: separator})
		if err != nil {
			if apitest.AsError(t, err).Kind != proxylite.KindInput {
				honest(t, err, []byte(answer))
			}
			return
		}
		if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(answer, "\ufeff")), "{") {
			return // an envelope, see FuzzEveryAnswer
		}
		rest := answer
		for _, e := range got.Endpoints { // all of them stand there, in this order
			_, after, ok := strings.Cut(rest, e.Host)
			require.True(t, ok, "%s was invented", e)
			rest = after
			_, after, ok = strings.Cut(rest, strconv.Itoa(e.Port))
			require.True(t, ok, "%s was invented", e)
			rest = after
		}
	})
}

func FuzzTextExtractionLosesNothing(f *testing.F) {
	f.Add(uint32(0x01020304), uint16(80), uint8(3), uint8(0))
	f.Add(uint32(0xffffffff), uint16(65535), uint8(50), uint8(6))
	f.Fuzz(func(t *testing.T, ip uint32, port uint16, n, sep uint8) {
		separators := []string{"\r\n", "\n", "\r", `\r\n`, `\n`, "|", ";", " ", "\t", "<br>", ","}
		separator := separators[int(sep)%len(separators)]
		var want []proxylite.Endpoint
		var text strings.Builder
		for i := range uint32(n) {
			addr := ip + i*0x01010101
			e := proxylite.Endpoint{Host: netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}).String(), Port: int(port)%65535 + 1}
			want = append(want, e)
			text.WriteString(e.Addr() + separator)
		}
		got, err := answers(t, 200, []byte(text.String())).IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText, Separator: separator})
		require.NoError(t, err)
		require.Len(t, got.Endpoints, len(want))
		require.Empty(t, got.Rejected)
		for i := range want {
			require.Equal(t, want[i], got.Endpoints[i])
		}
	})
}
