package broker

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	tryTime  = 2500 * time.Millisecond // for one attempt of the start
	tryWait  = 250 * time.Millisecond  // between two
	tellTime = 10 * time.Second        // between two log lines about what is awaited
	fewTime  = 20 * time.Second        // for the servers of a cluster to come up, before fewer replicas are kept
)

// patiently calls f until it succeeds, each time with a short context, because a cluster may never answer a request
// received during an election. It ends with ctx, with Close, or with an error that waiting cannot fix. An embedded
// server gets one attempt, which lasts as long as ctx. It logs what it waits for at the first failure, and then every
// ten seconds.
func (b *Broker) patiently(ctx context.Context, what string, f func(ctx context.Context) error) error {
	if b.config.URL == "" {
		return f(ctx)
	}
	for {
		try, cancel := b.during(ctx, tryTime)
		err := f(try)
		if err != nil {
			err = explained(try, err)
		}
		cancel()
		if err == nil || hopeless(err) {
			return err
		}
		b.tellWaiting(what, err)
		select {
		case <-time.After(tryWait):
			continue
		case <-ctx.Done():
		case <-b.ctx.Done():
		}
		return fmt.Errorf("gave up waiting for %s (%w): %w", what, err, context.Canceled)
	}
}

// tellWaiting logs what is awaited, not too often.
func (b *Broker) tellWaiting(what string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if what == b.awaited && time.Since(b.told) < tellTime {
		return
	}
	b.awaited, b.told = what, time.Now()
	b.log.Warn("waiting for "+what, "reason", err)
}

// hopeless reports whether waiting cannot fix what went wrong at the start.
func hopeless(err error) bool {
	for _, one := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrSecureConnRequired, nats.ErrSecureConnWanted,
		jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var certificate x509.CertificateInvalidError
	if errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &certificate) {
		return true
	}
	var refused *jetstream.APIError
	if !errors.As(err, &refused) { // crypto/tls has no type for what the other side says about our certificate
		return strings.Contains(err.Error(), "remote error: tls:")
	}
	switch refused.ErrorCode {
	case codeInsufficient, codeMemory, codeStorage, codeNotClustered:
		return true
	case codeNameInUse, codeNotFound: // another node is creating it right now
		return false
	}
	return refusedForGood(refused)
}

// Error codes of the JetStream API (server/errors.json in nats-server).
const (
	codeAccountResources jetstream.ErrorCode = 10002
	codeNoPeers          jetstream.ErrorCode = 10005
	codeInsufficient     jetstream.ErrorCode = 10023
	codeMemory           jetstream.ErrorCode = 10028
	codeStorage          jetstream.ErrorCode = 10047
	codeNameInUse        jetstream.ErrorCode = 10058
	codeNotFound         jetstream.ErrorCode = 10059
	codeNotClustered     jetstream.ErrorCode = 10074
	codeStoreFailed      jetstream.ErrorCode = 10077
)

// refusedForGood reports whether the same request would be refused again. Most of 4xx is the request's own fault. 5xx (no
// leader, a stream that is offline, a store that failed), 409 (an earlier attempt is still storing the message) and 429
// pass, or may.
func refusedForGood(refused *jetstream.APIError) bool {
	switch refused.ErrorCode {
	case codeAccountResources, codeNoPeers:
		return false
	}
	switch refused.Code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return refused.Code >= 400 && refused.Code < 500
}

// connect connects to the servers of Config.URL, or to the embedded one.
func (b *Broker) connect(ctx context.Context, options []nats.Option) error {
	d := &dialer{ctx: b.ctx}
	if b.config.URL != "" {
		if err := checkURLs(b.config.URL); err != nil {
			return err
		}
		options = append(options, nats.SetCustomDialer(d))
	}
	at := redacted(b.config.URL)
	err := b.patiently(ctx, "NATS at "+at, func(context.Context) (err error) {
		b.conn, err = nats.Connect(b.config.URL, options...)
		if errors.Is(err, nats.ErrNoServers) && d.last() != nil {
			err = d.last()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot reach NATS at %s: %w", at, err)
	}
	return nil
}

// checkURLs returns what is wrong with a list of URLs, or nil.
func checkURLs(urls string) error {
	for one := range strings.SplitSeq(urls, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") { // as nats.go reads it
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		known := err == nil && (u.Scheme == "nats" || u.Scheme == "tls" || u.Scheme == "ws" || u.Scheme == "wss")
		if !known || u.Hostname() == "" {
			return fmt.Errorf("%s is not the URL of a NATS server; use URLs such as nats://one:4222,nats://two:4222", redacted(one))
		}
	}
	return nil
}

// dialer dials until the Broker is closed, and remembers what went wrong, as nats.go only says that it could reach no
// server.
type dialer struct {
	ctx context.Context

	mu  sync.Mutex
	err error
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: connectTime}).DialContext(d.ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return c, err
}

func (d *dialer) last() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// askForJetStream makes sure that the servers have JetStream.
func (b *Broker) askForJetStream(ctx context.Context) error {
	err := b.patiently(ctx, "the cluster to elect a leader", func(ctx context.Context) error {
		_, err := b.js.AccountInfo(ctx)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("the NATS server has no JetStream, which stores the messages: set jetstream {} in its configuration (%w)", err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("the NATS server has no JetStream for our account, which stores the messages: set jetstream: enabled for the account (%w)", err)
	case err != nil:
		return fmt.Errorf("NATS at %s: %w", redacted(b.config.URL), err)
	}
	return nil
}

// during returns a context that ends with ctx, after d, or when the connection is lost, since requests sent over it are
// no longer answered.
func (b *Broker) during(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	link := b.link
	b.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, d, errNoAnswer)
	ctx, lose := context.WithCancelCause(ctx)
	stop := context.AfterFunc(link, func() { lose(errLost) })
	return ctx, func() {
		stop()
		lose(nil)
		cancel()
	}
}

var (
	errNoAnswer = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	errLost     = errors.New("the connection to NATS was lost")
)

// explained returns err, or why a context from during has ended.
func explained(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrTimeout)) {
		return context.Cause(ctx)
	}
	return err
}

// unavailable returns an ErrUnavailable that says which part is unavailable, and why.
func unavailable(ctx context.Context, part string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, part, explained(ctx, err))
}

// newLink ends requests that wait for the lost connection, and begins a new link.
func (b *Broker) newLink() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlink()
	b.link, b.unlink = context.WithCancel(context.Background())
}
