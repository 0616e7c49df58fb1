package lesson

import (
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Ports are a lesson's own: pages say 3000 to 3009, and these are ten others in a row.
type Ports struct {
	first int
	back  *regexp.Regexp
}

// FreePorts are ten ports that nobody listens on, below those that systems give to connections.
func FreePorts() Ports {
	for {
		first := 21_010 + 10*rand.IntN(900) // 20000 is a time in packets of Socket.IO
		if _, taken := given.LoadOrStore(first, true); !taken && areFree(first) {
			// Digits around it make it another number.
			return Ports{first, regexp.MustCompile(fmt.Sprintf(`\b%d[0-9]\b`, first/10))}
		}
	}
}

var given sync.Map // first ports of other lessons, which may not listen yet

func areFree(first int) bool {
	for port := first; port < first+10; port++ {
		l, err := net.Listen("tcp", fmt.Sprint(":", port)) // of all addresses: a program may listen on any
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// Port is what stands for 3000+n.
func (p Ports) Port(n int) int { return p.first + n }

var shownPort = regexp.MustCompile(`(:|PORT=)300([0-9])\b`)

// In puts the lesson's ports into what is typed, and into files: where 3000 stands after a colon, or after PORT=.
func (p Ports) In(text string) string {
	return shownPort.ReplaceAllStringFunc(text, func(found string) string {
		last := len(found) - 4
		return found[:last] + strconv.Itoa(p.first+int(found[len(found)-1]-'0'))
	})
}

// Out puts the ports that a page shows into what came.
func (p Ports) Out(text string) string {
	if !strings.Contains(text, strconv.Itoa(p.first/10)) {
		return text
	}
	return p.back.ReplaceAllStringFunc(text, func(found string) string { return "300" + found[len(found)-1:] })
}
