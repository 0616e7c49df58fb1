package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"echows/bench/internal/visit"
)

// quantity is one thing that must be the same afterwards as before.
type quantity struct {
	name    string
	metrics []string // the first that the server has counts; if it has labels, their sum
	slack   float64  // how much more it may be; -1 for no bound
	divisor float64
	unit    string
}

// heap is what the last collection found in use: the runtime begins the next when the heap is twice that plus the stacks.
// A chat's room that is used again, and the pools, may stay as they were left.
const heap = "heap in use"

var quantities = []quantity{
	{name: "goroutines", metrics: []string{"go_goroutines"}, slack: 2},
	{name: "open descriptors", metrics: []string{"process_open_fds"}, slack: 2},
	{name: "connections", metrics: []string{"echows_connections"}},
	{name: "bytes that wait", metrics: []string{"echows_buffered_bytes"}},
	{name: "bytes that wait in polling sessions", metrics: []string{"echows_socketio_buffered_bytes"}},
	{name: "bytes that wait for attachments", metrics: []string{"echows_socketio_partial_bytes"}},
	{name: "topics", metrics: []string{"echows_topics"}},
	{name: "chat rooms", metrics: []string{"echows_chat_rooms"}},
	{name: "Socket.IO sessions", metrics: []string{"echows_socketio_sessions"}},
	{name: heap, metrics: []string{"go_memstats_next_gc_bytes"}, slack: 20, divisor: 2 << 20, unit: " MB"},
	{name: "resident memory", metrics: []string{"process_resident_memory_bytes"}, slack: -1, divisor: 1 << 20, unit: " MB"},
}

func (q quantity) text(value float64) string {
	if q.divisor > 0 {
		return fmt.Sprintf("%.1f%s", value, q.unit)
	}
	return fmt.Sprintf("%.0f%s", value, q.unit)
}

// reading holds the value of each quantity.
type reading map[string]float64

// within reports whether the value after is within its bound, given the value before.
func (q quantity) within(before, after reading) bool {
	return q.slack < 0 || after[q.name] <= before[q.name]+q.slack
}

func within(before, after reading) bool {
	for _, q := range quantities {
		if !q.within(before, after) {
			return false
		}
	}
	return true
}

// gauges reads the quantities. Its methods are one goroutine's.
type gauges struct {
	*visit.Visitor
	failed int
	err    error // the last
}

func newGauges(addr string) *gauges { return &gauges{Visitor: visit.New(addr, "127.0.30.1", nil)} }

func (g *gauges) close() { g.Close() }

// read reads them, and how many collections there were.
func (g *gauges) read(ctx context.Context) (r reading, collections float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 6*visit.Patience)
	defer cancel()
	body, err := g.Ask(ctx, http.MethodGet, "/metrics", "", nil)
	if err == nil {
		r, collections, err = parse(strings.NewReader(string(body)))
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		g.failed++
		g.err = err
	}
	return r, collections, err
}

// parse reads what Prometheus would.
func parse(text io.Reader) (reading, float64, error) {
	sums := map[string]float64{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, 0, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:i], "{")
		sums[name] += value
	}
	if err := lines.Err(); err != nil {
		return nil, 0, err
	}
	r := reading{}
	for _, q := range quantities {
		value, ok := 0.0, false
		for _, name := range q.metrics {
			if value, ok = sums[name]; ok {
				break
			}
		}
		if !ok {
			return nil, 0, fmt.Errorf("/metrics has no %s", strings.Join(q.metrics, ", nor "))
		}
		if q.divisor > 0 {
			value /= q.divisor
		}
		r[q.name] = value
	}
	return r, sums["go_gc_duration_seconds_count"], nil
}

const (
	between  = 250 * time.Millisecond // between two readings while waiting
	restTime = 2 * time.Second        // without a change
)

// rest waits until what good clients left behind is gone: until nothing changes for a while, and quantities without slack
// are 0.
func (g *gauges) rest(ctx context.Context) {
	last, since := reading{}, time.Now()
	for end := time.Now().Add(settleTime); time.Now().Before(end) && ctx.Err() == nil; sleep(ctx, between) {
		r, _, err := g.read(ctx)
		if err != nil {
			continue
		}
		same := true
		for _, q := range quantities {
			if q.divisor == 0 && (r[q.name] != last[q.name] || q.slack == 0 && r[q.name] > 0) {
				same = false
			}
		}
		if !same {
			last, since = r, time.Now()
		}
		if time.Since(since) > restTime {
			return
		}
	}
}

// watch reads once a second, and returns the maximum of each.
func (g *gauges) watch(ctx context.Context, length time.Duration) reading {
	most := reading{}
	for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; sleep(ctx, min(time.Second, time.Until(end))) {
		r, _, err := g.read(ctx)
		if err != nil {
			continue
		}
		for name, value := range r {
			most[name] = max(most[name], value)
		}
	}
	return most
}

// collected reads after two collections, the second of which frees what pools held. Reading makes the garbage for them.
func (g *gauges) collected(ctx context.Context) reading {
	_, first, err := g.read(ctx)
	for end := time.Now().Add(settleTime); time.Now().Before(end) && ctx.Err() == nil; {
		r, now, readErr := g.read(ctx)
		if err != nil {
			first, err = now, readErr
			continue
		}
		if readErr == nil && now >= first+2 {
			return r
		}
	}
	return reading{}
}

// settle waits until everything is as before, or the time for that is over, and returns the state, and since when.
func (g *gauges) settle(ctx context.Context, before reading) (after reading, took time.Duration) {
	begun := time.Now()
	for ctx.Err() == nil {
		var err error
		after, _, err = g.read(ctx)
		counts := err == nil
		for _, q := range quantities {
			counts = counts && (q.divisor > 0 || q.within(before, after))
		}
		late := time.Since(begun) > settleTime
		if counts || late {
			if after = g.collected(ctx); within(before, after) || late {
				break
			}
		}
		sleep(ctx, between)
	}
	return after, time.Since(begun)
}
