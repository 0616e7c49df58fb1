// A WebSocket that records its frames, and can simulate failures. It replaces the browser's own class, so that it
// works the same way for every client on a page. Unless it simulates a failure, it passes everything to the page unchanged
// and without delay.

import { add, change, frame, hold, release, setState } from "/wire-record.js";

const slowEvery = 500; // ms between two messages, when reading slowly
const mostHeld = 1000; // messages held back; beyond it, see #keepBounded
const mostHeldBytes = 16 << 20; // and their total size

const Browser = globalThis.WebSocket;
const { OPEN, CLOSED } = Browser;

const sockets = new Set(); // those that the page considers open or connecting
let slow = false;
let count = 0;

export class WatchedSocket extends Browser {
  #about; // the fields that its entries share
  #state; // the readyState that the page sees instead of the browser's, if set
  #frozen = false;
  #inbox = []; // events held back from the page, each with its entry
  #outbox = []; // data held back from the server, each with its entry
  #heldBytes = 0; // of both
  #timer; // until the next message may be read, when reading slowly
  #lastRead = -Infinity; // when the previous message was read

  constructor(...args) {
    super(...args);
    count += 1;
    this.#about = { socket: count, url: this.url };
    sockets.add(this);
    this.#note("connecting");
    setState({ state: "connecting" });
    // Registered first, and capturing, so that it can hide events from the page.
    ["open", "message", "error", "close"].forEach((type) => this.addEventListener(type, (event) => this.#arrived(event), true));
  }

  get readyState() {
    return this.#state ?? super.readyState;
  }

  get frozen() {
    return this.#frozen;
  }

  send(data) {
    if (this.#state === CLOSED) {
      return; // as a closed WebSocket does
    }
    if (!this.#frozen || super.readyState !== OPEN) {
      super.send(data); // throws if the socket is still connecting
      if (super.readyState === OPEN) {
        frame(this.#about, true, data);
      }
      return;
    }
    const entry = frame(this.#about, true, data);
    hold(entry);
    this.#outbox.push({ entry, data: typeof data === "string" ? data : new Blob([data]) }); // copied: the page may reuse it
    this.#keepBounded(entry);
  }

  // close means that the page is done. It gets no more of the messages held back, but does get a close event held back.
  close(code, reason) {
    const over = this.readyState > OPEN;
    super.close(code, reason); // throws for a code that pages may not use
    if (over) {
      return;
    }
    if (this.#frozen) {
      this.#note("the page abandons the frozen connection");
    }
    add({ ...this.#about, kind: "close", sent: true, code: code ?? 1005, reason: reason ?? "", size: 0 });
    const end = this.#inbox.find(({ event }) => event.type === "close");
    this.#forget();
    this.#state = undefined;
    if (end !== undefined) {
      queueMicrotask(() => this.dispatchEvent(again(end.event)));
    }
  }

  // freeze holds back the messages of both sides until thaw.
  freeze() {
    this.#frozen = true;
    this.#note("frozen: neither side hears the other");
  }

  thaw() {
    this.#frozen = false;
    this.#note("thawed");
    const waiting = this.#outbox;
    this.#outbox = [];
    waiting.forEach(({ entry, data }) => {
      super.send(data);
      this.#letGo(entry);
    });
    this.deliver();
  }

  // drop shows the page what it would see if the network had broken the connection.
  drop() {
    if (this.#state === CLOSED) {
      return;
    }
    this.#state = CLOSED;
    this.#forget();
    super.close();
    add({ ...this.#about, kind: "close", code: 1006, reason: "", dropped: true, size: 0 });
    setState({ state: "closed" });
    this.dispatchEvent(new Event("error"));
    this.dispatchEvent(new CloseEvent("close", { code: 1006, reason: "", wasClean: false }));
  }

  // deliver passes the events held back to the page, as far as they are due.
  deliver() {
    clearTimeout(this.#timer);
    while (this.#inbox.length > 0 && !this.#frozen) {
      const wait = this.#waitFor(this.#inbox[0].event);
      if (wait > 0) {
        this.#timer = setTimeout(() => this.deliver(), wait);
        return;
      }
      this.#deliverOne();
    }
  }

  #deliverOne() {
    const { event, entry } = this.#inbox.shift();
    this.#letGo(entry);
    if (event.type === "close") {
      this.#state = undefined;
    }
    this.#passes(event);
    this.dispatchEvent(again(event));
  }

  // arrived sees every event first: those from the browser, and those that this class dispatches.
  #arrived(event) {
    if (!event.isTrusted) {
      return; // dispatched by deliverOne, close or drop
    }
    if (this.#state === CLOSED) {
      event.stopImmediatePropagation(); // the page already got a close event
      return;
    }
    const entry = this.#record(event);
    if (!this.#frozen && this.#inbox.length === 0 && this.#waitFor(event) <= 0) {
      this.#passes(event);
      return;
    }
    event.stopImmediatePropagation();
    if (event.type === "close") {
      this.#state = OPEN; // as far as the page can tell
    }
    this.#inbox.push({ event, entry });
    if (entry !== undefined) {
      hold(entry);
      this.#keepBounded(entry);
    }
    this.deliver();
  }

  // record makes no entry for an error: the close event that follows says as much.
  #record(event) {
    switch (event.type) {
      case "open": {
        const agreed = [this.protocol && `subprotocol ${this.protocol}`, this.extensions && `extension ${this.extensions}`];
        return this.#note(["open", ...agreed.filter((one) => one !== "")].join(", "));
      }
      case "message":
        return frame(this.#about, false, event.data);
      case "close":
        return add({ ...this.#about, kind: "close", sent: event.code === 1006 ? undefined : false, code: event.code, reason: event.reason, size: 0 });
      default:
        return undefined;
    }
  }

  #note(text) {
    return add({ ...this.#about, kind: "event", text, size: 0 });
  }

  // waitFor returns for how many ms an event has to wait, when reading slowly.
  #waitFor(event) {
    return slow && event.type === "message" ? this.#lastRead + slowEvery - performance.now() : 0;
  }

  // passes is called for each event just before the page gets it.
  #passes(event) {
    if (event.type === "message") {
      this.#lastRead = performance.now();
    } else if (event.type === "open") {
      setState({ state: "open" });
    } else if (event.type === "close" && sockets.delete(this)) { // otherwise the page had already left the connection
      setState({ state: "closed" });
    }
  }

  // keepBounded is called for each entry held back. Beyond the bound, a frozen connection breaks, as a dead one would
  // eventually, and a slow one is read faster.
  #keepBounded(entry) {
    this.#heldBytes += entry.size;
    const over = () => this.#inbox.length + this.#outbox.length > mostHeld || this.#heldBytes > mostHeldBytes;
    if (this.#frozen && over()) {
      queueMicrotask(() => this.drop()); // not while the page is sending
    }
    while (!this.#frozen && over()) {
      this.#deliverOne();
    }
  }

  #letGo(entry) {
    if (entry !== undefined) {
      this.#heldBytes -= entry.size;
      release(entry);
    }
  }

  // forget is called when the connection is over for the page: everything held back is lost.
  #forget() {
    clearTimeout(this.#timer);
    [...this.#inbox, ...this.#outbox].forEach(({ entry }) => entry && change(entry, { held: false, lost: true }));
    this.#inbox = [];
    this.#outbox = [];
    this.#heldBytes = 0;
    this.#frozen = false;
    sockets.delete(this);
  }
}

// again copies an event: Chromium does not dispatch a stopped event a second time.
function again(event) {
  switch (event.type) {
    case "message":
      return new MessageEvent("message", { data: event.data, origin: event.origin });
    case "close":
      return new CloseEvent("close", { code: event.code, reason: event.reason, wasClean: event.wasClean });
    default:
      return new Event(event.type);
  }
}

// dropAll, freezeAll and thawAll affect only the present connections; later ones work normally.
export const dropAll = () => [...sockets].forEach((socket) => socket.drop());
export const freezeAll = () => [...sockets].forEach((socket) => socket.freeze());
export const thawAll = () => [...sockets].forEach((socket) => socket.frozen && socket.thaw());

// anyThere and anyFrozen report whether there are any connections, and any frozen ones.
export const anyThere = () => sockets.size > 0;
export const anyFrozen = () => [...sockets].some((socket) => socket.frozen);

// readSlowly limits the page to a message every half second, or removes that limit. It applies to all connections, including
// later ones.
export function readSlowly(wanted) {
  slow = wanted;
  sockets.forEach((socket) => socket.deliver());
}

export const readsSlowly = () => slow;
