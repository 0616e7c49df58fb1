package settings

import (
	"io"
	"log"
	"log/slog"
	"strings"
)

// Logger is how the server logs, to w: in the form and from the level that is set. Call flush at the end.
func (set *Settings) Logger(w io.Writer) (logger *slog.Logger, flush func()) {
	options := &slog.HandlerOptions{Level: set.LogLevel}
	if set.Log == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), func() {}
	}
	return slog.New(slog.NewTextHandler(w, options)), func() {}
}

// HTTPLog is what an http.Server logs to: slog.Default(), under texts that do not vary.
func HTTPLog() *log.Logger { return log.New(httpLog{}, "", 0) }

type httpLog struct{}

func (httpLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: TLS handshake error") {
		slog.Debug("a TLS handshake failed", "error", text) // the client's own doing: scanners, and those that left
	} else {
		slog.Warn("HTTP", "error", text)
	}
	return len(line), nil
}
