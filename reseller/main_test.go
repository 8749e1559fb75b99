package reseller_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The tests of a crash run this binary again, as the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("RESELLER_CHILD_URL") != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}
