package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// refusal is what is wrong with a request, as the protocol numbers it.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

var (
	errTransport = refusal{0, "Transport unknown"}
	errSession   = refusal{1, "Session ID unknown"}
	errMethod    = refusal{2, "Bad handshake method"}
	errRequest   = refusal{3, "Bad request"}
	errForbidden = refusal{4, "Forbidden"}
	errVersion   = refusal{5, "Unsupported protocol version"}
)

func (r refusal) status() int {
	if r.Code == errForbidden.Code {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

func (r refusal) answer(c echo.Context) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.Blob(r.status(), "application/json", body)
}

func describe(err error) (status int, why string) {
	if he := new(echo.HTTPError); errors.As(err, &he) {
		return he.Code, fmt.Sprint(he.Message)
	}
	return http.StatusInternalServerError, err.Error()
}
