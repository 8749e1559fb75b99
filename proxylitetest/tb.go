package proxylitetest

// TB is what this package needs of a *testing.T or *testing.B. Pass nil outside
// of tests: the caller then closes what it made.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}
