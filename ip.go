package proxylite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/proxylite/proxylite-go/internal/wire"
)

// IPService extracts proxy IPs, lists locations, and lists static IPs.
type IPService struct{ c *Client }

var (
	opIPExtract      = Operation{Name: "IP.Extract", Method: http.MethodGet, Path: "/ip/v3", Class: ClassUnsafe}
	opIPCities       = Operation{Name: "IP.Cities", Method: http.MethodGet, Path: "/ip/dynamic-citys", Class: ClassSafe}
	opIPSearchCities = Operation{Name: "IP.SearchCities", Method: http.MethodGet, Path: "/ip/dynamic-citys/search", Class: ClassSafe}
	opIPStates       = Operation{Name: "IP.States", Method: http.MethodGet, Path: "/ip/dynamic-states", Class: ClassSafe}
	opIPSearchStates = Operation{Name: "IP.SearchStates", Method: http.MethodGet, Path: "/ip/dynamic-states/search", Class: ClassSafe}
	opIPListStatic   = Operation{Name: "IP.ListStatic", Method: http.MethodGet, Path: "/ip/get-static-ip", Class: ClassSafe}
	opIPStaticStock  = Operation{Name: "IP.StaticStock", Method: http.MethodGet, Path: "/static-ip-region", Class: ClassSafe}
)

// Format is the form of the response of an extraction.
type Format string

// The formats. Both give the same endpoints. JSON is safer: it can't be split wrongly.
const (
	FormatJSON Format = "json"
	FormatText Format = "text"
)

// EntryNetwork is the network through which traffic enters (代理网络). It is an open set:
// other values are sent as they are.
type EntryNetwork string

// The known entry networks.
const (
	EntryUS EntryNetwork = "us"
	EntryHK EntryNetwork = "hk"
	EntryDE EntryNetwork = "de"
)

// IPExtractParams describe the IPs to extract. All fields but Quantity are optional.
type IPExtractParams struct {
	Quantity    int    // how many, from 1 to 10000; required, since each costs
	CountryCode string // e.g. "US"; empty means any
	State       string // as IP.States names it
	City        string // as IP.Cities names it
	// Life is the longest time that an address lasts, in whole minutes:
	// 30*time.Minute. It can die earlier. 0 leaves it to the API.
	Life  time.Duration
	Entry EntryNetwork // empty leaves it to the API
	// Format is the form of the response; FormatJSON if empty.
	Format Format
	// Separator stands between the entries of FormatText; empty leaves it to the
	// API. Letters, digits and other characters of an endpoint are refused, except
	// in the spellings \r, \n, \t and <br>.
	//
	// Web application firewalls with the OWASP core rules at paranoia level 2 refuse
	// requests with CR, LF or <br> in it. "|", a tab and a comma pass.
	Separator string
}

// Validate checks the parameters as Extract does, and sends nothing. The error is an
// [*InputError] that lists all problems. It includes the rules that
// [WithoutVendorRules] turns off.
func (p IPExtractParams) Validate() error {
	c := checks{vendor: true}
	p.check(&c)
	return c.err()
}

func (p IPExtractParams) check(in *checks) {
	in.must(0 < p.Quantity && p.Quantity <= maxQuantity, "Quantity", strconv.Itoa(p.Quantity), "is required, from 1 to "+strconv.Itoa(maxQuantity))
	in.must(p.Life >= 0 && p.Life%time.Minute == 0, "Life", p.Life.String(), "must be whole minutes, not negative: 30*time.Minute")
	if p.CountryCode != "" {
		in.country("CountryCode", p.CountryCode)
	}
	in.must(p.Format == "" || p.Format == FormatJSON || p.Format == FormatText, "Format", string(p.Format), "must be FormatJSON or FormatText")
	in.must(p.Separator == "" || p.Format == FormatText, "Separator", p.Separator, "needs FormatText")
	in.must(!partOfEndpoint(p.Separator), "Separator", p.Separator, `must not contain what can be part of an endpoint, such as letters, digits, dots and colons; the letters of \r, \n, \t and <br> are allowed`)
}

// maxQuantity is our choice: it stops a mistake from spending a whole quota.
const maxQuantity = 10_000

// Extraction is what an extraction returned.
type Extraction struct {
	Endpoints []Endpoint `json:"endpoints"` // never nil
	// Rejected are the entries of the response that are not endpoints. They may
	// have been paid for: show them to the vendor's support.
	Rejected []RejectedEntry `json:"rejected,omitempty"`
}

// RejectedEntry is an entry of an extraction that is not an endpoint.
type RejectedEntry struct {
	Entry RawEntry `json:"entry"` // JSON; an entry of the text form is a JSON string
	// Reason says what is wrong and shows the entry, without a login.
	Reason string `json:"reason"`
}

// String returns the reason.
func (r RejectedEntry) String() string { return r.Reason }

// Extract extracts proxy endpoints (提取 IP). Most of them have no login: they admit the
// caller's IP. It must be on the allow list, or the call fails with
// [ErrIPNotAllowed]. If the stock is low, Extract returns fewer endpoints than asked
// for, or none, without an error. Entries that can't be read are in
// Extraction.Rejected; if there are no others, the call fails with
// [ErrMalformedResponse].
//
// GET /ip/v3. Spends paid quota and is never retried once it may have reached the
// server: after a failure with errors.Is(err, ErrOutcomeUnknown), count the quota as
// spent.
func (s *IPService) Extract(ctx context.Context, p IPExtractParams, opts ...CallOption) (Extraction, error) {
	in := s.c.input()
	p.check(&in.checks)
	if p.Format == "" {
		p.Format = FormatJSON
	}
	in.str("cc", p.CountryCode)
	in.str("state", p.State)
	in.str("city", p.City)
	in.str("format", string(p.Format))
	in.str("lb", p.Separator)
	in.int("num", p.Quantity)
	in.int("life", int(p.Life/time.Minute))
	in.str("ep", string(p.Entry))
	if p.Format == FormatText {
		in.emptyOK = true
		in.text = func(text string, out any) error {
			x, err := parseEndpoints(text, p.Separator)
			out.(*list[extracted]).List = []extracted{{x}}
			return err
		}
	}
	in.valid = func(out any) error { return joined(out.(*list[extracted]).List).usable() }
	lists, err := sendList[extracted](ctx, s.c, &opIPExtract, in, opts)
	if err != nil {
		return Extraction{}, err
	}
	return joined(lists), nil
}

// joined is the extraction of all entries of the list, mostly of one.
func joined(lists []extracted) Extraction {
	if len(lists) == 1 && lists[0].Endpoints != nil {
		return lists[0].Extraction
	}
	all := Extraction{Endpoints: []Endpoint{}}
	for _, x := range lists {
		all.Endpoints = append(all.Endpoints, x.Endpoints...)
		all.Rejected = append(all.Rejected, x.Rejected...)
	}
	return all
}

// writtenBreaks removes the separators that are spelled with letters.
var writtenBreaks = strings.NewReplacer(`\r`, "", `\n`, "", `\t`, "", "<br>", "", "<br/>", "", "<br />", "")

// partOfEndpoint reports whether a separator contains a character that can be part
// of an endpoint. Then it would be uncertain how to split the text.
func partOfEndpoint(separator string) bool {
	return strings.ContainsFunc(writtenBreaks.Replace(separator), func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(".:[]@-_%", r)
	})
}

// extracted is an entry of an extraction's list: documented as a list of endpoints,
// and also seen as a single endpoint.
type extracted struct{ Extraction }

func (x *extracted) UnmarshalJSON(b []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var numbered map[int]json.RawMessage // PHP writes a list with gaps as an object
	switch {
	case d.PeekKind() == '[':
		_, _ = d.ReadToken()
		for d.PeekKind() != ']' {
			entry, err := d.ReadValue()
			if err != nil {
				return err
			}
			x.add(entry)
			if err := x.checkSize(); err != nil {
				return err
			}
		}
	case d.PeekKind() == '{' && bytes.Count(b, []byte{','}) > 10*maxQuantity: // before it fills the memory
		return tooMany()
	case d.PeekKind() == '{' && json.Unmarshal(b, &numbered) == nil && len(numbered) > 0:
		for _, i := range slices.Sorted(maps.Keys(numbered)) {
			x.add(numbered[i])
		}
	default:
		x.add(b)
	}
	return nil
}

// add adds an entry in JSON.
func (x *Extraction) add(entry []byte) {
	if string(entry) == "null" || string(entry) == `""` { // no entry
		return
	}
	var e Endpoint
	if err := e.UnmarshalJSON(entry); err != nil || e.Host == "" {
		x.Rejected = append(x.Rejected, RejectedEntry{NewRawEntry(entry), shownEntry(entry) + " is not host:port"})
		return
	}
	x.Endpoints = append(x.Endpoints, e)
}

// checkSize prevents a small compressed response from filling the memory.
func (x *Extraction) checkSize() error {
	if len(x.Endpoints)+len(x.Rejected) > 10*maxQuantity {
		return tooMany()
	}
	return nil
}

func tooMany() error {
	return &wire.SyntaxError{Why: fmt.Sprintf("more than %d entries", 10*maxQuantity)}
}

// usable returns an error if there are entries but no endpoint: then the text is
// more likely a message than an extraction.
func (x Extraction) usable() error {
	if len(x.Endpoints) > 0 || len(x.Rejected) == 0 {
		return nil
	}
	return &wire.SyntaxError{Why: fmt.Sprintf("none of %d entries is an endpoint: %s", len(x.Rejected), x.Rejected[0].Reason)}
}

// shownEntry returns the entry for an error text, without what may be a login.
func shownEntry(entry []byte) string {
	var text string
	if json.Unmarshal(entry, &text) == nil {
		host, rest, _ := strings.Cut(text, ":")
		port, _, login := strings.Cut(rest, ":")
		_, notIP := netip.ParseAddr(strings.Trim(host, "[]"))
		_, notIPv6 := netip.ParseAddr(text)
		switch {
		case strings.Contains(text, "@") || login && notIP != nil && notIPv6 != nil:
			return redactedText
		case login && notIPv6 != nil:
			return strconv.Quote(host+":"+port+":") + redactedText
		}
		return strconv.QuoteToGraphic(clip(text, 80))
	}
	var object struct{ IP, Host, Port json.RawMessage }
	switch {
	case entry[0] == '[':
		return "a list"
	case json.Unmarshal(entry, &object) != nil:
		return clip(string(entry), 80)
	}
	member := func(value json.RawMessage) string {
		switch {
		case len(value) == 0:
			return "none"
		case strings.ContainsAny(string(value), "@[{"):
			return redactedText
		}
		return clip(string(value), 80)
	}
	return "an object with ip " + member(object.IP) + ", host " + member(object.Host) + " and port " + member(object.Port)
}

// parseEndpoints reads the text form. Entries are seen separated by a line break,
// by the four characters \r\n, and by the separator that was asked for.
func parseEndpoints(text, separator string) (x Extraction, err error) {
	text = strings.TrimPrefix(text, "\ufeff")
	pairs := []string{`\r\n`, "\n", `\n`, "\n", `\r`, "\n", "\r", "\n", "\t", "\n", "<br>", "\n", "<br/>", "\n", "<br />", "\n"}
	if separator != "" {
		pairs = append([]string{separator, "\n"}, pairs...)
	}
	for line := range strings.SplitSeq(strings.NewReplacer(pairs...).Replace(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		e, err := ParseEndpoint(line)
		// Without the dot, "error:3" would be an endpoint.
		if err == nil && strings.ContainsAny(e.Host, ".:") {
			x.Endpoints = append(x.Endpoints, e)
		} else {
			quoted, _ := json.Marshal(line)
			x.Rejected = append(x.Rejected, RejectedEntry{NewRawEntry(quoted), shownEntry(quoted) + " is not host:port"})
		}
		if err := x.checkSize(); err != nil {
			return x, err
		}
	}
	return x, x.usable()
}

// CountryCities is a country with the cities that have dynamic IPs.
type CountryCities struct {
	NameZH        string `json:"name_zh_cn"`
	NameEN        string `json:"name_en"`
	ContinentCode string `json:"continent_code"`
	CountryCode   string `json:"country_code"`
	Cities        []City `json:"items"`
}

// City is a city that has dynamic IPs. A field is empty if the API sends null.
type City struct {
	City          string `json:"city"`
	State         string `json:"state"`
	ContinentCode string `json:"continent_code"`
	CountryCode   string `json:"country_code"`
}

// CountryStates is a country with the states or provinces that have dynamic IPs.
type CountryStates struct {
	NameZH        string  `json:"name_zh_cn"`
	NameEN        string  `json:"name_en"`
	ContinentCode string  `json:"continent_code"`
	CountryCode   string  `json:"country_code"`
	States        []State `json:"items"`
}

// State is a state or province that has dynamic IPs. A field is empty if the API
// sends null.
type State struct {
	State         string `json:"state"`
	ContinentCode string `json:"continent_code"`
	CountryCode   string `json:"country_code"`
}

// Cities returns the cities that have dynamic IPs, by country.
//
// GET /ip/dynamic-citys. Free; safe to retry.
func (s *IPService) Cities(ctx context.Context, opts ...CallOption) ([]CountryCities, error) {
	return sendList[CountryCities](ctx, s.c, &opIPCities, s.c.input(), opts)
}

// States returns the states that have dynamic IPs, by country.
//
// GET /ip/dynamic-states. Free; safe to retry.
func (s *IPService) States(ctx context.Context, opts ...CallOption) ([]CountryStates, error) {
	return sendList[CountryStates](ctx, s.c, &opIPStates, s.c.input(), opts)
}

// SearchCities returns the names of the cities in a state that have dynamic IPs.
//
// GET /ip/dynamic-citys/search. Free; safe to retry.
func (s *IPService) SearchCities(ctx context.Context, countryCode, state string, opts ...CallOption) ([]string, error) {
	in := s.c.input()
	in.requiredCountry("countryCode", countryCode)
	in.required("state", state)
	in.str("country_code", countryCode)
	in.str("state", state)
	return sendList[string](ctx, s.c, &opIPSearchCities, in, opts)
}

// SearchStates returns the names of the states in a country that have dynamic IPs.
//
// GET /ip/dynamic-states/search. Free; safe to retry.
func (s *IPService) SearchStates(ctx context.Context, countryCode string, opts ...CallOption) ([]string, error) {
	in := s.c.input()
	in.requiredCountry("countryCode", countryCode)
	in.str("country_code", countryCode)
	return sendList[string](ctx, s.c, &opIPSearchStates, in, opts)
}

// StaticIP is a purchased static IP (静态 IP). The vendor doesn't document the response: the
// fields after ID are inferred from the filters of the request and from the responses of
// sister brands. A field that is missing or of another type is empty; Raw has the whole
// entry.
type StaticIP struct {
	ID          string         `json:"id"` // for OrderCreateParams.StaticIPs
	CountryCode string         `json:"country_code" wire:"soft"`
	ProductType ProductType    `json:"product_type" wire:"soft"`
	TradeNo     string         `json:"trade_no" wire:"soft"`
	Status      StaticIPStatus `json:"status" wire:"soft"`

	IP        string    `json:"ip" wire:"soft"`
	Port      int       `json:"port" wire:"soft"`
	Username  string    `json:"username" wire:"soft"`
	Password  Password  `json:"password" wire:"soft"`
	ExpiredAt time.Time `json:"expired_at" wire:"soft"`

	Raw RawEntry `json:"raw,omitzero" wire:"raw"`
}

// StaticIPStatus is the state of a purchased static IP. It is an open set: a value
// without a constant is kept and printed as a number.
type StaticIPStatus int

// The states of a static IP. 0 means that the response had none; in a filter it
// means any.
const (
	StaticIPValid        StaticIPStatus = 1
	StaticIPInvalid      StaticIPStatus = 2
	StaticIPExpiringSoon StaticIPStatus = 3
	StaticIPMaintenance  StaticIPStatus = 4
)

var staticIPStatusNames = map[StaticIPStatus]string{
	0: "absent", StaticIPValid: "valid", StaticIPInvalid: "invalid",
	StaticIPExpiringSoon: "expiring soon", StaticIPMaintenance: "in maintenance",
}

// String returns an English name, or "static IP status N" for a value without one.
func (s StaticIPStatus) String() string { return enumName(staticIPStatusNames, s, "static IP status") }

// Endpoint returns the address of the static IP as a proxy, with its login. ok is
// false if the entry has no address in the fields that this package knows.
func (ip StaticIP) Endpoint() (e Endpoint, ok bool) {
	e = Endpoint{Host: ip.IP, Port: ip.Port, Username: ip.Username, Password: ip.Password}
	return e, plausibleHost(ip.IP) && 0 < ip.Port && ip.Port < 1<<16
}

// String describes the entry in a line, without its login.
func (ip StaticIP) String() string {
	return "static IP " + ip.ID + " (" + ip.IP + " " + ip.CountryCode + ", " + ip.Status.String() + ")"
}

// IPListStaticParams select static IPs. All fields are optional.
type IPListStaticParams struct {
	PageParams
	CountryCode string
	ProductType ProductType // ProductStaticResidential or ProductStaticDatacenter
	TradeNo     string
	Status      StaticIPStatus
}

// ListStatic returns one page of the purchased static IPs.
//
// GET /ip/get-static-ip. Free; safe to retry.
func (s *IPService) ListStatic(ctx context.Context, p IPListStaticParams, opts ...CallOption) (Page[StaticIP], error) {
	in := s.c.input()
	p.put(in, "page", "size")
	if p.CountryCode != "" {
		in.country("CountryCode", p.CountryCode)
	}
	in.notNegative("ProductType", int64(p.ProductType))
	in.notNegative("Status", int64(p.Status))
	in.str("country_code", p.CountryCode)
	in.int("product_type", int(p.ProductType))
	in.id("TradeNo", p.TradeNo)
	in.str("trade_no", p.TradeNo)
	in.int("status", int(p.Status))
	return sendPage[StaticIP](ctx, s.c, &opIPListStatic, in, opts)
}

// AllStatic returns an iterator over all purchased static IPs, beginning at p.Page.
// It requests a page when it is needed. It stops after an error, and can be used more than
// once. [Page] describes how it handles wrong counts.
//
// Each page is a call of ListStatic.
func (s *IPService) AllStatic(ctx context.Context, p IPListStaticParams, opts ...CallOption) iter.Seq2[StaticIP, error] {
	list := func(page int) (Page[StaticIP], error) {
		p := p
		p.Page = page
		return s.ListStatic(ctx, p, opts...)
	}
	return walk(p.Page, list, func(ip StaticIP) (string, bool) { return ip.ID, strings.Trim(ip.ID, "0") != "" })
}

// IPStaticStockParams select the stock of static IPs.
type IPStaticStockParams struct {
	ISP *ISP // nil means all; to filter: new(proxylite.ISPDatacenter)
}

// ISP is the kind of network that a static IP belongs to. It is an open set: a value
// without a constant is kept and printed as a number. Data center is 0, so a filter
// is a pointer: new(proxylite.ISPDatacenter).
type ISP int

// The kinds of network.
const (
	ISPDatacenter  ISP = 0
	ISPResidential ISP = 1
)

var ispNames = map[ISP]string{ISPDatacenter: "data-center", ISPResidential: "residential"}

// String returns an English name, or "ISP N" for a value without one.
func (i ISP) String() string { return enumName(ispNames, i, "ISP") }

// RegionStock is the number of static IPs for sale in a country.
type RegionStock struct {
	CountryCode string `json:"code"`
	Number      int    `json:"number"`
}

// StaticStock returns the number of static IPs for sale, by country.
//
// GET /static-ip-region. Free; safe to retry.
func (s *IPService) StaticStock(ctx context.Context, p IPStaticStockParams, opts ...CallOption) ([]RegionStock, error) {
	in := s.c.input()
	intPtr(in, "ISP", "isp", p.ISP)
	return sendList[RegionStock](ctx, s.c, &opIPStaticStock, in, opts)
}
