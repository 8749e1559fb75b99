package proxylitetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Fault is what goes wrong with one answer; see [Server.FailNext]. The parts
// combine. A fault of only Delay and Header delays the right answer, or adds to it.
type Fault struct {
	// Status is the HTTP status; 200 if 0. Without Code and Body, from 400 on
	// the answer is a web page, as the CDN in front of the API sends it, and
	// below 400 it is empty.
	Status int
	// Code refuses the call in the operation's own envelope. Message is its
	// text; if empty it is the API's for the codes that are known.
	Code    int
	Message string
	Header  http.Header // added to the answer's
	Body    string      // sent as it stands in place of an answer
	// Delay passes before the answer, by the wall clock. Closing the server or
	// leaving the call ends it.
	Delay time.Duration
	// Cut breaks the connection: before the answer, or where Status, Code or
	// Body make one, in the midst of it. A read is then repeated by the SDK, and
	// by net/http itself in a client of another kind: that takes the next fault.
	Cut bool
	// After does the deed first, so that only its answer is lost. Without it
	// nothing happens but the fault.
	After bool
}

// FailNext makes the next answers of an operation go wrong, such as
// "Orders.Create": one for each fault, after those that are already set up.
func (s *Server) FailNext(operation string, faults ...Fault) {
	if _, ok := find(func(r route) bool { return r.operation == operation }); !ok {
		s.misused("FailNext: there is no operation %q", operation)
		return
	}
	for _, f := range faults {
		if f.Status != 0 && (f.Status < 200 || f.Status > 999) {
			s.misused("FailNext: %d can't be the status of an answer", f.Status)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[operation] = append(s.faults[operation], faults...)
}

// nextFault takes the fault for this answer; needs the lock.
func (s *Server) nextFault(operation string) Fault {
	queue := s.faults[operation]
	if len(queue) == 0 {
		return Fault{}
	}
	s.faults[operation] = queue[1:]
	return queue[0]
}

// unusedFaults fails the test over faults that never came to pass: it does not test
// what it was written for.
func (s *Server) unusedFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, operation := range slices.Sorted(maps.Keys(s.faults)) {
		if n := len(s.faults[operation]); n > 0 {
			s.t.Errorf("proxylitetest: %d of the faults set up for %s were not used", n, operation)
		}
	}
}

// answers tells whether the fault has an answer of its own.
func (f Fault) answers() bool { return f.Status != 0 || f.Code != 0 || f.Body != "" }

func (f Fault) answer(form form) answer {
	var a answer
	switch {
	case f.Body != "":
		a = answer{code: noCode, kind: "text/plain; charset=utf-8", body: []byte(f.Body)}
	case f.Code != 0:
		a = form.refuse(&apiError{code: f.Code, message: f.Message})
	case f.Status >= 400:
		title := fmt.Sprintf("%d %s", f.Status, http.StatusText(f.Status))
		a = answer{code: noCode, kind: "text/html; charset=utf-8", body: []byte("<html>\r\n<head><title>" + title +
			"</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n")}
	default:
		a = answer{code: noCode}
	}
	a.status = f.Status
	return a
}
