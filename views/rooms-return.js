// How a page's sockets reconnect, all together. Socket.IO's clients would do so by themselves, but do not tell
// how long they wait, and have no way to cut a wait short.

import { delay } from "/connection.js";

const stableAfter = 5_000; // ms; after a connection of this length the next wait is short again

// comeBack calls leave when a connection is lost, so that no client retries by itself, enter when the next attempt is due, and
// onWait with the whole seconds left, each second.
export function comeBack({ leave, enter, onWait }) {
  let failures = 0; // in a row
  let timer; // during a wait
  let stable;

  // lost is called for each socket that lost its connection, or did not get one. All sockets wait together.
  function lost() {
    clearTimeout(stable);
    if (timer !== undefined) {
      return;
    }
    const wait = delay(failures);
    const until = Date.now() + wait;
    failures += 1;
    queueMicrotask(() => { // once all sockets have reported the loss
      leave();
      report("waiting", { wait, attempt: failures + 1 });
    });
    const tick = () => {
      const left = until - Date.now();
      if (left <= 0) {
        now();
      } else {
        timer = setTimeout(tick, Math.min(left, 250));
        onWait(Math.ceil(left / 1000));
      }
    };
    timer = setTimeout(tick);
  }

  function found() {
    clearTimeout(stable);
    stable = setTimeout(() => { failures = 0; }, stableAfter);
    report("open");
  }

  // now starts the next attempt without waiting any longer.
  function now() {
    stop();
    report("connecting", { attempt: failures + 1 });
    enter();
  }

  function stop() {
    clearTimeout(timer);
    timer = undefined;
  }

  const isWaiting = () => timer !== undefined;
  addEventListener("online", () => isWaiting() && now());
  return { lost, found, now, stop, isWaiting };
}

// report tells anybody who watches the connections of this page, as connection.js does.
function report(state, more) {
  dispatchEvent(new CustomEvent("echows:state", { detail: { state, ...more } }));
}
