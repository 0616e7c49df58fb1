// Command leader asks a NATS cluster which of its servers leads the stream of the chat, and prints the port where
// that server listens for clients, such as :3004. The environment variable NATS_URL names the servers to ask.
//
//	go run ./lessons/signal kill $(go run ./lessons/7-more-than-one-machine/leader)
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	port, err := leader(ctx, os.Getenv("NATS_URL"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "leader:", err)
		os.Exit(1)
	}
	fmt.Println(port)
}

// leader returns the leader's port. For some seconds after a leader's death there is none: it asks until there is one, or
// ctx ends.
func leader(ctx context.Context, urls string) (port string, err error) {
	if urls == "" {
		return "", errors.New("NATS_URL has to name the cluster's servers, separated by commas")
	}
	for {
		name, err := ask(ctx, urls)
		if err == nil {
			return find(strings.Split(urls, ","), name)
		}
		select {
		case <-time.After(time.Second / 4):
		case <-ctx.Done():
			return "", err
		}
	}
}

// ask returns the name of the server that leads.
func ask(ctx context.Context, urls string) (name string, err error) {
	conn, err := nats.Connect(urls, nats.Timeout(5*time.Second))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, "CHAT")
	if err != nil {
		return "", err
	}
	cluster := stream.CachedInfo().Cluster
	if cluster == nil || cluster.Leader == "" {
		return "", errors.New("nobody leads the stream CHAT")
	}
	return cluster.Leader, nil
}

// find returns the port of the server that has this name.
func find(urls []string, name string) (port string, err error) {
	for _, one := range urls {
		conn, err := nats.Connect(one, nats.Timeout(5*time.Second), nats.DontRandomize())
		if err != nil {
			continue // it is not the one that answers
		}
		connected := conn.ConnectedServerName()
		conn.Close()
		if connected != name {
			continue
		}
		u, err := url.Parse(one)
		if err != nil {
			return "", err
		}
		return ":" + u.Port(), nil
	}
	return "", fmt.Errorf("%s leads, and is none of %s", name, strings.Join(urls, ","))
}
