package proxyserver_test

import (
	"bytes"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/proxyserver"
)

// A target is host:port, or the request is refused; nothing is read beyond it.
func FuzzReadTarget(f *testing.F) {
	for _, s := range []string{
		"", "\x05", "\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x01\x00\x03\x06a.test\x01\xbb", "\x05\x01\x00\x03\x00\x00\x50",
		"\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50more", "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50",
		"\x05\x01\x00\x02", "\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "\x05\x01\x00\x03\x03a:b\x00\x50",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := bytes.NewReader(sent)
		target, reply, err := proxyserver.ReadTarget(r)
		if err != nil {
			require.Empty(t, target)
			return
		}
		if target == "" {
			require.EqualValues(t, proxyserver.ReplyAddressUnsupported, reply)
			return
		}
		require.Equal(t, sent[1] == 1, reply == 0)
		size := 4 + map[byte]int{1: 4, 3: 1 + int(sent[4]), 4: 16}[sent[3]] + 2
		require.Equal(t, len(sent)-size, r.Len())
		host, port, err := net.SplitHostPort(target)
		if err == nil { // a name may be anything; the handler decides
			n, err := strconv.Atoi(port)
			require.NoError(t, err)
			require.Equal(t, int(sent[size-2])<<8|int(sent[size-1]), n)
			if sent[3] == 1 {
				require.Equal(t, net.IP(sent[4:8]).String(), host)
			}
		}
	})
}
