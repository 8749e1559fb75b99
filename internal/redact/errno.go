//go:build !plan9

package redact

import "syscall"

func asErrno(e *hidden, target any) bool {
	errno, ok := target.(*syscall.Errno)
	return ok && as(e, errno)
}
