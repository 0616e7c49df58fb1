// Package attack does harm to a server of this repository, in one way after the other: each is what one client, or one
// address, can do to the others. It is for measuring on this machine, and connects to nothing but the loopback device.
package attack

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Attack is one way to do harm.
type Attack struct {
	Name  string
	What  string        // it does
	Limit string        // that answers it
	Flags []string      // of the server, where the defaults do not have what is attacked
	Least time.Duration // that it takes to come to its end; 0 if it has none
	run   func(*attacker)
}

// All are all attacks, by what they attack.
var All []Attack

func init() { // by then no attack refers to the list
	All = slices.Concat(attachmentAttacks, sessionAttacks, namespaceAttacks, eventAttacks, recoveryAttacks, socketAttacks, chatAttacks)
}

// Choose returns the attacks with those names, in the order of All; all of them for no name.
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
