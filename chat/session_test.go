package chat

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestSessionsOfOthers(t *testing.T) {
	c := openSite(t, t.TempDir(), "", Limits{})
	good := claims{"ana", jwt.RegisteredClaims{Issuer: issuer, Subject: "id", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}}
	with := func(change func(*claims)) claims {
		changed := good
		change(&changed)
		return changed
	}
	for name, c2 := range map[string]struct {
		claims claims
		secret string
		method jwt.SigningMethod
		ok     bool
	}{
		"a good one":              {good, "sixteen bytes at least", jwt.SigningMethodHS256, true},
		"another secret":          {good, "another secret of ours", jwt.SigningMethodHS256, false},
		"another algorithm":       {good, "sixteen bytes at least", jwt.SigningMethodHS512, false},
		"an old one":              {with(func(c *claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Second)) }), "sixteen bytes at least", jwt.SigningMethodHS256, false},
		"one without an end":      {with(func(c *claims) { c.ExpiresAt = nil }), "sixteen bytes at least", jwt.SigningMethodHS256, false},
		"another issuer's":        {with(func(c *claims) { c.Issuer = "foe" }), "sixteen bytes at least", jwt.SigningMethodHS256, false},
		"one without a name":      {with(func(c *claims) { c.Name = "" }), "sixteen bytes at least", jwt.SigningMethodHS256, false},
		"one without a user's id": {with(func(c *claims) { c.Subject = "" }), "sixteen bytes at least", jwt.SigningMethodHS256, false},
	} {
		token, err := jwt.NewWithClaims(c2.method, c2.claims).SignedString([]byte(c2.secret))
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		user, err := c.signedIn(r)
		if (err == nil) != c2.ok || c2.ok && (user.ID != "id" || user.Name != "ana" || time.Until(user.Until) <= 0) {
			t.Errorf("%s: %v, %v", name, user, err)
		}
	}
}

// A mark is the same on every node and for all time: pages keep it beside what was said.
func TestAMark(t *testing.T) {
	if got := (User{ID: "id", Name: "ana"}).Mark(); got != "uvqu" {
		t.Errorf("the mark is %q", got)
	}
	marks := map[string]bool{}
	for i := range 1000 {
		mark := User{ID: fmt.Sprint(i), Name: "ana"}.Mark()
		if marks[mark] = true; !regexp.MustCompile(`^[a-z2-7]{4}$`).MatchString(mark) {
			t.Errorf("%q is no mark", mark)
		}
	}
	if len(marks) < 990 {
		t.Errorf("a thousand sessions have %d marks", len(marks))
	}
}
