package settings

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// size is a number of bytes, written as 1048576, 1024KiB or 1MiB.
type size int64

var units = []struct {
	name  string
	bytes size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

func (s *size) String() string {
	for _, unit := range units {
		if *s > 0 && *s%unit.bytes == 0 {
			return strconv.FormatInt(int64(*s/unit.bytes), 10) + unit.name
		}
	}
	return "0"
}

func (s *size) Set(text string) error {
	for _, unit := range units {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 1 || n > 1<<50/int64(unit.bytes) {
			break
		}
		*s = size(n) * unit.bytes
		return nil
	}
	return errors.New("want bytes, such as 65536, 64KiB or 1MiB")
}

// span is a duration, written as in Go or with days: 90s, 1h30m, 30d, 1d12h. A day has 24 hours.
type span time.Duration

const (
	day      = 24 * time.Hour
	mostDays = 36_500
)

var errSpan = errors.New("want a time, such as 90s, 12h or 30d")

// String leaves out zeros, as people do: 720h, not 720h0m0s.
func (s *span) String() string {
	text := time.Duration(*s).String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

func (s *span) Set(text string) error {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > mostDays {
		return errSpan
	}
	var d time.Duration
	if rest != "" || !ok {
		if d, err = time.ParseDuration(rest); err != nil || d < 0 || d > mostDays*day {
			return errSpan
		}
	}
	*s = span(time.Duration(n)*day + d)
	return nil
}

// syncTime is how often messages are synced to disk; 0 is always.
type syncTime time.Duration

func (s *syncTime) String() string {
	if *s == 0 {
		return "always"
	}
	return (*span)(s).String()
}

func (s *syncTime) Set(text string) error {
	if text == "always" {
		*s = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 10*time.Millisecond || d > time.Hour {
		return errors.New("want always, or a time from 10ms to 1h, such as 1s")
	}
	*s = syncTime(d)
	return nil
}

// level is a level of log/slog, written in lower case.
type level slog.Level

func (l *level) String() string { return strings.ToLower(slog.Level(*l).String()) }

func (l *level) Set(text string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(text)) != nil {
		return errors.New("want debug, info, warn or error")
	}
	return nil
}
