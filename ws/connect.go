package ws

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

// connect opens the connection, through a proxy if there is one, and TLS on it.
func connect(ctx context.Context, target *url.URL, cfg DialConfig) (net.Conn, error) {
	ask := cfg.Proxy
	if ask == nil {
		ask = http.ProxyFromEnvironment
	}
	through, err := ask(&http.Request{URL: asHTTP(target)})
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	to := hostPort(target, map[string]string{"ws": "80", "wss": "443"})
	var c net.Conn
	switch {
	case through == nil:
		c, err = new(net.Dialer).DialContext(ctx, "tcp", to)
	case through.Scheme == "http" || through.Scheme == "https":
		c, err = tunnel(ctx, through, to)
	default: // socks5
		var d proxy.Dialer
		if d, err = proxy.FromURL(through, new(net.Dialer)); err == nil {
			c, err = dialBy(ctx, d, to)
		}
	}
	if err != nil || target.Scheme == "ws" {
		return c, err
	}
	return secure(ctx, c, target.Hostname(), cfg.TLS)
}

// dialBy dials through a proxy; not all of them support contexts.
func dialBy(ctx context.Context, d proxy.Dialer, to string) (net.Conn, error) {
	if d, ok := d.(proxy.ContextDialer); ok {
		return d.DialContext(ctx, "tcp", to)
	}
	return d.Dial("tcp", to)
}

// secure puts TLS on c.
func secure(ctx context.Context, c net.Conn, name string, cfg *tls.Config) (net.Conn, error) {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg = cfg.Clone()
	cfg.ServerName = cmp.Or(cfg.ServerName, name)
	cfg.NextProtos = []string{"http/1.1"}
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

// tunnel asks an HTTP proxy for a connection (RFC 9110 section 9.3.6).
func tunnel(ctx context.Context, through *url.URL, to string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", hostPort(through, map[string]string{"http": "80", "https": "443"}))
	if err == nil && through.Scheme == "https" {
		c, err = secure(ctx, c, through.Hostname(), nil)
	}
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to}, Host: to, Header: http.Header{}}
	if through.User != nil {
		password, _ := through.User.Password()
		basic := &http.Request{Header: http.Header{}}
		basic.SetBasicAuth(through.User.Username(), password)
		req.Header.Set("Proxy-Authorization", basic.Header.Get("Authorization"))
	}
	head := headReader{conn: c}
	var res *http.Response
	if err = req.Write(c); err == nil {
		res, err = head.read()
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the proxy %s answered %s", through.Host, res.Status)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func hostPort(u *url.URL, ports map[string]string) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
}
