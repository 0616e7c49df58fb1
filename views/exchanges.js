// Cause and effect on the first lesson's page: a list of messages sent, their answers, when, and how long they took. The
// server of that page answers each message with exactly one, in order.

import { eachFrame } from "/frames.js";
import { tail } from "/tail.js";

const mostExchanges = 100; // in the list; the oldest are dropped

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const encoder = new TextEncoder();
const scroller = document.querySelector("#exchanges");
const log = tail({ list: scroller.querySelector("ol"), scroller, note: document.querySelector("#exchanges-gone"), most: mostExchanges });
const waiting = []; // exchanges without an answer yet
const ends = new Map(); // by item: makes the end that replaces the one shown

// asked begins an exchange. cause says why the text was sent.
export function asked(cause, text) {
  waiting.push(begin(cause, text));
}

// answered ends the oldest open exchange. used tells whether the page did something with the answer.
export function answered(data, used) {
  const now = performance.now();
  const oldest = waiting.shift();
  const text = typeof data === "string" ? data : "(bytes)";
  const took = oldest === undefined ? undefined : now - oldest.start;
  end(oldest ?? begin("The server sent a message unprompted"), () => answer(text, took, used));
}

// ended is called when no more answers can come.
export function ended() {
  waiting.splice(0).forEach((one) => end(one, () => step("lost", "", "no answer: the connection ended")));
}

// begin adds an exchange. Its item exists only once it is drawn.
function begin(cause, text) {
  const one = { cause, text, date: new Date(), start: performance.now(), end: () => step("waits", "", "no answer yet"), item: undefined };
  log.add(() => {
    one.item = itemOf(one);
    return one.item;
  });
  return one;
}

function end(one, make) {
  one.end = make;
  if (one.item !== undefined) {
    ends.set(one.item, make);
    drawEnds();
  }
}

const drawEnds = eachFrame(() => {
  ends.forEach((make, item) => item.lastElementChild.replaceWith(make()));
  ends.clear();
}, log.toEnd);

function itemOf({ cause, text, date, end }) {
  const time = make("time", clock.format(date));
  time.dateTime = date.toISOString();
  const item = make("li", step("cause", "", make("span", cause), " ", time));
  if (text !== undefined) {
    item.append(step("sent", "↑ ", "sent ", make("code", text), ` (${encoder.encode(text).length} bytes)`));
  }
  item.append(end());
  return item;
}

function answer(text, took, used) {
  const after = took === undefined ? [] : [" ", make("strong", `after ${took.toFixed(1)} ms`)];
  return step("received", "↓ ", "received ", make("code", text), ...after, used ? "; the page appended its text" : "; the page ignored it");
}

// step makes a line of an exchange. Screen readers skip its arrow.
function step(className, arrow, ...content) {
  const made = make("div", ...content);
  made.className = className;
  if (arrow !== "") {
    const drawn = make("span", arrow);
    drawn.setAttribute("aria-hidden", "true");
    made.prepend(drawn);
  }
  return made;
}

function make(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}
