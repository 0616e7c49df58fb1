// Package certtest makes certificates for tests.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Domain is the domain name in the certificates, which are also valid for the address 127.0.0.1.
const Domain = "chat.example"

// Files writes a new self-signed certificate and its key to files that are removed when the test ends. It returns the paths of
// both, and a pool that holds the certificate.
func Files(t testing.TB) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	var own Authority
	cert, key = own.Sign(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "echows test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{Domain},
	})
	pool = x509.NewCertPool()
	pool.AddCert(own.cert)
	return cert, key, pool
}

// Authority signs certificates. The first that the zero value signs is its own.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewAuthority returns an authority, and the path of its own certificate.
func NewAuthority(t testing.TB) (a *Authority, cert string) {
	t.Helper()
	a = new(Authority)
	cert, _ = a.Sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "authority"}})
	return a, cert
}

// Sign makes a certificate that is valid for an hour, with a new key. It writes both to files that are removed when the test
// ends, and returns their paths.
func (a *Authority) Sign(t testing.TB, template *x509.Certificate) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		a.key = private
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, "CERTIFICATE", der)
	write(t, key, "PRIVATE KEY", secret)
	return cert, key
}

func write(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
