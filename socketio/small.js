// A small Socket.IO client (protocol revision 5, on Engine.IO revision 4, over WebSocket), to use and to read.
//
//   import { io } from "/socket.io/small.js";
//
//   const socket = io();                                     // the namespace "/", or io("/admin")
//   socket.on("connect", () => console.log(socket.id));
//   socket.on("news", (text, answer) => answer("thanks"));   // answer is there if the server wants an acknowledgement
//   socket.emit("question", 42, (reply) => …);               // or: await socket.timeout(1000).emitWithAck("question", 42)
//   socket.on("disconnect", (reason, details) => …);         // details?.context?.code is the WebSocket's close code, if there is one
//
// Only the official client (npm socket.io-client) has long-polling, support for Node, volatile packets,
// custom parsers, and events of its manager. This one warns on the console about options that it does not know.

const firstDelay = 500; // the longest wait before the first reconnect, in ms; doubled for each further attempt
const longestDelay = 10_000;
const connectTime = 20_000; // ms, for the connection to open
const stableAfter = 5_000; // ms; a connection that lasts this long counts as good, and the next wait is short again

const CONNECT = 0, DISCONNECT = 1, EVENT = 2, ACK = 3, CONNECT_ERROR = 4, BINARY_EVENT = 5, BINARY_ACK = 6;
const reserved = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

// ---- packets

// encode returns a packet's text, followed by its attachments. It throws for values that JSON cannot represent.
function encode({ type, nsp, id, data }) {
  const attachments = [];
  const plain = data === undefined ? undefined : takeBinary(data, attachments);
  const binary = attachments.length > 0;
  const text = (binary ? type + 3 : type) + (binary ? `${attachments.length}-` : "") +
    (nsp === "/" ? "" : `${nsp},`) + (id ?? "") + (plain === undefined ? "" : JSON.stringify(plain));
  return [text, ...attachments];
}

// takeBinary copies a value, with placeholders for binary data.
function takeBinary(value, attachments) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    attachments.push(value);
    return { _placeholder: true, num: attachments.length - 1 };
  }
  if (Array.isArray(value)) {
    return value.map((one) => takeBinary(one, attachments));
  }
  if (value !== null && typeof value === "object" && typeof value.toJSON !== "function") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, takeBinary(one, attachments)]));
  }
  return value;
}

// putBinary replaces the placeholders by the attachments.
function putBinary(value, attachments) {
  if (value?._placeholder === true) {
    if (!(value.num in attachments)) {
      throw new Error("an attachment is missing");
    }
    return attachments[value.num];
  }
  if (Array.isArray(value)) {
    return value.map((one) => putBinary(one, attachments));
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, putBinary(one, attachments)]));
  }
  return value;
}

// decode parses a packet's text, and throws if it is not a packet.
function decode(text) {
  const found = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*),?)?(\d+)?([^]*)$/.exec(text);
  if (found === null) {
    throw new Error("not a packet");
  }
  const [, type, attachments, nsp = "/", id, data] = found;
  return {
    type: Number(type),
    attachments: Number(attachments ?? 0),
    nsp,
    id: id === undefined ? undefined : Number(id),
    data: data === "" ? undefined : JSON.parse(data),
  };
}

// guard calls a function of the page. If that throws, the page sees the error as it would with any event.
function guard(f, ...args) {
  try {
    f(...args);
  } catch (error) {
    reportError(error);
  }
}

// report tells the page the state of the connection, in case it shows that; wait, before an attempt, is in ms.
function report(state, more) {
  globalThis.dispatchEvent?.(new CustomEvent("echows:state", { detail: { state, ...more } }));
}

// ---- the connection, shared by all namespaces of a server

const pageEvents = ["online", "pagehide", "pageshow"];

class Manager {
  sockets = new Map(); // by namespace
  #url;
  #ws; // the WebSocket, while there is one
  #open = false; // whether the server's handshake has arrived, too
  #failures = 0; // in a row
  #retry; // timer for the next attempt
  #stable; // timer after which the connection counts as good
  #silence; // timer that ends a connection whose server is silent
  #patience; // ms for which a server may be silent
  #partial; // a packet whose attachments have not all arrived

  constructor(url, options) {
    this.#url = url;
    this.options = options;
  }

  connect() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#ws !== undefined) {
      return;
    }
    pageEvents.forEach((name) => addEventListener(name, this)); // repeating this changes nothing
    report("connecting", { attempt: this.#failures + 1 });
    const ws = new WebSocket(this.#url);
    ws.binaryType = "arraybuffer";
    ws.onmessage = ({ data }) => this.#ws === ws && this.#receive(data);
    ws.onclose = (event) => this.#ws === ws && this.#closed("transport close", { description: "websocket connection closed", context: event });
    this.#ws = ws;
    this.#listen(connectTime);
  }

  // handleEvent receives the pageEvents.
  handleEvent({ type, persisted }) {
    if (type === "online") {
      this.connect();
    } else if (type === "pagehide") { // it may be kept frozen for the way back: close now, and reconnect then
      this.#ws?.close(1000);
    } else if (type === "pageshow" && persisted) {
      this.#closed("transport close");
    }
  }

  // ready reports whether packets can be sent.
  get ready() {
    return this.#open;
  }

  // write sends a Socket.IO packet from encode.
  write([text, ...attachments]) {
    this.#send(`4${text}`, ...attachments);
  }

  // send sends messages, unless the connection is closing: then they are lost, like those in flight.
  #send(...messages) {
    if (this.#ws.readyState === WebSocket.OPEN) {
      messages.forEach((one) => this.#ws.send(one));
    }
  }

  // leave closes the connection if no namespace needs it any more.
  leave() {
    if (!this.#wanted) {
      this.#closed("io client disconnect");
    }
  }

  get #wanted() {
    return [...this.sockets.values()].some((socket) => socket.active);
  }

  #receive(data) {
    try {
      const packet = typeof data === "string" ? this.#control(data[0], data.slice(1)) : this.#attach(data);
      if (packet !== undefined) {
        this.sockets.get(packet.nsp)?.received(packet);
      }
    } catch (error) {
      console.warn("socket.io: the server sent what cannot be read:", error);
      this.#closed("parse error", error);
    }
  }

  // control handles an Engine.IO packet, and returns the Socket.IO packet in it, if there is one.
  #control(type, data) {
    switch (type) {
      case "0": {
        const { pingInterval, pingTimeout } = JSON.parse(data);
        this.#patience = pingInterval + pingTimeout;
        this.#open = true;
        report("open");
        this.#stable = setTimeout(() => { this.#failures = 0; }, stableAfter);
        this.#listen(this.#patience);
        this.sockets.forEach((socket) => socket.active && socket.opened());
        return undefined;
      }
      case "1":
        this.#closed("transport close");
        return undefined;
      case "2":
        this.#send("3");
        this.#listen(this.#patience);
        return undefined;
      case "4": {
        if (this.#partial !== undefined) {
          throw new Error("text instead of an attachment");
        }
        const packet = decode(data);
        if (packet.attachments === 0) {
          return packet;
        }
        this.#partial = { ...packet, type: packet.type - 3, buffers: [] };
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #attach(buffer) {
    const packet = this.#partial;
    if (packet === undefined) {
      throw new Error("an attachment without a packet");
    }
    packet.buffers.push(buffer);
    if (packet.buffers.length < packet.attachments) {
      return undefined;
    }
    this.#partial = undefined;
    return { ...packet, data: putBinary(packet.data, packet.buffers) };
  }

  // listen sets a deadline for the server's next sign of life.
  #listen(ms) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#closed("ping timeout"), ms);
  }

  // Every end arrives here. It schedules another attempt if a namespace wants it. details are the second argument of
  // "disconnect": as with the official client, context is the event that closed the WebSocket, with its code, if there was one.
  #closed(reason, details) {
    [this.#silence, this.#stable, this.#retry].forEach(clearTimeout);
    this.#retry = undefined;
    const ws = this.#ws;
    const wasOpen = this.#open;
    this.#ws = this.#partial = undefined;
    this.#open = false;
    ws?.close();
    const again = this.options.reconnection !== false;
    this.sockets.forEach((socket) => {
      socket.forgotten();
      if (socket.active) {
        socket.active = again;
        socket[wasOpen ? "closed" : "failed"](reason, details);
      }
    });
    if (!this.#wanted) {
      pageEvents.forEach((name) => removeEventListener(name, this));
    } else {
      // Random over its whole length, so that the clients of a restarting server do not all come back at once.
      const wait = Math.random() * Math.min(longestDelay, firstDelay * 2 ** this.#failures);
      this.#failures += 1;
      report("waiting", { wait, attempt: this.#failures + 1, reason });
      this.#retry = setTimeout(() => this.connect(), wait);
    }
  }
}

// ---- one namespace

class Socket {
  id; // the server's name for this socket, while connected
  connected = false;
  active = false; // whether it wants to be connected
  recovered = false; // whether the server restored the previous session, with everything missed since
  #manager;
  #nsp;
  #listeners = new Map(); // by event
  #buffer = []; // events to send once connected: encoded, with the ids of their acknowledgements
  #acks = new Map(); // by id
  #lastAck = 0;
  #pid; // the id for recovering the session
  #offset; // of the last event
  #attempt = 0; // number of the latest request for the namespace; a late auth callback compares it
  #asked = false; // CONNECT was sent, and has been neither refused nor taken back

  constructor(manager, nsp, options) {
    this.#manager = manager;
    this.#nsp = nsp;
    this.auth = options.auth ?? {};
    if (options.autoConnect !== false) {
      this.connect();
    }
  }

  get disconnected() {
    return !this.connected;
  }

  connect() {
    if (!this.active) {
      this.active = true;
      this.#manager.sockets.set(this.#nsp, this);
      if (this.#manager.ready) {
        this.opened();
      } else {
        this.#manager.connect();
      }
    }
    return this;
  }

  disconnect() {
    if (this.active) {
      if (this.connected) {
        this.#leave();
      }
      this.active = false;
      this.#gone("io client disconnect");
      this.#manager.leave();
    }
    return this;
  }

  on(event, listener) {
    this.#listeners.set(event, [...this.#listeners.get(event) ?? [], listener]);
    return this;
  }

  once(event, listener) {
    const one = (...args) => {
      this.off(event, one);
      listener(...args);
    };
    return this.on(event, one);
  }

  // off removes one listener, all listeners of an event, or all listeners.
  off(event, listener) {
    if (event === undefined) {
      this.#listeners.clear();
    } else {
      this.#listeners.set(event, listener === undefined ? [] : (this.#listeners.get(event) ?? []).filter((one) => one !== listener));
    }
    return this;
  }

  // emit sends an event, now or once connected. If the last argument is a function, it gets the acknowledgement.
  emit(event, ...args) {
    this.#send(event, args, typeof args.at(-1) === "function" ? args.pop() : undefined);
    return this;
  }

  // emitWithAck returns a promise of the acknowledgement.
  emitWithAck(event, ...args) {
    return new Promise((resolve, reject) => {
      this.#send(event, args, Object.assign((answer) => resolve(answer), { lost: reject }));
    });
  }

  // timeout makes acknowledgements fail after that many ms: callbacks get an Error, or null, as first argument.
  timeout(ms) {
    const send = (event, args, done) => {
      let timer;
      const finish = (...answer) => {
        clearTimeout(timer);
        done(...answer);
      };
      const id = this.#send(event, args, Object.assign((...answer) => finish(null, ...answer), { lost: finish }));
      timer = setTimeout(() => {
        this.#acks.delete(id);
        this.#buffer = this.#buffer.filter((waiting) => waiting.id !== id);
        done(new Error("operation has timed out"));
      }, ms);
    };
    return {
      emit: (event, ...args) => send(event, args, typeof args.at(-1) === "function" ? args.pop() : () => {}),
      emitWithAck: (event, ...args) => new Promise((resolve, reject) => {
        send(event, args, (error, answer) => (error === null ? resolve(answer) : reject(error)));
      }),
    };
  }

  // send returns the id of the acknowledgement, or undefined if none was requested.
  #send(event, args, ack) {
    if (reserved.includes(event)) {
      throw new Error(`"${event}" is a reserved event name`);
    }
    const id = ack === undefined ? undefined : this.#lastAck + 1;
    const packet = encode({ type: EVENT, nsp: this.#nsp, id, data: [event, ...args] }); // throws before anything changes
    if (ack !== undefined) {
      this.#lastAck = id;
      this.#acks.set(id, ack);
    }
    if (this.connected) {
      this.#manager.write(packet);
    } else {
      this.#buffer.push({ id, packet });
    }
    return id;
  }

  // dispatch calls the listeners.
  #dispatch(event, ...args) {
    this.#listeners.get(event)?.forEach((listener) => guard(listener, ...args));
  }

  // Only the manager calls the methods below.

  // opened asks for the namespace, now that the connection is open.
  opened() {
    if (this.#asked) {
      return; // by an earlier connect: that answer will do
    }
    this.#attempt += 1;
    const attempt = this.#attempt;
    const ask = (auth) => {
      if (attempt !== this.#attempt || !this.active) {
        return; // auth called back too late
      }
      this.#manager.write(encode({
        type: CONNECT,
        nsp: this.#nsp,
        data: this.#pid === undefined ? auth : { pid: this.#pid, offset: this.#offset, ...auth },
      }));
      this.#asked = true;
    };
    guard(() => (typeof this.auth === "function" ? this.auth(ask) : ask(this.auth)));
  }

  received({ type, id, data }) {
    if (!this.active) { // sent before the server knew of disconnect
      if (type === CONNECT) {
        this.#leave();
      } else if (type === CONNECT_ERROR) {
        this.#asked = false;
      }
      return;
    }
    switch (type) {
      case CONNECT: {
        this.recovered = this.#pid !== undefined && this.#pid === data.pid;
        this.id = data.sid;
        this.#pid = data.pid;
        this.connected = true;
        const waiting = this.#buffer;
        this.#buffer = [];
        waiting.forEach(({ packet }) => this.#manager.write(packet));
        this.#dispatch("connect");
        break;
      }
      case CONNECT_ERROR: {
        this.active = false; // it was refused: the application decides whether to try again
        this.#asked = false;
        const error = new Error(data.message);
        error.data = data.data;
        this.#dispatch("connect_error", error);
        this.#manager.leave();
        break;
      }
      case DISCONNECT:
        this.#asked = false;
        this.active = false;
        this.#gone("io server disconnect");
        this.#manager.leave();
        break;
      case EVENT: {
        const answer = (...args) => this.connected && this.#manager.write(encode({ type: ACK, nsp: this.#nsp, id, data: args }));
        if (id === undefined && this.#pid !== undefined && typeof data.at(-1) === "string") { // with an id, there is no offset
          this.#offset = data.at(-1);
        }
        this.#dispatch(...data, ...(id === undefined ? [] : [answer]));
        break;
      }
      case ACK: {
        const ack = this.#acks.get(id);
        this.#acks.delete(id);
        if (ack !== undefined) {
          guard(ack, ...data);
        }
      }
    }
  }

  // closed is called when the connection was lost. Another attempt follows, unless reconnection is off.
  closed(reason, details) {
    this.#gone(reason, details);
  }

  // failed is called when an attempt did not succeed. Another follows, unless reconnection is off.
  failed(reason) {
    this.#dispatch("connect_error", new Error(`websocket error: ${reason}`));
  }

  // forgotten is called when the connection is gone, and any answer to CONNECT with it.
  forgotten() {
    this.#asked = false;
  }

  #leave() {
    this.#manager.write(encode({ type: DISCONNECT, nsp: this.#nsp }));
    this.#asked = false;
  }

  #gone(reason, details) {
    const was = this.connected;
    this.connected = false;
    this.#attempt += 1;
    this.id = undefined;
    const kept = new Set(this.#buffer.map(({ id }) => id));
    this.#acks.forEach((ack, id) => { // events that were sent get no answer any more
      if (!kept.has(id)) {
        this.#acks.delete(id);
        if (ack.lost !== undefined) {
          guard(ack.lost, new Error("socket has been disconnected"));
        }
      }
    });
    if (was) {
      this.#dispatch("disconnect", reason, details);
    }
  }
}

const managers = new Map(); // by URL

const knownOptions = ["auth", "autoConnect", "forceNew", "path", "query", "reconnection"];
const unknown = new Set(); // options that were given, but do not exist here

// checkOptions warns once about each option that this client does not have, although the official one may.
function checkOptions(given) {
  Object.keys(given).forEach((name) => {
    const known = knownOptions.includes(name) || name === "transports" && given.transports.includes("websocket");
    if (!known && !unknown.has(name)) {
      unknown.add(name);
      console.warn(`socket.io: this small client has no option ${name}`);
    }
  });
}

// io returns the socket of a namespace: io(), io("/admin"), io("https://example.com/admin", { auth: { token } }).
export function io(where = "/", options = {}) {
  if (typeof where === "object") {
    return io("/", where);
  }
  checkOptions(options);
  const url = new URL(where, location.href);
  const nsp = url.pathname;
  const query = new URLSearchParams({ ...options.query, EIO: 4, transport: "websocket" });
  const at = `${url.protocol.replace("http", "ws")}//${url.host}${(options.path ?? "/socket.io").replace(/\/$/, "")}/?${query}`;
  let manager = managers.get(at);
  const known = manager?.sockets.get(nsp);
  if (known !== undefined && !known.active && !options.forceNew) {
    manager.sockets.delete(nsp); // the new socket takes its place
  } else if (manager === undefined || options.forceNew || known !== undefined) {
    manager = new Manager(at, options);
    managers.set(at, manager);
  }
  return new Socket(manager, nsp, options);
}
