//go:build unix && !linux

package lesson

// left finds nothing here: only Linux tells what is in the environment of a process.
func left(string) []string { return nil }
