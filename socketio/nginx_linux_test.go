package socketio_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/internal/programtest"
	"echows/socketio"
)

// Three nodes, each of which knows only its own clients, run behind nginx with the configuration from deploy.
func TestBehindNginx(t *testing.T) {
	node, program := requireNode(t), requireNginx(t)
	conf, err := os.ReadFile("../deploy/nginx/echows.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := string(conf)
	for i := range 3 {
		s := start(t, socketio.Config{})
		s.io.OnConnect(func(s *socketio.Socket) error {
			s.On("where", func(e socketio.Event) error { return e.Ack(i) })
			s.On("echo", func(e socketio.Event) error { return e.Ack(e.Args[0]) })
			return nil
		})
		s.echo.IPExtractor = echo.ExtractIPFromXFFHeader()
		s.echo.GET("/seen", func(c echo.Context) error {
			h := c.Request().Header
			return c.String(http.StatusOK, fmt.Sprint(c.RealIP(), " ", c.Request().Host, " ", h["X-Forwarded-Host"], " ", h["X-Forwarded-Proto"]))
		})
		text = replace(t, text, fmt.Sprintf("server 127.0.0.1:%d;", 3001+i), "server "+strings.TrimPrefix(s.url, "http://")+";", 2)
	}
	host := startNginx(t, program, text)

	header := http.Header{"X-Forwarded-For": {"203.0.113.1"}, "X-Forwarded-Host": {"elsewhere.example"}, "X-Forwarded-Proto": {"https"}}
	want := fmt.Sprintf("203.0.113.1 %s [%s] [http]", host, host)
	if res, body := programtest.Request(t, "GET", "http://"+host+"/seen", header); res.StatusCode != http.StatusOK || body != want {
		t.Errorf("a node sees %s %s, want %s", res.Status, body, want)
	}
	if res, _ := programtest.Get(t, "http://"+host+"/metrics"); res.StatusCode != http.StatusNotFound {
		t.Errorf("/metrics is answered with %s", res.Status)
	}
	drive(t, 4, node, "official/sticky.mjs", "http://"+host)
}

func requireNginx(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // Debian's path, which may not be in PATH
		_, err = os.Stat(program)
	}
	unless(t, err, "ECHOWS_NGINX", "no nginx: apt-get install nginx")
	return program
}

// replace replaces a text, which must occur the given number of times.
func replace(t *testing.T, text, old, by string, times int) string {
	t.Helper()
	if n := strings.Count(text, old); n != times {
		t.Fatalf("the configuration has %q %d times, not %d", old, n, times)
	}
	return strings.ReplaceAll(text, old, by)
}

// startNginx runs nginx in its own directory, with a site's configuration, and returns its address.
func startNginx(t *testing.T, program, site string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// nginx inherits the listener, as from an nginx that it replaces: so no other process can take the port, and the test
	// need not wait until nginx listens.
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dir, host := t.TempDir(), l.Addr().String()
	site = replace(t, site, "listen 80;", "listen "+host+";", 1)
	// All paths are in its own directory. The test's clients send their addresses, which realip trusts.
	main := `
daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	set_real_ip_from 127.0.0.1;
	real_ip_header X-Forwarded-For;
	include site.conf;
}
`
	if os.Geteuid() == 0 {
		main = "user root;" + main // another user could not enter the directory
	}
	for name, text := range map[string]string{"nginx.conf": main, "site.conf": site} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	cmd.Env = append(os.Environ(), "NGINX=3;")
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("nginx ends with: %v\n%s", err, said.String())
		}
	})
	return host
}
