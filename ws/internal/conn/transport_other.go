//go:build !unix

package conn

// Elsewhere a connection waits in an ordinary Read and writes under a deadline.
const canTry = false

func readNow(uintptr, []byte) (int, error)      { return 0, errWouldBlock }
func writeNow(uintptr, *[2][]byte) (int, error) { return 0, errWouldBlock }
func isReadable(uintptr) bool                   { return true }
func hungUp(uintptr) bool                       { return false }
