//go:build race

package programtest

// race reports whether the test was built with the race detector; the program is built like the test.
const race = true
