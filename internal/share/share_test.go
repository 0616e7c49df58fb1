package share

import "testing"

func TestBudget(t *testing.T) {
	b := New(100)
	for _, c := range []struct {
		address string
		n       int
		want    bool
	}{
		{"a", 26, false}, {"a", 20, true}, {"a", 6, false}, {"a", 5, true}, {"b", 25, true}, {"c", 25, true}, {"d", 20, true}, {"e", 6, false}, {"e", 4, true},
	} {
		if got := b.Take(c.address, c.n); got != c.want {
			t.Errorf("%s takes %d: %v", c.address, c.n, got)
		}
	}
	if b.Fits("a", 1) || !b.Fits("a", 0) || !b.Fits("d", 1) || b.Fits("d", 2) || b.Used() != 99 {
		t.Errorf("a %v, d %v, %d", b.Fits("a", 1), b.Fits("d", 1), b.Used())
	}
	if all, address := b.Refused(); all != 1 || address != 2 {
		t.Errorf("%d and %d were refused", all, address)
	}
	b.Add("d", 30)
	if b.Fits("f", 1) || b.Take("f", 1) {
		t.Error("f finds room where there is none")
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
