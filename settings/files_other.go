//go:build !unix

package settings

// mostFiles is how many files and connections this process may have open, or 0 where that is not known.
func mostFiles() uint64 { return 0 }
