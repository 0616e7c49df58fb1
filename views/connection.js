// A WebSocket that comes back by itself. It knows nothing of the page it is used on.
//
//   const connection = connect("/ws", { onState, onOpen, onMessage });
//
// onState(name, seconds)  "connecting", "open", or "waiting" with the whole seconds left, each second
// onOpen()                the connection is open, for the first time or again
// onMessage(data)         what the server sent: a string, or a Blob

const firstDelay = 500; // the longest wait before the first attempt, in ms; doubled for each further one
const longestDelay = 30_000;
const stableAfter = 5_000; // open for so long, a connection counts as good: the next wait is short again

export function connect(path, { onState, onOpen, onMessage }) {
  let socket;
  let failures = 0; // in a row
  let countdown; // the timer while waiting

  function open() {
    clearInterval(countdown);
    countdown = undefined;
    onState("connecting");
    let stable;
    socket = new WebSocket(address(path));
    socket.onopen = () => {
      stable = setTimeout(() => { failures = 0; }, stableAfter);
      onState("open");
      onOpen();
    };
    socket.onmessage = (event) => onMessage(event.data);
    // Every end comes by here, also that of an attempt, so this is the only place that tries again.
    socket.onclose = () => {
      clearTimeout(stable);
      wait(delay(failures));
      failures += 1;
    };
  }

  function wait(ms) {
    const until = Date.now() + ms;
    const tick = () => {
      const left = until - Date.now();
      if (left <= 0) {
        open();
      } else {
        onState("waiting", Math.ceil(left / 1000));
      }
    };
    countdown = setInterval(tick, Math.min(ms, 250));
    onState("waiting", Math.ceil(ms / 1000));
  }

  // now ends a wait early; at any other time it does nothing.
  function now() {
    if (countdown !== undefined) {
      open();
    }
  }

  // send reports whether the data was handed over.
  function send(data) {
    if (socket.readyState !== WebSocket.OPEN) {
      return false;
    }
    socket.send(data);
    return true;
  }

  addEventListener("online", now);
  open();
  return { send, now };
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
