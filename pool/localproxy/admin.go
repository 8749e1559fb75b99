package localproxy

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/proxylite/proxylite-go/pool"
)

// Admin returns a handler to look at the proxy and to act on it. Serve it on a listener
// of its own, on loopback. Each request must have the header "Authorization: Bearer
// TOKEN". One with an Origin header, or to a Host that is not a loopback address or
// localhost, is refused, so that no page in a browser behind the proxy can use it.
// A token of fewer than 16 bytes is an error.
//
//	GET /stats                     as Stats returns it
//	GET /sessions, /users, /targets  as Sessions, Users and Targets return them
//	GET /proxies                   the addresses of the pools, without their logins
//	DELETE /sessions/{name}        EndSession
//	POST /proxies/{host:port}/dead takes a proxy out for good
//
// The paths of proxies and sessions respond with 404 if there is no such thing, else with
// 204 when it is done.
func (s *Server) Admin(token string) (http.Handler, error) {
	if len(token) < 16 {
		return nil, errors.New("localproxy: the token of Admin must have at least 16 bytes")
	}
	mux := http.NewServeMux()
	get := func(path string, what func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(what())
		})
	}
	get("/stats", func() any { return s.Stats() })
	get("/sessions", func() any { return s.Sessions() })
	get("/users", func() any { return s.Users() })
	get("/targets", func() any { return s.Targets() })
	get("/proxies", func() any { return s.addresses() })
	act := func(pattern string, do func(*http.Request) bool) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !do(r) {
				http.Error(w, "no such thing", http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	act("DELETE /sessions/{name}", func(r *http.Request) bool { return s.EndSession(r.PathValue("name")) })
	act("POST /proxies/{addr}/dead", func(r *http.Request) bool { return s.dead(r.PathValue("addr")) })
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch _, fromPage := r.Header["Origin"]; {
		case fromPage:
			http.Error(w, "not for web pages", http.StatusForbidden)
		case !loopback(r.Host):
			http.Error(w, "the Host must be a loopback address", http.StatusForbidden)
		case subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "want Authorization: Bearer TOKEN", http.StatusUnauthorized)
		default:
			mux.ServeHTTP(w, r)
		}
	}), nil
}

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// address is a proxy as Admin lists it.
type address struct {
	Country  string     `json:"country,omitempty"`
	Proxy    string     `json:"proxy"`
	State    pool.State `json:"state"`
	Reason   string     `json:"reason,omitempty"`
	Sessions int        `json:"sessions"`
	Active   int        `json:"active"`
	Uses     uint64     `json:"uses"`
	Failed   uint64     `json:"failed"`
	Up       int64      `json:"up"`
	Down     int64      `json:"down"`
}

func (s *Server) addresses() []address {
	list := []address{}
	for country, p := range s.pools.all() {
		for _, a := range p.Addresses() {
			list = append(list, address{
				country, a.Proxy.String(), a.State, a.Reason, a.Sessions, a.InFlight, a.Uses, a.Failed, a.Up, a.Down,
			})
		}
	}
	return list
}

func (s *Server) dead(addr string) (known bool) {
	for _, p := range s.pools.all() {
		for _, a := range p.Addresses() {
			if a.Proxy.String() == addr {
				known = p.Report(a.Proxy.Endpoint, "", pool.Dead) || known
			}
		}
	}
	return known
}
