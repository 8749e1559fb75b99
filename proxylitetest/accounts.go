package proxylitetest

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/proxylite/proxylite-go"
)

func (s *Server) listAccounts(in *request) (any, *apiError) {
	type row struct {
		ID          int64  `json:"id"`
		Username    string `json:"username"`
		Password    string `json:"password"`
		CreatedAt   string `json:"created_at"`
		Remark      string `json:"remark"`
		ProductType int    `json:"product_type"`
		UsageFlow   int64  `json:"usage_flow"` // KB
		LimitFlow   *int64 `json:"limit_flow"` // GB
		Status      int    `json:"status"`
	}
	var rows []row
	for _, a := range s.state.Accounts {
		rows = append(rows, row{
			a.ID, a.Username, a.Password.Reveal(), stamp(a.CreatedAt), a.Remark, int(a.ProductType), s.countedUsage(&a, in.now).KB(), a.LimitRaw, int(a.Status),
		})
	}
	return listed[row]{rows}, nil
}

func (s *Server) addAccounts(in *request) (any, *apiError) {
	var body struct {
		Accounts    string                `json:"accounts"`
		Remark      string                `json:"remark"`
		ProductType proxylite.ProductType `json:"product_type"`
	}
	body.ProductType = proxylite.ProductResidentialTraffic
	in.decode(&body)
	in.remark(body.Remark)
	in.must(slices.Contains([]proxylite.ProductType{9, 11, 14, 25}, body.ProductType), "product_type", "参数错误: 套餐类型无效")
	var added []proxylite.Account
	twice := map[string]bool{}
	id := nextID(s.state.Accounts, func(a proxylite.Account) int64 { return a.ID })
	for login := range strings.SplitSeq(body.Accounts, ",") {
		name, password, _ := strings.Cut(login, ":")
		in.must(alphanumeric(name), "accounts", "账户仅支持数字和字母,请按格式 username:password 填写")
		in.must(alphanumeric(password), "accounts", "密码仅支持数字和字母,请按格式 username:password 填写")
		if (twice[name] || s.state.account(brand+name) != nil) && !s.rules.admitsDoubled(in, name) {
			continue
		}
		twice[name] = true
		added = append(added, proxylite.Account{
			ID: id + int64(len(added)), Username: brand + name, Password: proxylite.NewPassword(password), CreatedAt: in.now, Remark: body.Remark,
			ProductType: body.ProductType, LimitRaw: new(int64(0)), Status: proxylite.AccountEnabled,
		})
	}
	if in.no == nil {
		for _, a := range added {
			if _, doubled := s.state.byName[a.Username]; !doubled {
				s.state.byName[a.Username] = len(s.state.Accounts)
			}
			s.state.Accounts = append(s.state.Accounts, a)
		}
	}
	return nil, nil
}

func alphanumeric(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// remark checks a remark: 32 Chinese or 64 English characters as documented. For
// mixtures, which are not, ASCII counts as 1 and others as 2, as in the SDK.
func (in *request) remark(text string) {
	ascii := strings.Count(text, "") - 1
	for _, r := range text {
		if r >= utf8.RuneSelf {
			ascii++
		}
	}
	in.must(ascii <= 64, "remark", "备注必须在 32 个中文或 64 个英文以内")
}

// names returns the accounts that an operation names. If one is refused because it
// does not exist, none is changed; that is our choice.
func (s *Server) names(in *request) []*proxylite.Account {
	var body struct {
		Accounts string `json:"accounts"`
	}
	in.decode(&body)
	var accounts []*proxylite.Account
	for name := range strings.SplitSeq(body.Accounts, ",") {
		accounts = append(accounts, s.existing(in, "accounts", name))
	}
	if in.no != nil {
		return nil
	}
	return accounts
}

func (s *Server) existing(in *request, field, name string) *proxylite.Account {
	in.must(name != "", field, "请填写代理账户")
	if a := s.named(name); a != nil {
		return a
	}
	return s.rules.missing(in, field, name)
}

// deleteAccounts keeps the usage: as documented, an account that is added again
// under the same name inherits it.
func (s *Server) deleteAccounts(in *request) (any, *apiError) {
	gone := map[string]bool{}
	for _, a := range s.names(in) {
		gone[a.Username] = true
	}
	s.later(in.now, func() {
		s.state.Accounts = slices.DeleteFunc(s.state.Accounts, func(a proxylite.Account) bool { return gone[a.Username] })
		s.state.indexAccounts()
	})
	return nil, nil
}

func (s *Server) disableAccounts(in *request) (any, *apiError) {
	for _, a := range s.names(in) {
		s.disableLater(in.now, a)
	}
	return nil, nil
}

func (s *Server) enableAccounts(in *request) (any, *apiError) {
	for _, a := range s.names(in) {
		a.Status = proxylite.AccountEnabled
		delete(s.disabling, a.Username)
	}
	return nil, nil
}

func (s *Server) changePassword(in *request) (any, *apiError) {
	var body struct {
		Account  string `json:"account"`
		Password string `json:"password"`
	}
	in.decode(&body)
	a := s.existing(in, "account", body.Account)
	in.must(alphanumeric(body.Password), "password", "密码仅支持数字和字母")
	if in.no == nil {
		a.Password = proxylite.NewPassword(body.Password)
	}
	return nil, nil
}

func (s *Server) changeRemark(in *request) (any, *apiError) {
	var body struct {
		Account string  `json:"account"`
		Remark  *string `json:"remark"`
	}
	in.decode(&body)
	a := s.existing(in, "account", body.Account)
	in.must(body.Remark != nil, "remark", "请填写备注")
	if in.no == nil {
		in.remark(*body.Remark)
	}
	if in.no == nil {
		a.Remark = *body.Remark
	}
	return nil, nil
}

func (s *Server) changeLimit(in *request) (any, *apiError) {
	var body struct {
		Account string `json:"account"`
		Limit   *int64 `json:"limit"`
	}
	in.decode(&body)
	a := s.existing(in, "account", body.Account)
	in.must(body.Limit != nil && 0 <= *body.Limit && *body.Limit <= 102400, "limit", "流量限制必须为 0 到 102400 的整数,单位 GB")
	if in.no == nil {
		a.LimitRaw = body.Limit
	}
	return nil, nil
}

// dailyUsage leaves out days without traffic and deleted accounts; an unknown name
// has no usage. The document says none of this.
func (s *Server) dailyUsage(in *request) (any, *apiError) {
	start := in.time("start_time", in.now.AddDate(0, 0, -7))
	end := in.time("end_time", in.now)
	in.must(!start.After(end), "start_time", "起始时间不能晚于截止时间")
	name, product := in.query.Get("username"), proxylite.ProductType(in.whole("product_type", 0, 0))
	used := s.state.Usage
	if name != "" {
		used = nil
		if a := s.named(name); a != nil {
			used = s.state.byUser[a.Username]
		}
	}
	flows := map[string]int64{}
	for _, u := range used {
		if u.Time.Before(start) || u.Time.After(end) || s.uncounted(u, in.now) || product != 0 && u.ProductType != product || s.state.account(u.Username) == nil {
			continue
		}
		flows[u.Time.In(zone).Format(time.DateOnly)] += u.Traffic.KB()
	}
	type row struct {
		Day  string `json:"day"`
		Flow int64  `json:"flow"` // KB
	}
	var rows []row
	for day, flow := range flows {
		rows = append(rows, row{day, flow})
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Day, b.Day) })
	return listed[row]{rows}, nil
}
