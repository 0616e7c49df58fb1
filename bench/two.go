package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"echows/bench/internal/cluster"
	"echows/broker"
	"echows/socketio"
)

// Socket.IO on two nodes, each a process with half of the clients. What connects them is restarted for each
// measurement, too; only the two nodes' CPU time counts.

// withRedis starts Debian's redis-server, without storing anything on disk.
func withRedis(temp string) ([]*exec.Cmd, string) {
	socket := filepath.Join(temp, "redis")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", temp)
	run(cmd, cmd.StdoutPipe, "ready to accept connections at")
	return []*exec.Cmd{cmd}, socket
}

// withNATS builds the nats-server that this repository's go.mod names, and starts it.
func withNATS(temp string) ([]*exec.Cmd, string) {
	program := cluster.BuildNATS(temp, "..")
	cmd := exec.Command(program, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", filepath.Join(temp, "store"))
	line := run(cmd, cmd.StderrPipe, "Listening for client connections on ")
	_, addr, _ := strings.Cut(line, "connections on ")
	return []*exec.Cmd{cmd}, "nats://" + addr
}

// ourTwo is one node of ours, on the NATS server at brokerURL.
func ourTwo(l net.Listener) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := broker.Open(ctx, broker.Config{URL: os.Getenv(brokerURL), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer b.Close()
	bus, err := b.OpenBus(ctx, "bench")
	if err != nil {
		return err
	}
	return oursIO(socketio.Config{Adapter: bus})(l)
}
