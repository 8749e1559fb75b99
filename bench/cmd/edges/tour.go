package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// runTour runs examples/tour, which calls every operation once. Each must succeed,
// and the origin must receive each once, a GET without a body.
func runTour(ctx context.Context, program, baseURL, ca string, o *origin) (problems []string) {
	o.reset(0)
	cmd := exec.CommandContext(ctx, program, "-write", "-pid", "901", "-pm-id", "1", "-remark", "备注：客户张三 (测试)")
	cmd.Env = append(os.Environ(), "PROXYLITE_APP_KEY="+key, "PROXYLITE_TOKEN=", "PROXYLITE_BASE_URL="+baseURL, "SSL_CERT_FILE="+ca)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(out) == 0 {
		return []string{fmt.Sprintf("%v: %s", err, exit.Stderr)}
	}
	lines, refused := 0, map[string][]string{} // operations, by their error
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); lines++ {
		var line struct {
			Operation, Error string
			OK               bool
		}
		if err := dec.Decode(&line); err != nil {
			return []string{err.Error()}
		}
		if !line.OK {
			text := strings.TrimPrefix(line.Error, "proxylite: "+line.Operation+": ")
			refused[text] = append(refused[text], line.Operation)
		}
	}
	for text, ops := range refused {
		problems = append(problems, fmt.Sprintf("%d operations failed: %s: %s", len(ops), strings.Join(ops, ", "), strings.ReplaceAll(text, "\n", " ")))
	}
	return append(problems, tourProblems(lines, o.received())...)
}

// tourProblems judges what the origin received in a tour of so many operations.
func tourProblems(operations int, received []request) (problems []string) {
	times, framed := map[string]int{}, []request{}
	for _, r := range received {
		route := r.method + " " + r.path
		if times[route]++; times[route] == 2 {
			problems = append(problems, route+" was received more than once")
		}
		if r.method == http.MethodGet && r.framed() {
			framed = append(framed, r)
		}
	}
	if len(framed) > 0 {
		problems = append(problems, fmt.Sprintf("%d GETs came with a body, among them %q", len(framed), framed[0].raw))
	}
	if len(times) != operations || operations == 0 {
		problems = append(problems, fmt.Sprintf("the origin received %d operations of %d", len(times), operations))
	}
	return problems
}
