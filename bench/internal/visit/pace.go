package visit

import (
	"context"
	"io"
	"net"

	"golang.org/x/time/rate"
)

// What a pace counts: a write as one, plus one for each writePart bytes of it, and a connection as several.
const (
	writePart  = 4096
	connection = 20
)

// Pace bounds what the connections of some visitors do together, in all protocols. Any goroutine may use it.
type Pace struct{ limiter *rate.Limiter }

// NewPace lets connections write perSecond times a second, in bursts of a second's worth. It returns nil, no bound, for 0.
func NewPace(perSecond int) *Pace {
	if perSecond == 0 {
		return nil
	}
	return &Pace{rate.NewLimiter(rate.Limit(perSecond), perSecond)}
}

func (p *Pace) wait(ctx context.Context, n int) error {
	return p.limiter.WaitN(ctx, min(n, p.limiter.Burst()))
}

// dial returns d's dial function, at the pace.
func (p *Pace) dial(d *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if p == nil {
		return d.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := p.wait(ctx, connection); err != nil {
			return nil, err
		}
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &paced{conn.(*net.TCPConn), p}, nil
	}
}

// paced is a connection whose writes wait for their turn.
type paced struct {
	*net.TCPConn
	pace *Pace
}

func (c *paced) Write(b []byte) (int, error) {
	if err := c.pace.wait(context.Background(), 1+len(b)/writePart); err != nil {
		return 0, err
	}
	return c.TCPConn.Write(b)
}

// ReadFrom copies by calling Write, which TCPConn's ReadFrom would bypass.
func (c *paced) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{c}, r) }
