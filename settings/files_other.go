//go:build !unix

package settings

// mostFiles returns how many files and connections this process may have open, or 0 if that is not known.
func mostFiles() uint64 { return 0 }
