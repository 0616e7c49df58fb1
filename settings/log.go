package settings

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strconv"
	"strings"
)

// Logger returns the server's logger, which writes to w in the format and from the level that are set, at a limited rate,
// so that no client can fill the disk. Call flush at the end: it logs how much was left out since the last such line.
func (set *Settings) Logger(w io.Writer) (logger *slog.Logger, flush func()) {
	h, flush := newPace(w, func(w io.Writer) slog.Handler {
		options := &slog.HandlerOptions{Level: set.LogLevel, ReplaceAttr: shorten}
		if set.Log == "json" {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(stackBelow{w}, options)
	})
	return slog.New(h), flush
}

const (
	// longestValue is how many bytes of a value are logged, and longestStack how many of a stack, whose beginning says where
	// the program failed.
	longestValue = 1 << 10
	longestStack = 8 << 10

	stackKey = "stack" // of a stack, in every package's log lines
)

// shorten truncates values that clients could make long, such as a path.
func shorten(_ []string, a slog.Attr) slog.Attr {
	longest := longestValue
	if a.Key == stackKey {
		longest = longestStack
	}
	var text string
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	}
	if len(text) > longest {
		a.Value = slog.StringValue(strings.ToValidUTF8(text[:longest], "") + fmt.Sprintf("… (%d bytes)", len(text)))
	}
	return a
}

// stackBelow is the writer of a log in text. It writes a stack, if that is a line's last value, below the line, indented, as
// people read it, rather than in quotation marks.
type stackBelow struct{ io.Writer }

func (w stackBelow) Write(line []byte) (int, error) {
	const begin = " " + stackKey + "="
	if at := bytes.LastIndex(line, []byte(begin+`"`)); at >= 0 {
		// An error means that a value before ends like begin: its mark is the closing one, so there is a third.
		if stack, err := strconv.Unquote(strings.TrimSuffix(string(line[at+len(begin):]), "\n")); err == nil {
			below := strings.ReplaceAll(strings.TrimSpace(stack), "\n", "\n\t")
			_, err := fmt.Fprintf(w.Writer, "%s\n\t%s\n", line[:at], below) // one Write
			return len(line), err
		}
	}
	return w.Writer.Write(line)
}

// HTTPLog returns what an http.Server logs to: slog.Default(), with messages that do not vary.
func HTTPLog() *log.Logger { return log.New(httpLog{}, "", 0) }

type httpLog struct{}

func (httpLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: TLS handshake error") {
		slog.Debug("a TLS handshake failed", "error", text) // the client's doing: scanners, and clients that left
	} else {
		slog.Warn("HTTP", "error", text)
	}
	return len(line), nil
}
