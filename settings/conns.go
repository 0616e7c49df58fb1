package settings

import "math"

// HTTPLimits are how many HTTP connections there may be that are no WebSockets, or not yet: in all, and of one address. The
// others of the files that the process may have open are for WebSockets and for the disk. An address may have as many as
// it may have sockets, since each is an HTTP connection first and a client that polls stays one; unless that is more than
// by default, which says that one address has many clients, no more than a quarter of all.
func (set *Settings) HTTPLimits() (all, ofAddress int) { return set.httpLimits(mostFiles()) }

func (set *Settings) httpLimits(files uint64) (all, ofAddress int) {
	all = HTTPConns
	if files > 0 {
		all = int(max(1, min(HTTPConns, files/3)))
	}
	sockets, byDefault := set.AddressSockets, Defaults().AddressSockets
	if sockets == 0 { // no limit
		sockets = math.MaxInt
	}
	ofAddress = min(max(AddressHTTPConns, sockets), all)
	if sockets <= byDefault {
		ofAddress = max(1, min(ofAddress, all/4))
	}
	return all, ofAddress
}
