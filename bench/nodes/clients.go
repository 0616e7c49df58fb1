package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// clients is the Node program that runs all clients.
type clients struct {
	cmd *exec.Cmd

	mu      sync.Mutex
	in      io.Writer
	last    int
	waiting map[int]chan reply
}

type reply struct {
	ID     int             `json:"id"`
	Answer json.RawMessage `json:"answer"`
	Error  string          `json:"error"`
}

func startClients() *clients {
	c := &clients{cmd: exec.Command("node", "nodes/clients.mjs"), waiting: map[int]chan reply{}}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		log.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		log.Fatalf("%v; is Node installed?", err)
	}
	c.in = in
	go c.read(out)
	return c
}

func (c *clients) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r reply
		if err := json.Unmarshal(line, &r); err != nil {
			log.Fatalf("the clients say %.100s: %v", line, err)
		}
		c.mu.Lock()
		waits := c.waiting[r.ID]
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		waits <- r
	}
}

// does makes the clients do something, and waits for the answer.
func does[T any](c *clients, command string, how map[string]any) (answer T) {
	waits := make(chan reply, 1)
	c.mu.Lock()
	c.last++
	line := map[string]any{"id": c.last, "command": command}
	for name, value := range how {
		line[name] = value
	}
	b, err := json.Marshal(line)
	if err == nil {
		c.waiting[c.last] = waits
		_, err = c.in.Write(append(b, '\n'))
	}
	c.mu.Unlock()
	if err != nil {
		log.Fatalf("the clients do not %s: %v", command, err)
	}
	select {
	case r := <-waits:
		if r.Error != "" {
			log.Fatalf("the clients cannot %s: %s", command, r.Error)
		}
		if err := json.Unmarshal(r.Answer, &answer); err != nil {
			log.Fatalf("the clients answer %s with %.100s: %v", command, r.Answer, err)
		}
	case <-time.After(2 * patience):
		log.Fatalf("the clients do not %s in time", command)
	}
	return answer
}

// event is what happened to a client, with its time in ms.
type event struct {
	What      string  `json:"what"` // begin, end, refused, join, leave, said, heard
	At        float64 `json:"at"`
	Until     float64 `json:"until"` // of what is acknowledged: when it was, or was given up
	OK        bool    `json:"ok"`
	Reason    string  `json:"reason"` // of begin: the socket's id
	Recovered bool    `json:"recovered"`
	Room      string  `json:"room"`
	Kind      string  `json:"kind"`
	From      int     `json:"from"`
	N         int     `json:"n"`
	Node      string  `json:"node"` // of heard: the node's name; otherwise its place
	Offset    string  `json:"offset"`
}

func milliseconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1000 }
