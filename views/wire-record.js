// What the page's sockets sent and received lately, and what became of them. It is kept in memory, and bounded,
// so that a panel that is opened later can show what went before.
//
// An entry is an object with
//   n          its number: 1, 2, 3 …
//   at         ms since the page began to load
//   socket     the number of its connection, and url, where that leads; missing in what concerns none
//   kind       "text", "binary", "close" (frames), or "event": what became of a connection
//   sent       true where the page sent it, false where it received it, missing where there was no frame
//   size       bytes of the payload, as UTF-8
//   text       of a text frame, at most 4 KiB of it; cut is true where there was more. Of an event, its words
//   bytes      the first of a binary frame
//   code, reason   of a close; dropped is true where the panel made it up
//   version    rises with each change
//   held       true while the panel holds it back; heldFor, the ms that it did; lost where it never went on

const mostEntries = 200; // the oldest go
const mostText = 4096; // bytes of a text that are kept
const mostBytes = 64; // of a binary frame

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const space = new Uint8Array(mostText);

export const entries = []; // oldest first
export let state = { state: "none" }; // of the connection, as setState was told
let count = 0;
let tell; // what wants to know of changes, while a panel is open

// listen has f called whenever something is added or changes; listen() ends that.
export function listen(f) {
  tell = f;
}

// add keeps an entry and returns it.
export function add(entry) {
  count += 1;
  entry.n = count;
  entry.version = 0;
  entry.at = performance.now();
  entries.push(entry);
  if (entries.length > mostEntries) {
    entries.shift();
  }
  tell?.();
  return entry;
}

// setState is told how the connection stands: { state } is "connecting", "open", "closed", "waiting" (with wait, in ms, and
// the number of the attempt that follows), "silent", "late" or "stopped". Clients tell it, and so do sockets: a socket that
// ends after its client has said what it does next changes nothing.
export function setState(now) {
  if (now.state === "closed" && ["waiting", "stopped"].includes(state.state)) {
    return;
  }
  state = { ...now, since: performance.now() };
  tell?.();
}

// frame adds what was sent or received: a string, or bytes as a WebSocket has them.
export function frame(socket, sent, data) {
  const payload = typeof data === "string" ? textOf(data) : binaryOf(data);
  const entry = add({ ...socket, sent, ...payload });
  if (data instanceof Blob) {
    data.slice(0, mostBytes).arrayBuffer().then((start) => change(entry, { bytes: new Uint8Array(start) }));
  }
  return entry;
}

// change gives an entry other values.
export function change(entry, values) {
  Object.assign(entry, values);
  entry.version += 1;
  tell?.();
}

// hold marks an entry as held back, and release as let go.
export function hold(entry) {
  change(entry, { held: true });
}

export function release(entry) {
  change(entry, { held: false, heldFor: performance.now() - entry.at });
}

// textOf copies what it keeps: a slice of a string would keep all of it in memory.
function textOf(text) {
  const { read, written } = encoder.encodeInto(text, space);
  if (read === text.length) {
    return { kind: "text", text, size: written, cut: false };
  }
  return { kind: "text", text: decoder.decode(space.subarray(0, written)), size: encoder.encode(text).length, cut: true };
}

function binaryOf(data) {
  if (data instanceof Blob) {
    return { kind: "binary", size: data.size, bytes: new Uint8Array() };
  }
  const all = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  return { kind: "binary", size: all.length, bytes: all.slice(0, mostBytes) };
}
