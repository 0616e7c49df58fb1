package broker

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"echows/internal/certtest"
	"echows/internal/natstest"
)

// A cluster that asks for a certificate and for credentials is reached with them, and refuses others at once.
func TestCredentialsAndTLS(t *testing.T) {
	a, ca := certtest.NewAuthority(t)
	cert, key := a.Sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	own, ownKey := a.Sign(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	o, err := server.ProcessConfigFile(filepath.Join("testdata", "accounts.conf"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(ca)
	if err != nil || !pool.AppendCertsFromPEM(authority) {
		t.Fatal("no authority", err)
	}
	o.JetStream, o.StoreDir = true, t.TempDir()
	o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 10
	o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	whole := Config{URL: natstest.Run(t, o).ClientURL(), Credentials: filepath.Join("testdata", "user.creds"), CA: ca, Cert: own, Key: ownKey}
	b := openBroker(t, whole)
	l := openLog(t, b, chatLog)
	appendTo(t, l, "lobby", "a")
	if err := b.Ready(testContext(t)); err != nil {
		t.Errorf("not ready: %v", err)
	}
	_, another := certtest.NewAuthority(t)
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
