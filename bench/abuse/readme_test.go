package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"echows/bench/internal/attack"
	"echows/bench/internal/visit"
)

// The README beside this file gets new rows, in the right order, and keeps its other text.
func TestUpdate(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	same, err := update(string(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if same != string(text) {
		t.Error("the README has other attacks, or other limits, than there are: go run ./abuse -update -only NAME in bench mends that")
	}
	const one, two = "| `fragments` | 1 MB | all is well |", "| `noops` | 301 MB (!) | nothing is |"
	updated, err := update(string(text), map[string]string{"fragments": one, "noops": two})
	if err != nil {
		t.Fatal(err)
	}
	_, rows, after, err := table(updated, tableHead)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rows, two+"\n") || strings.Index(rows, one+"\n") < strings.Index(rows, two) {
		t.Errorf("the rows are not there, or not in their order:\n%s", rows)
	}
	if strings.Count(rows, "\n| `noops`") != 1 || strings.Count(updated, "\n") != strings.Count(same, "\n") {
		t.Error("rows are doubled, or lost")
	}
	line := after[strings.Index(after, within):]
	line = line[:strings.IndexByte(line, '\n')]
	if !strings.Contains(line, "`noops`") || strings.Contains(line, "fragments") {
		t.Errorf("got %q", line)
	}
	if _, err := update("no table", nil); err == nil {
		t.Error("a text without tables is updated")
	}
}

// The README at the top says how many attacks there are.
func TestNumberOfAttacks(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("attacks one server in %d ways", len(attack.All)); !strings.Contains(string(text), want) {
		t.Errorf("the README does not say %q", want)
	}
}

// Each broken bound is marked, and nothing else is.
func TestMarks(t *testing.T) {
	good := result{peak: 1 << 20, log: 10, news: news{tried: 5, served: 5}}
	good.during = map[string]pair{echoes: {median: mostMedian}}
	if strings.Contains(good.row(), mark) || good.broken() != nil {
		t.Errorf("%s is marked: %v", good.row(), good.broken())
	}
	for name, change := range map[string]func(*result){
		"memory":    func(r *result) { r.peak = mostMemory + 1 },
		"death":     func(r *result) { r.peak = 0 },
		"log":       func(r *result) { r.log = mostLog + 1 },
		"newcomers": func(r *result) { r.news.served-- },
		"post":      func(r *result) { r.during = map[string]pair{posts: {median: mostMedian + 1}} },
	} {
		r := good
		r.news.failed = new(visit.Tally)
		change(&r)
		if strings.Count(r.row(), mark) != 1 || len(r.broken()) != 1 {
			t.Errorf("%s: %s, %v", name, r.row(), r.broken())
		}
		if always := name == "memory" || name == "death" || name == "newcomers"; len(r.broken()) == 1 && r.broken()[0].always != always {
			t.Errorf("%s counts always: %v", name, !always)
		}
	}
}
