package main

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"echows/chat"
	"echows/rooms"
	"echows/views"
	"echows/web"
	"echows/ws"
)

// routes mounts every URL that the server answers on -addr, except those below /socket.io/, which socketio.New mounts.
func routes(e *echo.Echo, s *server, pages *views.Pages, withMetrics bool) error {
	e.GET("/", pages.Show("index"), gzip) // the first lesson's page
	e.GET("/*", views.Static, gzip)       // /local.js, /connection.js, /style.css, /icon.svg and what other pages ask for

	paced := ws.RouteConfig{MessageRate: s.messageRate}
	s.app.WSWithConfig("/ws", reply, paced)                                    // the first lesson: answers each message
	s.app.WS("/ws/echo", echoBack)                                             // sends each message back
	everyone := s.app.WSWithConfig("/ws/broadcast", broadcast(s.nodes), paced) // sends each message to everyone

	c := s.chat                                                                   // lessons 3 to 5
	e.GET("/chat", pages.Show("chat"), gzip)                                      // room lobby
	e.GET("/chat/:room", pages.Show("chat"), chat.RequireRoom, gzip)              // any room
	e.POST("/session", c.SignIn, chat.NoStore, c.LimitSessions())                 // a name gets a session
	e.GET("/session", c.WhoAmI, chat.NoStore, c.LimitReads(), c.RequireSession)   // whose session it is
	e.DELETE("/session", c.SignOut, chat.NoStore, c.LimitSignOuts())              // ends the session, on all nodes
	e.POST("/ticket", c.Ticket, chat.NoStore, c.LimitTickets(), c.RequireSession) // a session gets tickets
	s.app.WS("/ws/chat/:room", c.Join, chat.RequireRoom, chat.RequireAfter, c.LimitUpgrades(), c.RequireTicket)
	e.GET("/chat/:room/messages", c.Messages, chat.NoStore, chat.RequireRoom, c.LimitReads(), c.RequireSession) // older ones
	e.POST("/chat/:room/messages", c.Post, chat.NoStore, chat.RequireRoom, c.LimitReads(), c.RequireSession)    // a script's or a backend's

	e.GET("/rooms", pages.Show("rooms"), gzip)  // lesson 6; its socket is /socket.io/
	s.rooms = rooms.Serve(s.io, "/", "/garden") // two namespaces with events, announcements, counts and rooms

	e.GET("/healthz", echo.WrapHandler(web.Live()))        // the process is alive
	e.GET("/readyz", echo.WrapHandler(web.Ready(s.Ready))) // it has what it needs
	if withMetrics {
		e.GET("/metrics", echo.WrapHandler(s.metrics())) // numbers for Prometheus
	}

	return s.nodes.Hear(everyone) // what clients of other nodes send to /ws/broadcast
}

// gzip compresses what browsers cache, but not ranges: compressed ranges cannot be put together.
var gzip = middleware.GzipWithConfig(middleware.GzipConfig{
	MinLength: 1024,
	Skipper:   func(c echo.Context) bool { return c.Request().Header.Get("Range") != "" },
})

// innerRoutes serves every URL of -metrics-addr.
func innerRoutes(s *server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", web.Live())
	mux.Handle("GET /readyz", web.Ready(s.Ready))
	mux.Handle("GET /metrics", s.metrics())
	return mux
}
