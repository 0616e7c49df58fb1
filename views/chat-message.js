// How messages and people look: functions that make elements, with no page in sight. What others wrote
// is text, and never markup.

import { splitLinks } from "/chat-rules.js";

export function element(tag, className, content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

// keyOf is the same for two messages of one person, and for nobody else's: names alone can be alike.
export const keyOf = (name, mark = "") => `${name}\u0000${mark}`;

// person is a name, and the mark that tells it from the same name of another.
export function person(name, mark = "") {
  const made = element("span", "person");
  made.append(element("bdi", "", name));
  if (mark !== "") {
    made.append(" ", element("span", "mark", mark));
  }
  return made;
}

// paint gives an element a person's colour, and the first letter of the name.
export function paint(painted, name, mark) {
  painted.dataset.initial = ([...name][0] ?? "").toLocaleUpperCase();
  painted.style.setProperty("--hue", hue(keyOf(name, mark)));
}

// hue is by a hash (FNV-1a), so that keys that are nearly the same do not look the same.
function hue(key) {
  let hash = 0x811c9dc5;
  for (const c of key) {
    hash = Math.imul(hash ^ c.codePointAt(0), 0x01000193);
  }
  return ((hash >>> 16) * 30) % 360; // twelve that can be told apart
}

// render makes a message. own tells whether it is the reader's.
export function render(m, own) {
  const at = new Date(m.at);
  const item = element("li", own ? "own" : "");
  item.dataset.seq = m.seq;
  item.dataset.from = keyOf(m.from, m.mark);
  item.dataset.day = at.toDateString();
  item.dataset.minute = Math.floor(at / 60_000);
  const day = element("p", "day", at.toLocaleDateString(undefined, { weekday: "long", year: "numeric", month: "long", day: "numeric" }));
  item.append(day, who(m, at, own), body(m.text));
  return item;
}

function who(m, at, own) {
  const line = element("p", "who");
  const time = element("time", "", at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at.toISOString();
  time.title = at.toLocaleString();
  line.append(own ? element("span", "person", "You") : person(m.from, m.mark), " ", time);
  paint(line, m.from, m.mark);
  return line;
}

// body makes links of what looks like one.
export function body(content) {
  const line = element("p", "text");
  line.dir = "auto";
  for (const { link, part } of splitLinks(content)) {
    if (link === undefined) {
      line.append(part);
      continue;
    }
    const a = element("a", "", part);
    a.href = link;
    a.target = "_blank";
    a.rel = "noopener noreferrer nofollow";
    line.append(a);
  }
  return line;
}

// group leaves out what the message before says already: the day, and who.
export function group(item, previous) {
  const sameDay = previous?.dataset.day === item.dataset.day;
  item.classList.toggle("first-of-day", !sameDay);
  item.classList.toggle("same", sameDay && previous.dataset.from === item.dataset.from &&
    item.dataset.minute - previous.dataset.minute < 5);
}
