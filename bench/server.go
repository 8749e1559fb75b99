package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The sizes of the works.
const (
	Pages     = 200
	PageSize  = 20
	Countries = 200
	Cities    = 100
	Huge      = 100 << 20 // bytes
)

// Bodies are the answers, by size of the account list.
var bodies = struct {
	sync.Mutex
	m map[string][]byte
}{m: map[string][]byte{}}

func body(world, path, page string) []byte {
	key := world + path + page
	bodies.Lock()
	defer bodies.Unlock()
	if b := bodies.m[key]; b != nil {
		return b
	}
	var w bytes.Buffer
	switch path {
	case "/whitelist-account/list":
		n, _ := strconv.Atoi(world)
		w.WriteString(`{"code":200,"msg":"success","data":{"list":[`)
		for i := 0; n > 0 && i < n || n == 0 && w.Len() < Huge; i++ {
			comma(&w, i)
			fmt.Fprintf(&w, `{"id":%d,"username":"pl-user%06d","password":"Passw0rd%06d","created_at":"2024-%02d-%02d 12:14:15","remark":"team %d","product_type":9,"usage_flow":%d,"limit_flow":%d,"status":%d}`,
				100000+i, i, i, 1+i%12, 1+i%28, i%40, i*7919%9999999, i%500, i%2)
		}
	case "/ip/dynamic-citys":
		w.WriteString(`{"code":200,"msg":"success","data":{"list":[`)
		for i := range Countries {
			comma(&w, i)
			cc := string(rune('A'+i%26)) + string(rune('A'+i/26))
			fmt.Fprintf(&w, `{"name_zh_cn":"国家%d","name_en":"Country %d","continent_code":"EU","country_code":"%s","items":[`, i, i, cc)
			for j := range Cities {
				comma(&w, j)
				fmt.Fprintf(&w, `{"city":"City %d of %d","state":"State %d","continent_code":"EU","country_code":"%s"}`, j, i, j%10, cc)
			}
			w.WriteString(`]}`)
		}
	case "/order/list":
		no, _ := strconv.Atoi(page)
		pages, _ := strconv.Atoi(world)
		w.WriteString(`{"code":0,"message":"success","data":{"list":[`)
		for i := range PageSize {
			comma(&w, i)
			id := no*PageSize + i
			fmt.Fprintf(&w, `{"id":%d,"trade_no":"20240101121415%010d","product_id":7,"product_name":"Residential 10 GB","total_fee":18.20,"pay_fee":16.38,"status":1,"created_at":"2024-01-01 12:14:15"}`, id, id)
		}
		fmt.Fprintf(&w, `],"pagination":{"total":%d,"page_no":%d,"page_size":%d,"total_pages":%d}}}`, pages*PageSize, no, PageSize, pages)
		bodies.m[key] = w.Bytes()
		return w.Bytes()
	default:
		return nil
	}
	w.WriteString(`]}}`)
	bodies.m[key] = w.Bytes()
	return w.Bytes()
}

func comma(w *bytes.Buffer, i int) {
	if i > 0 {
		w.WriteByte(',')
	}
}

// cut finds the answer for a URL path such as /1000/whitelist-account/list: the
// first part, the world, is how many accounts, or pages of orders, there are.
// A world "1-flaky" answers one call in a hundred with 503.
func cut(path string) (world, rest string) {
	world, rest, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return world, "/" + rest
}

// Memory is a RoundTripper that answers from memory.
type Memory struct{}

// RoundTrip implements http.RoundTripper.
func (Memory) RoundTrip(req *http.Request) (*http.Response, error) {
	world, path := cut(req.URL.Path)
	page := ""
	if path == "/order/list" {
		page = req.URL.Query().Get("page_no")
	}
	b := body(world, path, page)
	if b == nil {
		return nil, fmt.Errorf("no answer for %s", req.URL.Path)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(b)),
		Body: io.NopCloser(bytes.NewReader(b)), Request: req,
	}, nil
}

// Serve answers on a loopback port until its process ends, and prints the
// address. It is a process of its own, so that the clients' CPU is theirs.
func Serve(out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var conns, calls atomic.Int64
	var gate atomic.Pointer[gate]
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/_conns": // how many connections were ever opened
			fmt.Fprint(w, conns.Load())
			return
		case "/_gate": // the next n calls wait for each other, so that n connections are open
			n, _ := strconv.Atoi(req.URL.Query().Get("n"))
			gate.Store(newGate(n))
			return
		}
		if g := gate.Load(); g != nil {
			g.wait()
		}
		world, path := cut(req.URL.Path)
		world, flaky := strings.CutSuffix(world, "-flaky")
		if flaky && calls.Add(1)%100 == 0 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		page := ""
		if path == "/order/list" {
			page = req.URL.Query().Get("page_no")
		}
		b := body(world, path, page)
		if b == nil {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
	})
	srv := &http.Server{Handler: handler, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}}
	fmt.Fprintln(out, "http://"+l.Addr().String())
	return srv.Serve(l)
}

type gate struct {
	left atomic.Int64
	open chan struct{}
}

func newGate(n int) *gate {
	g := &gate{open: make(chan struct{})}
	g.left.Store(int64(n))
	return g
}

func (g *gate) wait() {
	if g.left.Add(-1) == 0 {
		close(g.open)
	}
	<-g.open
}
