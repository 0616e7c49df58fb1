package settings

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"golang.org/x/crypto/acme/autocert"
)

// Certificates returns how TLS is served, or nil for plain HTTP. The error says which setting names an unusable
// certificate.
func (set *Settings) Certificates() (*tls.Config, error) {
	switch {
	case set.TLS.Domain != "":
		m := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			Cache:      autocert.DirCache(filepath.Join(set.Data, "certificates")),
			HostPolicy: autocert.HostWhitelist(set.TLS.Domain),
		}
		return m.TLSConfig(), nil
	case set.TLS.Cert != "":
		pair, err := tls.LoadX509KeyPair(set.TLS.Cert, set.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate (-tls-cert, -tls-key): %w", err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
	}
	return nil, nil
}
