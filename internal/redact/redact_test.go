package redact_test

import (
	"fmt"
	"testing"

	"github.com/proxylite/proxylite-go/internal/redact"
)

func TestTry(t *testing.T) {
	s := redact.New("s3cretKEY+/0123", `kAn/ry+=&"\<é~%20'k`)
	fmt.Println(s.Text("a s3cretKEY+/0123 b"), s.Text(`x kAn/ry\u002b=&\"\\<\u00e9~%20'k`), s.Text("key=s3cretKEY%252B%2f0123&a=b"), s.Text("czNjcmV0S0VZKy8wMTIz and "))
}
