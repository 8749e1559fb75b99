package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What must not reach the origin in a tour.
func TestTourIsJudged(t *testing.T) {
	t.Parallel()
	var all []request
	for i := range 23 {
		path := "/" + strconv.Itoa(i)
		all = append(all, request{method: "GET", path: path, raw: []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")})
	}
	withHeader := func(field string) []request {
		changed := slices.Clone(all)
		changed[3].raw = []byte("GET /3 HTTP/1.1\r\n" + field + "\r\n\r\n0\r\n\r\n")
		return changed
	}
	if tourProblems(0, nil) == nil {
		t.Error("a tour that called nothing is fine")
	}
	for _, tt := range []struct {
		received []request
		want     string // empty where there must be no problem
	}{
		{all, ""},
		{all[1:], "the origin received 22 operations of 23"},
		{append(slices.Clone(all), all[4]), "GET /4 was received more than once"},
		{withHeader("transfer-encoding: chunked"), "1 GETs came with a body"},
		{withHeader("Content-Length: 0"), "1 GETs came with a body"},
	} {
		got := strings.Join(tourProblems(23, tt.received), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
