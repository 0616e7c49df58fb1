package settings

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"echows/chat"
)

// check returns what is wrong with settings that are each well-formed, or nil.
func (set *Settings) check() error {
	switch {
	case (set.TLS.Cert == "") != (set.TLS.Key == ""):
		return errors.New("-tls-cert and -tls-key go together")
	case set.TLS.Cert != "" && set.TLS.Domain != "":
		return errors.New("-tls-domain gets its own certificate: leave out -tls-cert and -tls-key")
	case set.Ping < leastPing:
		return fmt.Errorf("-ping %v is too short; the minimum is %v", set.Ping, leastPing)
	case set.Recovery > mostRecovery:
		return errors.New("-recovery must be between 0, for none, and 1h")
	case set.Log != "text" && set.Log != "json":
		return errors.New("-log must be text or json")
	case set.Data == "":
		return errors.New("-data must name a folder")
	case set.Secret != "" && len(set.Secret) < leastSecret:
		return fmt.Errorf("-secret is too short; the minimum is %d bytes", leastSecret)
	case set.KeepMessages < 1 || set.KeepMessages > chat.MaxKeep:
		return fmt.Errorf("-keep-messages must be from 1 to %d", chat.MaxKeep)
	case set.KeepTime < leastKeepTime:
		return fmt.Errorf("-keep-time %v is too short; the minimum is %v", set.KeepTime, leastKeepTime)
	case set.KeepBytes < leastKeepBytes:
		return fmt.Errorf("-keep-bytes %v is too small; the minimum is 1MiB", (*size)(&set.KeepBytes))
	}
	if err := checkAddr("-addr", set.Addr); err != nil {
		return err
	}
	if set.MetricsAddr != "" {
		if err := checkAddr("-metrics-addr", set.MetricsAddr); err != nil {
			return err
		}
	}
	if err := set.checkLimits(); err != nil {
		return err
	}
	return set.NATS.check()
}

// checkAddr returns what is wrong with the form of an address to listen on, or nil.
func checkAddr(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port) // a number, or a name such as http
	}
	if err != nil || port == "" {
		return fmt.Errorf("%s %q is not an address to listen on; want a port, as in :3000, or a host and a port, as in 127.0.0.1:3000", flag, addr)
	}
	return nil
}

// checkLimits returns what is wrong with the limits on clients, or nil.
func (set *Settings) checkLimits() error {
	switch {
	case set.MaxMessage > largestMessage:
		return fmt.Errorf("-max-message %v is too large; the maximum is 1024MiB", (*size)(&set.MaxMessage))
	case !isRate(set.PostRate) || !isRate(set.AddressRate):
		return errors.New("-post-rate and -address-rate must be more than 0 and at most a million")
	case set.Sockets < 0 || set.AddressSockets < 0:
		return errors.New("-sockets and -address-sockets must be 0, for no limit, or more")
	}
	for _, one := range []struct {
		flag string
		rate float64
	}{
		{"-address-posts", set.AddressPosts},
		{"-message-rate", set.MessageRate},
		{"-address-events", set.AddressEvents},
	} {
		if one.rate != 0 && !isRate(one.rate) {
			return fmt.Errorf("%s must be 0, for no limit, or at most a million", one.flag)
		}
	}
	return nil
}

// isRate reports whether f can be a limit; NaN cannot.
func isRate(f float64) bool { return f > 0 && f <= mostRate }

// check returns what is wrong with the settings for a NATS cluster, or nil.
func (n *NATS) check() error {
	switch {
	case n.URL == "" && *n != NATS{}:
		return errors.New("-nats-creds, -nats-ca, -nats-cert, -nats-key and -replicas are for a NATS cluster: add -nats")
	case (n.Cert == "") != (n.Key == ""):
		return errors.New("-nats-cert and -nats-key go together")
	case n.Replicas != 0 && n.Replicas != 1 && n.Replicas != 3 && n.Replicas != 5:
		return errors.New("-replicas must be 1, 3 or 5; or 0, for 3 in a cluster")
	}
	for _, file := range []struct{ flag, name, has, kind string }{
		{"-nats-creds", n.Creds, "-----BEGIN USER NKEY SEED-----", "credentials of NATS"},
		{"-nats-ca", n.CA, "-----BEGIN CERTIFICATE-----", "certificates (PEM)"},
	} {
		if file.name == "" {
			continue
		}
		switch data, err := os.ReadFile(file.name); {
		case err != nil:
			return fmt.Errorf("%s: %w", file.flag, err)
		case !bytes.Contains(data, []byte(file.has)):
			return fmt.Errorf("%s: %s has no %s", file.flag, file.name, file.kind)
		}
	}
	if n.Cert != "" {
		if _, err := tls.LoadX509KeyPair(n.Cert, n.Key); err != nil {
			return fmt.Errorf("certificate (-nats-cert, -nats-key): %w", err)
		}
	}
	return nil
}
