package conn

import "sync"

// Log places broadcasts contiguously in memory. A connection for which several broadcasts wait then has one
// slice of bytes to write, and nothing is copied for it. The zero value is ready for use.
type Log struct {
	mu     sync.Mutex
	chunks [16][]byte // by window bits; 0 is for frames without compression
}

const (
	logChunk = 64 << 10 // bytes
	logFrame = 4 << 10  // longer frames stay where they are
)

// Place returns p with its frames in the log, for one broadcast.
func (l *Log) Place(p *Prepared) *Prepared {
	if len(p.plain) > logFrame {
		return p
	}
	return &Prepared{messages: p.messages, size: p.size, plain: l.place(0, p.plain), of: p, log: l}
}

func (l *Log) place(bits int, frames []byte) []byte {
	if len(frames) > logFrame {
		return frames
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	chunk := l.chunks[bits]
	start := len(chunk)
	if cap(chunk)-start < len(frames) {
		chunk, start = make([]byte, 0, logChunk), 0
	}
	chunk = append(chunk, frames...)
	l.chunks[bits] = chunk
	return chunk[start:] // its capacity reaches to the chunk's end: see follows
}

// follows reports whether b comes right after a, in the same chunk.
func follows(a, b []byte) bool {
	return cap(a) > len(a) && len(b) > 0 && &a[:len(a)+1][len(a)] == &b[0]
}
