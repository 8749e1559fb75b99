//go:build !plan9

package pool

import "syscall"

// localErrors are of this machine: no descriptors, ports or memory, no route, or a
// firewall.
var localErrors = append([]error{
	syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENETUNREACH, syscall.ENETDOWN,
	syscall.ENOBUFS, syscall.ENOMEM, syscall.EACCES, syscall.EPERM, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.EINVAL, syscall.EAGAIN,
}, systemErrors...)
