package main

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"echows/views"
	"echows/ws"
)

// routes is every URL the server answers.
func routes(e *echo.Echo, app *ws.App, pages *views.Pages) {
	e.GET("/", pages.Show("index")) // the first lesson's page
	e.StaticFS("/", views.Files)    // /local.js, /connection.js, /style.css, /icon.svg

	app.WS("/ws", reply)               // the first lesson: answers each message
	app.WS("/ws/echo", echoBack)       // sends each message back
	app.WS("/ws/broadcast", broadcast) // sends each message to everyone

	e.GET("/healthz", healthz) // the process is alive
}

func healthz(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}
