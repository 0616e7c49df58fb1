package web

import (
	"container/list"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// ConnLimits limits the HTTP connections of a Server.
type ConnLimits struct {
	Most        int            // in total
	MostAddress int            // from one address: IPv4, or an IPv6 network of 64 bits
	Proxies     []netip.Prefix // each carries the connections of many clients, so these count only in total
}

// Conns limits the connections of a Server that have not been upgraded to WebSockets. When a limit is reached, it closes the
// connection that has been idle longest to make room for a new one; if none is idle, it closes the new one. It counts both
// cases, each by itself. Its methods may be called from any goroutine.
type Conns struct {
	limits      ConnLimits
	full        atomic.Uint64 // new connections closed because of limits.Most
	addressFull atomic.Uint64 // new connections closed because of limits.MostAddress
	idleClosed  atomic.Uint64 // idle connections closed because of either

	mu        sync.Mutex // guards the rest; not held while a connection is closed
	open      map[net.Conn]*openConn
	all       connGroup
	addresses map[netip.Prefix]*connGroup // only those with connections
}

// connGroup holds the open connections of all addresses, or of one.
type connGroup struct {
	conns int
	idle  list.List // of net.Conn; the longest idle one is first
}

// openConn holds what Conns knows about an open connection.
type openConn struct {
	address   netip.Prefix
	ofAddress *connGroup
	// Its elements in the lists of idle connections; nil unless it is idle.
	inAll, inAddress *list.Element
}

// NewConns returns a Conns for one Server.
func NewConns(limits ConnLimits) *Conns {
	return &Conns{
		limits:    limits,
		open:      map[net.Conn]*openConn{},
		addresses: map[netip.Prefix]*connGroup{},
	}
}

// changed is the http.Server's ConnState callback.
func (c *Conns) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateIdle:
		c.setIdle(conn, true)
	case http.StateActive:
		c.setIdle(conn, false)
	case http.StateHijacked, http.StateClosed:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removeLocked(conn)
	}
}

// add counts a new connection, and closes one if there are too many.
func (c *Conns) add(conn net.Conn) {
	addr, address := addressOf(conn)
	c.mu.Lock()
	group := c.addresses[address]
	if group == nil {
		group = new(connGroup)
	}
	closed := c.makeRoomLocked(conn, addr, group)
	if closed != conn {
		c.open[conn] = &openConn{address: address, ofAddress: group}
		c.addresses[address] = group // removeLocked may have deleted it
		c.all.conns++
		group.conns++
	}
	c.mu.Unlock()
	if closed == nil {
		return
	}
	cut(closed)
	slog.Warn("HTTP connection closed: there are too many", "remote", closed.RemoteAddr().String(), "new", closed == conn)
}

// makeRoomLocked returns the connection to close so that conn is within the limits: an older one, which it stops counting,
// conn itself, or nil if there is room.
func (c *Conns) makeRoomLocked(conn net.Conn, addr netip.Addr, group *connGroup) net.Conn {
	crowded, refused := &c.all, &c.full
	switch {
	case group.conns >= c.limits.MostAddress && !c.isProxy(addr):
		crowded, refused = group, &c.addressFull
	case c.all.conns < c.limits.Most:
		return nil
	}
	first := crowded.idle.Front()
	if first == nil {
		refused.Add(1)
		return conn
	}
	c.idleClosed.Add(1)
	oldest := first.Value.(net.Conn)
	c.removeLocked(oldest)
	return oldest
}

func (c *Conns) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(c.limits.Proxies, func(proxy netip.Prefix) bool { return proxy.Contains(addr) })
}

// setIdle records whether a connection is waiting for its next request.
func (c *Conns) setIdle(conn net.Conn, idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.open[conn]
	if known == nil { // makeRoomLocked removed it
		return
	}
	c.notIdleLocked(known)
	if idle {
		known.inAll, known.inAddress = c.all.idle.PushBack(conn), known.ofAddress.idle.PushBack(conn)
	}
}

func (c *Conns) notIdleLocked(known *openConn) {
	if known.inAll != nil {
		c.all.idle.Remove(known.inAll)
		known.ofAddress.idle.Remove(known.inAddress)
		known.inAll, known.inAddress = nil, nil
	}
}

// removeLocked stops counting a connection, if it is counted.
func (c *Conns) removeLocked(conn net.Conn) {
	known := c.open[conn]
	if known == nil {
		return
	}
	c.notIdleLocked(known)
	delete(c.open, conn)
	c.all.conns--
	if known.ofAddress.conns--; known.ofAddress.conns == 0 {
		delete(c.addresses, known.address)
	}
}

// addressOf returns a connection's address, and the prefix under which limits count it: the address itself, or, for IPv6,
// its network of 64 bits.
func addressOf(conn net.Conn) (addr netip.Addr, counted netip.Prefix) {
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		addr = remote.AddrPort().Addr().Unmap().WithZone("")
	}
	counted, _ = addr.Prefix(min(addr.BitLen(), 64)) // an error would mean too many bits
	return addr, counted
}

// cut closes a connection without a TLS close_notify alert: tls.Conn.Close would wait until the client has taken the alert.
func cut(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	conn.Close() // the goroutine that serves it sees the error
}
