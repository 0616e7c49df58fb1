// A WebSocket that reconnects by itself. It knows nothing of the page that uses it.
//
//   const connection = connect("/ws", { onState, onOpen, onMessage });
//
// path                 or a function that returns one, or a promise of one. It is called before each attempt, with a
//                      signal that aborts when the attempt takes too long. If it throws, the attempt has
//                      failed; if it returns undefined, the connection stops until again()
// onState(name, why, left)  "connecting", "open", "waiting" with the whole seconds left, each second, or "stopped". why
//                      gives the close code and the reason with which the last connection ended, in words, if there was one
// onOpen()             the connection is open, for the first time or again
// onMessage(data)      a message from the server: a string, or a Blob
// onDoubt()            optional: the connection may have failed silently. Send something that the server has to answer
//                      and call expect(), or call again()
//
// send(data)           reports whether the data was handed over
// again()              leaves the connection, the wait or the stop, and connects immediately
// expect()             gives the server some seconds to say something; otherwise it connects again, like again()
//
// Each change is also dispatched to the window as an event "echows:state". Its detail has the state and, depending on it,
// wait and after, in ms, the number of the attempt, and the reason. wire.js shows them.

import { closeWords } from "/close-codes.js";

const firstDelay = 500; // the longest wait before the first retry, in ms; doubled for each further one
const longestDelay = 30_000;
const attemptTime = 4_000; // for the first attempt, in ms; doubled for each further one, up to longestDelay
const stableAfter = 5_000; // a connection that has been open this long counts as good: the next wait is short again
const answerTime = 5_000; // for the server to say something when an answer is expected
const quietTime = 30_000; // after this long without a message, showing the page raises a doubt; also the time between two doubts

export function connect(path, { onState, onOpen, onMessage, onDoubt }) {
  let socket;
  let state;
  let failures = 0; // in a row
  let ended; // how the last connection ended, in words; failed attempts since then do not change it
  let timer; // for the current state: until the attempt is abandoned, the connection counts as good, or the wait is over
  let attempt; // an AbortController
  let silence; // timer, while an answer is expected
  let heard = 0; // when the server last said something
  let doubted = 0; // when onDoubt was last called
  let doubting; // timer, until it may be called again

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
    if (signal.aborted) { // another attempt may be under way
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
    // Every end arrives here, including that of a failed attempt.
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

  // drop abandons whatever there is. It does not wait for the connection to close: over a dead network,
  // the closing handshake takes a minute.
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

  // retry is the only place that schedules another attempt.
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

  // doubt calls onDoubt if nothing was heard after since, but not more often than every quietTime.
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
    doubt(Date.now()); // anything heard before came over the previous network
  });
  document.addEventListener("visibilitychange", () => document.hidden || doubt(Date.now() - quietTime));
  // The browser may keep a page frozen, for the way back to it: close now, and reconnect when the page is shown again.
  addEventListener("pagehide", drop);
  addEventListener("pageshow", (event) => event.persisted && state !== "stopped" && open());
  open();
  return { send, again: open, expect };
}

// report tells anybody who watches the connections of this page.
function report(state, more) {
  dispatchEvent(new CustomEvent("echows:state", { detail: { state, ...more } }));
}

// isFinal reports whether another attempt after a close code would end the same way: one side broke a rule, or
// the application said so.
function isFinal(code) {
  return [1002, 1003, 1007, 1008, 1009].includes(code) || (code >= 4000 && code <= 4999);
}

// address makes the WebSocket's URL from the page's: wss: if the page was loaded over https:.
export function address(path, page = location) {
  const scheme = page.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${page.host}${path}`;
}

// delay grows exponentially and is random over its whole length ("full jitter"), so that the clients
// of a restarting server do not all come back at the same moment.
export function delay(failures, random = Math.random) {
  return random() * Math.min(longestDelay, firstDelay * 2 ** failures);
}
