package engineio

import (
	"sync/atomic"

	"echows/internal/share"
)

// Stats are numbers of a Server, since its start where they do not say now.
type Stats struct {
	Sessions      int    // there now
	Polling       int    // of these, those that poll
	Opened        uint64 // sessions
	OpenedPolling uint64 // of these, those that began by polling
	Upgraded      uint64 // sessions that went over from polling to a WebSocket
	Refused       uint64 // requests that no session took; see Config.OnRefused
	SlowClosed    uint64 // sessions ended because their clients did not read, or poll
	SlowPolling   uint64 // of these, those that polled
	Silent        uint64 // sessions ended because their clients sent nothing
	SilentPolling uint64 // of these, those that polled
	Slowed        uint64 // packets that waited because of AddressMessageRate
	NoMore        uint64 // sessions that were refused because of MaxSessions
	ManyPackets   uint64 // requests that ended their sessions because of MaxPackets
	TooLong       uint64 // messages and requests that were refused because of MaxPayload
	Buffered      int64  // bytes that count for MaxBuffered now

	// How often MaxBuffered refused a request, made a Send wait or ended a session, and how often an address's quarter of
	// it did.
	NoMemory, NoAddressMemory uint64
}

// counters are what Stats tells.
type counters struct {
	polling                         atomic.Int64
	opened, openedPolling, upgraded atomic.Uint64
	slowClosed, slowPolling         atomic.Uint64
	silent, silentPolling           atomic.Uint64
	slowed                          atomic.Uint64
	refused                         atomic.Uint64
	noMore, manyPackets, tooLong    atomic.Uint64
	noMemory, noAddressMemory       atomic.Uint64
}

// noRoom counts that something did not fit into MaxBuffered, or into an address's part of it.
func (c *counters) noRoom(why share.Refusal) {
	switch why {
	case share.All:
		c.noMemory.Add(1)
	case share.Address:
		c.noAddressMemory.Add(1)
	}
}

// Stats returns the Server's numbers.
func (s *Server) Stats() Stats {
	c := &s.counters
	return Stats{
		Sessions:      s.Len(),
		Polling:       int(c.polling.Load()),
		Opened:        c.opened.Load(),
		OpenedPolling: c.openedPolling.Load(),
		Upgraded:      c.upgraded.Load(),
		Refused:       c.refused.Load(),
		SlowClosed:    c.slowClosed.Load(),
		SlowPolling:   c.slowPolling.Load(),
		Silent:        c.silent.Load(),
		SilentPolling: c.silentPolling.Load(),
		Slowed:        c.slowed.Load(),
		NoMore:        c.noMore.Load(),
		ManyPackets:   c.manyPackets.Load(),
		TooLong:       c.tooLong.Load(),
		Buffered:      s.buffered.Used(),

		NoMemory:        c.noMemory.Load(),
		NoAddressMemory: c.noAddressMemory.Load(),
	}
}
