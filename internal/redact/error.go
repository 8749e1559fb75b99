package redact

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error returns err without secrets, without a *url.Error and on one line. If that
// changes nothing, it returns err itself. Otherwise, [errors.Is] still works on the result
// for all errors that err wraps. [errors.As] works for the errors of the standard library
// that programs test for, unless they contain a secret.
func (h *Set) Error(err error) error {
	for {
		u, ok := err.(*url.Error) //nolint:errorlint // the outermost alone: what is inside shows a URL of its own
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

// harmless reports whether an error and all errors that it wraps have one line and no
// secret.
func (h *Set) harmless(err error) bool {
	if _, ok := err.(*url.Error); ok { //nolint:errorlint // each error of the chain comes here by itself
		return false
	}
	text := err.Error()
	if oneLine(text) != text || h.Text(text) != text {
		return false
	}
	switch wraps := err.(type) { //nolint:errorlint // each error of the chain comes here by itself
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

// oneLine joins lines by semicolons. It escapes characters that could move the cursor of
// a terminal or change the direction of text.
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

// hidden has the redacted text of an error. It does not wrap the error, and keeps it in a
// closure, which printers that follow pointers can't see.
type hidden struct {
	text  string
	inner func() error
	set   func() *Set
}

func (e *hidden) Error() string        { return e.text }
func (e *hidden) GoString() string     { return e.text }
func (e *hidden) Is(target error) bool { return errors.Is(e.inner(), target) }
func (e *hidden) reveal() error        { return e.inner() }

// As finds an error of the standard library.
func (e *hidden) As(target any) bool {
	switch target := target.(type) {
	case **net.OpError:
		return as(e, target)
	case **net.DNSError:
		return as(e, target)
	case **net.AddrError:
		return as(e, target)
	case *tls.AlertError:
		return as(e, target)
	case *tls.RecordHeaderError:
		ok := as(e, target)
		target.Conn = nil // it has the data that was read
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
	return asErrno(e, target)
}

func as[E error](e *hidden, target *E) bool {
	found, ok := errors.AsType[E](e.inner())
	if !ok || !e.set().harmless(found) {
		return false
	}
	*target = found
	return true
}

// hiddenNet is a hidden net.Error.
type hiddenNet struct {
	*hidden
	timeout bool
}

func (e *hiddenNet) Timeout() bool   { return e.timeout }
func (e *hiddenNet) Temporary() bool { return e.timeout }

// Inner returns the error that [Set.Error] hid in err, or nil if there is none. It may
// contain secrets, so it must not be shown.
func Inner(err error) error {
	if e, ok := errors.AsType[interface {
		error
		reveal() error
	}](err); ok {
		return e.reveal()
	}
	return nil
}
