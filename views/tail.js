// The last of many lines, in an element that scrolls: however many come, a bounded number is kept, and drawn once a frame.

import { eachFrame } from "/frames.js";

const near = 60; // px from the end that count as the end

// keepAtEnd keeps the end of a scroller in sight for as long as the reader sees it. It returns what to call when something
// was appended: it measures, and so belongs behind all that is written in a frame.
export function keepAtEnd(scroller) {
  let following = true;
  const toEnd = () => {
    if (following) {
      scroller.scrollTop = scroller.scrollHeight;
    }
  };
  scroller.addEventListener("scroll", () => {
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < near;
  });
  new ResizeObserver(toEnd).observe(scroller);
  return toEnd;
}

// tail returns add(make), which has make() called in the next frame for an element that list gets as its last; and
// toEnd, as of keepAtEnd. list keeps the last so many: note says so, and how many went before them. Of more than
// that in one frame the first are never made.
export function tail({ list, scroller = list, note, most }) {
  const toEnd = keepAtEnd(scroller);
  const fresh = []; // what makes the elements of the next frame
  let count = 0; // of all that were added

  const draw = eachFrame(() => {
    const made = fresh.splice(0).map((make) => make());
    made[0].classList.toggle("arrives", made.length === 1); // moves, which many at once should not
    list.append(...made);
    while (list.childElementCount > most) {
      list.firstElementChild.remove();
    }
    note.hidden = count <= most;
    note.textContent = count <= most ? "" : goneWords(most, count - most);
  }, toEnd);

  function add(make) {
    count += 1;
    fresh.push(make);
    if (fresh.length > most) {
      fresh.shift();
    }
    draw();
  }

  return { add, toEnd };
}

// goneWords says that the last so many are kept, of more.
export function goneWords(kept, gone) {
  return `The last ${kept} are kept; ${gone.toLocaleString()} before them ${gone === 1 ? "is" : "are"} gone.`;
}
