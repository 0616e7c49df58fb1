// Which messages are in view, and which are unread.

import { element } from "/chat-message.js";

const lineTime = 4_000; // ms for which the line above the unread messages stays once they have been seen

const $ = (selector) => document.querySelector(selector);
const scroller = $("#scroller");
const list = $("#messages");

export let following = true; // the newest message is in view, and stays in view
let unread = 0; // messages from others
let place; // {item, share}: the first message in view, and how much of it is above the view; undefined while following
let line; // the element above the first unread message, or undefined
let lineTimer;
let title = "";

// toEnd scrolls to the newest message. While the tab is hidden, it stops at the line above the unread messages.
export function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
  const above = !line?.isConnected ? 0 : scroller.getBoundingClientRect().top - line.getBoundingClientRect().top;
  if (document.hidden && above > 0) {
    scroller.scrollTop -= above + 12;
  }
  look();
}

// countUnread counts messages that came while the tab was hidden, or while the newest were out of view.
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

// seen is called when the newest message is in view. The line stays for a moment, so that the reader can find it.
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

// forgetUnread is called before all messages are removed.
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

// look checks whether the newest message is in view.
function look() {
  following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  place = following ? undefined : firstInView();
  if (following && !document.hidden) {
    seen();
  } else {
    showUnread();
  }
}

document.addEventListener("visibilitychange", () => {
  if (size() !== sizeSeen) { // turned or resized while hidden, and the observer has not reported it yet
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
  if (size() === sizeSeen) { // otherwise it was the change of size that scrolled
    look();
  }
});

function firstInView() {
  const { top } = scroller.getBoundingClientRect();
  let [from, to] = [0, list.childElementCount - 1];
  while (from < to) { // the first that ends below the view's top, by bisection
    const middle = Math.floor((from + to) / 2);
    [from, to] = list.children[middle].getBoundingClientRect().bottom > top ? [from, middle] : [middle + 1, to];
  }
  const item = list.children[from];
  const box = item?.getBoundingClientRect();
  return item === undefined ? undefined : { item, share: (top - box.top) / box.height };
}

// toPlace scrolls back to where the reader was, after all messages got higher or lower.
function toPlace() {
  if (place?.item.isConnected) {
    const box = place.item.getBoundingClientRect();
    scroller.scrollTop += box.top + place.share * box.height - scroller.getBoundingClientRect().top;
  }
}

// The newest message stays in view when the list shrinks, such as when a phone's keyboard opens; and so do the messages that are
// being read, when a phone is turned.
const size = () => `${scroller.clientWidth} × ${scroller.clientHeight}`;
let sizeSeen = size();
new ResizeObserver(resized).observe(scroller);

function resized() {
  sizeSeen = size();
  if (following) {
    toEnd();
  } else {
    toPlace();
  }
}

// Some browsers lay the keyboard over the page, and report how much of the page remains visible.
visualViewport?.addEventListener("resize", () => {
  if (visualViewport.scale < 1.01) { // otherwise the reader has zoomed in
    const covered = innerHeight - visualViewport.height > 1;
    document.body.style.height = covered ? `${visualViewport.height}px` : "";
    scrollTo(0, 0);
  }
});

// While somebody writes in a low window, the page hides everything else (chat.css). It comes back with a delay:
// buttons that move under a finger miss their tap.
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
