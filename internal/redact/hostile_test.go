package redact_test

import (
	"encoding/base64"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
)

func TestTryHostile(t *testing.T) {
	set := redact.New("s3cret-token-000001")
	r := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789abcde ", 1<<10)))
	r2 := base64.StdEncoding.EncodeToString([]byte(r))
	for name, unit := range map[string]string{"percent": "%25%25", "percent2": "%252525", "entity": "&#38;", "amp": "&amp;", "letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "A": "A", "aaa": "a", "bs": `\`, "bsu": `\u005c`, "bs3": `\134`, "hex": "0123456789abcdef", "hex3": "41", "b64": r, "b642": r2, "b643": base64.StdEncoding.EncodeToString([]byte(r2)), "sp": " ", "s ": "s                ", "nums": "65 66 ", "prefix": "s3cret-token-00000", "=": "=3D", "mix": `%5c\x25&#37;=25`, "ff": "％", "quote": `"`} {
		text := strings.Repeat(unit, (64<<10)/len(unit)+1)
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		t0 := time.Now()
		set.Text(text)
		d := time.Since(t0)
		runtime.ReadMemStats(&b)
		t.Logf("%-10s %8s %6.1f ns/byte  %d KB", name, d.Round(time.Millisecond), float64(d)/float64(len(text)), (b.TotalAlloc-a.TotalAlloc)>>10)
	}
}
