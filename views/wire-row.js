// Shows an entry of wire-record.js in the panel.

import { closeMeaning, closeWords } from "/close-codes.js";
import { layOut, packetOf, parse } from "/wire-packet.js";

const mostLines = 8; // of a text, until the reader unfolds it
const clocks = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const days = new Intl.DateTimeFormat(); // kept, because making one takes longer than the rest of a row
const unfolded = new WeakSet(); // entries whose text is unfolded

// make makes an HTML element. Its children are elements and strings; strings always become text, never markup.
export function make(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

// row makes the list item for an entry. read is the result from wire-read.js, or undefined while the entry is held back.
export function row(entry, read = {}) {
  const item = make("li", "wire-row");
  item.dataset.kind = entry.kind;
  item.dataset.n = entry.n;
  if (entry.sent !== undefined) {
    item.dataset.direction = entry.sent ? "sent" : "received";
  }
  item.append(head(entry, read), ...body(entry, read));
  return item;
}

function head(entry, { answers, took, attachment }) {
  const line = make("div", "wire-head", make("span", "wire-number", String(entry.n)), time(entry));
  if (entry.sent !== undefined) {
    line.append(direction(entry.sent), make("span", "", entry.kind));
  } else if (entry.kind === "close") {
    line.append(make("span", "", "ended without a close frame"));
  }
  if (entry.kind === "text" || entry.kind === "binary") {
    line.append(make("span", "wire-size", size(entry.size)));
  }
  if (attachment !== undefined) {
    line.append(make("span", "", `attachment ${attachment.number} of ${attachment.of} to ${attachment.packet.n}`));
  }
  if (answers !== undefined) {
    line.append(make("span", "wire-took", `answers ${answers.n} after ${milliseconds(took)}`));
  }
  const delay = held(entry);
  if (delay !== "") {
    line.append(make("span", "wire-held", delay));
  }
  if (entry.socket > 1 || entry.kind === "event" && entry.socket !== undefined) {
    line.append(make("span", "wire-connection", `connection ${entry.socket}`));
  }
  return line;
}

function time({ at }) {
  const date = new Date(performance.timeOrigin + at);
  const clock = clocks.format(date);
  const made = make("time", "", `+${(at / 1000).toFixed(3)} s`, make("span", "wire-hidden", `, at ${clock}`));
  made.dateTime = date.toISOString();
  made.title = `${days.format(date)} ${clock}`;
  return made;
}

function direction(sent) {
  const arrow = make("span", "", sent ? "↑ " : "↓ ");
  arrow.setAttribute("aria-hidden", "true");
  return make("span", "wire-direction", arrow, sent ? "sent" : "received");
}

function held({ held, heldFor, lost }) {
  if (lost) {
    return "never delivered";
  }
  if (held) {
    return "held back";
  }
  return heldFor === undefined ? "" : `held back ${milliseconds(heldFor)}`;
}

function body(entry, read) {
  switch (entry.kind) {
    case "text":
      return text(entry, read);
    case "binary":
      return [make("code", "wire-bytes", bytes(entry))];
    case "close":
      return close(entry);
    default:
      return [make("div", "wire-event", entry.text, ...where(entry))];
  }
}

function where({ text, url }) {
  if (text !== "connecting") {
    return [];
  }
  const { pathname, search } = new URL(url);
  return [" to ", make("code", "", pathname + search)];
}

function close({ code, reason, dropped }) {
  const words = make("strong", "", closeWords(code, reason));
  return [make("div", "wire-close", words, dropped ? " (dropped by this panel). " : ". ", closeMeaning(code))];
}

function text(entry, { packet, offset }) {
  const known = packet ?? (isSocketIO(entry) ? packetOf(entry.text) : undefined);
  const shown = known === undefined ? entry.text : known.rest;
  const json = entry.cut ? undefined : parse(shown);
  const all = (json === undefined ? shown : layOut(shown)) + (entry.cut ? " …" : "");
  const made = known === undefined ? [] : [parts(known, offset)];
  if (shown !== "") {
    made.push(...folded(entry, all));
  }
  if (entry.cut) {
    made.push(make("div", "wire-note", `The first 4 KiB of ${size(entry.size)}.`));
  }
  return made;
}

const isSocketIO = ({ url }) => new URL(url).searchParams.has("EIO");

// parts shows the parts of a Socket.IO packet and their names.
function parts(packet, offset) {
  const line = make("div", "wire-parts", ...packet.parts.map(({ raw, name }) => make("span", "wire-part", make("code", "", raw), ` ${name}`)));
  if (packet.event !== undefined) {
    const count = packet.data.length - 1;
    line.append(make("span", "wire-part", "event ", make("code", "", JSON.stringify(packet.event)), `, ${count} argument${count === 1 ? "" : "s"}`));
  }
  if (offset) {
    line.append(make("span", "wire-part", "the last argument is this event's offset: a client that reconnects sends it to get the events it missed"));
  }
  return line;
}

// folded shows the first lines, and a button that shows the others.
function folded(entry, all) {
  const lines = all.split("\n");
  const pre = make("pre", "wire-text");
  if (lines.length <= mostLines + 1) {
    pre.textContent = all;
    return [pre];
  }
  const button = make("button", "wire-more");
  button.type = "button";
  const show = () => {
    const open = unfolded.has(entry);
    pre.textContent = open ? all : lines.slice(0, mostLines).join("\n");
    button.textContent = open ? "Show less" : `${lines.length - mostLines} more lines`;
    button.setAttribute("aria-expanded", open);
  };
  button.addEventListener("click", () => {
    unfolded[unfolded.has(entry) ? "delete" : "add"](entry);
    show();
  });
  show();
  return [pre, button];
}

function bytes({ bytes, size }) {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return size > bytes.length ? `${hex} …` : hex;
}

function size(count) {
  return count < 10_000 ? `${count} B` : count < 10_000_000 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

// milliseconds formats a duration briefly.
export function milliseconds(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
