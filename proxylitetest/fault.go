package proxylitetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Fault is what goes wrong with one response; see [Server.FailNext]. The fields
// combine. A fault with only Delay and Header delays the right response, or adds to
// it.
type Fault struct {
	// Status is the HTTP status; 0 means 200. Without Code and Body the response is
	// a web page, as the CDN in front of the API sends it, if the status is 400 or
	// above, and empty if it is below.
	Status int
	// Code refuses the call in the operation's own envelope. Message is its text;
	// if it is empty, known codes have the API's own.
	Code    int
	Message string
	Header  http.Header // added to the response's
	Body    string      // sent as it is, in place of a response
	// Delay is the time before the response, in real time. Closing the server
	// or abandoning the call ends it.
	Delay time.Duration
	// Cut breaks the connection before the response or, if Status, Code or Body
	// make one, in the middle of it. The SDK then retries a read, and so does
	// net/http in other clients; the retry gets the next fault.
	Cut bool
	// After executes the operation first, so that only its response is lost.
	// Without it the operation has no effect.
	After bool
}

// FailNext makes the next responses of an operation, such as "Orders.Create", go
// wrong: one for each fault, after those that are already queued.
func (s *Server) FailNext(operation string, faults ...Fault) {
	if _, ok := find(func(r route) bool { return r.operation == operation }); !ok {
		s.misused("FailNext: there is no operation %q", operation)
		return
	}
	for _, f := range faults {
		if f.Status != 0 && (f.Status < 200 || f.Status > 999) {
			s.misused("FailNext: %d can't be the status of a response", f.Status)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[operation] = append(s.faults[operation], faults...)
}

// nextFault takes the fault for this response from the queue; needs the lock.
func (s *Server) nextFault(operation string) Fault {
	queue := s.faults[operation]
	if len(queue) == 0 {
		return Fault{}
	}
	s.faults[operation] = queue[1:]
	return queue[0]
}

// unusedFaults fails the test if faults were not used: it then does not test what it
// was written for.
func (s *Server) unusedFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, operation := range slices.Sorted(maps.Keys(s.faults)) {
		if n := len(s.faults[operation]); n > 0 {
			s.t.Errorf("proxylitetest: %d of the faults set up for %s were not used", n, operation)
		}
	}
}

// hasResponse reports whether the fault has a response of its own.
func (f Fault) hasResponse() bool { return f.Status != 0 || f.Code != 0 || f.Body != "" }

func (f Fault) response(form form) response {
	var a response
	switch {
	case f.Body != "":
		a = response{kind: "text/plain; charset=utf-8", body: []byte(f.Body)}
	case f.Code != 0:
		a = form.refuse(&apiError{code: f.Code, message: f.Message})
	case f.Status >= 400:
		title := fmt.Sprintf("%d %s", f.Status, http.StatusText(f.Status))
		a = response{kind: "text/html; charset=utf-8", body: []byte("<html>\r\n<head><title>" + title +
			"</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n")}
	}
	a.status = f.Status
	return a
}
