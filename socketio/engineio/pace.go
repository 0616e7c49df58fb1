package engineio

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// paces are how quickly packets are taken of each address.
type paces struct {
	perSecond float64 // 0 for no limit

	mu sync.Mutex
	of map[string]*pace
}

// pace is one address's. It outlives its sessions until all that it allows at once may be sent again: a new connection
// is no new beginning.
type pace struct {
	*rate.Limiter
	sessions int
	resting  bool // a timer will see whether it is to be forgotten
}

// join returns the pace of an address, to be given back with leave, or nil.
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

// forgetLocked forgets an address that has no sessions, now or when it has rested.
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

// look is how often a session that waits for its turn sees whether it has ended.
const look = time.Second

// shortest is the shortest wait. Shorter ones are left until they add up: going to sleep and waking up cost as much as
// some packets, and there may be many sessions.
const shortest = 50 * time.Millisecond

// paceSize is how many bytes of a packet count as one.
const paceSize = 512

// waitForTurn waits until the session's next packet, of so many bytes, may be taken.
func (s *Session) waitForTurn(size int) {
	if s.pace == nil {
		return
	}
	wait := s.pace.ReserveN(time.Now(), min(1+size/paceSize, s.pace.Burst())).Delay()
	if wait < shortest {
		return
	}
	s.server.counters.slowed.Add(1)
	for ; wait > 0 && !s.isEnded(); wait -= look {
		time.Sleep(min(wait, look))
	}
}
