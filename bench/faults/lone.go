package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// killLone kills a node that keeps its messages itself, several times.
func killLone(s *stage) {
	for range 4 {
		s.during(s.all(), func() {
			s.end(0, syscall.SIGKILL)
			s.start(0)
			s.await(0)
		})
		time.Sleep(2 * time.Second)
	}
}

// diskSize is the size of the data folder's disk, in the run where it fills up.
const diskSize = "size=96m"

// needsMount returns why the data folder cannot be a disk of its own, or "".
func needsMount() string {
	dir, err := os.MkdirTemp("", "echows-mount-")
	if err != nil {
		return err.Error()
	}
	defer os.Remove(dir)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, diskSize); err != nil {
		return fmt.Sprintf("a small disk cannot be mounted (%v): it needs root", err)
	}
	syscall.Unmount(dir, 0)
	return ""
}

// fillDisk fills the disk of the data folder, and makes room again. The node must go on without a restart.
func fillDisk(s *stage) {
	s.during(s.all(), func() {
		name := filepath.Join(s.data, "filler")
		fill(name)
		time.Sleep(s.long(10*time.Second, 6*time.Second))
		if sample := askReady(s.nodes[0]); sample.ready {
			s.blame("the node is ready while its disk is full")
		} else {
			log.Printf("disk: while it is full the node says %s", sample.said)
		}
		if err := os.Remove(name); err != nil {
			log.Fatal(err)
		}
		if begun := time.Now(); s.await(0) {
			log.Printf("disk: ready %v after there is room again", time.Since(begun).Round(time.Millisecond))
			return
		}
		s.end(0, syscall.SIGKILL) // so that the stored messages can be read
		s.start(0)
		s.await(0)
	})
	time.Sleep(2 * time.Second)
}

// fill writes until there is no room.
func fill(name string) {
	f, err := os.Create(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for part := make([]byte, 64<<10); len(part) > 0; {
		if _, err = f.Write(part); errors.Is(err, syscall.ENOSPC) {
			part = part[:len(part)/2] // down to the last byte
		} else if err != nil {
			log.Fatal(err)
		}
	}
}

func mount(s *stage) {
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		log.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, diskSize); err != nil {
		log.Fatal(err)
	}
}

func unmount(s *stage) {
	if err := syscall.Unmount(s.data, syscall.MNT_DETACH); err != nil {
		log.Print(err)
	}
}

// removeFolder removes the data folder while the node runs, and restarts the node. Nothing acknowledged after the removal
// may be lost, so nothing may be acknowledged.
func removeFolder(s *stage) {
	s.during(s.all(), func() {
		if err := os.RemoveAll(s.data); err != nil {
			log.Fatal(err)
		}
		s.removed.from = time.Now()
		time.Sleep(8 * time.Second)
		if sample := askReady(s.nodes[0]); sample.ready {
			s.blame("the node is ready without its data folder")
		} else {
			log.Printf("folder: without it the node says %s", strings.TrimSpace(sample.said))
		}
		s.end(0, syscall.SIGKILL)
		s.removed.to = time.Now()
		s.start(0)
		s.await(0)
	})
	time.Sleep(3 * time.Second)
}
