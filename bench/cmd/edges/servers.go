package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"text/template"
	"time"
)

//go:embed nginx.conf apache.conf haproxy.cfg
var configurations embed.FS

// servers are the programs at the edge. The exported fields fill in their
// configurations.
type servers struct {
	Dir    string
	Root   bool // started by root: the servers change to www-data
	Origin string

	// Addresses on loopback.
	NginxDefaults, NginxShort, NginxFewStreams, NginxHTTP1, NginxUnbuffered, NginxPlain string
	Rules, RulesPlain, HAProxyNginx, HAProxyRules                                       string

	roots   *x509.CertPool
	running map[string]*process
}

// process is a running server. Its output goes to the file log.
type process struct {
	*exec.Cmd
	log   string
	ended chan struct{}
}

// start writes certificate and configurations to s.Dir, and starts all servers.
func (s *servers) start() error {
	if err := s.choosePorts(); err != nil {
		return err
	}
	if err := s.certify(); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	return errors.Join(
		s.run("nginx", "-e", "stderr", "-c", s.path("nginx.conf")),
		s.run("apache2", "-D", "FOREGROUND", "-f", s.path("apache.conf")),
		s.run("haproxy", "-W", "-f", s.path("haproxy.cfg")),
	)
}

func (s *servers) path(name string) string { return filepath.Join(s.Dir, name) }

// choosePorts finds free ports. They are below those that the system gives to
// outgoing connections, which might take one before its server starts. All are held
// until the last is found, so that none is chosen twice.
func (s *servers) choosePorts() error {
	for _, addr := range []*string{
		&s.NginxDefaults, &s.NginxShort, &s.NginxFewStreams, &s.NginxHTTP1, &s.NginxUnbuffered, &s.NginxPlain,
		&s.Rules, &s.RulesPlain, &s.HAProxyNginx, &s.HAProxyRules,
	} {
		var ln net.Listener
		var err error
		for range 100 {
			ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+mathrand.IntN(10000)))
			if err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		defer ln.Close()
		*addr = ln.Addr().String()
	}
	return nil
}

// certify makes a certificate for localhost: server.pem is for the servers, with the
// key, ca.pem and s.roots are for the clients.
func (s *servers) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(s.path("ca.pem"), cert, 0o600); err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(cert)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return os.WriteFile(s.path("server.pem"), slices.Concat(cert, secret), 0o600)
}

// configure writes the configurations, among them the one that Debian recommends for
// ModSecurity, without its log in /var.
func (s *servers) configure() error {
	all, err := template.ParseFS(configurations, "*")
	if err != nil {
		return err
	}
	for _, t := range all.Templates() {
		f, err := os.Create(s.path(t.Name()))
		if err != nil {
			return err
		}
		if err := t.Execute(f, s); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	const debian = "/etc/modsecurity/"
	recommended, err := os.ReadFile(debian + "modsecurity.conf-recommended")
	if err != nil {
		return err
	}
	recommended = regexp.MustCompile(`(?m)^SecAuditLog .*`).ReplaceAll(recommended, nil)
	recommended = regexp.MustCompile(`(?m)^SecUnicodeMapFile `).ReplaceAll(recommended, []byte("SecUnicodeMapFile "+debian))
	return os.WriteFile(s.path("modsecurity.conf"), recommended, 0o600)
}

// run starts a server in the foreground.
func (s *servers) run(name string, args ...string) error {
	bin, err := exec.LookPath(name)
	if err != nil { // not every user has this in the path
		bin = filepath.Join("/usr/sbin", name)
	}
	p := &process{exec.Command(bin, args...), s.path(name + ".log"), make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.Stdout, p.Stderr = log, log
	if err := p.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	s.running[name] = p
	return nil
}

// failed reports a server that has ended by itself, with its output.
func (s *servers) failed() error {
	for _, p := range s.running {
		select {
		case <-p.ended:
			output, _ := os.ReadFile(p.log)
			return fmt.Errorf("%s has ended (%v):\n%s", p.Args[0], p.ProcessState, output)
		default:
		}
	}
	return nil
}

// reload makes a server read its configuration again, three times within a
// duration: new workers take over, the old ones finish what they have and tell
// their connections to go away. Apache is left out: over HTTP/2 it breaks calls
// under way, of any client.
func (s *servers) reload(ctx context.Context, name string, within time.Duration) error {
	if name == "" {
		return nil
	}
	for range 3 {
		select {
		case <-time.After(within / 4):
		case <-ctx.Done():
			return ctx.Err()
		}
		signal := syscall.SIGHUP
		if name == "haproxy" {
			signal = syscall.SIGUSR2
		}
		if err := s.running[name].Process.Signal(signal); err != nil {
			return err
		}
	}
	return nil
}

// rulesThatMatched lists the core rules that matched, if they refused anything.
func (s *servers) rulesThatMatched() []string {
	log, _ := os.ReadFile(s.path("apache2.log"))
	if !bytes.Contains(log, []byte("Access denied")) {
		return nil
	}
	times := map[string]int{}
	for _, m := range regexp.MustCompile(`\[id "(\d+)"\].*?\[msg "([^"]*)"\]`).FindAllSubmatch(log, -1) {
		times[fmt.Sprintf("core rule %s: %s", m[1], m[2])]++
	}
	var lines []string
	for rule, n := range times {
		lines = append(lines, fmt.Sprintf("%s (%d times)", rule, n))
	}
	slices.Sort(lines)
	return lines
}

func (s *servers) stop() {
	for _, p := range s.running {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range s.running {
		select {
		case <-p.ended:
		case <-time.After(10 * time.Second):
			_ = p.Process.Kill()
		}
	}
}
