// Tests of small.js: node small.test.mjs http://127.0.0.1:PORT, where a server listens as scripts_test.go makes it.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";

const server = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "small-"));
copyFileSync(new URL("small.js", import.meta.url), join(folder, "small.mjs")); // so named, it is a module for Node too
after(() => rmSync(folder, { recursive: true }));
let copies = 0;

// load gives each test a copy of its own, as each page has one.
async function load() {
  copies += 1;
  return (await import(`${pathToFileURL(join(folder, "small.mjs"))}?${copies}`)).io;
}

// replace gives names of globalThis other values for a test.
function replace(t, values) {
  for (const [name, value] of Object.entries(values)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before === undefined ? delete globalThis[name] : Object.defineProperty(globalThis, name, before)));
  }
}

// page is what of a browser the client uses, for a test to look at and to move: nothing happens by itself.
function page(t) {
  const it = {
    sockets: [], // every WebSocket there was
    get ws() { return it.sockets.at(-1); },
    listeners: new Map(), // of the window
    get listening() { return [...it.listeners.values()].reduce((sum, { size }) => sum + size, 0); },
    fire: (event) => it.listeners.get(event.type)?.forEach((one) => (one.handleEvent ? one.handleEvent(event) : one(event))),
    timers: new Map(), // by id, with their times in ms
    now: 0,
    pass(ms) {
      const end = it.now + ms;
      for (;;) {
        const [id, timer] = [...it.timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
        if (timer === undefined) {
          break;
        }
        it.timers.delete(id);
        it.now = timer.at;
        timer.f();
      }
      it.now = end;
    },
    errors: [], // that listeners threw
    warnings: [],
  };
  let timers = 0;
  replace(t, {
    location: new URL("http://page.test/rooms"),
    WebSocket: class {
      static OPEN = 1;
      readyState = 1;
      sent = [];
      constructor(url) {
        this.url = url;
        it.sockets.push(this);
      }
      send(data) {
        assert.equal(this.readyState, 1);
        this.sent.push(data);
      }
      close(code) {
        this.readyState = 2;
        this.closed ??= code ?? true;
      }
      // what the server does
      says(...packets) { packets.forEach((data) => this.onmessage({ data })); }
      hello() { this.says('0{"sid":"s","pingInterval":25000,"pingTimeout":20000}'); }
    },
    addEventListener: (name, f) => it.listeners.set(name, (it.listeners.get(name) ?? new Set()).add(f)),
    removeEventListener: (name, f) => it.listeners.get(name)?.delete(f),
    reportError: (error) => it.errors.push(error.message),
    setTimeout(f, ms) {
      timers += 1;
      it.timers.set(timers, { f, at: it.now + ms });
      return timers;
    },
    clearTimeout: (id) => it.timers.delete(id),
  });
  t.mock.method(Math, "random", () => 1); // each wait is the longest it can be
  t.mock.method(console, "warn", (...words) => it.warnings.push(words.join(" ")));
  return it;
}

// connected is a socket of "/" that has connected.
function connected(it, io, options) {
  const socket = io(options);
  it.ws.hello();
  it.ws.says('40{"sid":"a","pid":"P"}');
  return socket;
}

test("a question does not change how far recovery has come", async (t) => {
  const it = page(t);
  const socket = connected(it, await load());
  socket.on("question", (text, answer) => answer(`${text} yes`));
  it.ws.says('42["news","hello","1a"]', '421["question","coming?"]');
  assert.equal(it.ws.sent.at(-1), '431["coming? yes"]');
  it.ws.onclose();
  it.pass(500);
  it.ws.hello();
  assert.deepEqual(it.ws.sent, ['40{"pid":"P","offset":"1a"}']);
});

test("an event with a reserved name changes nothing", async (t) => {
  const it = page(t);
  const socket = connected(it, await load());
  const timers = it.timers.size;
  assert.throws(() => socket.timeout(100).emit("connect", () => assert.fail("called")), /reserved/);
  await assert.rejects(socket.timeout(100).emitWithAck("disconnect"), /reserved/);
  assert.equal(it.timers.size, timers);
  let answer;
  socket.emit("save", 1, (saved) => { answer = saved; });
  it.pass(200);
  it.ws.says('431["saved"]');
  assert.equal(answer, "saved");
  const late = socket.timeout(100).emitWithAck("save", 2);
  it.ws.says('432["too"]');
  assert.equal(await late, "too");
  assert.equal(it.timers.size, timers);
});

test("an event whose time is over is not sent any more", async (t) => {
  const it = page(t);
  const socket = (await load())();
  const late = assert.rejects(socket.timeout(100).emitWithAck("late"), /timed out/);
  socket.emit("sent");
  it.pass(100);
  await late;
  it.ws.hello();
  it.ws.says('40{"sid":"a"}');
  assert.deepEqual(it.ws.sent, ["40{}", '42["sent"]']);
});

test("what JSON cannot say throws where it is emitted, and nowhere else", async (t) => {
  const it = page(t);
  const io = await load();
  const socket = io();
  let events = 0;
  const cycle = [];
  cycle.push(cycle);
  const bad = () => {
    assert.throws(() => socket.emit("x", 1n), TypeError);
    assert.throws(() => socket.emit("x", cycle, () => assert.fail("called")), RangeError);
    assert.throws(() => socket.timeout(5).emit("x", 1n, () => assert.fail("called")), TypeError);
  };
  socket.on("connect", () => { events += 1; });
  socket.emit("before", 1);
  bad();
  socket.emit("after", 2);
  it.ws.hello();
  it.ws.says('40{"sid":"a"}');
  assert.deepEqual([socket.connected, events], [true, 1]);
  bad();
  socket.emit("last", (text) => { events = text; });
  assert.deepEqual(it.ws.sent, ["40{}", '42["before",1]', '42["after",2]', '421["last"]']);
  it.ws.says('431["answered"]');
  it.pass(10);
  assert.equal(events, "answered");
  // Auth that cannot be sent is the page's mistake: the other namespaces connect.
  io("/bad", { auth: { n: 1n } });
  io("/throws", { auth: () => { throw new Error("no token"); } });
  it.ws.onclose();
  it.pass(500);
  it.ws.hello();
  assert.deepEqual(it.ws.sent, ["40{}"]);
  assert.deepEqual(it.errors.slice(-2), ["Do not know how to serialize a BigInt", "no token"]);
  assert.deepEqual(it.warnings, []);
});

test("an answer that cannot be sent is the listener's mistake", async (t) => {
  const it = page(t);
  const socket = connected(it, await load());
  socket.on("question", (answer) => answer(1n));
  it.ws.says('421["question"]');
  assert.equal(it.errors.length, 1);
  assert.equal(socket.connected, true);
});

test("who does not want to be connected listens to nothing of the window", async (t) => {
  const it = page(t);
  const io = await load();
  for (let i = 0; i < 100; i += 1) {
    io({ forceNew: true }).disconnect();
  }
  assert.equal(it.listening, 0);
  const socket = connected(it, io);
  assert.equal(it.listening, 3);
  it.ws.onclose();
  it.pass(500);
  assert.equal(it.listening, 3);
  it.ws.hello();
  it.ws.says('44{"message":"not you"}');
  assert.equal(it.listening, 0);
  socket.connect();
  it.ws.hello();
  it.ws.says('40{"sid":"a"}', "41");
  assert.equal(it.listening, 0);
  socket.connect();
  it.ws.onclose();
  socket.disconnect();
  assert.deepEqual([it.listening, it.timers.size], [0, 0]);
  io({ forceNew: true, reconnection: false });
  assert.equal(it.listening, 3);
  it.ws.onclose();
  assert.deepEqual([it.listening, it.timers.size], [0, 0]);
});

test("it goes with the page, and comes back with it and with the network", async (t) => {
  const it = page(t);
  const reasons = [];
  const socket = connected(it, await load());
  socket.on("disconnect", (reason) => reasons.push(reason));
  it.fire({ type: "online" });
  assert.equal(it.sockets.length, 1);
  it.fire({ type: "pageshow", persisted: false });
  assert.deepEqual(reasons, []);
  it.fire({ type: "pagehide", persisted: true });
  assert.equal(it.ws.closed, 1000);
  it.ws.says("2");
  socket.emit("on the way out");
  it.fire({ type: "pageshow", persisted: true });
  assert.deepEqual(reasons, ["transport close"]);
  it.fire({ type: "online" });
  assert.equal(it.sockets.length, 2);
  it.pass(1000); // the wait that was cut short is over
  assert.equal(it.sockets.length, 2);
  it.ws.hello();
  it.fire({ type: "pagehide", persisted: true });
  socket.disconnect();
  it.fire({ type: "pageshow", persisted: true });
  assert.deepEqual([reasons, it.sockets.length, it.timers.size], [["transport close"], 2, 0]);
});

test("a disconnect has the details that the official client's has", async (t) => {
  const it = page(t);
  const socket = connected(it, await load());
  const ends = [];
  socket.on("disconnect", (...args) => ends.push(args));
  const again = () => {
    it.fire({ type: "online" });
    it.ws.hello();
    it.ws.says('40{"sid":"a"}');
  };
  it.ws.onclose({ code: 1012, reason: "service restart" });
  again();
  it.ws.says("42{");
  again();
  it.pass(45_000); // without a ping
  const [, unread] = ends[1];
  assert.ok(unread instanceof SyntaxError);
  assert.deepEqual(ends, [
    ["transport close", { description: "websocket connection closed", context: { code: 1012, reason: "service restart" } }],
    ["parse error", unread],
    ["ping timeout", undefined],
  ]);
});

test("waits get shorter when a connection has lasted, not when it is made", async (t) => {
  const it = page(t);
  (await load())();
  const waits = [];
  const drop = () => {
    it.ws.hello();
    it.ws.onclose();
    waits.push(Math.max(...[...it.timers.values()].map(({ at }) => at - it.now)));
    it.pass(waits.at(-1));
  };
  for (let i = 0; i < 7; i += 1) {
    drop();
  }
  it.ws.hello();
  it.pass(4_999);
  drop();
  it.ws.hello();
  it.pass(5_000);
  drop();
  drop();
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 500, 1000]);
});

test("an option that is not there is named once", async (t) => {
  const it = page(t);
  const io = await load();
  io("/", { auth: {}, autoConnect: false, forceNew: true, path: "/p/", query: {}, reconnection: true, transports: ["websocket"] });
  assert.deepEqual(it.warnings, []);
  io("/a", { reconnectionDelay: 5, timeout: 5, transports: ["polling"] });
  io("/b", { reconnectionDelay: 6 });
  assert.deepEqual(it.warnings.map((words) => words.split(" ").at(-1)), ["reconnectionDelay", "timeout", "transports"]);
});

test("what cannot be read ends the connection, and what a listener throws does not", async (t) => {
  const it = page(t);
  const socket = connected(it, await load());
  const heard = [];
  socket.on("news", () => { throw new Error("mine"); });
  socket.on("news", (text) => heard.push(text));
  socket.on("disconnect", (reason) => heard.push(reason));
  socket.timeout(50).emit("x", () => { throw new Error("of the first"); });
  socket.timeout(50).emit("y", (error) => heard.push(error.message));
  it.ws.says('42["news","a","1"]');
  assert.deepEqual([heard, it.errors], [["a"], ["mine"]]);
  it.ws.says("42{");
  assert.deepEqual(heard, ["a", "socket has been disconnected", "parse error"]);
  assert.deepEqual(it.errors, ["mine", "of the first"]);
  for (const bad of [["42"], ["40"], ["49"], ['451-["x",{"_placeholder":true,"num":1}]', new ArrayBuffer(1)], ['451-["x"]', "2", "42[]"], [new ArrayBuffer(1)]]) {
    it.fire({ type: "online" });
    it.ws.hello();
    const { ws } = it;
    ws.says(...bad);
    assert.equal(ws.closed, true, bad[0]);
  }
});

// ---- with a server

const patience = 60_000;

// once waits for an event.
function once(socket, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), patience);
    socket.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

const ask = (socket, ...args) => socket.timeout(patience).emitWithAck(...args);

// online is a page of that server: WebSockets are real, and a lost one is tried again when the test says so.
async function online(t) {
  const { WebSocket } = createRequire(new URL("official/package.json", import.meta.url))("ws");
  const it = { sockets: [], managers: new Set(), again: () => it.managers.forEach((one) => one.handleEvent({ type: "online" })) };
  t.after(() => it.managers.forEach((one) => one.sockets.forEach((socket) => socket.disconnect())));
  replace(t, {
    location: new URL(server),
    WebSocket: class extends WebSocket {
      constructor(url) {
        super(url);
        this.onerror = () => {};
        it.sockets.push(this);
      }
    },
    addEventListener: (name, one) => it.managers.add(one),
    removeEventListener: (name, one) => it.managers.delete(one),
  });
  t.mock.method(Math, "random", () => 1000);
  it.io = await load();
  return it;
}

const served = { skip: server === undefined && "no server was named" };

test("talks", served, async (t) => {
  const { io } = await online(t);
  const socket = io({ auth: (tell) => tell({ token: "t" }) });
  assert.deepEqual(await ask(socket, "auth"), { token: "t" });
  const values = [1, -2.5, "text \u2028 😀", null, true, [], {}, { a: [{ b: "c" }] }, "<&>"];
  assert.deepEqual(await ask(socket, "echo", values), values);
  const bytes = Uint8Array.from([0, 1, 2, 255]);
  const [same, deep] = await ask(socket, "echo2", bytes, { a: [bytes, "x"], b: new Uint8Array(70_000).fill(7) });
  assert.deepEqual([new Uint8Array(same), new Uint8Array(deep.a[0])], [bytes, bytes]);
  assert.equal(deep.b.byteLength, 70_000);
  socket.on("question", (n, answer) => answer(n * 2, bytes.buffer));
  socket.emit("ask me", 21);
  const [answer, back] = await once(socket, "answered");
  assert.deepEqual([answer, new Uint8Array(back)], [42, bytes]);
  await assert.rejects(socket.timeout(1).emitWithAck("nothing"), /timed out/);
});

test("has namespaces over one connection", served, async (t) => {
  const { io, sockets } = await online(t);
  const main = io();
  const room = io("/room-17");
  await Promise.all([once(main, "connect"), once(room, "connect")]);
  assert.equal(sockets.length, 1);
  assert.equal(await ask(room, "where"), "/room-17");
  const [refused] = await once(io("/refused"), "connect_error");
  assert.deepEqual([refused.message, refused.data], ["not you", { code: 7 }]);
  assert.equal((await once(io("/unknown"), "connect_error"))[0].message, "Invalid namespace");
  main.emit("kick");
  assert.deepEqual(await once(main, "disconnect"), ["io server disconnect", undefined]);
  assert.equal(await ask(room, "where"), "/room-17");
  main.connect();
  assert.equal(await ask(main, "echo", "back"), "back");
  assert.equal(sockets.length, 1);
});

test("comes back as the same, after a question too", served, async (t) => {
  const { io, sockets, again } = await online(t);
  const socket = io();
  await ask(socket, "join", "memory");
  const other = io({ forceNew: true });
  await once(other, "connect");
  socket.on("question", (n, answer) => answer("first", "last"));
  const { id } = socket;
  socket.emit("back", "so that there is an offset");
  await once(socket, "back");
  socket.emit("ask text", "a text at its end");
  await once(other, "asked");
  const missed = [];
  socket.on("room", (text) => missed.push(text));
  const [lost, left] = [once(socket, "disconnect"), once(other, "left")];
  sockets[0].terminate();
  await Promise.all([lost, left]);
  await ask(other, "to", ["memory"], [], "one");
  await ask(other, "to", ["elsewhere"], [], "not for it");
  await ask(other, "to", ["memory"], [], "two");
  socket.emit("back", "kept until then");
  again();
  assert.equal((await once(socket, "back"))[0], "kept until then");
  assert.deepEqual([socket.recovered, socket.id, missed], [true, id, ["one", "two"]]);
});
