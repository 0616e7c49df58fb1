// Work on the page that is done once for each frame that the browser draws, however often it is asked for: a page that
// measures itself after each of a thousand changes is laid out a thousand times.
//
//   const draw = eachFrame(change, measure);
//
// draw() asks for both. In the next frame change() runs, which writes to the page; and when all who asked have written,
// measure(), which reads sizes and scrolls. A page that is not shown has no frames: then a timer does it, a few times a second.

const hiddenEvery = 250; // ms

const asked = new Set();
let cancel; // takes back what is scheduled

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

// guard calls f. What one of them throws is not to keep the others from their work.
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
