// Package wire is the bytes of RFC 6455 and RFC 7692: the headers of frames, the rules that a peer's frames
// have to keep, masking, UTF-8, the payload of close frames, and the parameters of permessage-deflate.
//
// It has functions of bytes only: no connection, no goroutine, no clock. Both sides of a connection use it:
// a Side says whose rules apply.
package wire
