package wire_test

import (
	"io"
	"testing"

	"github.com/proxylite/proxylite-go/internal/wire"
)

func benchDecode(b *testing.B, r io.Reader, out any) error {
	body := wire.NewBody(b.Context(), r, 64<<20)
	defer body.Release()
	if _, err := body.Peek(); err != nil {
		return err
	}
	_, err := body.Decode(zone, out)
	return err
}
