package main

import (
	"context"
	"time"

	"echows/bench/internal/visit"
)

// Newcomers: clients that come, are served once by everything that the server does, and leave.

const newcomerPause = 2 * time.Second // between two rounds of them

func (c *company) newcomers() {
	k := c.kind("newcomers, once each", len(visit.Newcomers))
	i := 0
	for what, come := range visit.Newcomers {
		place := i
		i++
		c.all.Go(func() {
			for c.enough.Err() == nil {
				v := c.from(20, place)
				ctx, cancel := context.WithTimeout(c.ctx, answerTime)
				k.sent.Add(1)
				if err := come(ctx, v); err == nil {
					k.heard.Add(1)
				} else if c.ctx.Err() == nil {
					k.broken.Add(1)
					k.loses(1, what+": "+visit.Describe(err))
				}
				cancel()
				v.Close()
				sleep(c.enough, newcomerPause)
			}
		})
	}
}
