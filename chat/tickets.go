package chat

import (
	"container/list"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"time"
)

const (
	mostTickets    = 100_000         // of one node, unexpired
	addressTickets = 1000            // of one address, neither redeemed nor expired
	remember       = 5 * time.Second // for how long a redemption can be repeated
)

var (
	errTicketsFull  = errors.New("this node has too many tickets")
	errAddressFull  = errors.New("this address has too many unused tickets")
	errTicketIsNone = errors.New("the ticket is missing, used, expired, or issued for another client or room")
)

// ticket is what a node knows about a ticket: some 400 bytes, however long its origin is.
type ticket struct {
	user    User
	origin  digest // of the page that asked; zero for a script
	address string
	room    string // the only room it opens; "" for any
	payer   string // the address, or its network, for whose limit it counts
	expires time.Time

	redeemed time.Time // zero before
	by       string    // the redemption's id
	place    *list.Element
}

// digest is the hash of a value that may be long, or is a secret.
type digest [16]byte

func digestOf(s string) (d digest) {
	if s != "" {
		sum := sha256.Sum256([]byte(s))
		copy(d[:], sum[:])
	}
	return d
}

// redemption is a ticket with what is known about the client that presents it. If no answer comes, it is repeated under
// the same ID, and gets the same answer: a lost message does not lose the ticket.
type redemption struct {
	ID      string `json:"id"`
	Ticket  string `json:"ticket"` // without its node
	Origin  digest `json:"origin"`
	Address string `json:"address"`
	Room    string `json:"room"`
	Session string `json:"session,omitempty"` // the id of the session that came with it; "" for none
}

// tickets holds the tickets that this node has issued. Its methods may be called from any goroutine.
type tickets struct {
	lives   time.Duration
	most    int
	mostOne int

	mu     sync.Mutex
	all    map[digest]*ticket
	issued *list.List     // digests, the first to expire in front: all live equally long
	used   *list.List     // digests, the first redeemed in front
	unused map[string]int // tickets that are not redeemed, by payer
}

func newTickets(lives time.Duration) *tickets {
	return &tickets{
		lives:   lives,
		most:    mostTickets,
		mostOne: addressTickets,
		all:     map[digest]*ticket{},
		issued:  list.New(),
		used:    list.New(),
		unused:  map[string]int{},
	}
}

// issue keeps a ticket under a secret.
func (s *tickets) issue(secret string, t *ticket, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
	switch {
	case s.unused[t.payer] >= s.mostOne:
		return errAddressFull
	case len(s.all) >= s.most:
		return errTicketsFull
	}
	key := digestOf(secret)
	t.expires = now.Add(s.lives)
	t.place = s.issued.PushBack(key)
	s.all[key] = t
	s.unused[t.payer]++
	return nil
}

// redeem returns the ticket's user, and uses the ticket up, if it is valid for the client that presents it. Otherwise it
// stays valid for its owner.
func (s *tickets) redeem(r redemption, ended func(user string) bool, now time.Time) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
	key := digestOf(r.Ticket)
	t := s.all[key]
	switch {
	case t == nil || !t.goodFor(r) || ended(t.user.ID):
		return User{}, errTicketIsNone
	case !t.redeemed.IsZero() && t.by != r.ID:
		return User{}, errTicketIsNone
	case !t.redeemed.IsZero(): // the answer before was lost
		return t.user, nil
	}
	t.redeemed, t.by = now, r.ID
	s.issued.Remove(t.place)
	t.place = s.used.PushBack(key)
	s.paidLocked(t)
	return t.user, nil
}

// goodFor reports whether the client of a redemption may use the ticket.
func (t *ticket) goodFor(r redemption) bool {
	fromPage := t.origin != digest{} // a script's has none, and its WebSocket library may send one
	return t.address == r.Address &&
		(!fromPage || subtle.ConstantTimeCompare(t.origin[:], r.Origin[:]) == 1) &&
		(t.room == "" || t.room == r.Room) &&
		(r.Session == "" || r.Session == t.user.ID)
}

// sweep drops the tickets that have expired, or were redeemed a while ago.
func (s *tickets) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
}

func (s *tickets) sweepLocked(now time.Time) {
	for e := s.issued.Front(); e != nil; e = s.issued.Front() {
		t := s.all[e.Value.(digest)]
		if now.Before(t.expires) {
			break
		}
		s.paidLocked(t)
		delete(s.all, s.issued.Remove(e).(digest))
	}
	for e := s.used.Front(); e != nil; e = s.used.Front() {
		if t := s.all[e.Value.(digest)]; now.Sub(t.redeemed) < remember {
			break
		}
		delete(s.all, s.used.Remove(e).(digest))
	}
}

// paidLocked counts one unused ticket fewer.
func (s *tickets) paidLocked(t *ticket) {
	if s.unused[t.payer]--; s.unused[t.payer] == 0 {
		delete(s.unused, t.payer)
	}
}
