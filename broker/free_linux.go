package broker

import (
	"math"
	"syscall"
)

// freeSpace is how many bytes a folder's disk takes, as far as that is known.
func freeSpace(dir string) uint64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return math.MaxUint64
	}
	return s.Bavail * uint64(s.Bsize)
}
