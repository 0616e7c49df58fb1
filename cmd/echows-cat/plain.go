package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"echows/client"
	"echows/ws"
)

// plain is a connection without a chat.
type plain struct {
	*client.Conn
	cat   *cat
	ready chan struct{} // holds one when there is a new connection
	pings sync.WaitGroup
}

func (c *cat) connect() session {
	p := &plain{cat: c, ready: make(chan struct{}, 1)}
	made := make(chan struct{})
	p.Conn = client.Connect(context.Background(), client.URL(c.options.url), client.Config{
		Dial:    c.options.dial,
		Timeout: c.options.timeout,
		OnOpen:  p.open,
		OnMessage: func(m ws.Message) error {
			c.received(c.printer.format(m), true)
			return nil
		},
		OnState: c.state(func() { <-made; p.close() }),
	})
	close(made)
	return p
}

func (p *plain) open(s *ws.Socket) error {
	if s.Subprotocol() != "" {
		p.cat.say("subprotocol: %s", s.Subprotocol())
	}
	select {
	case p.ready <- struct{}{}:
	default:
	}
	if p.cat.options.ping {
		p.ping(s)
	}
	return nil
}

func (p *plain) close() { p.Close(ws.CloseNormal, "") }

func (p *plain) wait() {
	<-p.Done()
	p.pings.Wait()
}

func (p *plain) send(ctx context.Context, line string) error {
	for {
		err := p.SendText(line)
		if !errors.Is(err, client.ErrNotConnected) {
			return err
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pingEvery is the time between two pings.
const pingEvery = time.Second

// ping pings, and prints the round-trip times, until the connection ends.
func (p *plain) ping(s *ws.Socket) {
	var mu sync.Mutex
	var number int // of the last ping
	var at time.Time
	s.OnPong(func(data []byte) {
		mu.Lock()
		defer mu.Unlock()
		if string(data) == strconv.Itoa(number) {
			p.cat.say("ping: %v", time.Since(at).Round(time.Microsecond))
		}
	})
	send := func() error {
		mu.Lock()
		number++
		at = time.Now()
		payload := strconv.AppendInt(nil, int64(number), 10)
		mu.Unlock()
		return s.Ping(payload)
	}
	p.pings.Go(func() {
		ticker := time.NewTicker(pingEvery)
		defer ticker.Stop()
		for send() == nil {
			select {
			case <-ticker.C:
			case <-s.Done():
				return
			}
		}
	})
}
