// What of the messages is in sight, and which of them are unread.

import { element } from "/chat-message.js";

const lineTime = 4_000; // ms that the line before the unread ones stays when they are seen

const $ = (selector) => document.querySelector(selector);
const scroller = $("#scroller");

export let following = true; // the newest message is in sight, and stays so
let unread = 0; // messages of others
let line; // the one before them, an element, or undefined
let lineTimer;
let title = "";

// toEnd shows the newest message. While nobody looks, it goes no further than the line before the unread ones.
export function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
  const above = !line?.isConnected ? 0 : scroller.getBoundingClientRect().top - line.getBoundingClientRect().top;
  if (document.hidden && above > 0) {
    scroller.scrollTop -= above + 12;
  }
  look();
}

// countUnread notes messages that came while the tab was hidden, or the newest were out of sight.
export function countUnread(items) {
  if (items.length === 0) {
    return;
  }
  if (unread === 0) {
    removeLine();
    line = element("p", "line", "New");
    items[0].prepend(line);
  }
  unread += items.length;
  showUnread();
}

// seen is for when the newest message is in sight: the line stays a little, to be found.
function seen() {
  unread = 0;
  showUnread();
  if (line !== undefined) {
    lineTimer ??= setTimeout(removeLine, lineTime);
  }
}

export function removeLine() {
  clearTimeout(lineTimer);
  lineTimer = undefined;
  line?.remove();
  line = undefined;
}

// forgetUnread is for when all that is shown goes.
export function forgetUnread() {
  unread = 0;
  removeLine();
  showUnread();
}

export function setTitle(text) {
  title = text;
  showUnread();
}

function showUnread() {
  document.title = `${unread > 0 ? `(${unread}) ` : ""}${title}`;
  const button = $("#newest");
  button.hidden = following;
  button.textContent = `${unread === 0 ? "Newest" : unread === 1 ? "1 new message" : `${unread} new messages`} ↓`;
}

// look notes whether the newest message is in sight.
function look() {
  following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  if (following && !document.hidden) {
    seen();
  } else {
    showUnread();
  }
}

document.addEventListener("visibilitychange", () => {
  if (size() !== sizeSeen) { // it was turned or resized while it was hidden, and the observer has not said so yet
    resized();
  }
  look();
});

$("#newest").addEventListener("click", () => {
  scroller.focus();
  scroller.scrollTop = scroller.scrollHeight;
  look();
});

scroller.addEventListener("scroll", () => {
  if (size() === sizeSeen) { // otherwise it is no person who scrolls
    look();
  }
});

// What makes the room for messages smaller, such as the keyboard of a phone, does not hide the newest one.
const size = () => `${scroller.clientWidth} × ${scroller.clientHeight}`;
let sizeSeen = size();
new ResizeObserver(resized).observe(scroller);

function resized() {
  sizeSeen = size();
  if (following) {
    toEnd();
  }
}

// A browser that lets its keyboard cover the page tells what is left of it.
visualViewport?.addEventListener("resize", () => {
  if (visualViewport.scale < 1.01) { // otherwise it is somebody who looks closer
    const covered = innerHeight - visualViewport.height > 1;
    document.body.style.height = covered ? `${visualViewport.height}px` : "";
    scrollTo(0, 0);
  }
});

// While somebody writes in a low window, what is not needed for that is left out (chat.css). It comes back a little after
// that: what moves under a finger is not clicked.
const backAfter = 400; // ms
let back;

function noteWriting(element) {
  clearTimeout(back);
  if (element?.closest(".composer, #name")) {
    document.body.classList.add("writing");
  } else {
    back = setTimeout(() => document.body.classList.remove("writing"), backAfter);
  }
}

document.addEventListener("focusin", ({ target }) => noteWriting(target));
document.addEventListener("focusout", ({ relatedTarget }) => noteWriting(relatedTarget));
