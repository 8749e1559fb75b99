package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go/internal/wire"
)

type benchAccount struct {
	ID          int64     `json:"id"`
	Username    string    `json:"username"`
	Password    string    `json:"password"`
	CreatedAt   time.Time `json:"created_at"`
	Remark      string    `json:"remark"`
	ProductType int       `json:"product_type"`
	Used        int64     `json:"usage_flow" wire:"round"`
	LimitRaw    *int64    `json:"limit_flow"`
	Status      int       `json:"status" wire:"absent=-1"`
}

type benchOrder struct {
	ID          int64     `json:"id"`
	TradeNo     string    `json:"trade_no"`
	ProductID   int64     `json:"product_id"`
	ProductName string    `json:"product_name"`
	TotalFee    decimal   `json:"total_fee"`
	PayFee      decimal   `json:"pay_fee"`
	Status      int       `json:"status" wire:"absent=-1"`
	CreatedAt   time.Time `json:"created_at"`
}

type benchList[T any] struct {
	List []T `json:"list"`
}

type benchPage[T any] struct {
	List       []T `json:"list"`
	Page       int `json:"page" wire:"soft"`
	PageSize   int `json:"page_size" wire:"soft"`
	TotalCount int `json:"total_count" wire:"soft"`
	TotalPage  int `json:"total_page" wire:"soft"`
	Pagination struct {
		Total      int `json:"total" wire:"soft"`
		PageNo     int `json:"page_no" wire:"soft"`
		PageSize   int `json:"page_size" wire:"soft"`
		TotalPages int `json:"total_pages" wire:"soft"`
	} `json:"pagination" wire:"soft"`
}

func benchAccounts(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"code":200,"msg":"操作成功","data":{"list":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"username":"pl-user%d","password":"pw%d","created_at":"2022-05-13 12:14:15","remark":"爬虫 %d","product_type":9,"usage_flow":%d,"limit_flow":%d,"status":1}`, i, i, i, i, i*1000, i%100)
	}
	b.WriteString(`]}}`)
	return b.Bytes()
}

func benchOrders(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"code":0,"message":"ok","data":{"list":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"trade_no":"20220513121343398614614%d","product_id":7,"product_name":"1 GB","total_fee":"18.20","pay_fee":18.10,"status":1,"created_at":"2019-08-24T14:15:22Z"}`, i, i)
	}
	fmt.Fprintf(&b, `],"pagination":{"total":%d,"page_no":1,"page_size":100,"total_pages":1}}}`, n)
	return b.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	run := func(name string, text []byte, out func() any) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := bytes.NewReader(text)
			for b.Loop() {
				r.Reset(text)
				if err := benchDecode(b, r, out()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("envelope", []byte(`{"code":0,"msg":"操作成功","data":null}`), func() any { return nil })
	run("accounts-1", benchAccounts(1), func() any { return new(benchList[benchAccount]) })
	run("accounts-100", benchAccounts(100), func() any { return new(benchList[benchAccount]) })
	run("accounts-20000", benchAccounts(20000), func() any { return new(benchList[benchAccount]) })
	run("orders-100", benchOrders(100), func() any { return new(benchPage[benchOrder]) })
}

func benchDecode(b *testing.B, r io.Reader, out any) error {
	body := wire.NewBody(b.Context(), r, 64<<20)
	defer body.Release()
	if _, err := body.Peek(); err != nil {
		return err
	}
	_, err := body.Decode(zone, out)
	return err
}
