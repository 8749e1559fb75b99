package proxylitetest

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/proxylite/proxylite-go"
)

// separates matches the separators that the SDK allows: they can't be part of an
// endpoint.
var separates = regexp.MustCompile(`^(\\[rnt]|<br ?/?>|[^\pL\pN.:\[\]@_%-])*$`)

// extract returns at most what is in stock. The defaults, and the refusal of places
// that are not in [State.Locations], are our choice.
func (s *Server) extract(in *request) (any, *apiError) {
	if s.state.CallerNotAllowed {
		host, _, _ := net.SplitHostPort(in.caller)
		return nil, &apiError{code: 202, message: "请先添加 IP " + host + " 到白名单"}
	}
	q := in.query
	count := in.whole("num", 1, 1)
	life := time.Duration(in.whole("life", 0, 1)) * time.Minute
	in.must(slices.Contains([]string{"", "json", "text"}, q.Get("format")), "format", "参数错误: format 仅支持 json 或 text")
	in.must(separates.MatchString(q.Get("lb")), "lb", "参数错误: lb 无效")
	in.must(slices.Contains([]string{"", "us", "hk", "de"}, q.Get("ep")), "ep", "参数错误: 代理网络无效")
	in.must(s.state.place(q.Get("cc"), q.Get("state"), q.Get("city")), "cc", "参数错误: 没有该地区")
	if in.no != nil {
		return nil, in.no
	}
	entries := make([]string, min(count, max(s.state.IPStock, 0)))
	s.state.IPStock -= len(entries)
	for i := range entries {
		entries[i] = s.endpoint(life)
	}
	if q.Get("format") == "text" {
		separator := strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t").Replace(q.Get("lb"))
		if separator == "" {
			separator = "\r\n"
		}
		return plain(strings.Join(entries, separator)), nil
	}
	var lists [][]string // the document has the entries in a list within the list
	if len(entries) > 0 {
		lists = [][]string{entries}
	}
	return listed[[]string]{lists}, nil
}

// endpoint makes an entry of an extraction. It works for the time life, or until the
// server is closed if life is 0.
func (s *Server) endpoint(life time.Duration) string {
	if s.withoutProxies {
		s.unreal++
		return fmt.Sprintf("203.0.113.%d:%d", 10+s.unreal/1000%200, 10000+s.unreal%1000)
	}
	opts := s.proxy
	opts.Life, opts.Auth, opts.Now = life, nil, s.now
	p := NewProxy(nil, opts)
	s.proxies = append(s.proxies, p)
	e := p.Endpoint()
	if e.Username == "" {
		return e.Addr()
	}
	return e.Addr() + ":" + e.Username + ":" + e.Password.Reveal()
}

// Proxies returns the proxies behind the extracted endpoints, in the order of their
// extraction, without those that are closed or expired.
func (s *Server) Proxies() []*Proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.proxies), func(p *Proxy) bool { return p.closed.Load() || p.expired() })
}

// Gateway returns the proxy for the traffic of accounts. The first call starts it;
// make it before the server is closed. It admits pl-bob with the password of that
// account if the account is enabled and below its limit, and otherwise responds with 407,
// which is our choice. It ignores parameters after the name, as in
// pl-bob_area-US_session-7. It counts no traffic: call [State.Use] for that.
func (s *Server) Gateway() *Proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gateway == nil {
		opts := s.proxy
		opts.Username, opts.Password, opts.Life, opts.Now = "", "", 0, s.now
		opts.Auth = func(username, password string) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			name, _, _ := strings.Cut(username, "_")
			now := s.now()
			s.catchUp(now)
			s.state.index()
			a := s.state.account(name)
			if a == nil || a.Username != name || a.Password != proxylite.NewPassword(password) || a.Status != proxylite.AccountEnabled {
				return false
			}
			limit, _ := a.Limit()
			return limit == 0 || s.countedUsage(a, now) < limit
		}
		s.gateway = NewProxy(nil, opts)
	}
	return s.gateway
}

// place reports whether there are dynamic IPs in a place. Empty means anywhere.
func (st *State) place(country, state, city string) bool {
	if country+state+city == "" {
		return true
	}
	same := func(asked, name string) bool {
		return asked == "" || strings.EqualFold(asked, name) || strings.EqualFold(asked, strings.ReplaceAll(name, " ", ""))
	}
	for _, c := range st.Locations {
		if !same(country, c.CountryCode) {
			continue
		}
		if state+city == "" || slices.ContainsFunc(c.Cities, func(x proxylite.City) bool { return same(state, x.State) && same(city, x.City) }) {
			return true
		}
	}
	return false
}

// country is a country with its cities or states, as documented.
type country[T any] struct {
	NameZH        string `json:"name_zh_cn"`
	NameEN        string `json:"name_en"`
	ContinentCode string `json:"continent_code"`
	CountryCode   string `json:"country_code"`
	Items         []T    `json:"items"`
}

func countries[T any](locations []proxylite.CountryCities, items func(proxylite.CountryCities) []T) any {
	var rows []country[T]
	for _, c := range locations {
		rows = append(rows, country[T]{c.NameZH, c.NameEN, c.ContinentCode, c.CountryCode, items(c)})
	}
	return listed[country[T]]{rows}
}

// orNull returns null for an empty text, as in the document's example.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *Server) cities(*request) (any, *apiError) {
	type city struct {
		City          *string `json:"city"`
		State         *string `json:"state"`
		ContinentCode *string `json:"continent_code"`
		CountryCode   *string `json:"country_code"`
	}
	return countries(s.state.Locations, func(c proxylite.CountryCities) (items []city) {
		for _, x := range c.Cities {
			items = append(items, city{orNull(x.City), orNull(x.State), orNull(x.ContinentCode), orNull(x.CountryCode)})
		}
		return items
	}), nil
}

func (s *Server) states(*request) (any, *apiError) {
	type state struct {
		State         *string `json:"state"`
		ContinentCode *string `json:"continent_code"`
		CountryCode   *string `json:"country_code"`
	}
	return countries(s.state.Locations, func(c proxylite.CountryCities) (items []state) {
		for _, name := range statesOf(c) {
			items = append(items, state{&name, orNull(c.ContinentCode), orNull(c.CountryCode)})
		}
		return items
	}), nil
}

func statesOf(c proxylite.CountryCities) (names []string) {
	for _, x := range c.Cities {
		if x.State != "" && !slices.Contains(names, x.State) {
			names = append(names, x.State)
		}
	}
	return names
}

// searched returns the country that a search must name. An unknown one has no
// places, which is our choice.
func (s *Server) searched(in *request) proxylite.CountryCities {
	code := in.query.Get("country_code")
	in.must(code != "", "country_code", "请填写国家或地区代码")
	for _, c := range s.state.Locations {
		if strings.EqualFold(c.CountryCode, code) {
			return c
		}
	}
	return proxylite.CountryCities{}
}

func (s *Server) searchCities(in *request) (any, *apiError) {
	c, state := s.searched(in), in.query.Get("state")
	in.must(state != "", "state", "请填写州或省代码")
	var names []string
	for _, x := range c.Cities {
		if x.City != "" && strings.EqualFold(x.State, state) {
			names = append(names, x.City)
		}
	}
	return listed[string]{names}, nil
}

func (s *Server) searchStates(in *request) (any, *apiError) {
	return listed[string]{statesOf(s.searched(in))}, nil
}

// listStatic responds with the fields that the SDK reads, as the document has none.
// An entry that has a Raw is sent as that.
func (s *Server) listStatic(in *request) (any, *apiError) {
	product := proxylite.ProductType(in.one("product_type", 0, 14, 25))
	status := proxylite.StaticIPStatus(in.one("status", 0, 1, 2, 3, 4))
	code, tradeNo := in.query.Get("country_code"), in.query.Get("trade_no")
	type row struct {
		ID          any    `json:"id"`
		CountryCode string `json:"country_code"`
		ProductType int    `json:"product_type"`
		TradeNo     string `json:"trade_no"`
		Status      int    `json:"status"`
		IP          string `json:"ip"`
		Port        int    `json:"port"`
		Username    string `json:"username"`
		Password    string `json:"password"`
		ExpiredAt   string `json:"expired_at"`
	}
	var found []any
	for _, ip := range s.state.StaticIPs {
		switch {
		case product != 0 && ip.ProductType != product, status != 0 && ip.Status != status,
			code != "" && !strings.EqualFold(ip.CountryCode, code), tradeNo != "" && ip.TradeNo != tradeNo:
			continue
		case ip.Raw != proxylite.RawEntry{}:
			found = append(found, jsontext.Value(ip.Raw.Reveal()))
			continue
		}
		r := row{
			ip.ID, ip.CountryCode, int(ip.ProductType), ip.TradeNo, int(ip.Status), ip.IP, ip.Port, ip.Username, ip.Password.Reveal(),
			stamp(ip.ExpiredAt),
		}
		if n, err := strconv.ParseInt(ip.ID, 10, 64); err == nil {
			r.ID = n
		}
		found = append(found, r)
	}
	return cut(in, "page", "size", found).counted(), nil
}

func (s *Server) staticStock(in *request) (any, *apiError) {
	isp := in.one("isp", -1, 0, 1)
	type row struct {
		Code   string `json:"code"`
		Number int    `json:"number"`
	}
	var rows []row
	for _, x := range s.state.StaticStock {
		if isp >= 0 && int(x.ISP) != isp {
			continue
		}
		i := slices.IndexFunc(rows, func(r row) bool { return r.Code == x.CountryCode })
		if i < 0 {
			i = len(rows)
			rows = append(rows, row{Code: x.CountryCode})
		}
		rows[i].Number += x.Number
	}
	return listed[row]{rows}, nil
}
