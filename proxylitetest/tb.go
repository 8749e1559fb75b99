package proxylitetest

// TB is the part of *testing.T and *testing.B that this package needs. Pass nil
// outside of tests; the caller then closes what it started.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}
