package proxylite_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Invariant 9. A client starts no goroutine, and what net/http starts for its
// connections ends with them: nothing outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
