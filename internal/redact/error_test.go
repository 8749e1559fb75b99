package redact_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/redact"
)

const token = "s3cret-token-000001"

var hide = redact.New(token)

// detailed is an error of somebody who keeps a request in it.
type detailed struct {
	Text    string
	request map[string][]byte
}

func (e *detailed) Error() string { return "failed: " + e.Text }

func TestErrorsWithNothingToHideStay(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		nil, io.EOF, context.DeadlineExceeded, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		fmt.Errorf("a: %w", io.ErrUnexpectedEOF), &detailed{Text: "x"}, fmt.Errorf("%w, %w", io.EOF, context.Canceled),
	} {
		require.Equal(t, err, hide.Error(err))
		require.Equal(t, err, (*redact.Set)(nil).Error(err))
		require.NoError(t, redact.Inner(err))
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{&url.Error{Op: "Get", URL: "https://host/x?app_key=" + token, Err: io.EOF}, "EOF"},
		{&url.Error{Op: "Get", URL: "https://host/x?app_key=" + token}, "Get failed"},
		{fmt.Errorf("try 2: %w", &url.Error{Op: "Get", URL: "https://host/x?app_key=" + token, Err: io.EOF}), "try 2: EOF"},
		{&url.Error{Op: "Get", URL: "u", Err: &url.Error{Op: "Get", URL: "u", Err: io.EOF}}, "EOF"},
		{errors.New("bad header: k=" + to64(token)), "bad header: k=[REDACTED]=="},
		{errors.Join(errors.New("first"), errors.New("second "+token)), "first; second [REDACTED]"},
		{errors.Join(errors.New("first"), errors.New("second")), "first; second"},
		{errors.New("a\r\nb\n"), "a; b"}, //nolint:revive // as others write them
		{errors.New("a\x1b[2Jb\u0085\u202e\x00\xff"), `a\x1b[2Jb\x85\u202e\x00\xff`},
		{fmt.Errorf("hides %w", errors.New(token)), "hides [REDACTED]"},
	} {
		got := hide.Error(test.err)
		require.EqualError(t, got, test.want)
		again := hide.Error(got)
		require.EqualError(t, again, test.want, "not stable")
	}
	outer := &wrapper{errors.New(token)}
	require.NotSame(t, outer, hide.Error(outer), "what it wraps shows the secret")
}

type wrapper struct{ err error }

func (w *wrapper) Error() string { return "failed" }
func (w *wrapper) Unwrap() error { return w.err }

func TestHiddenErrorsAreFound(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	err := hide.Error(&url.Error{Op: "Get", URL: "u?k=" + token, Err: fmt.Errorf("%s: %w", token, refused)})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	var op *net.OpError
	require.ErrorAs(t, err, &op)
	require.Same(t, refused, op)
	var errno syscall.Errno
	require.ErrorAs(t, err, &errno)
	require.Equal(t, syscall.ECONNREFUSED, errno)
	var netErr net.Error
	require.ErrorAs(t, err, &netErr)
	require.False(t, netErr.Timeout())
	require.ErrorIs(t, redact.Inner(fmt.Errorf("x: %w", err)), refused)

	err = hide.Error(fmt.Errorf("%s: %w", token, context.DeadlineExceeded))
	require.ErrorAs(t, err, &netErr)
	require.True(t, netErr.Timeout())
	require.True(t, os.IsTimeout(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	err = hide.Error(errors.New(token))
	require.NotErrorAs(t, err, &netErr)
	var urlErr *url.Error
	require.NotErrorAs(t, hide.Error(fmt.Errorf("x: %w", &url.Error{Op: "Get", URL: token, Err: io.EOF})), &urlErr)
	var mine *detailed
	require.NotErrorAs(t, hide.Error(&detailed{Text: token}), &mine)

	err = hide.Error(&net.OpError{Op: "proxyconnect", Err: errors.New(token)})
	require.NotErrorAs(t, err, &op, "its own text has the secret")

	for name, found := range map[string]error{
		"DNS": &net.DNSError{Err: "no such host", Name: "x"}, "certificate": &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}},
		"alert": tls.AlertError(40), "record": tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "authority": x509.UnknownAuthorityError{},
		"invalid": x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}, "address": &net.AddrError{Err: "missing port", Addr: "x"},
	} {
		err := hide.Error(fmt.Errorf("%s: %w", token, found))
		var dns *net.DNSError
		var cert *tls.CertificateVerificationError
		var host x509.HostnameError
		var alert tls.AlertError
		var record tls.RecordHeaderError
		var authority x509.UnknownAuthorityError
		var invalid x509.CertificateInvalidError
		var addr *net.AddrError
		n := 0
		for _, target := range []any{&dns, &cert, &alert, &record, &authority, &invalid, &addr} {
			if errors.As(err, target) {
				n++
			}
		}
		require.Equal(t, 1, n, name)
		require.Equal(t, name == "certificate", errors.As(err, &host), name)
	}
}

func TestPrintersSeeNoSecret(t *testing.T) {
	t.Parallel()
	err := hide.Error(fmt.Errorf("x: %w", &detailed{Text: token, request: map[string][]byte{"k": []byte(token)}}))
	timeout := hide.Error(&url.Error{Op: "Get", URL: token, Err: fmt.Errorf("%s %w", token, context.DeadlineExceeded)})
	for _, value := range []any{err, timeout, errors.Join(err, timeout), fmt.Errorf("y: %w", err), struct{ E error }{err}, &struct{ e error }{timeout}, []error{err}, map[string]error{"e": timeout}} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%f", "%b", "%o", "%c", "%U", "%p"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", value)
		j, jsonErr := json.Marshal(value)
		x, _ := xml.Marshal(value)
		var g bytes.Buffer
		_ = gob.NewEncoder(&g).Encode(value)
		var diff recorder
		assert.Equal(&diff, struct{ E any }{1}, struct{ E any }{value}) // go-spew without methods
		require.NoError(t, jsonErr)
		all := out.String() + log.String() + string(j) + string(x) + g.String() + diff.String()
		require.Equal(t, all, hide.Text(all))
	}
}

type recorder struct{ strings.Builder }

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.Builder, format, args...) }
