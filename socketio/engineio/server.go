package engineio

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/seldom"
	"echows/internal/share"
	"echows/ws"
)

// Server is a set of sessions. Its methods may be called from any goroutine.
type Server struct {
	app       *ws.App
	config    Config
	onSession func(*Session)
	running   sync.WaitGroup // sessions, and their callbacks

	buffered *share.Budget
	paces    paces
	alarms   alarms // pings, and ends

	counters counters
	handling prometheus.Histogram
	refusals seldom.Lines // limits log lines about refused requests
	ends     seldom.Lines // limits log lines about ends

	mu       sync.Mutex // guards the rest
	sessions map[string]*Session
	closed   bool
}

// New mounts a Server at path, with and without a trailing slash. It calls onSession with each new session, to register
// callbacks. The server reads nothing from the session before onSession returns. A client that polls cannot fetch anything
// before then either, so all that onSession sends must fit into Config.MaxQueue.
func New(app *ws.App, path string, cfg Config, onSession func(*Session)) *Server {
	cfg.setDefaults()
	if cfg.Origins == nil {
		cfg.Origins = app.Origins()
	}
	s := &Server{app: app, config: cfg, onSession: onSession, handling: newHandling(), sessions: map[string]*Session{}}
	s.buffered, s.paces.perSecond = share.New(cfg.MaxBuffered), cfg.AddressMessageRate
	s.ends.First, s.ends.Interval = 100, time.Second/5
	path = strings.TrimSuffix(path, "/")
	app.WSWithConfig(path+"/", s.serveSocket, ws.RouteConfig{NoPing: true}, s.cors, s.serveRequest)
	others := []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	for _, at := range []string{path, path + "/"} {
		app.Echo().Match(others, at, notFound, s.cors, s.serveRequest)
	}
	return s
}

func notFound(echo.Context) error { return echo.ErrNotFound }

// Len returns the number of sessions.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// closeTime is how long Close waits for callbacks, at most.
const closeTime = 5 * time.Second

// Close calls Shutdown with a timeout of 5 s.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	s.Shutdown(ctx)
}

// Shutdown refuses new sessions with 503 and ends every session: it closes WebSockets with 1012, and answers waiting GETs.
// Then it waits for the sessions' callbacks, and returns nil. If ctx ends first, it returns the cause. It may be called again,
// and then waits again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	sessions := make([]*Session, 0, len(s.sessions))
	for _, one := range s.sessions {
		sessions = append(sessions, one)
	}
	s.mu.Unlock()
	endSpread(ctx, sessions)
	done := make(chan struct{})
	go func() { // ends with the last callback, which Shutdown cannot force to return
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// spread is the time over which Shutdown ends many sessions, so that they do not all come back at the same time, as in ws.
const spread = time.Second

func endSpread(ctx context.Context, sessions []*Session) {
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	batch := max(100, len(sessions)/int(spread/(10*time.Millisecond)))
	for i, one := range sessions {
		one.end(ShuttingDown, nil)
		one.drop()
		if i%batch == batch-1 && ctx.Err() == nil {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}
}

// sessionKey is the key under which serveRequest puts the session that a WebSocket upgrades into the echo.Context.
const sessionKey = "echows.engineio.session"

// serveRequest checks the query, in the reference's order, and serves polling requests. It passes WebSockets on to next.
func (s *Server) serveRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req, query := c.Request(), c.QueryParams()
		transport, id := last(query, "transport"), last(query, "sid")
		socket := transport == "websocket"
		if !socket && (transport != "polling" || s.config.WebSocketOnly) {
			return s.refuse(c, errTransport, "the transport is neither websocket nor polling, or polling is off")
		}
		if err := s.app.CheckOrigin(req); err != nil {
			return s.refuse(c, errForbidden, err.Error())
		}
		var session *Session
		if id != "" {
			if session = s.session(id); session == nil {
				return s.refuse(c, errSession, errSession.Message)
			}
			if last(query, "EIO") != "4" || req.Method != http.MethodGet && req.Method != http.MethodPost {
				return s.refuse(c, errRequest, "a session's requests must be GET or POST, with EIO=4")
			}
		} else if refused, ok := s.judgeHandshake(c, query); !ok {
			return s.refuse(c, refused, refused.Message)
		}
		if socket {
			c.Set(sessionKey, session)
			return s.serveHandshake(c, next)
		}
		switch {
		case req.Header.Get("Upgrade") != "":
			return s.refuse(c, errRequest, "an upgrade with transport=polling")
		case req.Method == http.MethodGet && req.ContentLength != 0:
			c.Response().Header().Set("Connection", "close") // otherwise net/http waits for the body before it answers
			return s.refuse(c, errRequest, "a GET with a body")
		case session == nil:
			return s.openPolling(c)
		case req.Method == http.MethodGet:
			return session.poll(c)
		}
		return session.post(c)
	}
}

// serveHandshake passes a WebSocket's handshake on to its route, unless the route would refuse it.
func (s *Server) serveHandshake(c echo.Context, next echo.HandlerFunc) error {
	if err := s.app.CheckHandshake(c); err != nil {
		switch status, why := describe(err); status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return s.refuseWith(c, err)
		default:
			return s.refuse(c, errRequest, why)
		}
	}
	if err := next(c); err != nil {
		return s.refuseWith(c, err)
	}
	return nil
}

// judgeHandshake checks a request to begin a session.
func (s *Server) judgeHandshake(c echo.Context, query url.Values) (refusal, bool) {
	if c.Request().Method != http.MethodGet {
		return errMethod, false
	}
	if s.config.Allow != nil {
		if err := s.config.Allow(c.Request()); err != nil {
			return refusal{errForbidden.Code, err.Error()}, false
		}
	}
	if last(query, "EIO") != "4" {
		return errVersion, false
	}
	return refusal{}, true
}

// last returns the last value of a parameter: if there are several, that one counts.
func last(query url.Values, name string) string {
	if values := query[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// session returns the session with that id, or nil if there is none or it has timed out. The request counts as a sign of
// life.
func (s *Server) session(id string) *Session {
	s.mu.Lock()
	one := s.sessions[id]
	s.mu.Unlock()
	if one == nil || !one.isInTime() {
		return nil
	}
	return one
}

var errNoMore = echo.NewHTTPError(http.StatusServiceUnavailable, "no more sessions at the moment; try again soon")

// add adds a new session, unless there are too many or the server shuts down.
func (s *Server) add(one *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errNoMore
	}
	if len(s.sessions) >= s.config.MaxSessions {
		s.counters.noMore.Add(1)
		return errNoMore
	}
	s.sessions[one.id] = one
	s.counters.opened.Add(1)
	if one.transport == polling {
		s.counters.polling.Add(1)
		s.counters.openedPolling.Add(1)
	}
	s.running.Add(1) // until the session has ended, and its callbacks with it
	return nil
}

func (s *Server) remove(one *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, one.id)
}
