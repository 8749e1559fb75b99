package proxylitetest

import (
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// prefix is the document's, before every path.
const prefix = "/end-point"

// route is an endpoint of the vendor's document.
type route struct {
	operation    string // the SDK's name
	method, path string
	form         form
	// verified: the document lists code 156, for an unverified user.
	verified bool
	// handle executes the operation under the server's lock. Its data goes into the
	// envelope; a plain is the whole body.
	handle func(*Server, *request) (data any, no *apiError)
}

// form is how an endpoint writes its envelope.
type form struct {
	success int    // the code of a success
	text    string // the name of the message
}

var (
	formMsg       = form{200, "msg"}
	formMessage   = form{0, "message"}
	formMarketing = form{0, "msg"}
)

var routes = []route{
	{"Accounts.List", http.MethodGet, "/whitelist-account/list", formMsg, false, (*Server).listAccounts},
	{"Accounts.Add", http.MethodPost, "/whitelist-account/add", formMsg, true, (*Server).addAccounts},
	{"Accounts.Delete", http.MethodPost, "/whitelist-account/delete", formMsg, true, (*Server).deleteAccounts},
	{"Accounts.Disable", http.MethodPost, "/whitelist-account/disable", formMsg, true, (*Server).disableAccounts},
	{"Accounts.Enable", http.MethodPost, "/whitelist-account/enable", formMsg, true, (*Server).enableAccounts},
	{"Accounts.ChangePassword", http.MethodPost, "/whitelist-account/change-password", formMsg, true, (*Server).changePassword},
	{"Accounts.ChangeRemark", http.MethodPost, "/whitelist-account/change-remark", formMsg, true, (*Server).changeRemark},
	{"Accounts.ChangeLimit", http.MethodPost, "/whitelist-account/change-limit", formMsg, true, (*Server).changeLimit},
	{"Usage.Daily", http.MethodGet, "/user-usage-flow/total", formMsg, true, (*Server).dailyUsage},
	{"Products.List", http.MethodGet, "/user-product/list", formMsg, true, (*Server).listProducts},
	{"IP.Extract", http.MethodGet, "/ip/v3", formMsg, true, (*Server).extract},
	{"IP.Cities", http.MethodGet, "/ip/dynamic-citys", formMsg, true, (*Server).cities},
	{"IP.SearchCities", http.MethodGet, "/ip/dynamic-citys/search", formMsg, true, (*Server).searchCities},
	{"IP.States", http.MethodGet, "/ip/dynamic-states", formMsg, true, (*Server).states},
	{"IP.SearchStates", http.MethodGet, "/ip/dynamic-states/search", formMsg, true, (*Server).searchStates},
	{"IP.ListStatic", http.MethodGet, "/ip/get-static-ip", formMsg, false, (*Server).listStatic},
	{"IP.StaticStock", http.MethodGet, "/static-ip-region", formMsg, false, (*Server).staticStock},
	{"Orders.List", http.MethodGet, "/order/list", formMessage, false, (*Server).listOrders},
	{"Orders.Create", http.MethodPost, "/order/create", formMessage, false, (*Server).createOrder},
	{"Orders.Close", http.MethodPost, "/order/close", formMessage, false, (*Server).closeOrder},
	{"User.Info", http.MethodGet, "/user/info", formMessage, false, (*Server).userInfo},
	{"Payment.Groups", http.MethodGet, "/payment/groups", formMessage, true, (*Server).paymentGroups},
	{"Marketing.RechargeGiftRatios", http.MethodGet, "/activity/balance-recharge-gift-ratio", formMarketing, true, (*Server).giftRatios},
}

// find returns the first route that matches.
func find(matches func(route) bool) (r route, ok bool) {
	i := slices.IndexFunc(routes, matches)
	if i < 0 {
		return route{}, false
	}
	return routes[i], true
}

// apiError is a refusal by the API.
type apiError struct {
	code    int
	message string // empty means the API's own for this code
	field   string // the wrong parameter, for the errors member
}

// invalid refuses a parameter with the code of the document's ErrorResponse.
func invalid(field, message string) *apiError { return &apiError{400, message, field} }

// messages are the API's texts for the known codes.
var messages = map[int]string{
	3: "app_key 无效", 156: "账户未实名认证", 202: "请先添加 IP 到白名单", 286: "请先验证手机号", 287: "请先验证手机号",
	348: "请进行二次验证", 400: "参数错误", 404: "接口不存在", 405: "请求方法不允许", 429: "请求过于频繁", 500: "系统错误",
}

// response is what the server is going to send.
type response struct {
	status int    // 0 means 200
	code   int    // of the envelope; 0 without one
	kind   string // Content-Type
	body   []byte
}

// plain is a body without an envelope.
type plain string

func (f form) accept(data any) response {
	if text, ok := data.(plain); ok {
		return response{kind: "text/plain; charset=utf-8", body: []byte(text)}
	}
	message := "请求成功"
	if f.success == 0 {
		message = "操作成功"
	}
	return f.envelope(f.success, message, "data", data)
}

func (f form) refuse(no *apiError) response {
	message := cmp.Or(no.message, messages[no.code], "操作失败")
	if no.field == "" {
		return f.envelope(no.code, message, "data", nil)
	}
	return f.envelope(no.code, message, "errors", map[string][]string{no.field: {message}})
}

func (f form) envelope(code int, message, member string, value any) response {
	body, err := json.Marshal(value)
	if err != nil { // e.g. a Decimal in the state that is no number
		return response{
			status: http.StatusInternalServerError, code: 500, kind: "application/json",
			body: []byte(`{"code":500,"` + f.text + `":` + quote("proxylitetest: the state can't be written as JSON: "+err.Error()) + `}`),
		}
	}
	return response{code: code, kind: "application/json", body: []byte(
		`{"code":` + strconv.Itoa(code) + `,"` + f.text + `":` + quote(message) + `,"` + member + `":` + string(body) + `}`)}
}

func quote(s string) string {
	b, _ := jsontext.AppendQuote(nil, s) // broken UTF-8 is replaced
	return string(b)
}

// serve handles every request: record it, apply a fault, respond.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.closing: // net/http retries a read whose connection was closed
		panic(http.ErrAbortHandler)
	default:
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	if err != nil { // the client is gone, or sends too much
		panic(http.ErrAbortHandler)
	}
	in := &request{query: r.URL.Query(), body: body, header: r.Header, caller: r.RemoteAddr}
	route, known := find(func(x route) bool { return prefix+x.path == r.URL.Path })
	switch {
	case !known:
		in.wrong = http.StatusNotFound
	case r.Method != route.method:
		in.wrong = http.StatusMethodNotAllowed
		w.Header().Set("Allow", route.method)
	}
	if in.wrong != 0 {
		route.operation, route.form = "", formMessage
	}

	s.mu.Lock()
	in.now = s.now()
	in.authenticate(s.Key)
	index := len(s.calls)
	s.calls = append(s.calls, Call{
		Operation: route.operation, Method: r.Method, Path: r.URL.Path, Auth: in.auth,
		Query: in.query, Body: string(in.body), Time: in.now,
	})
	fault := s.nextFault(route.operation)
	s.mu.Unlock()

	a := s.faulty(r.Context(), fault, route, in)
	a.status = cmp.Or(a.status, http.StatusOK)
	s.mu.Lock()
	s.calls[index].Status, s.calls[index].Code = a.status, a.code
	s.mu.Unlock()
	a.write(w, fault)
}

// faulty executes a request as far as the fault lets it.
func (s *Server) faulty(ctx context.Context, fault Fault, route route, in *request) (a response) {
	if fault.After {
		a = s.execute(route, in)
	}
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		case <-s.closing:
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case fault.hasResponse():
		a = fault.response(route.form)
	case fault.Cut:
		panic(http.ErrAbortHandler) // net/http then closes the connection
	case !fault.After:
		a = s.execute(route, in)
	}
	return a
}

// write sends a response, half of it if the fault cuts it.
func (a response) write(w http.ResponseWriter, fault Fault) {
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
	}
	length := len(a.body)
	if fault.Cut {
		length = max(length, 1) // something must be missing
	}
	w.Header().Set("Content-Length", strconv.Itoa(length))
	maps.Copy(w.Header(), fault.Header)
	w.WriteHeader(a.status)
	if fault.Cut {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body)
}

// execute executes a request.
func (s *Server) execute(route route, in *request) response {
	if in.wrong != 0 {
		a := route.form.refuse(&apiError{code: in.wrong})
		a.status = in.wrong
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !in.hasKey(s.Key, s.token) {
		return route.form.refuse(&apiError{code: 3})
	}
	if verified := s.state.User.IsRealName; route.verified && verified != nil && !*verified {
		return route.form.refuse(&apiError{code: 156})
	}
	s.catchUp(in.now)
	s.state.index()
	data, no := route.handle(s, in)
	if no = cmp.Or(in.no, no); no != nil {
		return route.form.refuse(no)
	}
	return route.form.accept(data)
}
