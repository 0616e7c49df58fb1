// The latest frames of the page's sockets, and what became of the connections. They are kept in memory, up to a bound,
// so that a panel opened later can show earlier ones.
//
// An entry is an object with
//   n          its number: 1, 2, 3 …
//   at         ms since the page began to load
//   socket     the number of its connection, and url, its address; missing if the entry is not about a connection
//   kind       "text", "binary", "close" (frames), or "event": something that happened to a connection
//   sent       true if the page sent it, false if it received it, missing if there was no frame
//   size       bytes of the payload, as UTF-8
//   text       of a text frame, up to 4 KiB of it; cut is true if there was more. For an event, its description
//   bytes      the first bytes of a binary frame
//   code, reason   of a close; dropped is true if the panel made it up
//   version    increases with each change
//   held       true while the panel holds it back; heldFor, for how many ms it did; lost, true if it was never passed on

const mostEntries = 200; // the oldest are dropped
const mostText = 4096; // bytes kept of a text
const mostBytes = 64; // of a binary frame

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const space = new Uint8Array(mostText);

export const entries = []; // oldest first
export let state = { state: "none" }; // of the connection, as last passed to setState
let count = 0;
let tell; // called after each change, while a panel is open

// listen sets the function to call after each change; listen() removes it.
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

// setState records the connection's state: { state } is "connecting", "open", "closed", "waiting" (with wait, in ms, and
// the number of the next attempt), "silent", "late" or "stopped". Both clients and sockets report it: a socket's end
// does not replace a "waiting" or "stopped" that its client has already reported.
export function setState(now) {
  if (now.state === "closed" && ["waiting", "stopped"].includes(state.state)) {
    return;
  }
  state = { ...now, since: performance.now() };
  tell?.();
}

// frame records a frame. data is a string, or bytes in any form that a WebSocket accepts.
export function frame(socket, sent, data) {
  const payload = typeof data === "string" ? textOf(data) : binaryOf(data);
  const entry = add({ ...socket, sent, ...payload });
  if (data instanceof Blob) {
    data.slice(0, mostBytes).arrayBuffer().then((start) => change(entry, { bytes: new Uint8Array(start) }));
  }
  return entry;
}

// change updates an entry.
export function change(entry, values) {
  Object.assign(entry, values);
  entry.version += 1;
  tell?.();
}

// hold marks an entry as held back, and release as passed on.
export function hold(entry) {
  change(entry, { held: true });
}

export function release(entry) {
  change(entry, { held: false, heldFor: performance.now() - entry.at });
}

// textOf copies the part that it keeps: a slice would keep the whole string in memory.
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
