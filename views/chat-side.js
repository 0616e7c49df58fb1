// Rooms and people: a column, or a drawer if the window is too narrow for one.

import { element } from "/chat-message.js";
import { browser } from "/storage.js";

const mostRooms = 12; // remembered; the least recently visited is dropped
const store = "rooms"; // in this browser's storage: names, the most recently visited first

const $ = (selector) => document.querySelector(selector);
const side = $("#side");
const button = $("#presence");
const wide = matchMedia("(min-width: 62.5rem)"); // as in chat.css

const isRoom = (name) => typeof name === "string" && /^[a-z0-9_-]{1,64}$/u.test(name);

// visited returns the rooms that this browser has visited. It ignores invalid entries, which another page may have
// written.
function visited() {
  const kept = browser.get(store);
  return Array.isArray(kept) ? kept.filter(isRoom).slice(0, mostRooms) : [];
}

// showRooms records a visit to this room, and lists all rooms.
export function showRooms(current) {
  const rooms = [...new Set([current, ...visited()])].slice(0, mostRooms);
  browser.set(store, rooms);
  list(rooms, current);
  addEventListener("storage", ({ key }) => key === store && list([...new Set([current, ...visited()])], current));
}

function list(rooms, current) {
  const items = [...new Set([...rooms, "lobby"])].sort().map((room) => {
    const link = element("a", "", room);
    link.href = `/chat/${room}`;
    if (room === current) {
      link.setAttribute("aria-current", "page");
    }
    const item = element("li", "");
    item.append(link);
    return item;
  });
  $("#rooms").replaceChildren(...items);
}

$("#room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(`/chat/${$("#room-input").value}`);
});

// ---- the drawer

function setOpen(open) {
  side.classList.toggle("open", open);
  button.setAttribute("aria-expanded", open);
  if (open) {
    $("#side-close").focus();
  }
}

const isOpen = () => side.classList.contains("open") && !wide.matches;

function close() {
  setOpen(false);
  button.focus();
}

button.addEventListener("click", () => setOpen(!isOpen()));
$("#side-close").addEventListener("click", close);
wide.addEventListener("change", () => setOpen(false));
document.addEventListener("keydown", (event) => event.key === "Escape" && isOpen() && close());
document.addEventListener("pointerdown", (event) => {
  if (isOpen() && !side.contains(event.target) && !button.contains(event.target)) {
    setOpen(false);
  }
});
side.addEventListener("focusout", ({ relatedTarget }) => { // by keyboard, past its end: it would cover what has the focus
  if (isOpen() && relatedTarget !== null && !side.contains(relatedTarget) && relatedTarget !== button) {
    setOpen(false);
  }
});
