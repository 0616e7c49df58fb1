// Package wire encodes and decodes the bytes of RFC 6455 and RFC 7692: the headers of frames, the rules that a
// peer's frames must follow, masking, UTF-8, the payload of close frames, and the parameters of permessage-deflate.
//
// Its functions work on bytes only: there is no connection, no goroutine, no clock. Both sides of a connection use
// it: a Side says whose rules apply.
package wire
