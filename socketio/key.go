package socketio

import (
	"encoding/json"
	"maps"
)

// A Key is a place for a value of type T on every socket: what is socket.data in the reference. Declare one as a
// package variable:
//
//	var user = socketio.NewKey[User]("user")
//
// Values come back with a socket that recovers. On another node they went through encoding/json; one that it cannot
// encode stays behind.
type Key[T any] struct{ name string }

// NewKey makes a Key. Two of one name are one place, so they are to have one type.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Set keeps v on the socket for as long as it lives, or can come back.
func (k Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	if s.values == nil {
		s.values = map[string]any{}
	}
	s.values[k.name] = v
	s.mu.Unlock()
	s.save()
}

// Get returns the socket's value, and whether there is one.
func (k Key[T]) Get(s *Socket) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.values[k.name]
	if v, ok = kept.(T); ok {
		return v, true
	}
	raw, encoded := kept.(json.RawMessage) // it came from another node
	if !encoded || json.Unmarshal(raw, &v) != nil {
		return v, false
	}
	s.values[k.name] = v
	return v, true
}

// Delete removes the socket's value.
func (k Key[T]) Delete(s *Socket) {
	s.mu.Lock()
	delete(s.values, k.name)
	s.mu.Unlock()
	s.save()
}

// encodeValues is what other nodes are told of the socket's values.
func (s *Socket) encodeValues() map[string]json.RawMessage {
	s.mu.Lock()
	values := maps.Clone(s.values) // what encodes them may ask the socket
	s.mu.Unlock()
	return encodeValues(values)
}

func encodeValues(values map[string]any) map[string]json.RawMessage {
	encoded := make(map[string]json.RawMessage, len(values))
	for name, v := range values {
		if raw, err := json.Marshal(v); err == nil {
			encoded[name] = raw
		}
	}
	return encoded
}
