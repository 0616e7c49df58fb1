package chat

import (
	"cmp"
	"slices"
)

// mostPeople is how many people of a room its members and other nodes learn by name.
const mostPeople = 50

// Person is somebody in a room, as others see them. Two sessions with the same name and mark are one person, since nobody
// could tell them apart.
type Person struct {
	Name string `json:"name"`
	Mark string `json:"mark"`
}

func comparePeople(a, b Person) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Mark, b.Mark))
}

// people holds the people of one room on this node, sorted. Adding or removing one takes a search and a move of those
// after it. The first fifty, which are sent after every change even in a room of thousands, need no search.
type people struct {
	sorted []present
	count  int // connections
}

// present is a person with at least one connection.
type present struct {
	Person
	connections int
}

func (p *people) find(who Person) (i int, found bool) {
	return slices.BinarySearchFunc(p.sorted, who, func(one present, who Person) int { return comparePeople(one.Person, who) })
}

func (p *people) come(who Person) {
	i, found := p.find(who)
	if !found {
		p.sorted = slices.Insert(p.sorted, i, present{Person: who})
	}
	p.sorted[i].connections++
	p.count++
}

func (p *people) leave(who Person) {
	i, found := p.find(who)
	if !found {
		return
	}
	p.count--
	if p.sorted[i].connections--; p.sorted[i].connections == 0 {
		p.sorted = slices.Delete(p.sorted, i, i+1)
	}
}

// first returns the first fifty people, or all. It is never nil.
func (p *people) first() []Person {
	all := make([]Person, 0, min(len(p.sorted), mostPeople))
	for _, one := range p.sorted[:cap(all)] {
		all = append(all, one.Person)
	}
	return all
}

// together merges lists into a sorted list of the first fifty people, each once. Since each list has the first fifty of
// its own, nobody is missing.
func together(lists ...[]Person) []Person {
	all := slices.Concat(lists...)
	slices.SortFunc(all, comparePeople)
	all = slices.Compact(all)
	return all[:min(len(all), mostPeople)]
}
