package proxylitetest

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// request is a call without its credential. The first problem of its parameters is
// in no.
type request struct {
	query      url.Values
	body       []byte
	header     http.Header
	caller     string // host:port
	wrong      int    // 404 or 405 if there is no such endpoint
	auth       string // where the credential was
	credential string
	now        time.Time
	no         *apiError
}

// authenticate takes the credential out of the request. The document's tables have
// the app_key in the query, or in the body of the account POSTs; its introduction
// allows both for a POST, and so do we.
func (in *request) authenticate(key string) {
	var members map[string]jsontext.Value
	if json.Unmarshal(in.body, &members) == nil && members["app_key"] != nil {
		in.auth = "body"
		_ = json.Unmarshal(members["app_key"], &in.credential)
		delete(members, "app_key")
		in.body, _ = json.Marshal(members, json.Deterministic(true))
	} else {
		in.body = bytes.ReplaceAll(in.body, []byte(key), nil)
	}
	if in.query.Has("app_key") {
		in.auth, in.credential = "query", in.query.Get("app_key")
		in.query.Del("app_key")
	}
	if bearer := in.header.Get("Authorization"); bearer != "" {
		in.auth, in.credential = "bearer", strings.TrimPrefix(bearer, "Bearer ")
	}
}

func (in *request) hasKey(key, token string) bool {
	if in.auth == "bearer" {
		return token != "" && in.credential == token
	}
	return in.credential == key
}

func (in *request) must(ok bool, field, message string) {
	if !ok && in.no == nil {
		in.no = invalid(field, message)
	}
}

// decode reads the JSON body of a POST.
func (in *request) decode(to any) {
	err := json.Unmarshal(in.body, to)
	in.must(err == nil, "body", "参数错误: 请求体不是有效的 JSON 对象或参数类型错误")
}

// whole reads a whole number from the query, or returns absent.
func (in *request) whole(name string, absent, lowest int) int {
	if in.query.Get(name) == "" {
		return absent
	}
	n, err := strconv.Atoi(in.query.Get(name))
	in.must(err == nil && n >= lowest, name, "参数错误: "+name+" 必须是不小于 "+strconv.Itoa(lowest)+" 的整数")
	return n
}

// one reads a number from the query that must be among of, or returns absent.
func (in *request) one(name string, absent int, of ...int) int {
	n := in.whole(name, absent, 0)
	in.must(n == absent || slices.Contains(of, n), name, "参数错误: "+name+" 的值无效")
	return n
}

// zone is the zone of the API's times that have none. The document names none; UTC+8
// is our choice, as in the SDK.
var zone = time.FixedZone("UTC+8", 8*60*60)

func (in *request) time(name string, absent time.Time) time.Time {
	if in.query.Get(name) == "" {
		return absent
	}
	t, err := time.ParseInLocation(time.DateTime, in.query.Get(name), zone)
	in.must(err == nil, name, "参数错误: "+name+" 格式必须为 Y-m-d H:i:s")
	return t
}

// stamp formats a time without a zone; a zero time is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(time.DateTime)
}

// listed is the data of a list without pages.
type listed[T any] struct {
	List []T `json:"list"`
}

// page is a part of a list, by the numbers that the query asks for.
type page[T any] struct {
	rows                        []T
	number, size, total, totals int
}

// cut returns the requested page of rows.
func cut[T any](in *request, numberName, sizeName string, rows []T) page[T] {
	p := page[T]{number: in.whole(numberName, 1, 1), size: in.whole(sizeName, 20, 1), total: len(rows)}
	if in.no != nil {
		return p
	}
	p.totals = (p.total + p.size - 1) / p.size
	if p.number <= p.totals {
		first := (p.number - 1) * p.size
		p.rows = rows[first:min(first+p.size, p.total)]
	}
	return p
}

// counted returns a page in the form of products. The form of static IPs is not
// documented; they get the same.
func (p page[T]) counted() any {
	return struct {
		List       []T `json:"list"`
		Page       int `json:"page"`
		PageSize   int `json:"page_size"`
		TotalCount int `json:"total_count"`
		TotalPage  int `json:"total_page"`
	}{p.rows, p.number, p.size, p.total, p.totals}
}

// paginated returns a page in the form of orders.
func (p page[T]) paginated() any {
	type pagination struct {
		Total      int `json:"total"`
		PageNo     int `json:"page_no"`
		PageSize   int `json:"page_size"`
		TotalPages int `json:"total_pages"`
	}
	return struct {
		List       []T        `json:"list"`
		Pagination pagination `json:"pagination"`
	}{p.rows, pagination{p.total, p.number, p.size, p.totals}}
}

// number returns an exact decimal as a JSON number; an empty one is 0.
func number[T ~string](d T) jsontext.Value {
	if d == "" {
		return jsontext.Value("0")
	}
	return jsontext.Value(d)
}
