package settings

import "math"

// HTTPLimits returns how many HTTP connections there may be that are not (yet) WebSockets: in total, and from one address.
// The rest of the files that the process may open are for WebSockets and for the disk. An address may have as many as it
// may have sockets, since each is an HTTP connection first and a polling client stays one; but no more than a quarter of
// all, unless the limit of sockets is above its default, which means that one address has many clients.
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
