package redact_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// mixable are the encoders that may follow each other in any order.
func mixable() []encoder {
	var all []encoder
	for _, enc := range encoders {
		switch enc.name {
		case "upper case", "lower case", "full width", "folded", "a space inside", "a line break inside, escaped", "zero width inside",
			"base64 of upper case", "base64 of UTF-16", "RFC 2047, Q", "RFC 2047, B", "base64, folded", "JSON in JSON in JSON", "base64 three times":
		default:
			all = append(all, enc)
		}
	}
	return all
}

// FuzzCompositions writes secrets by up to three encoders after one another.
func FuzzCompositions(f *testing.F) {
	encoders := mixable()
	f.Add("s3cret-token-000001", byte(1), byte(2), byte(3), false)
	random := rand.New(rand.NewPCG(1, 2))
	kinds := slices.Sorted(maps.Values(secrets))
	seeds := 1000
	if testing.Short() {
		seeds = 100
	}
	for range seeds {
		f.Add(kinds[random.IntN(len(kinds))], byte(random.IntN(256)), byte(random.IntN(256)), byte(random.IntN(256)), random.IntN(2) == 0)
	}
	f.Fuzz(func(t *testing.T, secret string, a, b, c byte, inside bool) {
		if redact.Check(secret, "") != nil || len(secret) > 100 || strings.Trim(secret, "0") == "" {
			t.Skip()
		}
		var chosen []encoder
		var names []string
		for _, i := range []byte{a, b, c} {
			if i := int(i) % (len(encoders) + 1); i < len(encoders) {
				chosen = append(chosen, encoders[i])
				names = append(names, encoders[i].name)
			}
		}
		if all := strings.Join(names, ","); strings.Contains(all, "CSS") && strings.Contains(all, "qu") {
			t.Skip() // a form's plus sign for the space that ends an escape in CSS
		}
		write := func(s string) string {
			if inside {
				s = "key: " + s + ", no"
			}
			for _, enc := range chosen {
				s = enc.write(s)
			}
			return "a (" + s + ") b"
		}
		text := write(secret)
		if len(text) > 16<<10 {
			t.Skip()
		}
		clean := redact.New(secret).Text(text)
		if why := leak(clean, secret, write); why != "" {
			t.Fatalf("%s: %q by %q (inside: %v):\n%.600q\n%.600q", why, secret, names, inside, text, clean)
		}
	})
}
