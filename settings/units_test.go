package settings

import (
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "720h": 720 * time.Hour, "0": 0, "1.5h": 90 * time.Minute,
		"3d": 72 * time.Hour, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0,
	} {
		var got span
		if err := got.Set(text); err != nil || time.Duration(got) != want {
			t.Errorf("%s is %v, %v; want %v", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{"", "d", "3", "3 d", "3D", "1.5d", "-3d", "-1h", "3d-1h", "3dd", "d3", "1h2d", "99999d", "1w", "+1d"} {
		kept := span(time.Second)
		if err := kept.Set(text); err != errSpan || kept != span(time.Second) {
			t.Errorf("%q is taken as %v, %v", text, time.Duration(kept), err)
		}
	}
	for d, want := range map[time.Duration]string{
		720 * time.Hour: "720h", 25 * time.Second: "25s", 90 * time.Minute: "1h30m", 0: "0s", time.Hour + time.Second: "1h0m1s",
		10 * time.Minute: "10m", 100 * time.Millisecond: "100ms", 20*time.Hour + 10*time.Minute: "20h10m",
	} {
		if got := (*span)(&d).String(); got != want {
			t.Errorf("%v is written as %s, want %s", d, got, want)
		}
	}
}

// What is written is read as the same.
func FuzzTime(f *testing.F) {
	for _, text := range []string{"3d", "1d12h", "90s", "0", "9999999h", "1d1d", "2540400h10m10.1s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var first, second span
		if first.Set(text) != nil {
			return
		}
		if err := second.Set(first.String()); err != nil || first != second || first < 0 {
			t.Errorf("%q is %v, and again %v, %v", text, first.String(), second.String(), err)
		}
	})
}

// What is written is read as the same.
func FuzzSize(f *testing.F) {
	for _, text := range []string{"1", "64KiB", "1MiB", "3 GiB", "-1", "1048577"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var first, second size
		if first.Set(text) != nil {
			return
		}
		if err := second.Set(first.String()); err != nil || first != second || first < 1 {
			t.Errorf("%q is %v, and again %v, %v", text, first.String(), second.String(), err)
		}
	})
}
