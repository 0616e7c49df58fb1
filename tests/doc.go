// Package tests has the tests of the whole server from outside: each starts the program as a process of its own, often several
// of them, and is its client, by what the documents promise. It ends a process as an operator does or kills it, and so these tests
// see what those in the packages cannot: that the pieces are wired, that what is acknowledged outlasts the process, and that
// nodes are one server.
//
// What a package does by itself is tested there, where time and faults can be the test's own; what a start, a wrong setting and an
// end do inside the process, in server_test.go beside server.go.
package tests
