package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"echows/internal/natstest"
)

// authority signs certificates, and is one itself.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.file, _ = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "authority"}})
	return a
}

// sign makes a certificate and returns the files of it and of its key.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
	if a.cert == nil {
		a.cert, a.key = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// A cluster that asks for a certificate and for credentials is reached with them, and refuses others at once.
func TestCredentialsAndTLS(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	own, ownKey := a.sign(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	o, err := server.ProcessConfigFile(filepath.Join("testdata", "accounts.conf"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(a.file)
	if err != nil || !pool.AppendCertsFromPEM(authority) {
		t.Fatal("no authority", err)
	}
	o.JetStream, o.StoreDir = true, t.TempDir()
	o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 10
	o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	whole := Config{URL: natstest.Run(t, o).ClientURL(), Credentials: filepath.Join("testdata", "user.creds"), CA: a.file, Cert: own, Key: ownKey}
	b := openBroker(t, whole)
	l := openLog(t, b, chatLog)
	appendTo(t, l, "lobby", "a")
	if err := b.Ready(testContext(t)); err != nil {
		t.Errorf("not ready: %v", err)
	}
	another := newAuthority(t).file
	for name, change := range map[string]func(*Config) string{
		"no credentials":    func(c *Config) string { c.Credentials = ""; return "Authorization Violation" },
		"another authority": func(c *Config) string { c.CA = another; return "unknown authority" },
		"no certificate":    func(c *Config) string { c.Cert, c.Key = "", ""; return "certificate required" },
		"no authority":      func(c *Config) string { c.CA = ""; return "unknown authority" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := whole
			want := change(&cfg)
			start := time.Now()
			b, err := Open(testContext(t), cfg)
			if err == nil {
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) || time.Since(start) > patience/2 {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
		})
	}
}
