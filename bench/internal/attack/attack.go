// Package attack attacks a server of this repository, one attack after another: each is something that one client or
// one address can do to the others. It is for measurements on this machine, and connects only to the loopback device.
package attack

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Attack is one kind of attack.
type Attack struct {
	Name  string
	What  string        // what it does
	Limit string        // the limit that stops it
	Flags []string      // of the server, if its defaults do not include the target
	Least time.Duration // how long it takes at least; 0 if it never finishes
	run   func(*attacker)
}

// All lists all attacks, grouped by target.
var All []Attack

func init() { // the lists in the other files are complete by then
	All = slices.Concat(attachmentAttacks, sessionAttacks, namespaceAttacks, eventAttacks, recoveryAttacks, socketAttacks, chatAttacks)
}

// Choose returns the attacks with the given names, in the order of All, or all of them if names is empty.
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
