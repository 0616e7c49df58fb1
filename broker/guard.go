package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// mark is what a stream held at some moment, kept in the data folder. NATS repairs a damaged file by
// dropping what it cannot read, and does not report that reliably; the mark shows it. For a cluster's stream only the
// last sequence counts.
type mark struct {
	Last     uint64    `json:"last"`     // NATS' sequence
	Shown    uint64    `json:"shown"`    // the highest sequence seen
	Messages uint64    `json:"messages"` // how many were held
	Bytes    uint64    `json:"bytes"`
	First    time.Time `json:"first"`    // when the oldest of them was stored
	PerTopic int       `json:"perTopic"` // LogConfig's
}

func (l *Log) markFile() string {
	return filepath.Join(l.broker.config.Dir, l.config.Name+".mark")
}

// setMark writes down what the stream holds, unless the file already says so.
func (l *Log) setMark(s jetstream.StreamState) error {
	m := mark{s.LastSeq, l.highestSeen(), s.Msgs, s.Bytes, s.FirstTime, l.config.PerTopic}
	if m == l.marked || m.Shown < l.marked.Shown {
		return nil
	}
	if l.broker.server == nil && !isFolder(l.broker.config.Dir) { // a node of a cluster needs none
		return nil
	}
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	temporary := l.markFile() + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("broker: mark: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temporary, l.markFile())
	}
	if err != nil {
		return fmt.Errorf("broker: mark: %w", err)
	}
	l.marked = m
	return nil
}

// checkMark compares what the stream holds with what it held. Messages deleted by its limits are not damage.
func (l *Log) checkMark(s jetstream.StreamState, made bool) error {
	data, err := os.ReadFile(l.markFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m mark
	if err != nil || json.Unmarshal(data, &m) != nil { // a power cut may leave it empty
		l.broker.log.Warn("what the stream held cannot be compared", "file", l.markFile(), "error", err)
		return nil
	}
	l.highest = max(l.highest, m.Shown)
	if l.broker.server == nil { // guard looks after it
		return nil
	}
	grows := m.PerTopic <= l.config.PerTopic && m.Bytes < uint64(l.config.MaxBytes)/2 &&
		time.Since(m.First) < l.config.MaxAge // only damage can have made it smaller
	if s.LastSeq >= m.Last && (s.Msgs >= m.Messages || !grows) && (!made || m.Messages == 0) {
		return nil
	}
	if l.broker.config.Sync > 0 { // which lets a power cut lose the newest
		l.broker.log.Error("messages were lost, as Sync allows", "stream", l.stream, "had", m.Messages, "up to", m.Last, "has", s.Msgs, "now up to", s.LastSeq)
		return nil
	}
	return fmt.Errorf("the data folder %s is damaged: the stream %s held %d messages up to sequence %d, now %d up to %d; "+
		"restore the folder, start over with another (-data), or, to continue without what is lost, remove %s",
		l.broker.config.Dir, l.stream, m.Messages, m.Last, s.Msgs, s.LastSeq, l.markFile())
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
