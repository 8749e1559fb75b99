package pool

import "syscall"

// systemErrors are the local errors as Windows Sockets numbers them.
var systemErrors = []error{
	syscall.Errno(10013), // WSAEACCES
	syscall.Errno(10024), // WSAEMFILE
	syscall.Errno(10048), // WSAEADDRINUSE
	syscall.Errno(10049), // WSAEADDRNOTAVAIL
	syscall.Errno(10050), // WSAENETDOWN
	syscall.Errno(10051), // WSAENETUNREACH
	syscall.Errno(10055), // WSAENOBUFS
}
