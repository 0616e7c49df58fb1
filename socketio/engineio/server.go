package engineio

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// Config holds a Server's settings. The zero value is ready for use.
type Config struct {
	// PingInterval is the time between a pong and the next ping; 25 s by default.
	PingInterval time.Duration
	// PingTimeout is how long a client has to answer a ping; 20 s by default.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a client has to go over to a WebSocket that it opened; 10 s by default.
	UpgradeTimeout time.Duration
	// MaxPayload is the longest message, and the longest body of a request, in bytes; 1,000,000 by
	// default. The App's MaxMessage bounds messages of WebSockets too.
	MaxPayload int
	// MaxQueue is how many bytes may wait for a client that polls; 1 MiB by default. A session with more
	// is ended.
	MaxQueue int
	// MaxSessions is how many sessions there may be; 100,000 by default. Then handshakes get 503.
	MaxSessions int
	// Origins are those whose pages are told, by CORS, that they may read answers: such as
	// "https://example.com", or "*" for all. They are to be the App's own Origins, by which requests are
	// refused.
	Origins []string
	// Allow may refuse a handshake with an error, whose text the client gets with 403.
	Allow func(r *http.Request) error
	// Logger gets a line for each session that ends with an error; slog.Default() by default.
	Logger *slog.Logger
}

func (cfg *Config) setDefaults() {
	setDefault(&cfg.PingInterval, 25*time.Second)
	setDefault(&cfg.PingTimeout, 20*time.Second)
	setDefault(&cfg.UpgradeTimeout, 10*time.Second)
	setDefault(&cfg.MaxPayload, 1_000_000)
	setDefault(&cfg.MaxQueue, 1<<20)
	setDefault(&cfg.MaxSessions, 100_000)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

// Server is a set of sessions. Its methods may be called from any goroutine.
type Server struct {
	app       *ws.App
	config    Config
	onSession func(*Session)
	running   sync.WaitGroup // sessions, and their callbacks

	mu       sync.Mutex
	sessions map[string]*Session
	closed   bool
}

// New mounts a server at path, which ends with a slash. onSession is called with each new session and
// registers what is to be called: nothing is read before it returns.
func New(app *ws.App, path string, cfg Config, onSession func(*Session)) *Server {
	cfg.setDefaults()
	s := &Server{app: app, config: cfg, onSession: onSession, sessions: map[string]*Session{}}
	app.WS(path, s.serveSocket, s.cors, s.serveRequest)
	others := []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	for _, at := range []string{path, strings.TrimSuffix(path, "/")} {
		app.Echo().Match(others, at, notFound, s.cors, s.serveRequest)
	}
	return s
}

func notFound(echo.Context) error { return echo.ErrNotFound }

// Len is the number of sessions.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Close refuses new sessions, ends all there are, and waits for their callbacks.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	sessions := make([]*Session, 0, len(s.sessions))
	for _, one := range s.sessions {
		sessions = append(sessions, one)
	}
	s.mu.Unlock()
	for _, one := range sessions {
		one.end(ShuttingDown, nil)
		one.drop()
	}
	s.running.Wait()
}

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

func (r refusal) answer(c echo.Context) error {
	status := http.StatusBadRequest
	if r.Code == errForbidden.Code {
		status = http.StatusForbidden
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.Blob(status, "application/json", body)
}

// cors lets pages of other origins read the answers, and answers their preflights.
func (s *Server) cors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req, header := c.Request(), c.Response().Header()
		origin := req.Header.Get("Origin")
		switch {
		case slices.Contains(s.config.Origins, "*"):
			header.Set("Access-Control-Allow-Origin", "*")
		case len(s.config.Origins) > 0:
			header.Add("Vary", "Origin")
			if slices.ContainsFunc(s.config.Origins, func(allowed string) bool { return strings.EqualFold(allowed, origin) }) {
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

// sessionKey is where serveRequest leaves the session that a WebSocket is to take over.
const sessionKey = "echows.engineio.session"

// serveRequest judges the query, in the reference's order, and serves what is polling. What it lets pass
// is a WebSocket.
func (s *Server) serveRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req, query := c.Request(), c.QueryParams()
		transport, id := last(query, "transport"), last(query, "sid")
		socket := transport == "websocket"
		if !socket && transport != "polling" {
			return errTransport.answer(c)
		}
		if err := s.app.CheckOrigin(req); err != nil {
			return errForbidden.answer(c)
		}
		var session *Session
		if id != "" {
			if session = s.session(id); session == nil {
				return errSession.answer(c)
			}
			if last(query, "EIO") != "4" || req.Method != http.MethodGet && req.Method != http.MethodPost {
				return errRequest.answer(c)
			}
		} else if refused, ok := s.judgeHandshake(c, query); !ok {
			return refused.answer(c)
		}
		if socket {
			if err := s.app.CheckHandshake(c); err != nil {
				if he := new(echo.HTTPError); errors.As(err, &he) && (he.Code == http.StatusTooManyRequests || he.Code == http.StatusServiceUnavailable) {
					return err
				}
				return errRequest.answer(c)
			}
			c.Set(sessionKey, session)
			return next(c)
		}
		switch {
		case req.Header.Get("Upgrade") != "":
			return errRequest.answer(c)
		case session == nil:
			return s.openPolling(c)
		case req.Method == http.MethodGet:
			return session.poll(c)
		}
		return session.post(c)
	}
}

// judgeHandshake judges a request that is to begin a session.
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

// last is the value that counts of a parameter given more than once.
func last(query url.Values, name string) string {
	if values := query[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// session returns the one of that id, if its time is not over.
func (s *Server) session(id string) *Session {
	s.mu.Lock()
	one := s.sessions[id]
	s.mu.Unlock()
	if one == nil || one.overdue() {
		return nil
	}
	return one
}

// add takes a new session in, unless there are too many or the server closes.
func (s *Server) add(one *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.sessions) >= s.config.MaxSessions {
		return echo.NewHTTPError(http.StatusServiceUnavailable, "no more sessions at the moment; try again soon")
	}
	s.sessions[one.id] = one
	s.running.Add(1) // until the session has ended, and its callbacks with it
	return nil
}

func (s *Server) remove(one *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, one.id)
}
