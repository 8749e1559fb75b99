package apitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go"
)

// CertificateAndPool is a certificate, and the pool that trusts it.
type CertificateAndPool struct {
	Pair tls.Certificate
	Pool *x509.CertPool
}

// Certificate is for 127.0.0.1, and its key is quick. It is valid in the year 2000 too,
// in which a synctest bubble begins. Call it outside of bubbles first.
var Certificate = sync.OnceValue(func() CertificateAndPool {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return CertificateAndPool{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool}
})

// TLSServer serves the fixtures of all operations over HTTP/2 and HTTP/1.1, and calls seen
// with each request.
func TLSServer(t *testing.T, seen func(*http.Request)) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen(r)
		for _, op := range Operations {
			if r.URL.Path == "/end-point"+op.Path {
				_, _ = io.WriteString(w, Fixture(t, op.Name+".json"))
			}
		}
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{Certificate().Pair}}
	server.Config.ErrorLog = Quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// TrustingTransport is proxylite.NewTransport that trusts Certificate.
func TrustingTransport() *http.Transport {
	tr := proxylite.NewTransport()
	tr.TLSClientConfig = &tls.Config{RootCAs: Certificate().Pool}
	return tr
}
