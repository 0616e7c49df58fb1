package engineio

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// paces limits the rate of packets from each address.
type paces struct {
	perSecond float64 // 0 for no limit

	mu sync.Mutex
	of map[string]*pace
}

// pace is the limiter of one address. It is kept after the address's last session has ended, until its burst is full again, so
// that a client gains nothing by reconnecting.
type pace struct {
	*rate.Limiter
	sessions int
	resting  bool // a timer will check again whether to forget it
}

// join returns the pace of an address for a new session, or nil if there is no limit. Call leave when the session has ended.
func (p *paces) join(address string) *pace {
	if p.perSecond == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of[address]
	if one == nil {
		if p.of == nil {
			p.of = map[string]*pace{}
		}
		one = &pace{Limiter: rate.NewLimiter(rate.Limit(p.perSecond), max(int(2*p.perSecond), 1))}
		p.of[address] = one
	}
	one.sessions++
	return one
}

func (p *paces) leave(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.of[address]; one != nil {
		one.sessions--
		p.forgetLocked(address, one)
	}
}

// forgetLocked forgets an address that has no sessions: now, or when its burst is full again.
func (p *paces) forgetLocked(address string, one *pace) {
	missing := float64(one.Burst()) - one.Tokens()
	switch {
	case one.sessions > 0 || one.resting:
	case missing <= 0:
		delete(p.of, address)
	default:
		one.resting = true
		wait := time.Duration(missing / p.perSecond * float64(time.Second))
		time.AfterFunc(wait+time.Millisecond, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			one.resting = false
			p.forgetLocked(address, one)
		})
	}
}

// look is how often a session that is waiting checks whether it has ended.
const look = time.Second

// shortest is the shortest wait. Sessions do not sleep for less, but let waits add up: falling asleep and waking up cost as
// much as several packets, and there may be many sessions.
const shortest = 50 * time.Millisecond

// paceSize is how many bytes of a packet's data count as one more packet.
const paceSize = 512

// waitForTurn waits until the session may handle its next packet, of size bytes.
func (s *Session) waitForTurn(size int) {
	if s.pace == nil || s.isEnded() {
		return
	}
	turn := s.pace.ReserveN(time.Now(), min(1+size/paceSize, s.pace.Burst()))
	wait := turn.Delay()
	if wait < shortest {
		return
	}
	s.server.counters.slowed.Add(1)
	for ; wait > 0; wait -= look {
		if s.isEnded() {
			turn.Cancel() // others of the address need not wait for it
			return
		}
		time.Sleep(min(wait, look))
	}
}
