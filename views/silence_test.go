package views_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"echows/ws"
)

// network connects the browser to a server. It can fail silently: open connections stay open, but nothing
// gets through any more. Connections opened later work, unless down is set.
type network struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	mu    sync.Mutex
	down  bool               // connections opened now are dead from the beginning
	conns map[net.Conn]*link // of both ends
}

// link is one connection of the browser.
type link struct {
	mu   sync.Mutex // held while forwarding
	dead bool
}

func newNetwork(t *testing.T, to string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: listener, to: to, conns: map[net.Conn]*link{}}
	n.work.Go(n.run)
	t.Cleanup(func() {
		listener.Close()
		n.mu.Lock()
		for conn := range n.conns {
			conn.Close()
		}
		n.mu.Unlock()
		n.work.Wait()
	})
	return n
}

func (n *network) addr() string { return n.listener.Addr().String() }

func (n *network) run() {
	for {
		near, err := n.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", n.to)
		if err != nil {
			near.Close()
			continue
		}
		n.mu.Lock()
		l := &link{dead: n.down}
		n.conns[near], n.conns[far] = l, l
		n.mu.Unlock()
		n.work.Go(func() { l.forward(near, far) })
		n.work.Go(func() { l.forward(far, near) })
	}
}

// forward copies until one end closes, and then closes the other; but it stops as soon as the link is dead.
func (l *link) forward(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		read, err := from.Read(buffer)
		l.mu.Lock()
		dead := l.dead
		if !dead && read > 0 {
			_, failed := to.Write(buffer[:read])
			if err == nil {
				err = failed
			}
		}
		l.mu.Unlock()
		if err != nil {
			if !dead {
				to.Close()
			}
			return
		}
	}
}

// die breaks all open connections silently. down tells whether new ones are dead, too.
func (n *network) die(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	for _, l := range n.conns {
		l.mu.Lock()
		l.dead = true
		l.mu.Unlock()
	}
}

// A post without an acknowledgement reveals that the network has failed silently. The post is stored once.
func TestANetworkThatDies(t *testing.T) {
	b := open(t, "WebSocket connection to", "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0")
	n := newNetwork(t, addr)
	b.signIn("http://"+n.addr()+"/chat/kitchen", "ana")
	b.do(chromedp.SendKeys("#text", "before\r"))
	b.until(pendingCount + ` === 0`)
	b.said(1)
	evaluate[bool](b, `(() => {
		window.states = [];
		new MutationObserver(() => states.push(document.querySelector("#connection").dataset.state)).observe(document.querySelector("#connection"), { attributes: true });
		return true;
	})()`)
	n.die(false)
	b.do(chromedp.SendKeys("#text", "into the void\r"))
	b.until(pendingCount + ` === 1 && document.querySelector("#pending .state").textContent === "sending …"`)
	b.until(`states.length > 0 && ` + connected + ` && ` + pendingCount + ` === 0`) // TestHowLongAComebackTakes has the time
	if got := b.said(2); got[1] != "into the void" {
		t.Errorf("it says %q", got)
	}
	b.do(chromedp.Reload())
	if got := b.said(2); got[1] != "into the void" {
		t.Errorf("stored are %q", got)
	}

	// An attempt that takes too long is given up, too.
	b.until(connected)
	n.die(true)
	evaluate[bool](b, `dispatchEvent(new Event("online"))`)
	b.until(waiting)
	n.die(false)
	b.until(connected)
}

// standStill stops the page's clock. net.back(f) calls f, and returns how much time passes on that clock, in ms, until the
// page is connected again. The clock jumps to the next timer, but only while the network has nothing to answer. So the time is
// the sum of the page's own waits, each as long as possible, and does not depend on the machine's speed. It is -1 if the page
// is not connected within a minute.
//
// While net.away is true, nothing that begins gets an answer; the end of the first attempt resets it. net.dead is how many of
// the browser's kept-alive connections for requests are dead. The WebSocket is dead because the server says nothing.
const standStill = `(() => {
	const real = { setTimeout: setTimeout.bind(window), clearTimeout: clearTimeout.bind(window), fetch: fetch.bind(window), WebSocket };
	const timers = new Map();
	let now = Date.now();
	let last = 1e9; // the ids of real timers are lower
	let busy = 0; // what the network is about to answer
	let open = false;
	Date.now = performance.now = () => now;
	Math.random = () => 1 - 2 ** -53;
	window.setTimeout = (f, ms = 0, ...rest) => {
		timers.set(++last, { at: now + Math.max(0, ms), run: () => f(...rest) });
		return last;
	};
	window.clearTimeout = (id) => timers.delete(id) || real.clearTimeout(id);
	AbortSignal.timeout = (ms) => {
		const late = new AbortController();
		setTimeout(() => late.abort(new DOMException("late", "TimeoutError")), ms);
		return late.signal;
	};
	window.net = { away: false, dead: 0, later: (ms) => { now += ms; } };
	addEventListener("echows:state", ({ detail: { state } }) => {
		open = state === "open";
		net.away &&= state !== "late";
	});

	window.fetch = async (path, options) => {
		if (net.away || net.dead > 0) {
			net.dead -= 1;
			return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason)));
		}
		busy += 1;
		try {
			const { ok, status, text } = await real.fetch(path, options).then(async (r) => ({ ok: r.ok, status: r.status, text: await r.text() }));
			return { ok, status, json: async () => JSON.parse(text) };
		} finally {
			busy -= 1;
		}
	};
	window.WebSocket = function (url) {
		if (net.away) {
			return { readyState: 0, close() {}, send() {} };
		}
		const socket = new real.WebSocket(url);
		const done = new AbortController();
		busy += 1;
		for (const end of ["open", "close"]) {
			socket.addEventListener(end, () => { busy -= 1; done.abort(); }, { signal: done.signal });
		}
		return socket;
	};
	window.WebSocket.OPEN = 1;

	net.back = async (f) => {
		open = false;
		f();
		for (const begun = now;;) {
			await new Promise((resolve) => real.setTimeout(resolve)); // what has come is handled
			if (open) {
				return now - begun;
			}
			if (busy > 0) {
				continue;
			}
			const [id, next] = [...timers].reduce((a, b) => (b[1].at < a[1].at ? b : a), [0, { at: Infinity }]);
			if (next.at - begun > 60_000) {
				return -1;
			}
			timers.delete(id);
			now = Math.max(now, next.at);
			next.run();
		}
	};
	return true;
})()`

// However the page learns that its network has failed, and whichever dead connections the browser still trusts, it waits for
// at most ten seconds in total.
func TestHowLongAComebackTakes(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	f.hurried.Store(true)
	rooms := 0
	post := func(m *fakeMember) {
		b.do(chromedp.SendKeys("#text", "into the void\r"))
		m.heard()
	}
	for _, way := range []struct {
		name  string
		first func(*fakeMember) // runs before the measured time
		then  string
	}{
		{"a post without its acknowledgement", post, ``},
		{"online", func(*fakeMember) {}, `dispatchEvent(new Event("online"))`},
		{"online, with a post on its way", post, `dispatchEvent(new Event("online"))`},
		{"seen after half a minute", func(*fakeMember) {
			b.hidden(true)
			evaluate[bool](b, `net.later(30_000), true`)
		}, `Object.defineProperty(document, "hidden", { configurable: true, get: () => false }); document.dispatchEvent(new Event("visibilitychange"))`},
	} {
		for _, network := range []string{`away = false`, `dead = 5`, `dead = 6`, `away = true`} {
			t.Run(way.name+", "+network, func(t *testing.T) {
				rooms++ // a new room each time, as the page keeps data for the next visit
				b.do(chromedp.Navigate(strings.Replace(f.url, "kitchen", fmt.Sprint("room", rooms), 1)))
				m := f.next()
				m.history(line(1, "ana", "q2xa", "hello"))
				b.said(1)
				evaluate[bool](b, standStill)
				way.first(m)
				evaluate[bool](b, `net.`+network+`, true`)
				took := evaluate[float64](b, `net.back(() => { `+way.then+` })`)
				if took < 0 || took > 10_000 {
					t.Fatalf("it takes %v ms", took)
				}
				t.Logf("%v ms", took)
				f.next()
			})
		}
	}
}

// catchTimers puts functions that have to wait for that many milliseconds, up to half a minute (chromedp has longer ones),
// into late, where a test can call them. Their ms tells how long that is.
func (b *browser) catchTimers(atLeast int) {
	b.t.Helper()
	evaluate[bool](b, fmt.Sprintf(`(() => {
		window.late = [];
		const real = { setTimeout, clearTimeout };
		window.setTimeout = (f, ms, ...rest) => (ms >= %d && ms <= 30000 ? -late.push(Object.assign(() => f(...rest), { ms })) : real.setTimeout.call(window, f, ms, ...rest));
		window.clearTimeout = (id) => (id < 0 ? delete late[-id - 1] : real.clearTimeout.call(window, id));
		return true;
	})()`, atLeast))
}

// due calls the functions in late that had to wait for exactly that many milliseconds.
func (b *browser) due(ms int) {
	b.t.Helper()
	evaluate[bool](b, fmt.Sprintf(`(late.forEach((f) => f.ms === %d && f()), true)`, ms))
}

// stopClock stops the page's clocks. Only later moves them.
func (b *browser) stopClock() {
	b.t.Helper()
	evaluate[bool](b, `[Date, performance].forEach((clock) => { const now = clock.now(); clock.now = () => now; }), true`)
}

// countAttempts counts the attempts to connect from now on. attempts is their number: the server cannot tell, since a page that waits
// for its ticket requests more of them.
func (b *browser) countAttempts() {
	b.t.Helper()
	evaluate[bool](b, `(window.attempts = 0, addEventListener("echows:state", ({ detail }) => { attempts += detail.state === "connecting"; }), true)`)
}

// attempted checks how many attempts to connect there were.
func (b *browser) attempted(want int, when string) {
	b.t.Helper()
	if got := evaluate[int](b, `attempts`); got != want {
		b.t.Errorf("%s, it has made %d attempts to connect, want %d", when, got, want)
	}
}

// With nothing sent, the page has doubts when the browser is online again, and when the tab is shown after a while.
func TestDoubt(t *testing.T) {
	b, f := open(t), newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	b.until(connected)
	b.catchTimers(5_000)
	b.stopClock()
	b.countAttempts()
	m.history(line(1, "ana", "q2xa", "hello"))
	b.said(1)
	b.hidden(true)
	b.later(20 * time.Second)
	b.hidden(false)
	b.attempted(0, "though something was heard a moment ago")
	online := func() { evaluate[bool](b, `dispatchEvent(new Event("online"))`) }
	online()
	again := f.next()
	if code := await(t, m.ended, "the connection before is kept"); code != ws.CloseNormal || again.after != "1" {
		t.Errorf("it left with %v, and goes on after %q", code, again.after)
	}
	again.history()
	b.until(connected)

	// Once in half a minute, whatever happens, and only if nothing was heard in the meantime.
	const doubts = `late.filter((f) => f?.ms === 20_000)` // the rest of the half minute
	b.later(10 * time.Second)
	online()
	if n := evaluate[int](b, doubts+`.length`); n != 1 {
		t.Fatalf("%d timers, want 1", n)
	}
	b.later(time.Second)
	again.message(line(2, "ana", "q2xa", "still here"))
	b.said(2)
	b.later(40 * time.Second)
	evaluate[bool](b, doubts+`[0](), true`)
	b.attempted(1, "after a doubt that was answered")
	b.later(40 * time.Second)
	b.hidden(true)
	b.hidden(false)
	third := f.next()
	await(t, again.ended, "the connection before is kept")
	b.until(connected)
	b.hidden(true)
	b.hidden(false)
	if n := evaluate[int](b, `late.filter((f) => f?.ms > 5_000).length`); n != 0 {
		t.Errorf("a connection that was just made is in doubt: %d timers", n)
	}
	b.attempted(2, "after two doubts")
	third.history()

	// A post in flight is itself the question, and any message counts as an answer.
	b.do(chromedp.SendKeys("#text", "are you there\r"))
	post := third.heard()
	b.later(40 * time.Second)
	online()
	if repeated := third.heard(); repeated["id"] != post["id"] {
		t.Errorf("it asks with %v", repeated)
	}
	third.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":3}`, post["id"]))
	third.message(said{Seq: 3, ID: fmt.Sprint(post["id"]), From: "ana", Mark: "k3f7", Text: "are you there", At: time.Now()})
	b.said(3)
	b.until(pendingCount + " === 0")
	b.attempted(2, "on a connection that lives")
}

// Any message proves that the server is alive, even when an answer takes long.
func TestASlowServerIsNotLeft(t *testing.T) {
	b, f, m := openChat(t)
	b.until(connected)
	b.catchTimers(5_000)
	b.do(chromedp.SendKeys("#text", "hello\r"))
	post := m.heard()
	b.until(`late.filter((f) => f).length === 1`)
	m.say(`{"type":"presence","count":2}`)
	b.until(`late.length === 2 && late.filter((f) => f).length === 1`) // the time starts again
	m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":3}`, post["id"]))
	b.until(`late.filter((f) => f).length === 0`)
	b.do(chromedp.SendKeys("#text", "and now\r"))
	lost := m.heard()
	b.until(`late.filter((f) => f).length === 1`)
	evaluate[bool](b, `late.find((f) => f)(), true`)
	m = f.next()
	m.history(said{Seq: 3, ID: fmt.Sprint(post["id"]), From: "ana", Mark: "k3f7", Text: "hello", At: time.Now()})
	if got := m.heard(); got["id"] != lost["id"] {
		t.Errorf("it sends %v again", got)
	}
}

// After some close codes another attempt would not help. The page says why, and leaves it to the reader.
func TestAnEndThatIsFinal(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(390, 844), chromedp.Navigate(f.url))
	m := f.next()
	b.until(connected)
	b.countAttempts()
	evaluate[bool](b, `Math.random = () => 0, true`) // no waits
	const text = `document.querySelector("#connection-state").textContent`
	for i, c := range []struct {
		code   ws.CloseCode
		reason string
		want   string // "" if the page reconnects
	}{
		{1008, "signed out", "not connected: 1008 policy violation: signed out"},
		{1008, "too many messages in a row from this one connection", "not connected: 1008 policy violation: too many messages in a row from this one connection"},
		{1002, "", "not connected: 1002 protocol error"},
		{1003, "no", "not connected: 1003 unsupported data: no"},
		{1007, "no", "not connected: 1007 invalid payload data: no"},
		{1009, "no", "not connected: 1009 message too big: no"},
		{4000, "enough", "not connected: 4000 application code: enough"},
		{1000, "", ""},
		{1001, "", ""},
		{1011, "", ""},
		{1012, "", ""},
		{1013, "", ""},
	} {
		m.history()
		b.until(connected)
		b.attempted(i, fmt.Sprintf("before %d", c.code))
		m.socket.Close(c.code, c.reason)
		if c.want == "" {
			m = f.next()
			continue
		}
		b.until(`document.querySelector("#connection").dataset.state === "stopped" && ` + text + fmt.Sprintf(" === %q", c.want))
		if i == 1 {
			b.fits("with a long reason")
			b.screenshot("chat-390-stopped")
		}
		b.attempted(i, fmt.Sprintf("after %d", c.code))
		if label := evaluate[string](b, `document.querySelector("#connection-now").innerText`); !strings.Contains(label, "Connect again") {
			t.Errorf("the button says %q", label)
		}
		b.do(chromedp.Click("#connection-now"))
		m = f.next()
	}
	m.history()
	b.until(connected + ` && document.querySelector("#connection-now").hidden`)

	// A person who is signed out is asked for a name.
	f.over.Store(true)
	m.socket.Close(ws.ClosePolicyViolation, "signed out")
	b.until(text + ` === "not connected: 1008 policy violation: signed out"`)
	b.do(chromedp.Click("#connection-now"))
	b.until(text + ` === "not signed in" && document.querySelector("#connection-now").hidden && !document.querySelector("#sign-in").hidden`)
}

// After going back in the browser's history the page is connected, once, whether the browser kept it or not.
func TestTheWayBack(t *testing.T) {
	b, f, m := openChat(t, line(1, "ana", "q2xa", "hello"))
	b.said(1)
	b.do(chromedp.Navigate(strings.Replace(f.url, "kitchen", "garden", 1)))
	await(t, m.ended, "the page that was left is still connected")
	f.next().history()
	b.until(connected)
	evaluate[bool](b, `history.back(), true`)
	m = f.next()
	m.history(line(2, "ana", "q2xa", "welcome back"))
	b.comes(`location.pathname === "/chat/kitchen" && ` + connected + ` && document.querySelector("#messages").innerText.includes("welcome back")`)
	if len(m.ended) > 0 || len(f.joined) > 0 {
		t.Error("it connects more than once")
	}
}

// The first lesson's page shows the reason, too.
func TestTheFirstPageStops(t *testing.T) {
	b := open(t)
	var connections atomic.Int32
	b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/ws", func(*ws.Socket, echo.Context) error {
			if connections.Add(1) > 1 {
				return nil
			}
			return &ws.CloseError{Code: 4000, Reason: "enough"}
		})
	})))
	b.until(`document.querySelector("#connection-state").textContent === "the server ended the connection: 4000 application code: enough" && !(` + enabled + `)`)
	b.do(chromedp.Click("#connection-now"))
	b.until(connected + " && " + enabled)
}
