package visit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

// StatusError is a request that was refused.
type StatusError int

func (e StatusError) Error() string { return "HTTP " + strconv.Itoa(int(e)) }

// ConnectError is a CONNECT that was refused.
type ConnectError string

func (e ConnectError) Error() string { return "CONNECT_ERROR " + string(e) }

// ConnectErrorOf reads the packet, whose payload may come after a namespace.
func ConnectErrorOf(packet []byte) ConnectError {
	var why struct{ Message string }
	if i := bytes.IndexByte(packet, '{'); i > 0 {
		json.Unmarshal(packet[i:], &why) // on an error the message stays empty
	}
	return ConnectError(why.Message)
}

// Describe returns an error in the protocol's terms: a status, a close code, a CONNECT_ERROR.
func Describe(err error) string {
	var status StatusError
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &status):
		return status.Error() + " " + http.StatusText(int(status))
	case errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure:
		return "connection lost"
	case errors.As(err, &closed):
		return strings.TrimSpace(fmt.Sprintf("close %d %s", closed.Code, closed.Text))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case strings.Contains(err.Error(), "reset by peer"), strings.Contains(err.Error(), "broken pipe"),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection lost"
	}
	return err.Error()
}
