package socketio

import (
	"encoding/json"
	"maps"
)

// A Key is a place for a value of type T on every socket, as socket.data in the reference. Declare it as a package variable:
//
//	var user = socketio.NewKey[User]("user")
//
// A socket that is recovered has its values again. If it comes back on another node, they have passed through encoding/json;
// values that encoding/json cannot encode are lost then.
type Key[T any] struct{ name string }

// NewKey makes a Key. Two Keys with the same name are the same place, so they must have the same type.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Set sets the socket's value, which is kept as long as the socket lives or can come back.
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

// encodeValues encodes the socket's values for other nodes.
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
