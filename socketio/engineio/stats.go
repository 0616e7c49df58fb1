package engineio

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/share"
)

// Stats holds the counters of a Server. They count from its start, except those that say now.
type Stats struct {
	Sessions      int    // now
	Polling       int    // of Sessions, those that poll
	Opened        uint64 // sessions
	OpenedPolling uint64 // of Opened, sessions that began by polling
	Upgraded      uint64 // sessions upgraded from polling to a WebSocket
	Refused       uint64 // refused requests; see Config.OnRefused
	SlowClosed    uint64 // sessions ended because their clients did not read or poll
	SlowPolling   uint64 // of SlowClosed, sessions that polled
	Silent        uint64 // sessions ended because their clients sent nothing
	SilentPolling uint64 // of Silent, sessions that polled
	Slowed        uint64 // packets delayed because of AddressMessageRate
	NoMore        uint64 // sessions refused because of MaxSessions
	ManyPackets   uint64 // requests that ended their sessions because of too many packets
	LateUpgrades  uint64 // WebSockets that were to become a session's and were ended after UpgradeTimeout
	TooLong       uint64 // messages and requests refused because of MaxPayload
	Buffered      int64  // bytes that count towards MaxBuffered now
	ReceivedBytes uint64 // of POSTs' bodies
	SentBytes     uint64 // of answers to GETs

	// How often a request was refused, a Send waited or a session ended because of MaxBuffered, and because of an address's
	// quarter of it.
	NoMemory, NoAddressMemory uint64
}

// counters holds the counters behind Stats.
type counters struct {
	polling                         atomic.Int64
	opened, openedPolling, upgraded atomic.Uint64
	slowClosed, slowPolling         atomic.Uint64
	silent, silentPolling           atomic.Uint64
	slowed                          atomic.Uint64
	refused                         atomic.Uint64
	noMore, manyPackets, tooLong    atomic.Uint64
	noMemory, noAddressMemory       atomic.Uint64
	lateUpgrades                    atomic.Uint64
	receivedBytes, sentBytes        atomic.Uint64
}

// noRoom counts that MaxBuffered, or an address's quarter of it, was reached.
func (c *counters) noRoom(why share.Refusal) {
	switch why {
	case share.All:
		c.noMemory.Add(1)
	case share.Address:
		c.noAddressMemory.Add(1)
	}
}

// Stats returns the Server's counters.
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
		LateUpgrades:  c.lateUpgrades.Load(),
		TooLong:       c.tooLong.Load(),
		Buffered:      s.buffered.Used(),
		ReceivedBytes: c.receivedBytes.Load(),
		SentBytes:     c.sentBytes.Load(),

		NoMemory:        c.noMemory.Load(),
		NoAddressMemory: c.noAddressMemory.Load(),
	}
}

func newHandling() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "echows_socketio_polling_handling_seconds",
		Help:    "Time taken by the callbacks for the packets of one POST.",
		Buckets: []float64{.0001, .001, .01, .1, 1, 10},
	})
}

// Handling returns a histogram of the time that callbacks take for the packets of one POST. Package ws measures those for
// messages on WebSockets.
func (s *Server) Handling() prometheus.Collector { return s.handling }
