package socketio

import (
	"encoding/json"
	"maps"
)

// A Key stores a value of type T on each socket, like socket.data in the reference. Declare it as a package variable:
//
//	var user = socketio.NewKey[User]("user")
//
// A recovered socket keeps its values. If it comes back to another node, they are transferred with encoding/json; values
// that encoding/json cannot encode are lost.
type Key[T any] struct{ name string }

// NewKey makes a Key. Two Keys with the same name share the same value, so they must have the same type.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Set sets the socket's value. With a Journal, it waits until the journal has the value, for up to two seconds.
func (k Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	if s.values == nil {
		s.values = map[string]any{}
	}
	s.values[k.name] = v
	s.mu.Unlock()
	s.save()
}

// Get returns the socket's value, and whether it has one.
func (k Key[T]) Get(s *Socket) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.values[k.name]
	if v, ok = kept.(T); ok {
		return v, true
	}
	raw, encoded := kept.(json.RawMessage) // from another node
	if !encoded || json.Unmarshal(raw, &v) != nil {
		return v, false
	}
	s.values[k.name] = v
	return v, true
}

// Delete removes the socket's value. With a Journal, it waits like Set.
func (k Key[T]) Delete(s *Socket) {
	s.mu.Lock()
	delete(s.values, k.name)
	s.mu.Unlock()
	s.save()
}

// encodeValues encodes the socket's values for other nodes.
func (s *Socket) encodeValues() map[string]json.RawMessage {
	s.mu.Lock()
	values := maps.Clone(s.values) // encode without the lock: a MarshalJSON method may call the socket
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
