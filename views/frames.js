// Changes to the page that run once per frame, however often they are requested: a page that measures itself after each of
// a thousand changes is laid out a thousand times.
//
//   const draw = eachFrame(change, measure);
//
// draw() requests both. In the next frame change() writes to the page, and once all the changes requested have run,
// measure() reads sizes and scrolls. A hidden page has no frames: there a timer runs them, a few times a second.

const hiddenEvery = 250; // ms

const asked = new Set();
let cancel; // cancels the scheduled run

export function eachFrame(change, measure = () => {}) {
  const work = { change, measure };
  return () => {
    asked.add(work);
    cancel ??= schedule();
  };
}

function schedule() {
  if (document.hidden) {
    const timer = setTimeout(run, hiddenEvery);
    return () => clearTimeout(timer);
  }
  const frame = requestAnimationFrame(run);
  return () => cancelAnimationFrame(frame);
}

function run() {
  cancel = undefined;
  const now = [...asked];
  asked.clear();
  now.forEach(({ change }) => guard(change));
  now.forEach(({ measure }) => guard(measure));
}

// guard calls f. An error in one function must not keep the others from running.
function guard(f) {
  try {
    f();
  } catch (error) {
    reportError(error);
  }
}

document.addEventListener("visibilitychange", () => {
  if (cancel !== undefined) {
    cancel();
    cancel = schedule();
  }
});
