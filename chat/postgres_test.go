package chat

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"echows/internal/pgtest"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// admin is a connection of the test's own.
type admin struct {
	t    *testing.T
	conn *pgx.Conn
}

func openAdmin(t *testing.T, address, name string) *admin {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), pgtest.URL(address, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &admin{t, conn}
}

func (a *admin) exec(statement string) {
	a.t.Helper()
	if _, err := a.conn.Exec(testContext(a.t), statement); err != nil {
		a.t.Fatalf("%s: %v", statement, err)
	}
}

// number is what a query returns.
func (a *admin) number(query string) (n int) {
	a.t.Helper()
	if err := a.conn.QueryRow(testContext(a.t), query).Scan(&n); err != nil {
		a.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// await waits until a query returns n.
func (a *admin) await(query string, n int) {
	a.t.Helper()
	comesTrue(a.t, query, func() (string, bool) {
		got := a.number(query)
		return fmt.Sprint(got, ", want ", n), got == n
	})
}

// comesTrue waits until done, by asking again and again: PostgreSQL tells nobody of rows that are committed, and the archive's
// goroutines tell nobody what they have come to know.
func comesTrue(t testing.TB, what string, done func() (got string, ok bool)) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer again.Stop()
	for {
		got, ok := done()
		if ok {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%s: %s", what, got)
		}
	}
}
