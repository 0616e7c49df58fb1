// Package tests tests the whole server from outside. Each test starts the program as a process of its own, or several as nodes of
// one cluster, talks to it as clients do, and ends it as an operator does, or kills it. So these tests show what those of the
// packages cannot: that the pieces are wired together, that what is acknowledged outlasts the process, and that nodes are one
// server.
//
// What a package does is tested beside it, where a test can make time pass and faults happen. What happens inside the process
// when it starts, refuses a setting or ends is tested in server_test.go, beside server.go.
package tests
