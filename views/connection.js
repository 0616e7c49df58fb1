// A WebSocket that comes back by itself. It knows nothing of the page it is used on.
//
//   const connection = connect("/ws", { onState, onOpen, onMessage });
//
// path                    or a function that returns one, or a promise of one: it is asked before each
//                         attempt. What it throws counts as a failed attempt; undefined stops, until again()
// onState(name, seconds)  "connecting", "open", "stopped", or "waiting" with the whole seconds left, each second
// onOpen()                the connection is open, for the first time or again
// onMessage(data)         what the server sent: a string, or a Blob

const firstDelay = 500; // the longest wait before the first attempt, in ms; doubled for each further one
const longestDelay = 30_000;
const stableAfter = 5_000; // open for so long, a connection counts as good: the next wait is short again

export function connect(path, { onState, onOpen, onMessage }) {
  let socket;
  let state;
  let failures = 0; // in a row
  let countdown; // the timer while waiting
  let atOnce = false; // the next attempt does not wait

  function show(name, seconds) {
    state = name;
    onState(name, seconds);
  }

  async function open() {
    clearInterval(countdown);
    countdown = undefined;
    show("connecting");
    let where;
    try {
      where = typeof path === "function" ? await path() : path;
    } catch {
      retry();
      return;
    }
    if (where === undefined) {
      show("stopped");
      return;
    }
    let stable;
    socket = new WebSocket(address(where));
    socket.onopen = () => {
      stable = setTimeout(() => { failures = 0; }, stableAfter);
      show("open");
      onOpen();
    };
    socket.onmessage = (event) => onMessage(event.data);
    // Every end comes by here, also that of an attempt.
    socket.onclose = () => {
      clearTimeout(stable);
      retry();
    };
  }

  // retry is the only place that tries again by itself.
  function retry() {
    wait(atOnce ? 0 : delay(failures));
    failures += 1;
    atOnce = false;
  }

  function wait(ms) {
    const until = Date.now() + ms;
    const tick = () => {
      const left = until - Date.now();
      if (left <= 0) {
        open();
      } else {
        show("waiting", Math.ceil(left / 1000));
      }
    };
    countdown = setInterval(tick, Math.min(ms, 250));
    show("waiting", Math.ceil(ms / 1000));
  }

  // now ends a wait early; at any other time it does nothing.
  function now() {
    if (countdown !== undefined) {
      open();
    }
  }

  // again ends the connection, if there is one, and makes another at once.
  function again() {
    if (state === "stopped") {
      open();
    } else if (state === "open") {
      atOnce = true;
      socket.close(1000);
    } else {
      now();
    }
  }

  // send reports whether the data was handed over.
  function send(data) {
    if (socket?.readyState !== WebSocket.OPEN) {
      return false;
    }
    socket.send(data);
    return true;
  }

  addEventListener("online", now);
  // A page that is left may be kept, frozen, for the way back: say goodbye now, and come back then.
  addEventListener("pagehide", () => socket?.close(1000));
  addEventListener("pageshow", (event) => event.persisted && again());
  open();
  return { send, now, again };
}

// address makes the WebSocket's URL from the page's: wss: where the page came by https:.
export function address(path, page = location) {
  const scheme = page.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${page.host}${path}`;
}

// delay grows exponentially and is random over its whole length ("full jitter"), so that the clients
// of a server that restarts do not all come back in the same moment.
export function delay(failures, random = Math.random) {
  return random() * Math.min(longestDelay, firstDelay * 2 ** failures);
}
