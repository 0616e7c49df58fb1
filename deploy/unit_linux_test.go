package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// systemd accepts every line of the unit.
func TestSystemdTakesTheUnit(t *testing.T) {
	require(t, "ECHOWS_SYSTEMD", "systemd-analyze")
	// It requires the program to exist.
	text := strings.ReplaceAll(strings.Join(unitLines(t), "\n"), "=/usr/local/bin/echows ", "=/bin/true ")
	unit := filepath.Join(t.TempDir(), "echows.service")
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, filepath.Base(unit)) { // not another unit of this machine, which it checks, too
			t.Error(line)
		}
	}
	t.Log("systemd-analyze:", err)
}
