package cli_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// commandOf is the command of this test binary, with a home of its own.
func commandOf(t *testing.T, home string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "proxylite")
	require.NoError(t, os.Symlink(self, name))
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "PROXYLITE_APP_KEY=", "PROXYLITE_TOKEN=", "PROXYLITE_BASE_URL=", "PROXYLITE_PROFILE=")
	return cmd
}

// serving is an exporter that serves.
type serving struct {
	address string
	stop    func() (stderr string) // as Ctrl-C does
}

func startExporter(t *testing.T, cmd *exec.Cmd) serving {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	stop := sync.OnceValue(func() string {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("exit: %v\n%s", err, stderr.String())
		}
		return stderr.String()
	})
	t.Cleanup(func() { stop() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address, ok := strings.CutSuffix(strings.TrimPrefix(line, "metrics at "), "/metrics\n")
	require.True(t, ok, line)
	return serving{address, stop}
}

// scrape gets a page until it has all of the lines.
func scrape(t *testing.T, client *http.Client, address string, lines ...string) string {
	deadline := time.Now().Add(time.Minute)
	for {
		resp, err := client.Get(address)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		missing := ""
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				missing = line
			}
		}
		if missing == "" {
			return string(text)
		}
		require.Less(t, time.Now(), deadline, "%s is missing in:\n%s", missing, text)
		<-time.After(20 * time.Millisecond)
	}
}

const lastPart = `proxylite_up{part="bonus"} 1`

// Scrapes make no call of the API, and Ctrl-C ends it without an error.
func TestExporterScrapes(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(t)
	cmd := commandOf(t, t.TempDir(), "exporter", "--listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "PROXYLITE_APP_KEY="+server.Key, "PROXYLITE_BASE_URL="+server.URL)
	e := startExporter(t, cmd)
	scrape(t, http.DefaultClient, "http://"+e.address+"/", lastPart, "proxylite_orders_awaiting_payment 2")
	before := len(server.Calls())
	var scrapes sync.WaitGroup
	for range 4 {
		scrapes.Go(func() {
			for range 25 {
				resp, err := http.Get("http://" + e.address + "/metrics")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	scrapes.Wait()
	require.Len(t, server.Calls(), before)
	require.Empty(t, e.stop())
}

// It polls at its interval: what has changed is there, and what fails is told on stderr.
func TestExporterPolls(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(nil) // which does not mind faults that are left
	t.Cleanup(server.Close)
	cmd := commandOf(t, t.TempDir(), "exporter", "--listen", "127.0.0.1:0", "--interval", "1s")
	cmd.Env = append(cmd.Env, "PROXYLITE_APP_KEY="+server.Key, "PROXYLITE_BASE_URL="+server.URL)
	e := startExporter(t, cmd)
	scrape(t, http.DefaultClient, "http://"+e.address+"/metrics", "proxylite_orders_awaiting_payment 2")
	server.Update(func(s *proxylitetest.State) { s.Orders = nil })
	scrape(t, http.DefaultClient, "http://"+e.address+"/metrics", "proxylite_orders_awaiting_payment 0")
	for range 100 {
		server.FailNext("Marketing.RechargeGiftRatios", proxylitetest.Fault{Code: 1})
	}
	scrape(t, http.DefaultClient, "http://"+e.address+"/metrics", `proxylite_up{part="bonus"} 0`)
	require.Regexp(t, `(?m)^bonus: .*Marketing.RechargeGiftRatios`, e.stop())
}

// Each profile has the figures of its own login, and its failures name it.
func TestExporterProfiles(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	servers := map[string]*proxylitetest.Server{}
	for name, accounts := range map[string]int{"shop": 1, "crawler": 3} {
		server := proxylitetest.NewServer(t, proxylitetest.WithKey("key-of-"+name))
		server.Update(func(s *proxylitetest.State) {
			s.Accounts = s.Accounts[:accounts]
			for i := range s.Accounts {
				s.Accounts[i].Status = proxylite.AccountEnabled
			}
		})
		servers[name] = server
		login := commandOf(t, home, "login", "--file", "--profile", name, "--base-url", server.URL)
		login.Stdin = strings.NewReader(server.Key + "\n")
		out, err := login.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	out, err := commandOf(t, home, "exporter", "--once", "--profiles", "shop,crawler").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "\nproxylite_accounts{profile=\"shop\",status=\"enabled\"} 1\n")
	require.Contains(t, string(out), "\nproxylite_accounts{profile=\"crawler\",status=\"enabled\"} 3\n")
	servers["crawler"].FailNext("Orders.List", proxylitetest.Fault{Code: 1})
	failing := commandOf(t, home, "exporter", "--once", "--profiles", "shop,crawler")
	var stderr bytes.Buffer
	failing.Stderr = &stderr
	require.ErrorContains(t, failing.Run(), "exit status 7")
	require.Contains(t, stderr.String(), `profile "crawler": orders: `)

	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: scripts/prometheus.sh installs it")
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(out)
	told, err := check.CombinedOutput()
	require.NoError(t, err, string(told))
	require.Empty(t, string(told))
}

// webConfig writes a web configuration with TLS and the user me, password hunter2. The
// client trusts its certificate.
func webConfig(t *testing.T) (path, ca string, client *http.Client) {
	dir := t.TempDir()
	donor := httptest.NewTLSServer(nil)
	donor.Close()
	certificate := donor.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	ca = filepath.Join(dir, "cert.pem")
	path = filepath.Join(dir, "web.yml")
	for name, text := range map[string]string{
		ca:                            string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})),
		filepath.Join(dir, "key.pem"): string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		path: `tls_server_config: {cert_file: cert.pem, key_file: key.pem}
basic_auth_users: {me: $2a$04$OMz.ibKpBNDFUlUoTNp/2usIrU4F3FNCVootqNGGxswbI5yabaNue}
`,
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	roots := x509.NewCertPool()
	roots.AddCert(donor.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return path, ca, &http.Client{Transport: transport}
}

// With a web configuration it serves with TLS, and only those with a password.
func TestExporterWebConfig(t *testing.T) {
	t.Parallel()
	config, _, client := webConfig(t)
	e := startExporter(t, commandOf(t, t.TempDir(), "exporter", "--demo", "--listen", "127.0.0.1:0", "--web-config", config))
	for _, user := range []string{"", "me:wrong@"} {
		resp, err := client.Get("https://" + user + e.address + "/metrics")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	}
	scrape(t, client, "https://me:hunter2@"+e.address+"/metrics", lastPart)
	resp, err := http.Get("http://" + e.address + "/metrics")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
}

// A real Prometheus scrapes it with TLS and a password, and its query API has the right
// numbers.
func TestExporterPrometheus(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: scripts/prometheus.sh installs it")
	}
	config, ca, _ := webConfig(t)
	e := startExporter(t, commandOf(t, t.TempDir(), "exporter", "--demo", "--profiles", "a,b", "--listen", "127.0.0.1:0", "--web-config", config))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(`
global: {scrape_interval: 1s}
scrape_configs:
- job_name: proxylite
  scheme: https
  tls_config: {ca_file: `+ca+`}
  basic_auth: {username: me, password: hunter2}
  static_configs: [{targets: ['`+e.address+`']}]
`), 0o600))
	cmd := exec.Command(binary, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	type result struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(200 * time.Millisecond) {
		var got result
		resp, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape("sum(proxylite_orders_awaiting_payment) by (job)"))
		if err == nil {
			err = errors.Join(json.NewDecoder(resp.Body).Decode(&got), resp.Body.Close())
		}
		if err == nil && len(got.Data.Result) == 1 && got.Data.Result[0].Value[1] == "4" {
			return
		}
		require.Less(t, time.Now(), deadline, "%v, %v", got, err)
	}
}
