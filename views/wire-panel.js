// The panel of wire.js: its contents and buttons. It draws at most four times a second, whatever the traffic, to leave time
// for the page. Entries that wire-record.js has dropped by then are counted, but not shown.

import { eachFrame } from "/frames.js";
import { goneWords, keepAtEnd } from "/tail.js";
import { entries, listen, state } from "/wire-record.js";
import { plot } from "/wire-plot.js";
import { reader } from "/wire-read.js";
import { make, row } from "/wire-row.js";
import { anyFrozen, anyThere, dropAll, freezeAll, readSlowly, readsSlowly, thawAll } from "/wire-socket.js";

const drawEvery = 250; // ms between two drawings; the first is immediate
const mostAtOnce = 50; // new rows made in one drawing, once the panel is open

let panel; // undefined until it is built

// toggle opens the panel in host, or closes it. opener is its button. byHand tells whether the reader has just asked for
// it, and expects the focus to move along.
export function toggle(host, opener, byHand) {
  panel ??= build(host, opener);
  panel.setOpen(panel.element.hidden, byHand);
}

function build(host, opener) {
  const title = make("h2", "", "The wire");
  title.tabIndex = -1;
  const now = make("p", "wire-state");
  const trips = plot();
  const list = frames(trips);
  const failing = failures(schedule);
  const tools = make("details", "wire-tools", make("summary", "", "Round trips and simulated failures"), trips.element, failing.element);
  const wide = matchMedia("(min-width: 80rem)"); // as in wire.css: wide enough for the panel beside the page
  tools.open = wide.matches;
  wide.addEventListener("change", () => { tools.open = wide.matches; });
  const element = make("div", "wire-panel", // host is the landmark, and has the label
    make("div", "wire-title", title, now, button("Clear", list.clear), button("Close", () => setOpen(false, true))),
    make("p", "wire-note", "Every frame that this page sends and receives. Browsers do not show pings, pongs or fragments to scripts."),
    tools, list.element);
  element.id = "wire-panel";
  element.hidden = true;
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation(); // the page may have something to close, too
      setOpen(false, true);
    }
  });
  opener.setAttribute("aria-controls", element.id);
  host.append(element);
  let drawing = false; // a drawing is scheduled
  let drawn = -Infinity; // when it was last drawn
  let counting; // timer, while a countdown is shown
  const drawSoon = eachFrame(draw, list.toEnd);

  function schedule() {
    if (!drawing) {
      drawing = true;
      setTimeout(drawSoon, drawn + drawEvery - performance.now());
    }
  }

  function draw() {
    drawing = false;
    drawn = performance.now();
    clearTimeout(counting);
    if (element.hidden) {
      return;
    }
    now.textContent = inWords(state);
    now.dataset.state = state.state;
    failing.draw();
    list.draw();
    if (state.state === "waiting") {
      counting = setTimeout(schedule, drawEvery);
    }
  }

  function setOpen(open, byHand) {
    element.hidden = !open;
    opener.setAttribute("aria-expanded", open);
    document.documentElement.classList.toggle("wire-open", open);
    listen(open ? schedule : undefined);
    schedule();
    if (byHand) {
      (open ? title : opener).focus();
    } else if (open) {
      document.activeElement.scrollIntoView({ block: "nearest" }); // the panel may cover it now
    }
  }

  return { element, setOpen };
}

function button(words, f) {
  const made = make("button", "wire-button", words);
  made.type = "button";
  made.addEventListener("click", f);
  return made;
}

function inWords({ state, since, wait, attempt }) {
  switch (state) {
    case "none":
      return "no connection yet";
    case "waiting":
      return `attempt ${attempt} in ${(Math.max(0, since + wait - performance.now()) / 1000).toFixed(1)} s`;
    case "stopped":
      return "not connected";
    case "silent":
    case "late":
      return "giving up";
    default:
      return state;
  }
}

// failures makes the buttons that cause failures, each with a description of its effect.
function failures(schedule) {
  const frozen = "Frozen.";
  const drop = button("Drop", () => {
    const any = anyThere();
    dropAll();
    say(any ? "Dropped." : "There is no connection to drop.");
  });
  const freeze = button("Freeze", () => {
    const any = anyThere();
    (anyFrozen() ? thawAll : freezeAll)();
    say(anyFrozen() ? frozen : any ? "Thawed: what was held back is now delivered." : "There is no connection to freeze.");
  });
  const slow = button("Read slowly", () => {
    readSlowly(!readsSlowly());
    say(readsSlowly() ? "Reading slowly." : "Reading as fast as messages come.");
  });
  const said = make("p", "wire-said");
  said.setAttribute("role", "status");
  const item = (button, words) => {
    const does = make("span", "", words);
    does.id = `wire-does-${button.textContent.toLowerCase().replace(" ", "-")}`;
    button.setAttribute("aria-describedby", does.id);
    return make("li", "", button, does);
  };
  const list = make("ul", "wire-failures",
    item(drop, "Tells the page that the connection ended with code 1006, as when a network fails. Watch the page wait and reconnect."),
    item(freeze, "Holds back the messages of both sides, and tells neither. Watch what the page does when an answer does not come."),
    item(slow, "Gives the page one message every half second. The others wait in the browser, which keeps reading, so the server does not notice."));
  list.setAttribute("role", "list");

  function say(words) {
    said.textContent = words;
    schedule();
  }

  function draw() {
    if (freeze.getAttribute("aria-pressed") === "true" && !anyFrozen() && said.textContent === frozen) {
      said.textContent = "The page has left the frozen connection.";
    }
    freeze.setAttribute("aria-pressed", anyFrozen());
    slow.setAttribute("aria-pressed", readsSlowly());
  }

  return { element: make("div", "", list, said), draw };
}

// frames is the list of recorded entries.
function frames(trips) {
  const rows = new Map(); // by entry, oldest first: its item, and the version of the entry that the item shows
  const results = new WeakMap(); // by entry, from reader
  const read = reader();
  let last = 0; // number of the last entry that was shown or skipped
  let cleared = 0; // number of the last entry when the list was cleared

  const gone = make("p", "wire-note");
  const items = make("ol", "wire-rows");
  items.setAttribute("role", "list");
  const element = make("div", "wire-log", gone, items);
  element.tabIndex = 0;
  element.setAttribute("role", "log");
  element.setAttribute("aria-live", "off"); // nobody wants each frame read aloud
  element.setAttribute("aria-label", "Frames");
  function draw() {
    readNew();
    rows.forEach(({ version }, entry) => entry.version !== version && show(entry));
    showNew(entries.filter(({ n }) => n > last));
    last = Math.max(last, entries.at(-1)?.n ?? 0);
    removeOld();
    const missing = Math.max(0, (entries[0]?.n ?? 1) - 1 - cleared);
    gone.textContent = missing > 0 ? goneWords(entries.length, missing) : "";
    trips.draw();
  }

  // readNew reads the entries that have reached the page since the last drawing, each once.
  function readNew() {
    entries.filter((entry) => !entry.held && !entry.lost && !results.has(entry)).forEach((entry) => {
      const result = read(entry);
      results.set(entry, result);
      if (result.took !== undefined) {
        trips.add(result.took);
      }
    });
  }

  // showNew skips the first of many new entries: nobody could read them, and making
  // their rows would take time that the page needs.
  function showNew(fresh) {
    const passed = last === 0 ? 0 : Math.max(0, fresh.length - mostAtOnce);
    if (passed > 0) {
      const item = make("li", "wire-passed", `${passed.toLocaleString()} or more came too fast to show.`);
      items.append(item);
      rows.set(fresh[0], { item, version: fresh[0].version }); // removed together with that entry
    }
    fresh.slice(passed).forEach(show);
  }

  function show(entry) {
    const item = row(entry, results.get(entry));
    const before = rows.get(entry)?.item;
    rows.set(entry, { item, version: entry.version });
    if (before === undefined) {
      items.append(item);
    } else {
      before.replaceWith(item);
    }
  }

  // removeOld removes the rows of entries that are no longer kept.
  function removeOld() {
    for (const [entry, { item }] of rows) {
      if (entry.n >= entries[0].n) {
        break;
      }
      item.remove();
      rows.delete(entry);
    }
  }

  function clear() {
    rows.clear();
    items.replaceChildren();
    cleared = last;
  }

  return { element, draw, clear, toEnd: keepAtEnd(element) };
}
