// How messages and people look. These functions make elements and know nothing of the page. Text from others
// stays text, and never becomes markup.

import { isRightToLeft, splitText } from "/chat-rules.js";

export function element(tag, className, content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

// keyOf identifies a message's author. A name alone does not: several people may have it.
export const keyOf = (name, mark = "") => `${name}\u0000${mark}`;

// person shows a name, and the mark that tells people of the same name apart.
export function person(name, mark = "") {
  const made = element("span", "person");
  made.append(element("bdi", "", name));
  if (mark !== "") {
    made.append(" ", element("span", "mark", mark));
  }
  return made;
}

// paint gives an element a person's colour and initials.
export function paint(painted, name, mark) {
  const [hue, deep] = shade(numberOf(name, mark));
  painted.dataset.initials = initials(name);
  painted.style.setProperty("--hue", hue);
  painted.classList.toggle("deep", deep);
}

// initials returns the first character, as people see it, of a name's first word and of its last.
export function initials(name) {
  const words = name.split(" ");
  return [...new Set([words[0], words.at(-1)])].map(firstCharacter).join("").toLocaleUpperCase();
}

function firstCharacter(word) {
  const [first] = typeof Intl.Segmenter === "function" ? new Intl.Segmenter().segment(word) : [{ segment: [...word][0] }];
  return first?.segment ?? "";
}

const hues = 9; // 40 degrees apart, each in two depths
const colours = 2 * hues;
const mostNames = 500; // whose colours are remembered; the first ones seen are forgotten first

// hashed returns the colour number that a key starts with. FNV-1a, followed by the finalizer of MurmurHash3, spreads every bit
// over the whole result, so that similar keys get different colours.
export function hashed(key) {
  let hash = 0x811c9dc5;
  for (const c of key) {
    hash = Math.imul(hash ^ c.codePointAt(0), 0x01000193);
  }
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return ((hash ^ hash >>> 16) >>> 0) % colours;
}

// shade turns a colour's number into a hue, and whether it is the deep version.
export const shade = (number) => [15 + 40 * (number % hues), number >= hues];

const taken = new Map(); // name → mark → colour number

// numberOf returns the number of a person's colour. Name and mark decide it, so it is the same everywhere, unless somebody of
// the same name has it on this page already: nobody may look like another by taking a name until the mark fits.
export function numberOf(name, mark = "") {
  const others = taken.get(name) ?? new Map();
  taken.set(name, others);
  if (taken.size > mostNames) {
    taken.delete(taken.keys().next().value);
  }
  if (others.has(mark)) {
    return others.get(mark);
  }
  const used = new Set(others.values());
  let number = hashed(keyOf(name, mark));
  if (used.size < colours) {
    while (used.has(number)) {
      number = (number + 5) % colours; // a different hue; reaches every number
    }
    others.set(mark, number);
  }
  return number;
}

// render makes a message. own tells whether the reader wrote it.
export function render(m, own) {
  const at = new Date(m.at);
  const item = element("li", own ? "own" : "");
  if (!own && isRightToLeft(m.text)) {
    item.dir = "rtl";
  }
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
  time.dir = "auto";
  line.append(own ? element("span", "person", "You") : person(m.from, m.mark), " ", time);
  paint(line, m.from, m.mark);
  return line;
}

// body turns URLs into links, and text between backticks into code.
export function body(content) {
  const line = element("p", "text");
  line.dir = "auto";
  for (const { part, link, code } of splitText(content)) {
    if (code !== undefined) {
      const made = element("code", code, part);
      made.dir = "ltr";
      line.append(made);
    } else if (link !== undefined) {
      const a = element("a", "", part);
      a.href = link;
      a.target = "_blank";
      a.rel = "noopener noreferrer nofollow";
      line.append(a);
    } else {
      line.append(part);
    }
  }
  return line;
}

// group hides what the previous message already shows: the day and the author.
export function group(item, previous) {
  const sameDay = previous?.dataset.day === item.dataset.day;
  item.classList.toggle("first-of-day", !sameDay);
  item.classList.toggle("same", sameDay && previous.dataset.from === item.dataset.from && previous.dir === item.dir &&
    item.dataset.minute - previous.dataset.minute < 5);
}
