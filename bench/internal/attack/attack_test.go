package attack

import "testing"

func TestChoose(t *testing.T) {
	if all, err := Choose(""); err != nil || len(all) != len(All) {
		t.Errorf("no name chooses %d, %v", len(all), err)
	}
	some, err := Choose("posts,noops")
	if err != nil || len(some) != 2 || some[0].Name != "noops" || some[1].Name != "posts" {
		t.Errorf("two names choose %v, %v", some, err)
	}
	if _, err := Choose("noops,nothing"); err == nil {
		t.Error("a name that no attack has chooses something")
	}
	if len(All) == 0 {
		t.Error("there is no attack")
	}
}

// Each attack has a name of its own, and everything that is printed about it.
func TestAttacks(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range All {
		if a.Name == "" || a.What == "" || a.Limit == "" || a.run == nil || seen[a.Name] {
			t.Errorf("%q is incomplete, or there twice", a.Name)
		}
		seen[a.Name] = true
	}
}

// Only the exact arguments of Send start an attack.
func TestServe(t *testing.T) {
	for _, args := range [][]string{nil, {"-h"}, {childWord}, {"serve", "noops", "127.0.0.1:1", "1s", "0"}} {
		if Serve(args) {
			t.Errorf("%q attacks", args)
		}
	}
}
