package ws

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"echows/ws/internal/conn"
)

// base is what an App and dialed sockets have in common.
type base struct {
	engine  *conn.Engine
	log     *slog.Logger
	name    string // random, the first half of every socket's ID
	numbers *atomic.Uint64
	slowed  *atomic.Uint64
}

func newBase(interval time.Duration, log *slog.Logger) base {
	var id [3]byte
	rand.Read(id[:])
	return base{conn.NewEngine(interval), log, hex.EncodeToString(id[:]), new(atomic.Uint64), new(atomic.Uint64)}
}

// id returns the ID of the socket with a number.
func (b *base) id(number uint64) string { return b.name + "-" + strconv.FormatUint(number, 10) }
