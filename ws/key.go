package ws

// A Key names a value of type T that each socket can have, for data of the connection. Declare it as a package variable,
// with NewKey.
type Key[T any] struct{ name *string }

// NewKey makes a Key that differs from all others. The name is what String returns.
func NewKey[T any](name string) Key[T] { return Key[T]{&name} }

func (k Key[T]) String() string { return *k.name }

// Set keeps v on the socket for as long as the connection lives.
func (k Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.setLocked(s, v)
}

func (k Key[T]) setLocked(s *Socket, v T) {
	if s.values == nil {
		s.values = make(map[any]any, 1)
	}
	s.values[k] = v
}

// GetOrSet returns the socket's value, or sets it to what make returns, and reports whether it did.
// make must not call methods of the socket.
func (k Key[T]) GetOrSet(s *Socket, make func() T) (v T, set bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[k].(T); ok {
		return v, false
	}
	v = make()
	k.setLocked(s, v)
	return v, true
}

// Get returns the socket's value, and whether there is one.
func (k Key[T]) Get(s *Socket) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[k].(T)
	return v, ok
}
