package programtest

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// Dial opens a WebSocket to a path of the server at a URL, such as Program.URL, with the server's own origin. The connection
// is closed when the test ends. Reads and writes fail once Patience has passed since Dial.
func Dial(t testing.TB, url, path string) *websocket.Conn {
	t.Helper()
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(url, "http")+path, "", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(Patience))
	return conn
}

// Receive returns the next message.
func Receive(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	var got string
	if err := websocket.Message.Receive(conn, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// Get sends a GET request, and returns the response and its whole body.
func Get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	return Request(t, "GET", url, nil)
}

// Request sends a request with a header, which may be nil, and without a body. It returns the response and its whole body,
// uncompressed only if the header does not have Accept-Encoding.
func Request(t testing.TB, method, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	client := *http.DefaultClient // which a test may have replaced
	client.Timeout = Patience
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}
