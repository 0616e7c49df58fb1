//go:build !unix

package ws

// Elsewhere a socket waits in an ordinary Read and writes under a deadline.
const canTry = false

func readNow(uintptr, []byte) (int, error)  { return 0, errWouldBlock }
func writeNow(uintptr, []byte) (int, error) { return 0, errWouldBlock }
