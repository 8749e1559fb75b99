package faultmatrix_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// wireForms are the requests whose form on the wire is kept in testdata. Edges
// refuse what is out of the ordinary, so each byte of it is on purpose.
var wireForms = []struct {
	name       string
	op         string
	credential proxylite.Credential
}{
	{"read", "Accounts.List", proxylite.AppKey(apitest.Key)},
	{"read-token", "Accounts.List", proxylite.BearerToken(apitest.Key)},
	{"change", "Accounts.Enable", proxylite.AppKey(apitest.Key)},
	{"spend-get", "IP.Extract", proxylite.AppKey(apitest.Key)},
	{"spend-post", "Orders.Create", proxylite.AppKey(apitest.Key)},
}

func TestFormOnTheWire(t *testing.T) {
	t.Parallel()
	for _, over := range []string{over1, over2} {
		for _, form := range wireForms {
			var op apitest.Operation
			for _, op = range apitest.Operations {
				if op.Name == form.op {
					break
				}
			}
			if over == over2 && op.Class == proxylite.ClassUnsafe {
				continue // it goes over HTTP/1.1
			}
			t.Run(over+" "+form.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, op, false)
				seen := make(chan string, 1)
				if over == over2 {
					s.accept(s.listen("h2", "http/1.1"), func(conn net.Conn) { seen <- framesOf(conn, s.answer()) })
				} else {
					s.accept(s.listen(), func(conn net.Conn) { seen <- requestOf(conn, s.answer()) })
				}
				c, err := proxylite.NewClient(form.credential, proxylite.WithTransport(s.transport), proxylite.WithBaseURL(s.url))
				require.NoError(t, err)
				_, err = op.Call(t.Context(), c)
				require.NoError(t, err)
				s.transport.CloseIdleConnections()
				got := <-seen
				got = strings.ReplaceAll(got, strings.TrimPrefix(strings.TrimPrefix(s.url, "https://"), "http://"), "127.0.0.1:port")
				file := filepath.Join("testdata", fmt.Sprintf("http%s-%s.txt", strings.TrimPrefix(over, "HTTP/"), form.name))
				if *update {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), got)
			})
		}
	}
}

// requestOf returns a request of HTTP/1.1 as it came, and answers it.
func requestOf(conn net.Conn, answer string) string {
	var b strings.Builder
	in := bufio.NewReader(conn)
	length := 0
	var fields []string // in the order of net/http, which is its own affair
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
		if b.Len() == 0 {
			b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		} else {
			fields = append(fields, line)
		}
		if line == "\r\n" {
			break
		}
	}
	slices.Sort(fields[:len(fields)-1])
	b.WriteString(strings.ReplaceAll(strings.Join(fields, ""), "\r\n", "\n"))
	body := make([]byte, length)
	_, _ = io.ReadFull(in, body)
	b.Write(body)
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
	rest, _ := io.ReadAll(in) // until the client closes: nothing more comes
	return b.String() + string(rest)
}

// framesOf returns the frames of the first request of HTTP/2, and answers it.
func framesOf(conn net.Conn, answer string) string {
	var b strings.Builder
	_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return b.String()
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
			continue
		case *http2.MetaHeadersFrame:
			b.WriteString("HEADERS" + endOf(frame.StreamEnded()) + "\n")
			var fields []string
			for _, field := range frame.Fields {
				fields = append(fields, fmt.Sprintf("%s: %s\n", field.Name, field.Value))
			}
			slices.Sort(fields)
			b.WriteString(strings.Join(fields, ""))
		case *http2.DataFrame:
			fmt.Fprintf(&b, "DATA%s\n%s\n", endOf(frame.StreamEnded()), frame.Data())
		}
		if end, ok := frame.(interface{ StreamEnded() bool }); ok && end.StreamEnded() {
			stream{f, conn, frame.Header().StreamID}.send(answer, true)
		}
	}
}

func endOf(ended bool) string {
	if ended {
		return " END_STREAM"
	}
	return ""
}
