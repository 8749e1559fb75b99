package redact

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Error returns err without secrets, without the URL of a *url.Error, and on one
// line. If nothing had to be changed that is err itself. If something had, the
// result keeps [errors.Is] for all that err wraps, and [errors.As] for the errors of
// the standard library that programs branch on, as long as they show no secret.
func (h *Set) Error(err error) error {
	for {
		u, ok := err.(*url.Error)
		if !ok {
			break
		}
		if err = u.Err; err == nil {
			err = errors.New(u.Op + " failed")
		}
	}
	if err == nil || h.harmless(err) {
		return err
	}
	text := err.Error()
	if u, ok := errors.AsType[*url.Error](err); ok && u.Err != nil {
		text = strings.ReplaceAll(text, u.Error(), u.Err.Error())
	}
	text = oneLine(h.Text(text))
	e := &hidden{text: text, inner: func() error { return err }, set: func() *Set { return h }}
	if inner, ok := errors.AsType[net.Error](err); ok {
		return &hiddenNet{hidden: e, timeout: inner.Timeout()}
	}
	return e
}

// harmless reports whether an error and all it wraps show no secret on one line.
func (h *Set) harmless(err error) bool {
	if _, ok := err.(*url.Error); ok {
		return false
	}
	text := err.Error()
	if oneLine(text) != text || h.Text(text) != text {
		return false
	}
	switch wraps := err.(type) {
	case interface{ Unwrap() error }:
		inner := wraps.Unwrap()
		return inner == nil || h.harmless(inner)
	case interface{ Unwrap() []error }:
		for _, inner := range wraps.Unwrap() {
			if inner != nil && !h.harmless(inner) {
				return false
			}
		}
	}
	return true
}

// oneLine joins lines by semicolons, and escapes what could move a terminal's cursor
// or turn the direction of a text.
func oneLine(s string) string {
	bad := func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	}
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(s, "\r\n")) {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		for i, r := range strings.TrimRight(line, "\r\n") {
			_, size := utf8.DecodeRuneInString(line[i:])
			switch {
			case !bad(r), r == utf8.RuneError && size > 1:
				b.WriteString(line[i : i+size])
			case size == 1:
				fmt.Fprintf(&b, `\x%02x`, line[i])
			case r <= 0xff:
				fmt.Fprintf(&b, `\x%02x`, r)
			default:
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
	}
	return b.String()
}

// hidden shows a text in place of an error. The error is in a closure, where
// printers that follow pointers do not get, and is not wrapped.
type hidden struct {
	text  string
	inner func() error
	set   func() *Set
}

func (e *hidden) Error() string        { return e.text }
func (e *hidden) GoString() string     { return e.text }
func (e *hidden) Is(target error) bool { return errors.Is(e.inner(), target) }
func (e *hidden) reveal() error        { return e.inner() }

// As finds errors of the standard library.
func (e *hidden) As(target any) bool {
	switch target := target.(type) {
	case **net.OpError:
		return as(e, target)
	case **net.DNSError:
		return as(e, target)
	case **net.AddrError:
		return as(e, target)
	case *syscall.Errno:
		return as(e, target)
	case *tls.AlertError:
		return as(e, target)
	case *tls.RecordHeaderError:
		ok := as(e, target)
		target.Conn = nil // it holds what was read
		return ok
	case **tls.CertificateVerificationError:
		return as(e, target)
	case *x509.UnknownAuthorityError:
		return as(e, target)
	case *x509.HostnameError:
		return as(e, target)
	case *x509.CertificateInvalidError:
		return as(e, target)
	}
	return false
}

func as[E error](e *hidden, target *E) bool {
	found, ok := errors.AsType[E](e.inner())
	if !ok || !e.set().harmless(found) {
		return false
	}
	*target = found
	return true
}

// hiddenNet is a hidden error that was a net.Error.
type hiddenNet struct {
	*hidden
	timeout bool
}

func (e *hiddenNet) Timeout() bool   { return e.timeout }
func (e *hiddenNet) Temporary() bool { return e.timeout }

// Inner returns the error that [Set.Error] hid in err, nil if there is none. It is
// for looking at, not for showing.
func Inner(err error) error {
	if e, ok := errors.AsType[interface {
		error
		reveal() error
	}](err); ok {
		return e.reveal()
	}
	return nil
}
