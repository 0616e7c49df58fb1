package chat

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"

	"echows/broker"
)

const (
	sessionTime = 12 * time.Hour
	cookieName  = "echows_session"
	hostPrefix  = "__Host-" // of the name over https:, so that no other host, and nothing over http:, can set it (RFC 6265bis)
	issuer      = "echows"
	userKey     = "echows.user" // key in an echo.Context of the User that RequireSession and RequireTicket set
)

// User is somebody who is signed in.
type User struct {
	ID   string // random, of one session
	Name string // for display; not unique
	// Until is when the session expires; zero if that is not known.
	Until time.Time
}

// markSize is how many characters a mark has. They make 20 bits: among a hundred people with one name, two have the
// same mark one time in two hundred.
const markSize = 4

var markEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Mark tells people with the same name apart: 4 characters of a–z and 2–7, derived from the session's id and the same
// for everybody. Nobody can choose a mark, but whoever signs in often enough gets any mark: it proves nothing.
func (u User) Mark() string {
	sum := sha256.Sum256([]byte(u.ID))
	return markEncoding.EncodeToString(sum[:])[:markSize]
}

func (u User) person() Person { return Person{u.Name, u.Mark()} }

// claims are those of a session's token (RFC 7519).
type claims struct {
	Name string `json:"name"`
	jwt.RegisteredClaims
}

// session is what a client is told about its own session.
type session struct {
	Token string `json:"token,omitempty"`
	Name  string `json:"name"`
	Mark  string `json:"mark"`
}

// SignIn answers POST /session: {"name":"ana"} begins a session, whose token is a cookie for pages and in the body for
// scripts.
func (c *Chat) SignIn(ctx echo.Context) error {
	if err := c.sameOrigin(ctx); err != nil {
		return err
	}
	const example = `{"name":"ana"}`
	fields, err := c.readFields(ctx, example, "name")
	if err != nil {
		return err
	}
	asked, ok := fields["name"].(string)
	if !ok {
		return echo.NewHTTPError(http.StatusBadRequest, "send "+example+": the name must be a string")
	}
	name, err := CleanName(asked)
	if err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	now := time.Now()
	user := User{ID: rand.Text(), Name: name}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{user.Name, jwt.RegisteredClaims{
		Issuer:    issuer,
		Subject:   user.ID,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(sessionTime)),
	}}).SignedString(c.config.Secret)
	if err != nil {
		return fmt.Errorf("sign a session: %w", err)
	}
	c.counts.sessionsBegun.Add(1)
	ctx.SetCookie(c.cookie(ctx, token, int(sessionTime/time.Second)))
	return ctx.JSON(http.StatusCreated, session{token, user.Name, user.Mark()})
}

// WhoAmI answers GET /session with the session's user, since pages cannot read the cookie.
func (c *Chat) WhoAmI(ctx echo.Context) error {
	user := userOf(ctx)
	return ctx.JSON(http.StatusOK, session{Name: user.Name, Mark: user.Mark()})
}

// SignOut answers DELETE /session: the session ends on all nodes, with its tickets and its connections, and the cookie
// is removed. If that cannot be stored, because the broker is unavailable or too many sessions were ended in the last
// twelve hours, the answer is 503, the cookie stays, and the session may or may not have ended. It needs LimitSignOuts.
func (c *Chat) SignOut(ctx echo.Context) error {
	if err := c.sameOrigin(ctx); err != nil {
		return err
	}
	if user, err := c.signedIn(ctx.Request()); err == nil {
		if err := c.ended.Add(ctx.Request().Context(), user.ID); err != nil {
			if errors.Is(err, broker.ErrSetFull) {
				c.counts.reached(limitEnded)
			}
			return c.unavailable(ctx, err)
		}
		c.counts.sessionsEnded.Add(1)
	}
	ctx.SetCookie(c.cookie(ctx, "", -1))
	return ctx.NoContent(http.StatusNoContent)
}

func (c *Chat) cookie(ctx echo.Context, token string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name:     c.cookieName(ctx.Request()),
		Value:    token,
		Path:     "/",
		MaxAge:   maxAge,
		HttpOnly: true,
		Secure:   c.app.IsSecure(ctx.Request()),
		SameSite: http.SameSiteLaxMode,
	}
}

func (c *Chat) cookieName(r *http.Request) string {
	if c.app.IsSecure(r) {
		return hostPrefix + cookieName
	}
	return cookieName
}

// sameOrigin refuses what a page of another origin sends on a visitor's behalf.
func (c *Chat) sameOrigin(ctx echo.Context) error {
	if err := c.app.CheckOrigin(ctx.Request()); err != nil {
		return echo.NewHTTPError(http.StatusForbidden, err.Error())
	}
	return nil
}

// RequireSession lets requests with a session pass, by cookie or by token, and answers 401 to others.
func (c *Chat) RequireSession(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		user, err := c.signedIn(ctx.Request())
		if err != nil {
			if !errors.Is(err, errNoSession) {
				c.counts.sessionsRefused.Add(1)
			}
			return echo.NewHTTPError(http.StatusUnauthorized, "sign in first, with POST /session: "+err.Error())
		}
		ctx.Set(userKey, user)
		return next(ctx)
	}
}

func userOf(ctx echo.Context) User {
	user, _ := ctx.Get(userKey).(User)
	return user
}

var errNoSession = errors.New("there is no session")

// signedIn returns the user whose session a request carries. The error is errNoSession, or says what is wrong with it.
func (c *Chat) signedIn(r *http.Request) (User, error) {
	token, ok := strings.CutPrefix(r.Header.Get(echo.HeaderAuthorization), "Bearer ")
	if !ok {
		cookie, err := r.Cookie(c.cookieName(r))
		if err != nil {
			return User{}, errNoSession
		}
		token = cookie.Value
	}
	var said claims
	_, err := jwt.ParseWithClaims(token, &said, func(*jwt.Token) (any, error) { return c.config.Secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return User{}, errors.New("the session has expired")
	case err != nil || said.Subject == "" || said.Name == "":
		return User{}, errors.New("the session is not valid")
	case c.ended.Has(said.Subject):
		return User{}, errors.New("the session was signed out")
	}
	return User{said.Subject, said.Name, said.ExpiresAt.Time}, nil
}
