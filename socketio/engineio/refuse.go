package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// refusal is the answer to a refused request: the protocol's error code, and a message.
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

// refuse refuses a request. why is for the log and OnRefused, and may say more than the client learns.
func (s *Server) refuse(c echo.Context, r refusal, why string) error {
	s.logRefusal(c, r.status(), why)
	s.tellRefusal(c, r.status(), why)
	return r.answer(c)
}

// refuseWith refuses a request, and returns err for Echo to answer.
func (s *Server) refuseWith(c echo.Context, err error) error {
	status, why := describe(err)
	s.logRefusal(c, status, why)
	s.tellRefusal(c, status, why)
	return err
}

func describe(err error) (status int, why string) {
	if he := new(echo.HTTPError); errors.As(err, &he) {
		return he.Code, fmt.Sprint(he.Message)
	}
	return http.StatusInternalServerError, err.Error()
}

// tellRefusal counts a refused request, and calls OnRefused.
func (s *Server) tellRefusal(c echo.Context, status int, why string) {
	s.counters.refused.Add(1)
	if s.config.OnRefused != nil {
		s.config.OnRefused(c.Request(), status, why)
	}
}
