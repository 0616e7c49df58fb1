package broker

import (
	"math"
	"syscall"
)

// freeSpace returns how many bytes are free on a folder's disk, as far as that is known.
func freeSpace(dir string) uint64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return math.MaxUint64
	}
	return s.Bavail * uint64(s.Bsize)
}
