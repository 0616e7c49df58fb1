package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// unitLines returns the unit's lines, including comments, with continued lines joined.
func unitLines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("echows.service")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.ReplaceAll(string(text), "\\\n", " "), "\n")
}

// Each flag and variable that the unit names is in the README's table of settings, which the server's own test
// compares with -h.
func TestTheUnitNamesSettingsThatExist(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(` (-[a-z-]+)`)     // in ExecStart
	comment := regexp.MustCompile(`\((-[a-z-]+)\)`)  // elsewhere
	variable := regexp.MustCompile(`^#\t([A-Z_]+)=`) // an example
	flags, variables := 0, 0
	for _, line := range unitLines(t) {
		flag := comment
		if strings.HasPrefix(line, "ExecStart=") {
			flag = command
		}
		for _, m := range flag.FindAllStringSubmatch(line, -1) {
			flags++
			if !strings.Contains(string(readme), "`"+m[1]+"`") {
				t.Errorf("README's settings have no %s:\n%s", m[1], line)
			}
		}
		if m := variable.FindStringSubmatch(line); m != nil {
			variables++
			if !strings.Contains(string(readme), "`"+m[1]+"`") {
				t.Errorf("README's settings have no %s:\n%s", m[1], line)
			}
		}
	}
	if flags < 2 || variables == 0 {
		t.Errorf("the test found %d flags and %d variables in the unit", flags, variables)
	}
}

// A comment above each line says what it is for: after a value, systemd has no comments.
func TestEachLineOfTheUnitSaysWhatItIsFor(t *testing.T) {
	before := ""
	for _, line := range unitLines(t) {
		if strings.Contains(line, "=") && !strings.HasPrefix(line, "#") {
			if name, _, _ := strings.Cut(line, "="); !strings.HasPrefix(before, "# ") && name != "Description" {
				t.Errorf("no comment above %s", line)
			}
			if strings.Contains(line, " #") {
				t.Errorf("a comment after a value is part of it: %s", line)
			}
		}
		before = line
	}
}
