package main

import "testing"

func TestItRunsToItsEnd(t *testing.T) {
	t.Parallel()
	if err := run(t.Context()); err != nil {
		t.Fatal(err)
	}
}
