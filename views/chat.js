// The second lesson's page: a room in which nothing is lost. What is not acknowledged is kept, shown as
// pending, and sent again under the same id after a reconnect.

import { connect } from "/connection.js";
import { characters, isMessage, parse, splitLinks, textProblem } from "/chat-rules.js";

const mostMessages = 1000; // on the page; older ones come back when they are scrolled to
const retryAfter = 2_000; // ms, for what the server could not take at the moment
const retryCodes = ["rate_limited", "unavailable"];

const $ = (selector) => document.querySelector(selector);
const scroller = $("#scroller");
const list = $("#messages");
const pendingList = $("#pending");
const composer = $("#composer");
const text = $("#text");
const signIn = $("#sign-in");

const room = location.pathname.split("/")[2] || "lobby";
const base = `/chat/${room}`;
$("#room-name").textContent = room;
document.title = `#${room} · echows`;

let lastSeq; // the newest message shown, where a reconnect goes on
let firstSeq; // the oldest
let allShown = false; // there are none older
let loading = false;
let unread = 0;
const pending = new Map(); // id → {text, item, state}: what is not known to be stored
let retry; // timer, while the server takes nothing: what is posted meanwhile waits behind

// ---- the connection

const words = { connecting: "connecting …", open: "connected", waiting: "not connected, trying again", stopped: "not signed in" };

const connection = connect(place, { onState: showState, onOpen: () => {}, onMessage: receive });

// place is where to connect: it takes a new ticket each time. Without a session it asks for a name.
async function place() {
  const response = await request("/ticket", { method: "POST" });
  if (response.status === 401) {
    askName();
    return undefined;
  }
  if (!response.ok) {
    throw new Error(`no ticket: ${response.status}`);
  }
  const { ticket } = await response.json();
  if (composer.hidden) {
    await showComposer();
  }
  return `/ws${base}?ticket=${encodeURIComponent(ticket)}${lastSeq === undefined ? "" : `&after=${lastSeq}`}`;
}

function request(path, options) {
  return fetch(path, { ...options, signal: AbortSignal.timeout(10_000) });
}

function showState(name, seconds) {
  $("#connection").dataset.state = name;
  $("#connection-now").hidden = name !== "waiting";
  const state = $("#connection-state");
  if (state.textContent !== words[name]) { // a screen reader speaks each change, not each second
    state.textContent = words[name];
  }
  $("#connection-seconds").textContent = name === "waiting" ? `in ${seconds} s` : "";
  if (name !== "open") {
    $("#presence").textContent = "";
    for (const one of pending.values()) {
      if (one.state !== "refused" && one.state !== "stored") {
        setPending(one, "waiting", "waits for the connection");
      }
    }
  }
}

$("#connection-now").addEventListener("click", () => connection.now());

// ---- what the server says

const handlers = {
  history: (m) => {
    const before = lastSeq;
    if (before !== undefined && !m.complete) { // away for too long: what is shown has a hole behind it
      list.replaceChildren();
      lastSeq = firstSeq = undefined;
      allShown = false;
    }
    const follow = before === undefined || atEnd();
    m.messages.forEach(append);
    if (before === undefined) {
      allShown = m.complete;
    }
    settle(follow, before !== undefined ? m.messages.length : 0);
    transmitAll();
    if (scroller.scrollHeight <= scroller.clientHeight) { // nothing to scroll up to
      loadOlder();
    }
  },
  message: (m) => {
    const follow = atEnd();
    if (append(m)) {
      settle(follow, 1);
    }
  },
  ack: (m) => {
    if (lastSeq !== undefined && m.seq <= lastSeq) {
      removePending(m.id);
    } else if (pending.has(m.id)) {
      setPending(pending.get(m.id), "stored", "");
    }
  },
  presence: (m) => {
    $("#presence").textContent = `${m.count} here`;
  },
  error: (m) => {
    const one = pending.get(m.id);
    if (one === undefined) {
      problem(m.message);
    } else if (retryCodes.includes(m.code)) {
      setPending(one, "waiting", `${m.message} (trying again)`);
      retry ??= setTimeout(transmitAll, retryAfter);
    } else {
      setPending(one, "refused", m.message);
    }
  },
};

function receive(data) {
  const message = parse(data);
  if (message === undefined) {
    console.warn("the server sent what this page does not know", data);
    return;
  }
  handlers[message.type](message);
}

// ---- messages

// append shows a message after all others, unless it is shown already, and reports whether it did.
function append(m) {
  if (lastSeq !== undefined && m.seq <= lastSeq) {
    return false;
  }
  lastSeq = m.seq;
  firstSeq ??= m.seq;
  removePending(m.id);
  const item = render(m);
  const previous = list.lastElementChild;
  list.append(item);
  group(item, previous);
  return true;
}

// settle puts the view right after messages were added: at the end it stays there.
function settle(follow, added) {
  $("#empty").hidden = list.childElementCount + pending.size > 0;
  const fromEnd = scroller.scrollHeight - scroller.scrollTop;
  while (list.childElementCount > (follow ? mostMessages : 5 * mostMessages)) {
    list.firstElementChild.remove();
    firstSeq = Number(list.firstElementChild.dataset.seq);
    allShown = false;
    group(list.firstElementChild, null);
    if (!follow) {
      scroller.scrollTop = scroller.scrollHeight - fromEnd;
    }
  }
  if (follow) {
    scroller.scrollTop = scroller.scrollHeight;
  } else if (added > 0) {
    $("#newest").hidden = false;
  }
  if (document.hidden && added > 0) {
    unread += added;
    document.title = `(${unread}) #${room} · echows`;
  }
}

function render(m) {
  const at = new Date(m.at);
  const item = document.createElement("li");
  item.dataset.seq = m.seq;
  item.dataset.from = m.from;
  item.dataset.day = at.toDateString();
  item.dataset.minute = Math.floor(at / 60_000);
  item.style.setProperty("--hue", hue(m.from));
  const day = element("p", "day", at.toLocaleDateString(undefined, { weekday: "long", year: "numeric", month: "long", day: "numeric" }));
  item.append(day, who(m.from, at), body(m.text));
  return item;
}

function element(tag, className, content) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

function who(name, at) {
  const line = element("p", "who", "");
  const time = element("time", "", at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at.toISOString();
  time.title = at.toLocaleString();
  line.append(element("bdi", "", name), " ", time);
  return line;
}

// body makes links of what looks like one; everything is text.
function body(content) {
  const line = element("p", "text", "");
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
function group(item, previous) {
  const sameDay = previous?.dataset.day === item.dataset.day;
  item.classList.toggle("first-of-day", !sameDay);
  item.classList.toggle("same", sameDay && previous.dataset.from === item.dataset.from &&
    item.dataset.minute - previous.dataset.minute < 5);
}

// hue gives each name its colour.
function hue(name) {
  let sum = 0;
  for (const c of name) {
    sum = (sum * 31 + c.codePointAt(0)) % 360;
  }
  return sum;
}

// ---- reading back

const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;

scroller.addEventListener("scroll", () => {
  if (atEnd()) {
    $("#newest").hidden = true;
  }
  if (scroller.scrollTop < 120) {
    loadOlder();
  }
});

$("#newest").addEventListener("click", () => {
  scroller.scrollTop = scroller.scrollHeight;
  scroller.focus();
});

async function loadOlder() {
  if (loading || allShown || firstSeq === undefined) {
    return;
  }
  loading = true;
  const note = $("#older");
  note.hidden = false;
  note.textContent = "loading older messages …";
  try {
    const before = firstSeq;
    const response = await request(`${base}/messages?before=${before}&limit=50`);
    if (!response.ok) {
      throw new Error(response.status);
    }
    const { messages } = await response.json();
    if (before === firstSeq) { // and nothing was shown anew meanwhile
      prepend(messages.filter(isMessage));
      allShown = messages.length === 0;
    }
    note.textContent = allShown ? "This is where it begins." : "";
    note.hidden = !allShown;
  } catch {
    note.textContent = "Older messages cannot be read at the moment; scroll up to try again.";
  }
  loading = false;
}

// prepend keeps what is being read where it is.
function prepend(messages) {
  if (messages.length === 0) {
    return;
  }
  const fromEnd = scroller.scrollHeight - scroller.scrollTop;
  const first = list.firstElementChild;
  const items = messages.map(render);
  $("#log").setAttribute("aria-live", "off"); // nobody wants the past read aloud
  list.prepend(...items);
  items.forEach((item, i) => group(item, items[i - 1]));
  group(first, items.at(-1));
  firstSeq = messages[0].seq;
  scroller.scrollTop = scroller.scrollHeight - fromEnd;
  $("#log").removeAttribute("aria-live");
}

document.addEventListener("visibilitychange", () => {
  unread = 0;
  document.title = `#${room} · echows`;
});

// ---- posting

const store = `pending:${room}`; // of this tab: a reload loses nothing either

// savePending also keeps how far the room was seen: what was stored since shows up when the page is back,
// and is not sent again.
function savePending() {
  const waiting = [...pending].map(([id, one]) => [id, one.text]);
  sessionStorage.setItem(store, JSON.stringify({ since: lastSeq, waiting }));
}

function addPending(id, content) {
  const item = element("li", "", "");
  item.append(body(content), element("p", "state", ""));
  pendingList.append(item);
  const one = { text: content, item, state: "" };
  pending.set(id, one);
  savePending();
  return one;
}

function removePending(id) {
  pending.get(id)?.item.remove();
  if (pending.delete(id)) {
    savePending();
  }
}

// setPending shows how a pending message stands: "sending", "waiting", "stored" or "refused".
function setPending(one, state, note) {
  one.state = state;
  one.item.className = state;
  const line = one.item.querySelector(".state");
  line.textContent = note;
  if (state === "refused") {
    const edit = element("button", "link", "Edit");
    edit.type = "button";
    edit.addEventListener("click", () => {
      const id = [...pending].find(([, other]) => other === one)?.[0];
      removePending(id);
      text.value = one.text;
      text.focus();
      grow();
    });
    line.append(" ", edit);
  }
}

function transmitAll() {
  clearTimeout(retry);
  retry = undefined;
  pending.forEach(transmit);
}

// transmit sends a pending message, for the first time or again.
function transmit(one, id) {
  if (one.state === "refused" || one.state === "stored") {
    return;
  }
  if (retry !== undefined) {
    setPending(one, "waiting", "waits for the one before it");
    return;
  }
  const sent = connection.send(JSON.stringify({ type: "post", id, text: one.text }));
  setPending(one, sent ? "sending" : "waiting", sent ? "sending …" : "waits for the connection");
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const content = text.value.replace(/^\s*\n|\s+$/gu, ""); // empty lines at its ends say nothing
  const wrong = textProblem(content);
  problem(wrong);
  if (wrong !== "") {
    return;
  }
  const id = newID();
  transmit(addPending(id, content), id);
  text.value = "";
  grow();
  settle(true, 0);
});

// sends reports whether a key sends the message. On a touch screen Enter begins a line: there is no Shift with it.
function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches;
}

text.addEventListener("keydown", (event) => {
  if (sends(event) && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

text.addEventListener("keypress", (event) => { // where it comes by itself
  if (sends(event)) {
    event.preventDefault();
  }
});

text.addEventListener("input", grow);

// grow gives the text the lines it needs, where the browser does not do that itself, and counts when it gets long.
function grow() {
  if (getComputedStyle(text).fieldSizing !== "content") {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`; // its borders too
  }
  const left = 2000 - characters(text.value);
  $("#count").textContent = left < 200 ? `${left} characters left` : "";
}

// newID is random; crypto.randomUUID is there under https: only.
function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function problem(message) {
  $("#problem").textContent = message;
  $("#problem").hidden = message === "";
}

// ---- who I am

function askName() {
  signIn.hidden = false;
  composer.hidden = true;
  $("#name").focus();
}

async function showComposer() {
  signIn.hidden = true;
  composer.hidden = false;
  const response = await request("/session");
  if (response.ok) {
    const { name } = await response.json();
    $("#me").textContent = name;
  }
}

signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = $("#name-problem");
  note.hidden = true;
  try {
    const response = await request("/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: $("#name").value }),
    });
    if (!response.ok) {
      throw new Error((await response.json()).message);
    }
    await showComposer();
    text.focus();
    connection.again();
  } catch (error) {
    note.textContent = error.message || "That did not work; try again.";
    note.hidden = false;
  }
});

$("#rename").addEventListener("click", () => {
  if (pending.size > 0) { // it is sent in the name that it was written in
    problem("Your messages are still on their way; change your name when they have arrived.");
    return;
  }
  $("#name").value = $("#me").textContent;
  askName();
  $("#name").select();
});

$("#room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(`/chat/${$("#room-input").value}`);
});

restore();

// restore brings back what a reload interrupted.
function restore() {
  let kept;
  try {
    kept = JSON.parse(sessionStorage.getItem(store));
  } catch {
    // of an older page
  }
  if (Array.isArray(kept?.waiting) && kept.waiting.length > 0) {
    if (kept.since !== undefined) {
      lastSeq = kept.since;
      firstSeq = kept.since + 1;
    }
    kept.waiting.forEach(([id, content]) => setPending(addPending(id, content), "waiting", "waits for the connection"));
  }
}
