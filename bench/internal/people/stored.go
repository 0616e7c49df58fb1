package people

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Stored is all that is kept of a room, oldest first.
type Stored []Message

// StoredOn asks a node for all of some rooms.
func (p *Person) StoredOn(node string, rooms []string) (map[string]Stored, error) {
	all := map[string]Stored{}
	for _, room := range rooms {
		before := uint64(1 << 52)
		for {
			page, err := p.older(node, room, before)
			if err != nil {
				return nil, err
			}
			if len(page) == 0 {
				break
			}
			all[room] = slices.Concat(page, all[room])
			before = page[0].Seq
		}
	}
	return all, nil
}

func (p *Person) older(node, room string, before uint64) ([]Message, error) {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/chat/%s/messages?limit=200&before=%d", node, room, before), nil)
	if err != nil {
		return nil, err
	}
	body, err := p.do(req, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var page struct{ Messages []Message }
	err = json.Unmarshal(body, &page)
	return page.Messages, err
}
