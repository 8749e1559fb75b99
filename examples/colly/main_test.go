package main

import "testing"

func TestItRunsToItsEnd(t *testing.T) {
	if err := run(); err != nil {
		t.Fatal(err)
	}
}
