// Package attack attacks a server of this repository, in one way after the other: each is something that one client or
// one address can do to the others. It is for measuring on this machine, and connects only to the loopback device.
package attack

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Attack is one way to attack.
type Attack struct {
	Name  string
	What  string        // what it does
	Limit string        // the limit that stops it
	Flags []string      // of the server, if the defaults lack what is attacked
	Least time.Duration // how long it takes at least to finish; 0 if it never does
	run   func(*attacker)
}

// All lists all attacks, grouped by what they attack.
var All []Attack

func init() { // by then no attack refers to the list
	All = slices.Concat(attachmentAttacks, sessionAttacks, namespaceAttacks, eventAttacks, recoveryAttacks, socketAttacks, chatAttacks)
}

// Choose returns the attacks with the given names, in the order of All, or all of them if there is no name.
func Choose(names string) ([]Attack, error) {
	if names == "" {
		return All, nil
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(All, func(a Attack) bool { return a.Name == name }) {
			return nil, fmt.Errorf("no attack is called %q; -h lists them", name)
		}
	}
	return slices.DeleteFunc(slices.Clone(All), func(a Attack) bool { return !slices.Contains(wanted, a.Name) }), nil
}

// List lists the attacks, for -h.
func List(out io.Writer) {
	for _, a := range All {
		fmt.Fprintf(out, "  %s\n    \t%s.\n    \tLimit: %s.\n", a.Name, a.What, a.Limit)
	}
}
