// How the sockets of a page come back, all at once. Socket.IO's clients would do that by themselves, but none says
// how long it waits, or can be told to wait no longer.

import { delay } from "/connection.js";

const stableAfter = 5_000; // ms; connected for so long, the next wait is short again

// comeBack calls leave when a connection is lost, so that no client tries by itself, enter when it is time for the next attempt, and
// onWait with the whole seconds that are left, each second.
export function comeBack({ leave, enter, onWait }) {
  let failures = 0; // in a row
  let timer; // while it waits
  let stable;

  // lost is for each socket that lost its connection, or did not get one. They all go together.
  function lost() {
    clearTimeout(stable);
    if (timer !== undefined) {
      return;
    }
    const wait = delay(failures);
    const until = Date.now() + wait;
    failures += 1;
    queueMicrotask(() => { // when all of them have been told
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

  // now makes the attempt that is waited for.
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

// report tells whoever looks at the connections of this page, as connection.js does.
function report(state, more) {
  dispatchEvent(new CustomEvent("echows:state", { detail: { state, ...more } }));
}
