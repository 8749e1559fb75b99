package splice_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/apitest"
	"github.com/proxylite/proxylite-go/internal/splice"
)

// What is copied is counted in pieces as it passes, both ways of copying, through one
// another too.
func TestCopiesAreWholeAndCounted(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	in, from := apitest.TCPPair(t)
	to, out := apitest.TCPPair(t)
	go func() { _, _ = in.Write(data); _ = in.CloseWrite() }()
	var read, written, pieces int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer to.Close()
		_, _ = splice.To(sink{to, &written}, from, func(n int64) error { read += n; pieces++; return nil })
	}()
	got, err := io.ReadAll(out)
	require.NoError(t, err)
	<-done
	require.True(t, bytes.Equal(data, got))
	require.EqualValues(t, len(data), read)
	require.EqualValues(t, len(data), written)
	require.Greater(t, pieces, int64(1))

	to, out = apitest.TCPPair(t)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	var total int64
	n, err := splice.From(to, bytes.NewReader(data), func(n int64) error { total += n; return nil })
	require.NoError(t, err)
	require.EqualValues(t, len(data), n)
	require.EqualValues(t, len(data), total)
}

type sink struct {
	*net.TCPConn
	n *int64
}

func (s sink) ReadFrom(r io.Reader) (int64, error) {
	return splice.From(s.TCPConn, r, func(n int64) error { *s.n += n; return nil })
}

func TestTheCountEndsACopy(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	to, out := apitest.TCPPair(t)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	n, err := splice.From(to, bytes.NewReader(make([]byte, 4<<20)), func(int64) error { return enough })
	require.ErrorIs(t, err, enough)
	require.Less(t, n, int64(4<<20))

	in, from := apitest.TCPPair(t)
	go func() { _, _ = in.Write(make([]byte, 4<<20)) }()
	n, err = splice.To(io.Discard, from, func(int64) error { return enough })
	require.ErrorIs(t, err, enough)
	require.Less(t, n, int64(4<<20))
}
