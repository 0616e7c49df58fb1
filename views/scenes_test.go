package views_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"echows/ws"
)

// looks sets the page's size and colours. It turns off all motion, so that measurements and pictures show its end.
func (b *browser) looks(width, height int64, scheme string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height))
}

// writtenRoom is a room with every kind of text: code, both directions, links, several lines.
func writtenRoom() []said {
	messages := append([]said{}, livelyRoom...)
	return append(messages,
		said{Seq: 12, ID: "12", From: "Max Ben", Mark: "a2b3", Text: "Run `go test ./views`, or all of it:\n```\ngo vet ./...\ngo test ./...\n```", At: at(21, 10, 9)},
		said{Seq: 13, ID: "13", From: "נועם", Mark: "w7hd", Text: "אני מביא סלט", At: at(21, 10, 11)},
		said{Seq: 14, ID: "14", From: "ana", Mark: "k3f7", Text: "Thanks! `all green` here", At: at(21, 10, 12)},
	)
}

// tenPeople are the speakers in the busy room.
var tenPeople = []struct{ name, mark string }{
	{"ana", "q2xa"}, {"Béa", "m5tz"}, {"Jonas", "c4ub"}, {"ana", "k3f7"}, {"נועם", "w7hd"}, {"Max Ben", "a2b3"},
	{"Zoë of the Upper Kitchen Cabinet", "x6rr"}, {"李小龍", "p2kk"}, {"D. J. O’Neill", "o3de"}, {"👩‍🍳 cook", "f4ee"},
}

// busyRoom is a room in which ten people speak, some at length.
func busyRoom() (messages []said) {
	texts := []string{
		"Morning!", "Does anybody know whether the oven in the small kitchen works again? It did not on Thursday.",
		strings.Repeat("It takes a night to rise, so whoever wants to bake along has to begin this evening. ", 12),
		"No.", "Yes, since yesterday", "https://example.com/" + strings.Repeat("a-path-without-an-end/", 12),
		strings.Repeat("Wortzusammensetzung", 15), "one\ntwo\nthree\nfour\nfive", "👍", "Then I will come at eight, if nobody minds, and bring my own tin.",
	}
	for i := range 30 {
		one := tenPeople[i*7%len(tenPeople)]
		messages = append(messages, said{Seq: i + 1, ID: fmt.Sprint("busy-", i), From: one.name, Mark: one.mark, Text: texts[i*3%len(texts)], At: at(22, 8, 2*i)})
	}
	return messages
}

// crowd is a presence of a hundred and twenty connections, of which a server names fifty.
func crowd() string {
	var people []string
	for i := range 50 {
		one := tenPeople[i%len(tenPeople)]
		people = append(people, fmt.Sprintf(`{"name":%q,"mark":%q}`, one.name, one.mark[:3]+string(rune('a'+i/len(tenPeople)))))
	}
	return `{"type":"presence","count":120,"people":[` + strings.Join(people, ",") + `]}`
}

// longestRoom is a room with the longest valid name.
const longestRoom = "the-room-for-those-who-are-late-for-everything-in-the-upper-hall"

// scenes are all pages in all their states, each shown in a browser that already has its size and colours.
func scenes(t *testing.T, b *browser, show func(name string)) {
	addr, stop := start(t, build(t), "127.0.0.1:0")
	base := "http://" + addr
	noWaits := `Math.random = () => 100, true` // the first wait is fifty seconds

	b.do(chromedp.Navigate(base))
	b.until(connected + " && " + enabled)
	b.do(chromedp.Click("#websocket-button"))
	b.until(replies + " === 2")
	show("first-lesson")
	b.openWire()
	b.row("answers")
	show("first-lesson-wire")
	b.press("Close")
	evaluate[bool](b, noWaits)
	b.drop()
	show("first-lesson-waiting")

	for name, path := range map[string]string{"error-room": "/chat/Bad%20Room", "error": "/nothing"} {
		b.do(chromedp.Navigate(base + path))
		show(name)
	}

	f := newFakeChat(t)
	f.over.Store(true)
	b.do(chromedp.Navigate(f.url))
	b.until(`document.querySelector("#sign-in").checkVisibility()`)
	show("chat-signed-out")
	f.over.Store(false)
	b.do(chromedp.Navigate(f.url+"-2"), chromedp.Navigate(f.url)) // to have rooms to list
	m := f.nextIn("kitchen")
	m.history(writtenRoom()...)
	m.say(fivePeople)
	b.said(14)
	b.catchTimers(4_000)
	m.say(`{"type":"typing","from":"Jonas","mark":"c4ub"}`)
	b.until(typingLine + ` !== ""`)
	b.do(chromedp.SendKeys("#text", "My "))
	show("chat")
	b.do(chromedp.Click("#rename"))
	b.until(`document.querySelector("#sign-in").checkVisibility()`)
	show("chat-name")
	b.do(chromedp.KeyEvent("\u001b"))
	b.until(`!document.querySelector("#sign-in").checkVisibility()`)
	evaluate[bool](b, `(() => {
		text.value = "x".repeat(2023);
		text.dispatchEvent(new Event("input"));
		return true;
	})()`)
	show("chat-too-long")
	evaluate[bool](b, noWaits)
	m.socket.Close(1012, "service restart")
	b.until(waiting)
	evaluate[bool](b, `(() => {
		text.value = "Said while nobody listened";
		composer.requestSubmit();
		return true;
	})()`)
	b.until(pendingCount + ` === 1`)
	show("chat-waiting")
	if evaluate[bool](b, `innerWidth < 1000`) {
		b.do(chromedp.Click("#presence"))
		b.until(drawer)
		show("chat-drawer")
	}

	b.do(chromedp.Navigate(strings.Replace(f.url, "kitchen", longestRoom, 1)))
	m = f.nextIn(longestRoom)
	m.history(busyRoom()...)
	m.say(crowd())
	b.said(30)
	b.hidden(true)
	for i := range 3 {
		m.message(said{Seq: 31 + i, ID: fmt.Sprint("unseen-", i), From: tenPeople[i].name, Mark: tenPeople[i].mark, Text: "Said while nobody looked", At: at(22, 9, 30)})
	}
	b.said(33)
	b.catchTimers(4_000)
	b.hidden(false)
	for _, one := range tenPeople[4:7] {
		m.say(fmt.Sprintf(`{"type":"typing","from":%q,"mark":%q}`, one.name, one.mark))
	}
	b.until(typingLine + `.includes(" and ")`)
	show("chat-busy")
	if evaluate[bool](b, `innerWidth < 1000`) {
		b.do(chromedp.Click("#presence"))
		b.until(drawer)
		show("chat-busy-drawer")
		b.do(chromedp.KeyEvent("\u001b"))
	}
	b.openWire()
	b.row("typing")
	b.do(chromedp.Focus("#text"))
	show("chat-busy-wire")
	b.press("Close")
	f.over.Store(true)
	m.socket.Close(ws.ClosePolicyViolation, "signed out")
	b.until(`document.querySelector("#connection").dataset.state === "stopped"`)
	show("chat-refused")
	f.over.Store(false)

	b.do(chromedp.Navigate(base + "/rooms"))
	b.until(connected)
	b.enter(card("/", ".say input"), "hello, hall")
	b.shows(card("/", ".log"), "hello, hall")
	b.enter(card("/", ".join input"), "kitchen")
	b.until(fmt.Sprintf(`document.querySelector(%q) !== null`, card("/", `[data-room="kitchen"]`)))
	b.enter(card("/", `[data-room="kitchen"] input`), "only for cooks")
	b.shows(card("/", ".log"), "only for cooks")
	b.do(chromedp.Click(card("/garden", ".trip button")))
	b.shows(card("/garden", ".trip output"), " ms")
	evaluate[bool](b, `scrollTo(0, 0), true`)
	show("rooms")
	b.openWire()
	b.row("ACK")
	show("rooms-wire")
	b.press("Close")
	evaluate[bool](b, noWaits)
	stop()
	b.until(waiting)
	show("rooms-waiting")
}

// sizes are the sizes of windows: a phone, a desktop, a small phone, and a phone on its side.
var sizes = []struct{ width, height int64 }{{390, 844}, {1280, 844}, {320, 568}, {640, 400}}

// expectedAway are the errors that Chromium reports while a server is away, or asks for a name.
var expectedAway = []string{"ERR_CONNECTION_REFUSED", "WebSocket connection to", "/ticket", "/nothing", "/chat/Bad%20Room"}

var update = flag.Bool("update", false, "take the lessons' pictures again")

// With -update the lessons' pictures are taken again; with ECHOWS_SCREENSHOTS, every page in every state, for a person to see.
func TestScreenshots(t *testing.T) {
	if *update {
		takePictures(t)
	}
	folder := os.Getenv("ECHOWS_SCREENSHOTS")
	if folder == "" {
		t.Log("ECHOWS_SCREENSHOTS names no folder for pictures of all states")
		return
	}
	for _, size := range sizes {
		b := open(t, expectedAway...)
		b.looks(size.width, size.height, "light")
		scenes(t, b, func(name string) {
			for _, scheme := range []string{"dark", "light"} {
				b.looks(size.width, size.height, scheme)
				b.screenshot(fmt.Sprintf("%s-%d-%s", name, size.width, scheme))
			}
		})
	}
}

// pictures are the lessons' folders, by scene: a lesson's name, without its number.
var pictures = map[string]string{
	"first-lesson": "../lessons/*-first-websocket",
	"chat":         "../lessons/*-group-chat",
	"rooms":        "../lessons/*-events*",
}

func takePictures(t *testing.T) {
	t.Helper()
	b := open(t, expectedAway...)
	b.looks(1100, 780, "light")
	taken := 0
	scenes(t, b, func(name string) {
		pattern, ok := pictures[name]
		if !ok {
			return
		}
		folders, err := filepath.Glob(pattern)
		if err != nil || len(folders) != 1 {
			t.Fatalf("%s is %q, %v; want one folder", pattern, folders, err)
		}
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(folders[0], "page.png"), png, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		taken++
	})
	if taken != len(pictures) {
		t.Errorf("%d pictures are taken, want %d", taken, len(pictures))
	}
}

// nextIn waits for the page's connection to a room, and skips those to other rooms.
func (f *fakeChat) nextIn(room string) *fakeMember {
	f.t.Helper()
	for {
		if m := f.next(); m.socket.Param("room") == room {
			return m
		}
	}
}
