package socketio_test

import (
	"os/exec"
	"testing"

	"echows/socketio"
)

// python-socketio drives the server: polling, WebSocket, and the upgrade. Its handlers are Python functions that accept only
// the arguments they declare, so this also checks that recovery, which adds an argument to each event, is off by default.
func TestPythonsClient(t *testing.T) {
	python := requirePython(t)
	s := start(t, socketio.Config{})
	serveOfficial(s.io)
	drive(t, 3*7, python, "python/drive.py", s.url)
}

// requirePython finds a Python that has the client: Debian's, or the first in PATH.
func requirePython(t *testing.T) string {
	t.Helper()
	var err error
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if err = exec.Command(python, "-c", "import socketio, requests, websocket").Run(); err == nil {
			return python
		}
	}
	unless(t, err, "ECHOWS_PYTHON", "no Python with a Socket.IO client: apt-get install python3-socketio python3-requests python3-websocket")
	return ""
}
