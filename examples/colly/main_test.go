package main

import "testing"

func TestItRunsToItsEnd(t *testing.T) {
	t.Parallel()
	if err := run(); err != nil {
		t.Fatal(err)
	}
}
