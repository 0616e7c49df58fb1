package ws

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws/internal/wire"
)

// handshakeFields are useless after the upgrade.
var handshakeFields = map[string]bool{
	"Connection":               true,
	"Upgrade":                  true,
	"Sec-Websocket-Key":        true,
	"Sec-Websocket-Version":    true,
	"Sec-Websocket-Extensions": true,
}

// KeptRequest is what is kept of an HTTP request for as long as its client stays: its head as text, a few hundred
// bytes, since a live http.Request with its headers in a map takes thousands. It may be copied.
type KeptRequest struct {
	head   string
	remote string
	path   string
	params *params // nil on a route without parameters
}

// params are the values of a route's parameters.
type params struct {
	names  []string // the router's own slice
	values []string
}

// maxHead is the size limit of a request that is kept, in bytes.
const maxHead = 16 << 10

var errLongHead = echo.NewHTTPError(http.StatusRequestHeaderFieldsTooLarge, "the request header of a long-lived connection may have at most 16 KiB")

// KeepRequest keeps c's request, a GET, for a client that stays without a socket, such as one that polls. If its head is
// longer than 16 KiB, the error is an *echo.HTTPError to answer with.
func KeepRequest(c echo.Context) (KeptRequest, error) {
	r := c.Request()
	var b strings.Builder
	b.WriteString("GET " + r.URL.RequestURI() + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	r.Header.WriteSubset(&b, handshakeFields) // a strings.Builder does not fail
	b.WriteString("\r\n")
	if b.Len() > maxHead {
		return KeptRequest{}, errLongHead
	}
	kept := KeptRequest{head: strings.Clone(b.String()), remote: r.RemoteAddr, path: r.URL.Path}
	if target := kept.head[len("GET "):]; strings.HasPrefix(target, kept.path) {
		kept.path = target[:len(kept.path)] // so that there is one string to keep
	} else {
		kept.path = strings.Clone(kept.path)
	}
	if names := c.ParamNames(); len(names) > 0 {
		kept.params = &params{names, slices.Clone(c.ParamValues())}
	}
	return kept, nil
}

// Request restores the request: URL and query, header (except a WebSocket handshake's own fields), cookies, host,
// remote address.
func (k KeptRequest) Request() *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(k.head)))
	if err != nil { // cannot happen: net/http read this head once, and wrote it
		r, _ = http.NewRequest(http.MethodGet, "/", nil)
	}
	r.RemoteAddr = k.remote
	return r
}

// upgradeKey is the key under which own and the route's handler share the upgrade.
const upgradeKey = "echows.upgrade"

// upgrade is what a route's handler leaves for own to start.
type upgrade struct {
	socket  *Socket
	context echo.Context  // as the route's handler received it, with any wrapping by middleware
	refusal refusalReason // if there is no socket
}

// noteRefusal notes why the request is refused, for own to count.
func noteRefusal(c echo.Context, why refusalReason) {
	if u, ok := c.Get(upgradeKey).(*upgrade); ok {
		u.refusal = why
	}
}

// own runs before all other middleware. Echo returns its context to a pool when the request is over,
// so own gives requests that ask for an upgrade a context of their own, which the Handler's callbacks
// can keep. And it starts the socket only when all middleware has returned.
func (a *App) own(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !wantsUpgrade(c.Request()) {
			err := next(c)
			if errors.Is(err, echo.ErrMethodNotAllowed) && a.routes[c.Path()] != nil {
				a.metrics.refused[refusedByMethod].Add(1)
			}
			return err
		}
		u := new(upgrade)
		mine := a.echo.NewContext(c.Request(), c.Response().Writer)
		mine.SetResponse(c.Response())      // Echo looks at its state afterwards
		for _, key := range storedKeys(c) { // set by middleware that was given to e.Pre earlier
			mine.Set(key, c.Get(key))
		}
		mine.Set(upgradeKey, u)
		defer func() {
			switch {
			case u.socket != nil:
				u.start()
			case a.routes[mine.Path()] != nil && mine.Response().Status != http.StatusSwitchingProtocols:
				a.metrics.refused[u.refusal].Add(1)
			}
		}()
		err := next(mine)
		if err != nil {
			mine.Error(err) // here, because Echo's own context does not hold what middleware set
		}
		if c.Response().Committed {
			return nil
		}
		return err
	}
}

// start hands the connection over to a goroutine of its own. From here on, what the Handler keeps of c
// does not refer to net/http.
func (u *upgrade) start() {
	s, c := u.socket, u.context
	r := c.Request().WithContext(requestContext{s, context.WithoutCancel(c.Request().Context())})
	r.Body = http.NoBody
	c.SetRequest(r)
	gone := echo.NewResponse(goneWriter{c.Response().Header().Clone()}, c.Echo())
	gone.Status, gone.Committed = http.StatusSwitchingProtocols, true
	c.SetResponse(gone)
	s.conn.Serve(func() *wire.CloseError {
		defer s.route.admit(s)
		return s.guard(func() error { return s.route.handler(s, c) })
	})
}

// storedKeys returns the keys of what was Set on c. echo.Context has no method for that; for a context that is not
// Echo's own it returns none.
func storedKeys(c echo.Context) (keys []string) {
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	store := v.Elem().FieldByName("store")
	if store.Kind() != reflect.Map || store.Type().Key().Kind() != reflect.String {
		return nil
	}
	for _, key := range store.MapKeys() {
		keys = append(keys, key.String())
	}
	return keys
}

// requestContext lives as long as the socket and has the request's values. It asks for the
// socket's context only when used, since that is made on demand.
type requestContext struct {
	socket *Socket
	values context.Context
}

func (c requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c requestContext) Done() <-chan struct{}       { return c.socket.Context().Done() }
func (c requestContext) Err() error                  { return c.socket.Context().Err() }

func (c requestContext) Value(key any) any {
	if v := c.values.Value(key); v != nil {
		return v
	}
	return c.socket.Context().Value(key)
}

// goneWriter replaces the connection: after the upgrade there is no HTTP answer to write.
type goneWriter struct{ header http.Header }

func (w goneWriter) Header() http.Header       { return w.header }
func (w goneWriter) WriteHeader(int)           {}
func (w goneWriter) Write([]byte) (int, error) { return 0, http.ErrHijacked }
