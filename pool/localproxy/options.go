package localproxy

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Option sets up a proxy; see [New].
type Option func(*settings) error

type settings struct {
	logins      map[string]proxylite.Password
	defaultUser string
	allowed     []pattern
	private     bool

	connecting, handshake, idle, total time.Duration
	mostConns                          int
	mostPerSession                     int64
	bytes, sessionBytes                int64
	log                                *slog.Logger
}

func (s *settings) apply(opts []Option) error {
	*s = settings{
		logins: map[string]proxylite.Password{}, connecting: time.Minute, handshake: 15 * time.Second, idle: 10 * time.Minute,
		mostConns: 10_000, log: slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(s); err != nil {
			return err
		}
	}
	return nil
}

func positive[T int | int64 | time.Duration](what string, v T) error {
	if v <= 0 {
		return fmt.Errorf("localproxy: %s must be positive, not %v", what, v)
	}
	return nil
}

// WithLogin requires a login of every client. Given more than once, each of the logins is
// accepted, and their sessions are apart. The name has letters, digits, dots and hyphens.
// HTTP and SOCKS5 send the password in clear: beyond loopback, use a network you trust.
func WithLogin(username, password string) Option {
	return func(s *settings) error {
		if !validKey(username) {
			return fmt.Errorf("localproxy: the name of a login must have 1 to 64 letters, digits, dots and hyphens: %q", username)
		}
		if password == "" {
			return errors.New("localproxy: the password of a login is empty")
		}
		s.logins[username] = proxylite.NewPassword(password)
		return nil
	}
}

// WithDefaultUser sets the user name for clients that send none, such as "session-a1" for
// a browser that can't send one, or "country-US". With [WithLogin] it has no name of a
// login.
func WithDefaultUser(username string) Option {
	return func(s *settings) error {
		s.defaultUser = username
		if err := new(choice).read(username); err != nil {
			return fmt.Errorf("localproxy: default user name: %w", err)
		}
		return nil
	}
}

// WithTargets allows these targets and no others: "example.com", "*.example.com" (its
// subdomains, not itself), an IP address, each with a port if only that is allowed:
// "example.com:443". Given more than once, the lists are joined.
func WithTargets(patterns ...string) Option {
	return func(s *settings) error {
		for _, text := range patterns {
			p, err := parsePattern(text)
			if err != nil {
				return err
			}
			s.allowed = append(s.allowed, p)
		}
		return nil
	}
}

// WithPrivateTargets allows localhost and IP addresses of private networks as targets. They
// are those of the proxy that the pool picks, not this machine's. By default
// they are refused. Names that resolve to such addresses are for the proxy to refuse.
func WithPrivateTargets() Option {
	return func(s *settings) error { s.private = true; return nil }
}

// WithConnectTimeout limits the time until a tunnel is open, or a request has a connection:
// waiting for a proxy and all attempts. Default 1 min.
func WithConnectTimeout(d time.Duration) Option {
	return func(s *settings) error { s.connecting = d; return positive("the connect timeout", d) }
}

// WithHandshakeTimeout limits the time that a client takes to say what it wants: the
// header of a request, or the messages of SOCKS5. Default 15 s.
func WithHandshakeTimeout(d time.Duration) Option {
	return func(s *settings) error { s.handshake = d; return positive("the handshake timeout", d) }
}

// WithIdleTimeout cuts tunnels and requests in which no byte has passed, either way, for
// a time between d and twice that. Default 10 min.
func WithIdleTimeout(d time.Duration) Option {
	return func(s *settings) error { s.idle = d; return positive("the idle timeout", d) }
}

// WithTotalTimeout cuts tunnels and requests after a time. Default: none.
func WithTotalTimeout(d time.Duration) Option {
	return func(s *settings) error { s.total = d; return positive("the total timeout", d) }
}

// WithMaxConns limits the connections from clients at once; further ones are cut without
// a response. Default 10,000. Each tunnel needs two file descriptors.
func WithMaxConns(n int) Option {
	return func(s *settings) error { s.mostConns = n; return positive("the number of connections", n) }
}

// WithMaxPerSession limits the tunnels and requests of a session at once; further ones
// are refused with 503. Default: no limit.
func WithMaxPerSession(n int) Option {
	return func(s *settings) error {
		s.mostPerSession = int64(n)
		return positive("the number of uses of a session", n)
	}
}

// WithSessionBytes is the most that a session may transfer, both ways, as clients see it.
// Then its connections are cut and its requests refused with 503, until
// [Server.EndSession]. It may go over by what is under way, up to 1 MiB a connection.
// The sessions used last are remembered, 5,000 or more of them. Default: no limit.
func WithSessionBytes(n int64) Option {
	return func(s *settings) error { s.sessionBytes = n; return positive("the bytes of a session", n) }
}

// WithBytes is [WithSessionBytes] for all traffic of the server together, for good.
func WithBytes(n int64) Option {
	return func(s *settings) error { s.bytes = n; return positive("the number of bytes", n) }
}

// WithLogger logs refusals at info, and each tunnel and request that has ended at debug.
// No line has a password. By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) error {
		if l != nil {
			s.log = l
		}
		return nil
	}
}
