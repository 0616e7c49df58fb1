package engineio

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// cors lets pages of Config.Origins read the answers, and answers their preflight requests.
func (s *Server) cors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req, header := c.Request(), c.Response().Header()
		origin := req.Header.Get("Origin")
		switch {
		case slices.Contains(s.config.Origins, "*"):
			header.Set("Access-Control-Allow-Origin", "*")
		case len(s.config.Origins) > 0:
			header.Add("Vary", "Origin")
			if ws.AllowsOrigin(s.config.Origins, origin) {
				header.Set("Access-Control-Allow-Origin", origin)
				header.Set("Access-Control-Allow-Credentials", "true")
			}
		}
		if req.Method != http.MethodOptions || len(s.config.Origins) == 0 {
			return next(c)
		}
		header.Set("Access-Control-Allow-Methods", "GET,POST")
		if asked := req.Header.Get("Access-Control-Request-Headers"); asked != "" {
			header.Set("Access-Control-Allow-Headers", asked)
		}
		return c.NoContent(http.StatusNoContent)
	}
}
