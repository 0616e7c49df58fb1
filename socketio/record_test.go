package socketio_test

import (
	"errors"
	"testing"
	"time"

	"echows/socketio"
)

// firstTopic is a node of a mesh whose journal has no entries in any topic but the first.
type firstTopic struct {
	*meshNode
	topic string
}

func (f *firstTopic) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	if f.topic == "" {
		f.topic = topic
		return f.meshNode.Follow(topic, reset, deliver, hole, ready)
	}
	f.work <- func() { reset(f.epoch); ready(0) }
	return func() {}, nil
}

// A client cannot use the pid of its socket in one namespace to enter another without the latter's Use functions, or with the
// former's rooms.
func TestAPidIsForItsNamespace(t *testing.T) {
	m := newMesh(t)
	n := &firstTopic{meshNode: &meshNode{mesh: m, name: "node0000"}}
	m.nodes = append(m.nodes, n.meshNode)
	s := start(t, socketio.Config{Recovery: time.Minute, RecoverySkipsUse: true, Adapter: n, Journal: n})
	s.io.OnConnect(func(one *socketio.Socket) error { return one.Join("operators") })
	s.io.Of("/admin").Use(func(*socketio.Socket) error { return errors.New("forbidden") })
	p, who := s.comeBack(comingBack{})
	m.settle()
	m.mu.Lock()
	if len(m.values) != 1 {
		t.Fatalf("%d records are kept", len(m.values))
	}
	m.mu.Unlock()
	p.send(`40/admin,{"pid":"` + who.PID + `"}`)
	p.expect(`44/admin,{"message":"forbidden"}`)
}
