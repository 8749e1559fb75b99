package redact_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/proxylite/proxylite-go/internal/redact"
)

const message = `{"code":401,"msg":"The app_key is not valid. \u8bf7\u68c0\u67e5","data":{"url":"https:\/\/api.example.com\/a?b=c&amp;d=e","id":"6f1c2a9e-77aa-4b0d-9c1e-0242ac120002","sum":"9f86d081884c7d659a2feaa0c55ad015","list":[1,2,3.5,null]}} `

func passwords(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("pass%06dword%06d", i*7919%999983, i))
	}
	return all
}

func BenchmarkText(b *testing.B) {
	for _, size := range []int{256, 4 << 10, 64 << 10} {
		text := strings.Repeat(message, size/len(message)+1)[:size]
		for _, n := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("%d bytes, %d secrets", size, n), func(b *testing.B) {
				set := redact.New(passwords(n)...)
				set.Text(text)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					set.Text(text)
				}
			})
		}
	}
	b.Run("a refusal of 10,000 accounts", func(b *testing.B) {
		all := passwords(10_000)
		text := strings.Repeat("no ", 1000)
		b.ReportAllocs()
		for b.Loop() {
			redact.New(all...).Text(text)
		}
	})
}
