// Who is here, and who is typing.

import { element, keyOf, paint, person } from "/chat-message.js";
import { eachFrame } from "/frames.js";

const typingTime = 4_000; // ms; how long somebody counts as typing after the last sign of it
const mostNamed = 3; // people listed by name while they type

const $ = (selector) => document.querySelector(selector);
const button = $("#presence");
const panel = $("#people");
const list = $("#people-list");

// A list that scrolls must be reachable by keyboard, so that it can be scrolled. One that has the focus stays reachable until
// the reader leaves it, as otherwise the browser takes the focus away.
function reach() {
  if (list.scrollHeight > list.clientHeight) {
    list.tabIndex = 0;
  } else if (document.activeElement !== list) {
    list.removeAttribute("tabindex");
  }
}

const reachSoon = eachFrame(() => {}, reach);
new ResizeObserver(reach).observe(list);
list.addEventListener("blur", reach);

// showPeople shows how many connections there are, and whose they are. An older server does not tell whose.
export function showPeople(count, people, isMe) {
  button.textContent = `Rooms · ${count} here`;
  panel.hidden = false;
  panel.classList.remove("stale");
  $("#people-title").textContent = `${count} here`;
  const items = (people ?? []).map(({ name, mark }) => {
    const item = element("li", "");
    const who = person(name, mark);
    if (isMe(name, mark)) {
      who.append(" ", element("span", "note", "(you)"));
    }
    item.append(who);
    paint(item, name, mark);
    return item;
  });
  list.replaceChildren(...items);
  reachSoon();
  const more = people === undefined ? 0 : count - people.length; // people beyond the list's end, or further tabs of those in it
  panel.querySelector(".more").textContent = more > 0 ? `and ${more} more ${more === 1 ? "connection" : "connections"}` : "";
}

// forgetPeople marks the list as outdated while there is no connection.
export function forgetPeople() {
  button.textContent = "Rooms";
  $("#people-title").textContent = "Who was here";
  panel.classList.add("stale");
  typing.forEach(({ timer }) => clearTimeout(timer));
  typing.clear();
  showTyping();
}

const typing = new Map(); // key → {name, mark, timer}

// startTyping is called when the server reports typing; endTyping when their message comes, or after typingTime.
export function startTyping(name, mark) {
  const key = keyOf(name, mark);
  clearTimeout(typing.get(key)?.timer);
  typing.set(key, { name, mark, timer: setTimeout(endTyping, typingTime, name, mark) });
  showTyping();
}

export function endTyping(name, mark) {
  const key = keyOf(name, mark);
  if (typing.has(key)) {
    clearTimeout(typing.get(key).timer);
    typing.delete(key);
    showTyping();
  }
}

function showTyping() {
  const all = [...typing.values()];
  const line = $("#typing");
  line.replaceChildren();
  if (all.length === 0) {
    return;
  }
  if (all.length > mostNamed) {
    line.append("Several people are typing");
    return;
  }
  all.forEach(({ name, mark }, i) => {
    line.append(i === 0 ? "" : i < all.length - 1 ? ", " : " and ", person(name, mark));
  });
  line.append(all.length === 1 ? " is typing" : " are typing");
}
