// Package tests tests the whole server from outside. Each test starts the program as a separate process, or several processes
// as nodes of a cluster, talks to it as clients do, and stops it as an operator does, or kills it. So these tests show what
// tests of packages cannot: that the packages work together, that acknowledged messages outlast the process, and that the
// nodes of a cluster act as one server.
//
// The behaviour of a package is tested in the package, where tests can control time and cause faults. How the process starts,
// refuses settings and ends is tested in server_test.go, next to server.go.
package tests
