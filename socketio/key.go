package socketio

import "encoding/json"

// A Key stores a value of type T on each socket, like socket.data in the reference. Declare it as a package variable:
//
//	var user = socketio.NewKey[User]("user")
//
// A recovered socket keeps its values. If it comes back to another node, it has what encoding/json made of them when they were
// set: after changing what a value points to, set it again. Values that encoding/json cannot encode are lost.
type Key[T any] struct{ name string }

// value is a value of a socket. It is encoded in the goroutine that sets it: the application may change what it points to.
type value struct {
	v   any             // nil if it came from another node and was not used yet
	raw json.RawMessage // nil if it cannot be encoded
}

// NewKey makes a Key. Two Keys with the same name share the same value, so they must have the same type.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Set sets the socket's value. With a Journal, it waits until the journal has the value, for up to two seconds.
func (k Key[T]) Set(s *Socket, v T) {
	raw, err := json.Marshal(v)
	if err != nil {
		raw = nil
	}
	s.mu.Lock()
	if s.values == nil {
		s.values = map[string]value{}
	}
	s.values[k.name] = value{v, raw}
	s.mu.Unlock()
	s.save()
}

// Get returns the socket's value, and whether it has one.
func (k Key[T]) Get(s *Socket) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.values[k.name]
	if v, ok = kept.v.(T); ok {
		return v, true
	}
	if kept.raw == nil || json.Unmarshal(kept.raw, &v) != nil {
		return v, false
	}
	s.values[k.name] = value{v, kept.raw}
	return v, true
}

// Delete removes the socket's value. With a Journal, it waits like Set.
func (k Key[T]) Delete(s *Socket) {
	s.mu.Lock()
	delete(s.values, k.name)
	s.mu.Unlock()
	s.save()
}

// encodeValues returns the socket's values, encoded for other nodes.
func (s *Socket) encodeValues() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return encodeValues(s.values)
}

func encodeValues(values map[string]value) map[string]json.RawMessage {
	encoded := make(map[string]json.RawMessage, len(values))
	for name, v := range values {
		if v.raw != nil {
			encoded[name] = v.raw
		}
	}
	return encoded
}
