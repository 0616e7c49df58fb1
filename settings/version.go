package settings

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version returns one line that says which build this is: the module's version and the commit it was built
// from, whether files differed from that commit, Go's version, and the system. What the build did not
// record is left out; a build with -buildvcs=false has neither version nor commit.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return describe(info)
}

// ModuleVersion returns the module's version alone, such as v1.2.3, or "" if the build did not record it.
func ModuleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return moduleVersion(info)
}

func moduleVersion(info *debug.BuildInfo) string {
	if info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}

// describe is Version for the build that info describes.
func describe(info *debug.BuildInfo) string {
	recorded := map[string]string{}
	for _, s := range info.Settings {
		recorded[s.Key] = s.Value
	}
	version := moduleVersion(info)
	if version == "" {
		version = "(unknown version)"
	}
	if commit := recorded["vcs.revision"]; commit != "" {
		version += ", commit " + commit
	}
	if recorded["vcs.modified"] == "true" {
		version += ", modified"
	}
	return fmt.Sprintf("echows %s, %s, %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
