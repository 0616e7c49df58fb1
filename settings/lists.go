package settings

import (
	"errors"
	"net/netip"
	"strings"

	"echows/ws"
)

// networks is a comma-separated list of networks or single addresses.
type networks []netip.Prefix

func (n *networks) String() string {
	var all []string
	for _, one := range *n {
		all = append(all, one.String())
	}
	return strings.Join(all, ",")
}

func (n *networks) Set(text string) error {
	*n = nil
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(one)
		if addr, addrErr := netip.ParseAddr(one); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return errors.New("want networks or addresses, separated by commas, such as 10.0.0.0/8,127.0.0.1")
		}
		*n = append(*n, prefix.Masked())
	}
	return nil
}

// hosts is a comma-separated list.
type hosts []string

func (h *hosts) String() string { return strings.Join(*h, ",") }

func (h *hosts) Set(text string) error {
	all, err := list(text, ws.ParseHost)
	*h = all
	return err
}

// origins is a comma-separated list.
type origins []string

func (o *origins) String() string { return strings.Join(*o, ",") }

func (o *origins) Set(text string) error {
	all, err := list(text, ws.ParseOrigin)
	*o = all
	return err
}

// list splits text at commas, and checks each part.
func list(text string, check func(string) error) (all []string, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if err := check(one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
