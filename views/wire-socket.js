// A WebSocket that records its frames, and can be made to fail. It takes the place of the browser's own, so that it
// works alike for every client on a page. While nothing is made to fail, all that comes goes to the page as it is, at
// once.

import { add, change, frame, hold, release, setState } from "/wire-record.js";

const slowEvery = 500; // ms between two messages, while they are read slowly
const mostHeld = 1000; // messages that are held back; past it, see #keepBounded
const mostHeldBytes = 16 << 20; // and the bytes of all of them

const Browser = globalThis.WebSocket;
const { OPEN, CLOSED } = Browser;

const sockets = new Set(); // which the page takes for connections, or for attempts
let slow = false;
let count = 0;

export class WatchedSocket extends Browser {
  #about; // what its entries have in common
  #state; // what the page is to see instead of the browser's readyState
  #frozen = false;
  #inbox = []; // events for the page that are held back, each with its entry
  #outbox = []; // data from the page that is held back, each with its entry
  #heldBytes = 0; // of both
  #timer; // until the next message may be read, slowly
  #lastRead = -Infinity; // when the one before was

  constructor(...args) {
    super(...args);
    count += 1;
    this.#about = { socket: count, url: this.url };
    sockets.add(this);
    this.#note("connecting");
    setState({ state: "connecting" });
    // The first of all listeners, and capturing: it can keep events from the page.
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
      return; // as one does that has ended
    }
    if (!this.#frozen || super.readyState !== OPEN) {
      super.send(data); // throws where it is too early
      if (super.readyState === OPEN) {
        frame(this.#about, true, data);
      }
      return;
    }
    const entry = frame(this.#about, true, data);
    hold(entry);
    this.#outbox.push({ entry, data: typeof data === "string" ? data : new Blob([data]) }); // a copy: the page may change its own
    this.#keepBounded(entry);
  }

  // close is the page's word that it wants nothing more. What is held back it does not hear any more, but that it is over.
  close(code, reason) {
    const over = this.readyState > OPEN;
    super.close(code, reason); // throws for a code that no page may send
    if (over) {
      return;
    }
    if (this.#frozen) {
      this.#note("the page gives the frozen connection up");
    }
    add({ ...this.#about, kind: "close", sent: true, code: code ?? 1005, reason: reason ?? "", size: 0 });
    const end = this.#inbox.find(({ event }) => event.type === "close");
    this.#forget();
    this.#state = undefined;
    if (end !== undefined) {
      queueMicrotask(() => this.dispatchEvent(again(end.event)));
    }
  }

  // freeze holds back what either side says, until thaw.
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

  // drop has the page see what it would see if the network had ended the connection.
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

  // deliver gives the page what is held back, as far as it is time for it.
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

  // arrived is where all events come by: those of the browser, and again those that were held back.
  #arrived(event) {
    if (!event.isTrusted) {
      return; // a script let it go: deliverOne, or drop
    }
    if (this.#state === CLOSED) {
      event.stopImmediatePropagation(); // the page was told that it is over
      return;
    }
    const entry = this.#record(event);
    if (!this.#frozen && this.#inbox.length === 0 && this.#waitFor(event) <= 0) {
      this.#passes(event);
      return;
    }
    event.stopImmediatePropagation();
    if (event.type === "close") {
      this.#state = OPEN; // as far as the page can know
    }
    this.#inbox.push({ event, entry });
    if (entry !== undefined) {
      hold(entry);
      this.#keepBounded(entry);
    }
    this.deliver();
  }

  // record has no entry for an error: it says nothing that the close after it does not.
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

  // waitFor returns for how many ms an event has to wait, where messages are read slowly.
  #waitFor(event) {
    return slow && event.type === "message" ? this.#lastRead + slowEvery - performance.now() : 0;
  }

  // passes is told of each event just before the page hears it.
  #passes(event) {
    if (event.type === "message") {
      this.#lastRead = performance.now();
    } else if (event.type === "open") {
      setState({ state: "open" });
    } else if (event.type === "close" && sockets.delete(this)) { // otherwise the page has left it before
      setState({ state: "closed" });
    }
  }

  // keepBounded is told of each entry that is held back. Past the bound, a frozen connection breaks, as a dead one would
  // in time, and one that is read slowly is read faster.
  #keepBounded(entry) {
    this.#heldBytes += entry.size;
    const over = () => this.#inbox.length + this.#outbox.length > mostHeld || this.#heldBytes > mostHeldBytes;
    if (this.#frozen && over()) {
      queueMicrotask(() => this.drop()); // not while the page sends
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

  // forget is for a connection that is over, to the page: what is held back reaches nobody.
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

// again copies an event: Chromium does not dispatch one again that was stopped.
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

// dropAll, freezeAll and thawAll are for the connections that there are now; one that is made later works.
export const dropAll = () => [...sockets].forEach((socket) => socket.drop());
export const freezeAll = () => [...sockets].forEach((socket) => socket.freeze());
export const thawAll = () => [...sockets].forEach((socket) => socket.frozen && socket.thaw());

// anyThere and anyFrozen report whether there are connections, and frozen ones.
export const anyThere = () => sockets.size > 0;
export const anyFrozen = () => [...sockets].some((socket) => socket.frozen);

// readSlowly has the page read a message each half a second, or all at once again. It is for all connections, also
// those that are made later.
export function readSlowly(wanted) {
  slow = wanted;
  sockets.forEach((socket) => socket.deliver());
}

export const readsSlowly = () => slow;
