package broker

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skip("cannot mount a small disk here:", err)
	}
	defer syscall.Unmount(dir, 0)
	_, err := Open(testContext(t), Config{Dir: filepath.Join(dir, "data")})
	if err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("got %v", err)
	}
}
