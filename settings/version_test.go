package settings

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionSaysWhatTheBuildRecorded(t *testing.T) {
	system := ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	build := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for _, s := range settings {
			key, value, _ := strings.Cut(s, "=")
			info.Settings = append(info.Settings, debug.BuildSetting{Key: key, Value: value})
		}
		return info
	}
	for _, c := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"a release", build("v1.2.3", "vcs.revision=e58740e", "vcs.modified=false"), "echows v1.2.3, commit e58740e" + system},
		{"a changed clone", build("v0.0.0-1-e58740e+dirty", "vcs.revision=e58740e", "vcs.modified=true"), "echows v0.0.0-1-e58740e+dirty, commit e58740e, modified" + system},
		{"a module from a proxy", build("v1.2.3"), "echows v1.2.3" + system},
		{"a build with -buildvcs=false", build("(devel)"), "echows (unknown version)" + system},
		{"a build that recorded nothing", build(""), "echows (unknown version)" + system},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := describe(c.info); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestVersionOfThisBuildIsOneLine(t *testing.T) {
	if got := Version(); !strings.HasPrefix(got, "echows ") || strings.ContainsAny(got, "\r\n") || !strings.Contains(got, runtime.Version()) {
		t.Errorf("got %q", got)
	}
}
