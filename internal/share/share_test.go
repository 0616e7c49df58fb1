package share

import "testing"

func TestBudget(t *testing.T) {
	b := New(100)
	for _, c := range []struct {
		address string
		n       int
		want    Refusal
	}{
		{"a", 26, Address}, {"a", 20, None}, {"a", 6, Address}, {"a", 5, None}, {"b", 25, None}, {"c", 25, None}, {"d", 20, None}, {"e", 6, All}, {"e", 4, None},
	} {
		if got := b.Try(c.address, c.n); got != c.want {
			t.Errorf("%s takes %d: %v", c.address, c.n, got)
		}
	}
	if b.Ask("a", 1) != Address || b.Ask("a", 0) != None || b.Ask("d", 1) != None || b.Ask("d", 2) != All || b.Used() != 99 {
		t.Errorf("a %v, d %v, %v, %d", b.Ask("a", 1), b.Ask("d", 1), b.Ask("d", 2), b.Used())
	}
	if all, address := b.Refused(); all != 1 || address != 2 {
		t.Errorf("%d and %d were refused", all, address)
	}
	b.Add("d", 30)
	if b.Ask("f", 1) != All || b.Ask("a", 1) != Address {
		t.Errorf("where there is no room: f %v, a %v", b.Ask("f", 1), b.Ask("a", 1))
	}
	if why := b.Try("f", 1); why != All {
		t.Errorf("f: %v", why)
	}
	if why := b.Try("a", 1); why != Address {
		t.Errorf("a: %v", why)
	}
	for address, n := range map[string]int{"a": 25, "b": 25, "c": 25, "d": 50, "e": 4} {
		b.Add(address, -n)
	}
	if b.Used() != 0 || len(b.of) != 0 {
		t.Errorf("%d bytes of %d addresses are left", b.Used(), len(b.of))
	}
}
