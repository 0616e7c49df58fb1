//go:build !linux

package conn

// lot exists on Linux only; elsewhere connections rest.
type lot struct{}

func newLot(*Engine) *lot    { return nil }
func (*lot) add(*Conn) error { return nil }
func (*lot) close()          {}
