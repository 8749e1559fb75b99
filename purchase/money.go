package purchase

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/proxylite/proxylite-go"
)

// amount reads an amount of money. ok is false if it is absent, negative or not a plain
// decimal number. [proxylite.Decimal.Rat] would take such a fee for 0.
func amount(d proxylite.Decimal) (r *big.Rat, ok bool) {
	if d == "" || len(d) > 64 || strings.Trim(string(d), "0123456789.") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(string(d))
}

// within reports whether a fee can be read and is not above the limit.
func within(fee, limit proxylite.Decimal) bool {
	f, readable := amount(fee)
	l, ok := amount(limit)
	return readable && ok && f.Cmp(l) <= 0
}

// shown is an amount for a text: exact, in the fewest digits.
func shown(r *big.Rat) string {
	digits, exact := r.FloatPrec()
	if !exact { // sums of decimals are decimals
		digits = 2
	}
	return r.FloatString(digits)
}

// checkAmount says what is wrong with an amount that the caller gave.
func checkAmount(name string, d proxylite.Decimal) error {
	if _, ok := amount(d); !ok {
		return fmt.Errorf("purchase: %s is %q: it must be a decimal number that is not negative, such as \"20.00\"", name, d)
	}
	return nil
}
