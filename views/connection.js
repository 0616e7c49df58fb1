// A WebSocket that comes back by itself. It knows nothing of the page it is used on.
//
//   const connection = connect("/ws", { onState, onOpen, onMessage });
//
// path                 or a function that returns one, or a promise of one. It is asked before each attempt, with a
//                      signal that aborts when the attempt takes too long. What it throws counts as a failed
//                      attempt; undefined stops, until again()
// onState(name, why, left)  "connecting", "open", "waiting" with the whole seconds left, each second, or "stopped". why
//                      has the close code and the reason of the connection's end in words, where there was one
// onOpen()             the connection is open, for the first time or again
// onMessage(data)      what the server sent: a string, or a Blob
// onDoubt()            optional: the connection may have died without a word. Send what the server has to answer
//                      and call expect(), or call again()
//
// send(data)           reports whether the data was handed over
// again()              leaves the connection, the wait or the stop, and makes a connection at once
// expect()             gives the server some seconds to say something; if it does not, as again()
//
// The window hears of each change, too, by an event "echows:state" whose detail has the state and what there is to say of
// it: wait and after, in ms, the number of the attempt, the reason. wire.js shows that.

import { closeWords } from "/close-codes.js";

const firstDelay = 500; // the longest wait before the first attempt, in ms; doubled for each further one
const longestDelay = 30_000;
const attemptTime = 4_000; // for the first attempt; doubled for each further one, up to longestDelay
const stableAfter = 5_000; // open for so long, a connection counts as good: the next wait is short again
const answerTime = 5_000; // for the server to say something that is expected
const quietTime = 30_000; // after so long without a word there is doubt when the page is shown; and between two doubts

export function connect(path, { onState, onOpen, onMessage, onDoubt }) {
  let socket;
  let state;
  let failures = 0; // in a row
  let ended; // how the last connection did, in words; of attempts since then nothing new is said
  let timer; // of the state: until the attempt is given up, the connection is stable, or the wait is over
  let attempt; // an AbortController
  let silence; // the timer while something is expected
  let heard = 0; // when the server said something last
  let doubted = 0; // when there was doubt last
  let doubting; // the timer until there may be again

  function show(name, why, left) {
    state = name;
    onState(name, why, left);
  }

  async function open() {
    drop();
    show("connecting");
    report("connecting", { attempt: failures + 1 });
    attempt = new AbortController();
    const patience = Math.min(longestDelay, attemptTime * 2 ** failures);
    timer = setTimeout(() => {
      report("late", { after: patience });
      retry();
    }, patience);
    const { signal } = attempt;
    let where;
    try {
      where = typeof path === "function" ? await path(signal) : path;
    } catch {
      where = null;
    }
    if (signal.aborted) { // and another may be under way
      return;
    }
    if (where === null) {
      retry();
    } else if (where === undefined) {
      stop();
    } else {
      begin(new WebSocket(address(where)));
    }
  }

  function begin(made) {
    socket = made;
    socket.onopen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => { failures = 0; }, stableAfter);
      heard = Date.now();
      ended = undefined;
      show("open");
      report("open");
      onOpen();
    };
    socket.onmessage = (event) => {
      heard = Date.now();
      clearTimeout(silence);
      silence = undefined;
      onMessage(event.data);
    };
    // Every end comes by here, also that of an attempt.
    socket.onclose = ({ code, reason }) => {
      const why = closeWords(code, reason);
      if (isFinal(code)) {
        stop(why);
        return;
      }
      ended ??= why;
      retry();
    };
  }

  // drop leaves whatever there is. It does not wait for the end of the connection: over a network that
  // is dead, the closing handshake takes a minute.
  function drop() {
    attempt?.abort();
    clearTimeout(timer);
    clearTimeout(silence);
    silence = undefined;
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
      socket = undefined;
    }
  }

  function stop(reason) {
    drop();
    show("stopped", reason);
    report("stopped", { reason });
  }

  // retry is the only place that tries again by itself.
  function retry() {
    drop();
    const wait = delay(failures);
    const until = Date.now() + wait;
    failures += 1;
    report("waiting", { wait, attempt: failures + 1 });
    const tick = () => {
      const left = until - Date.now();
      if (left <= 0) {
        open();
      } else {
        timer = setTimeout(tick, Math.min(left, 250));
        show("waiting", ended, Math.ceil(left / 1000));
      }
    };
    tick();
  }

  function send(data) {
    if (socket?.readyState !== WebSocket.OPEN) {
      return false;
    }
    socket.send(data);
    return true;
  }

  function expect() {
    if (state === "open") {
      silence ??= setTimeout(() => {
        report("silent", { after: answerTime });
        open();
      }, answerTime);
    }
  }

  // doubt has the connection looked at, if nothing was heard since then, once in a while at most.
  function doubt(since) {
    clearTimeout(doubting);
    if (onDoubt === undefined || state !== "open" || heard > since) {
      return;
    }
    const early = doubted + quietTime - Date.now();
    if (early > 0) {
      doubting = setTimeout(doubt, early, since);
      return;
    }
    doubted = Date.now();
    onDoubt();
  }

  addEventListener("online", () => {
    if (state === "waiting") {
      open();
    }
    doubt(Date.now()); // what was heard before came by the network that is gone
  });
  document.addEventListener("visibilitychange", () => document.hidden || doubt(Date.now() - quietTime));
  // A page that is left may be kept, frozen, for the way back: say goodbye now, and come back then.
  addEventListener("pagehide", drop);
  addEventListener("pageshow", (event) => event.persisted && state !== "stopped" && open());
  open();
  return { send, again: open, expect };
}

// report tells whoever looks at the connections of this page.
function report(state, more) {
  dispatchEvent(new CustomEvent("echows:state", { detail: { state, ...more } }));
}

// isFinal tells the close codes after which another attempt would fare no better: a broken rule, or what
// the application says.
function isFinal(code) {
  return [1002, 1003, 1007, 1008, 1009].includes(code) || (code >= 4000 && code <= 4999);
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
