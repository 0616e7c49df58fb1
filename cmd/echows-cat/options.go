package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"echows/ws"
)

// options are what the command line says.
type options struct {
	url       string
	chat      string // the name to have in a room; "" for no chat
	n         int
	pretty    bool
	reconnect bool
	ping      bool
	quiet     time.Duration // from the end of the input
	timeout   time.Duration
	dial      ws.DialConfig
}

// readOptions reads the command line. Flags may stand before and after the URL.
func readOptions(args []string) (options, error) {
	var o options
	flags := o.flags()
	var urls []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return o, err
		}
		if args = flags.Args(); len(args) > 0 {
			urls, args = append(urls, args[0]), args[1:]
		}
	}
	if len(urls) != 1 {
		return o, fmt.Errorf("want one URL, not %d", len(urls))
	}
	o.url = urls[0]
	return o, o.check()
}

func (o *options) check() error {
	u, err := url.Parse(o.url)
	if err != nil {
		return err
	}
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss" && u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("%q is not a URL such as ws://localhost:3000/ws", o.url)
	case o.n < 0:
		return errors.New("-n must be 0 or more")
	case o.timeout <= 0:
		return errors.New("-timeout must be more than 0")
	case o.chat != "" && (o.ping || o.pretty || len(o.dial.Subprotocols) > 0):
		return errors.New("-ping, -pretty and -subprotocol cannot be used with -chat")
	}
	return nil
}

// flags defines them; the FlagSet prints nothing by itself.
func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("echows-cat", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.chat, "chat", "", "join a chat room as `NAME`, post lines, and print \"15:04 ana: text\"")
	f.IntVar(&o.n, "n", 0, "end after `N` messages; earlier messages of a room do not count")
	f.DurationVar(&o.quiet, "w", time.Second, "after the end of the input, close when no message has come for this `TIME`;\nnegative: do not close. With -n, the end of the input does not close the connection")
	f.BoolVar(&o.pretty, "pretty", false, "indent JSON, as on a terminal")
	f.BoolVar(&o.reconnect, "reconnect", false, "reconnect when the connection is lost, instead of ending")
	f.BoolVar(&o.ping, "ping", false, "ping once a second, and print the round-trip time on stderr")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "`TIME` to wait for a connection")
	f.Func("H", "send a header field, `'Name: value'`; may be repeated", o.addHeader)
	f.Func("subprotocol", "offer subprotocol `NAME`; may be repeated, in order of preference", func(name string) error {
		if !httpguts.ValidHeaderFieldName(name) {
			return errors.New("not a valid name for a subprotocol")
		}
		o.dial.Subprotocols = append(o.dial.Subprotocols, name)
		return nil
	})
	f.StringVar(&o.dial.Origin, "origin", "", "send `ORIGIN` as the origin; by default the server's own")
	f.BoolFunc("insecure", "accept any certificate", func(string) error {
		o.dial.TLS = &tls.Config{InsecureSkipVerify: true}
		return nil
	})
	f.BoolFunc("compress", "offer compression (permessage-deflate)", func(string) error {
		o.dial.Compression = ws.CompressionOn
		return nil
	})
	return f
}

func (o *options) addHeader(field string) error {
	name, value, ok := strings.Cut(field, ":")
	value = strings.TrimSpace(value)
	if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return errors.New("want 'Name: value'")
	}
	if o.dial.Header == nil {
		o.dial.Header = http.Header{}
	}
	o.dial.Header.Add(name, value)
	return nil
}

// usage is what -h prints.
func usage() string {
	var b strings.Builder
	b.WriteString(`usage: echows-cat [flags] URL

Each line of input is sent as a text message; each message received is printed on a line. JSON is indented on
a terminal, and elsewhere printed as it comes. Messages about the connection go to stderr.

  echows-cat ws://localhost:3000/ws                                 talk to it; Ctrl-C ends it
  echo '{"clicked":true}' | echows-cat -n 1 ws://localhost:3000/ws  ask one question, get one answer
  echows-cat -chat ana http://localhost:3000/chat/lobby             join a room
  date | echows-cat -chat clock -w 0 http://localhost:3000          post a line, and leave

With -chat the URL is the server's, a room's page or a room's socket; without a room in it, the room is "lobby".
A line counts as posted when it is stored; empty lines are not posted.

flags:
`)
	f := new(options).flags()
	f.SetOutput(&b)
	f.PrintDefaults()
	b.WriteString(`
exit code:
  0  this end closed the connection, at the end of input, after -n messages or on Ctrl-C;
     or the server closed it, with 1000, 1001 or no code
  1  the connection was lost or closed with another code, or a line could not be sent
  2  a flag or the URL is wrong
  3  there was no connection: the server refused the handshake, or could not be reached
`)
	return b.String()
}

// room splits the URL of a chat into the server's and the room.
func (o *options) room() (base, room string) {
	u, err := url.Parse(o.url)
	if err != nil {
		return o.url, "lobby" // checked
	}
	path := strings.TrimSuffix(u.Path, "/")
	room = "lobby"
	for _, before := range []string{"/ws/chat/", "/chat/"} {
		if i := strings.LastIndex(path, before); i >= 0 {
			path, room = path[:i], path[i+len(before):]
			break
		}
	}
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(path, "/chat"), "", ""
	return u.String(), room
}
