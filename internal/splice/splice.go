// Package splice copies between connections without taking the bytes out of the kernel
// where it can (Linux), and counts them.
package splice

import (
	"io"
	"net"
)

// piece is how many bytes may pass before they are counted.
const piece = 1 << 20

// To copies from a connection to w until its end. Count is called after each piece, and
// ends the copy by an error.
func To(w io.Writer, from *net.TCPConn, count func(n int64) error) (int64, error) {
	var total int64
	for {
		limited := &io.LimitedReader{R: from, N: piece}
		n, err := io.Copy(w, limited) // one limit is all that net looks through
		total += n
		if err == nil {
			err = count(n)
		} else {
			_ = count(n)
		}
		if err != nil || limited.N > 0 {
			return total, err
		}
	}
}

// From copies from r to a connection until the end of r, as [To] does.
func From(to *net.TCPConn, r io.Reader, count func(n int64) error) (int64, error) {
	var total int64
	for {
		limited, given := r.(*io.LimitedReader)
		if given = given && limited.N <= piece; !given {
			limited = &io.LimitedReader{R: r, N: piece}
		}
		n, err := to.ReadFrom(limited)
		total += n
		if err == nil {
			err = count(n)
		} else {
			_ = count(n)
		}
		if err != nil || given || limited.N > 0 {
			return total, err
		}
	}
}
