//go:build !race

package programtest

// race is whether the test was built with the race detector, and the program is to be.
const race = false
