// Package exercise asks nodes whether they are ready. Make its test pass:
//
//	go test ./lessons/7-more-than-one-machine/exercise
package exercise

import (
	"context"
	"net/http"
	"sync"
)

// Ready returns the nodes, such as "127.0.0.1:3001", that answer GET /readyz with 200 before ctx ends, in the order
// in which they were given. It asks all nodes at the same time, since a frozen one takes until ctx ends.
func Ready(ctx context.Context, nodes []string) []string {
	ok := make([]bool, len(nodes))
	var asked sync.WaitGroup
	for i, node := range nodes {
		asked.Go(func() { ok[i] = isReady(ctx, node) })
	}
	asked.Wait()
	var ready []string
	for i, node := range nodes {
		if ok[i] {
			ready = append(ready, node)
		}
	}
	return ready
}

func isReady(ctx context.Context, node string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+node+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
