// The end of a long list, in an element that scrolls: it keeps a bounded number of lines, and draws new ones once per frame.

import { eachFrame } from "/frames.js";

const near = 60; // px from the end that count as the end

// keepAtEnd keeps a scroller at its end as long as the reader has not scrolled away. It returns a function to call when lines
// were appended. That function measures, so it must run after all of a frame's changes.
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

// tail returns add(make), which calls make() in the next frame and appends the element that it returns to list; and
// toEnd, from keepAtEnd. list keeps the last elements, and note says how many are kept and how many are gone. If more than
// that are added in one frame, the first are never made.
export function tail({ list, scroller = list, note, most }) {
  const toEnd = keepAtEnd(scroller);
  const fresh = []; // functions that make the elements of the next frame
  let count = 0; // all elements ever added

  const draw = eachFrame(() => {
    const made = fresh.splice(0).map((make) => make());
    made[0].classList.toggle("arrives", made.length === 1); // animates a single new line, but not many together
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

// goneWords says how many lines are kept, and how many are gone.
export function goneWords(kept, gone) {
  return `The last ${kept} are kept; ${gone.toLocaleString()} older ${gone === 1 ? "one was" : "ones were"} removed.`;
}
