package proxylitetest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each request breaks one rule. The answer names the parameter as the document's
// ErrorResponse does, and nothing changes.
func TestWhatBreaksARuleIsRefused(t *testing.T) {
	t.Parallel()
	const add, change = "/whitelist-account/add", "/whitelist-account/change-"
	long := strings.Repeat("a", 64)
	for _, tt := range []struct {
		path, input string // a query, or the JSON of a POST
		field       string
		message     string
	}{
		{add, `{}`, "accounts", "账户仅支持数字和字母"},
		{add, `{"accounts":""}`, "accounts", "账户仅支持数字和字母"},
		{add, `{"accounts":"bo-b:pass"}`, "accounts", "账户仅支持数字和字母"},
		{add, `{"accounts":"鲍勃:pass"}`, "accounts", "账户仅支持数字和字母"},
		{add, `{"accounts":"new1:pass, new2:pass"}`, "accounts", "账户仅支持数字和字母"},
		{add, `{"accounts":"new1:pass,"}`, "accounts", "账户仅支持数字和字母"},
		{add, `{"accounts":"new1"}`, "accounts", "密码仅支持数字和字母"},
		{add, `{"accounts":"new1:pa ss"}`, "accounts", "密码仅支持数字和字母"},
		{add, `{"accounts":"new1:pass:word"}`, "accounts", "密码仅支持数字和字母"},
		{add, `{"accounts":"new1:pass,bob:pass"}`, "accounts", "账户已存在: bob"},
		{add, `{"accounts":"new1:pass,new1:word"}`, "accounts", "账户已存在: new1"},
		{add, `{"accounts":"new1:pass","product_type":3}`, "product_type", "套餐类型无效"},
		{add, `{"accounts":"new1:pass","remark":"` + long + `b"}`, "remark", "32 个中文或 64 个英文"},
		{add, `{"accounts":["new1:pass"]}`, "body", "参数类型错误"},
		{add, `accounts=new1:pass`, "body", "不是有效的 JSON"},
		{add, ``, "body", "不是有效的 JSON"},
		{"/whitelist-account/delete", `{"accounts":"bob,nobody"}`, "accounts", "账户不存在: nobody"},
		{"/whitelist-account/delete", `{"accounts":"l-bob"}`, "accounts", "账户不存在: l-bob"},
		{"/whitelist-account/delete", `{}`, "accounts", "请填写代理账户"},
		{"/whitelist-account/disable", `{"accounts":"bob,nobody"}`, "accounts", "账户不存在: nobody"},
		{"/whitelist-account/enable", `{"accounts":"erin,nobody"}`, "accounts", "账户不存在: nobody"},
		{change + "password", `{"account":"nobody","password":"pass"}`, "account", "账户不存在: nobody"},
		{change + "password", `{"password":"pass"}`, "account", "请填写代理账户"},
		{change + "password", `{"account":"bob","password":"p@ss"}`, "password", "密码仅支持数字和字母"},
		{change + "password", `{"account":"bob"}`, "password", "密码仅支持数字和字母"},
		{change + "remark", `{"account":"nobody","remark":"x"}`, "account", "账户不存在: nobody"},
		{change + "remark", `{"account":"bob"}`, "remark", "请填写备注"},
		{change + "remark", `{"account":"bob","remark":"` + strings.Repeat("字", 33) + `"}`, "remark", "32 个中文"},
		{change + "remark", `{"account":"bob","remark":"` + long[:63] + `字"}`, "remark", "32 个中文"},
		{change + "limit", `{"account":"nobody","limit":1}`, "account", "账户不存在: nobody"},
		{change + "limit", `{"account":"bob","limit":-1}`, "limit", "0 到 102400"},
		{change + "limit", `{"account":"bob","limit":102401}`, "limit", "0 到 102400"},
		{change + "limit", `{"account":"bob","limit":1.5}`, "body", "参数类型错误"},
		{change + "limit", `{"account":"bob"}`, "limit", "0 到 102400"},

		{"/user-usage-flow/total", "start_time=2026-03-02", "start_time", "Y-m-d H:i:s"},
		{"/user-usage-flow/total", "end_time=2026-03-02T00:00:00Z", "end_time", "Y-m-d H:i:s"},
		{"/user-usage-flow/total", "start_time=2026-03-02 00:00:01&end_time=2026-03-02 00:00:00", "start_time", "起始时间不能晚于截止时间"},
		{"/user-usage-flow/total", "product_type=x", "product_type", "整数"},
		{"/user-product/list", "page=0", "page", "不小于 1"},
		{"/user-product/list", "size=x", "size", "不小于 1"},

		{"/ip/v3", "num=0", "num", "不小于 1"},
		{"/ip/v3", "life=0", "life", "不小于 1"},
		{"/ip/v3", "life=30m", "life", "整数"},
		{"/ip/v3", "format=xml", "format", "json 或 text"},
		{"/ip/v3", "ep=fr", "ep", "代理网络无效"},
		{"/ip/v3", "format=text&lb=1", "lb", "lb 无效"},
		{"/ip/v3", "format=text&lb=x", "lb", "lb 无效"},
		{"/ip/v3", "format=text&lb=%7C:", "lb", "lb 无效"},
		{"/ip/v3", "cc=ZZ", "cc", "没有该地区"},
		{"/ip/v3", "cc=US&state=BY", "cc", "没有该地区"},
		{"/ip/v3", "cc=US&state=NY&city=Austin", "cc", "没有该地区"},
		{"/ip/dynamic-citys/search", "state=TX", "country_code", "请填写国家或地区代码"},
		{"/ip/dynamic-citys/search", "country_code=US", "state", "请填写州或省代码"},
		{"/ip/dynamic-states/search", "", "country_code", "请填写国家或地区代码"},
		{"/ip/get-static-ip", "product_type=9", "product_type", "值无效"},
		{"/ip/get-static-ip", "status=5", "status", "值无效"},
		{"/ip/get-static-ip", "page=-1", "page", "不小于 1"},
		{"/static-ip-region", "isp=2", "isp", "值无效"},

		{"/order/list", "status=4", "status", "值无效"},
		{"/order/list", "page_no=0", "page_no", "不小于 1"},
		{"/order/list", "page_size=0", "page_size", "不小于 1"},
		{"/order/create", `{"pm_id":1}`, "pid", "请填写套餐 ID"},
		{"/order/create", `{"pid":901}`, "pm_id", "请选择支付方式"},
		{"/order/create", `{"pid":999,"pm_id":1}`, "pid", "套餐不存在"},
		{"/order/create", `{"pid":901,"pm_id":99}`, "pm_id", "支付方式不存在"},
		{"/order/create", `{"pid":901,"pm_id":3}`, "pm_id", "支付方式已禁用"},
		{"/order/create", `{"pid":901,"pm_id":7}`, "pm_id", "最小金额 20"},
		{"/order/create", `{"pid":901,"pm_id":1,"amount":300}`, "pm_id", "最大金额 5000"},
		{"/order/create", `{"pid":901,"pm_id":0,"amount":15}`, "pm_id", "余额不足"},
		{"/order/create", `{"pid":901,"pm_id":1,"amount":-1}`, "amount", "不能为负数"},
		{"/order/create", `{"pid":901,"pm_id":1,"coupon_sn":"NONE"}`, "coupon_sn", "优惠券不存在或已过期"},
		{"/order/create", `{"pid":901,"pm_id":1,"coupon_sn":"SPRING10"}`, "coupon_sn", "优惠券不存在或已过期"},
		{"/order/create", `{"pid":1901,"pm_id":1}`, "upids", "请选择需要续费的静态 IP"},
		{"/order/create", `{"pid":1901,"pm_id":1,"upids":"7001,1"}`, "upids", "静态 IP 不存在: 1"},
		{"/order/create", `{"pid":3,"pm_id":1}`, "recharge_amount", "请填写充值金额"},
		{"/order/create", `{"pid":3,"pm_id":0,"recharge_amount":10}`, "pm_id", "余额充值不支持余额支付"},
		{"/order/create", `{"pid":"901","pm_id":1}`, "body", "参数类型错误"},
		{"/order/close", `{"trade_no":"1"}`, "trade_no", "订单不存在"},
		{"/order/close", `{}`, "trade_no", "订单不存在"},
		{"/order/close", `{"trade_no":"` + paid + `"}`, "trade_no", "不是待支付状态"},
		{"/order/close", `{"trade_no":"` + cancelled + `"}`, "trade_no", "不是待支付状态"},
		{"/payment/groups", "trade_no=1", "trade_no", "订单不存在"},
	} {
		t.Run(tt.path+" "+tt.input, func(t *testing.T) {
			t.Parallel()
			s := demo(t)
			before := s.State()
			var status int
			var body string
			if strings.HasPrefix(tt.path, "/whitelist-account/") || tt.path == "/order/create" || tt.path == "/order/close" {
				status, _, body = send(t, "POST", s.URL+"/end-point"+tt.path+"?app_key="+s.Key, tt.input)
			} else {
				status, _, body = operation{method: "GET", path: tt.path, query: tt.input}.ask(t, s, s.Key)
			}
			require.Equal(t, 200, status)
			var answer struct {
				Code         int
				Msg, Message string
				Errors       map[string][]string
			}
			require.NoError(t, json.Unmarshal([]byte(body), &answer))
			require.Equal(t, 400, answer.Code, body)
			require.Contains(t, answer.Msg+answer.Message, tt.message)
			require.Equal(t, map[string][]string{tt.field: {answer.Msg + answer.Message}}, answer.Errors)
			require.Equal(t, before, s.State())
		})
	}
}
