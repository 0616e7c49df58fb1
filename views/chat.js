// The page /chat, for lessons 3 and 4: a room in which nothing is lost. Messages without an acknowledgement are kept, shown as
// pending, and sent again with the same id after a reconnect.

import { connect } from "/connection.js";
import { awayWords, showConnection } from "/connection-shown.js";
import { draftOf, forgetDrafts, isSame, renamed, saveDraft, writerOf } from "/chat-draft.js";
import { body, element, group, person, render } from "/chat-message.js";
import { nameCard } from "/chat-name.js";
import { Pace } from "/chat-pace.js";
import { endTyping, forgetPeople, showPeople, startTyping } from "/chat-people.js";
import { characters, isMessage, longestText, parse, textProblem } from "/chat-rules.js";
import { showRooms } from "/chat-side.js";
import { countUnread, following, forgetUnread, removeLine, setTitle, toEnd } from "/chat-view.js";
import { eachFrame } from "/frames.js";
import { tab } from "/storage.js";

const mostMessages = 1000; // on the page; older ones are loaded again when the reader scrolls up
const retryAfter = new Map([["rate_limited", 1_000], ["unavailable", 2_000]]); // ms, by the code with which a post is refused for now
const typingEvery = 3_000; // ms between two typing notices
const quiet = 10; // messages that a screen reader may read out in one go

const $ = (selector) => document.querySelector(selector);
const scroller = $("#scroller");
const list = $("#messages");
const pendingList = $("#pending");
const composer = $("#composer");
const text = $("#text");

const room = location.pathname.split("/")[2] || "lobby";
const base = `/chat/${room}`;
$("#room-name").textContent = room;
$("h1").classList.toggle("long", room.length > 20);
$("h1").title = `#${room}`; // the heading may be cut off
setTitle(`#${room} · echows`);
showRooms(room);

let me; // {name, mark}, once known
let last; // the person who was signed in last
let writer; // who they were when they signed in: the drafts are kept under that name
let lastSeq; // of the newest message shown; a reconnect continues from there
let firstSeq; // of the oldest message shown
let allShown = false; // there are no older messages
let loading = false;
let begun = false; // the first page of this connection's history has arrived
let caughtUp = false; // so has the last page
let takesTyping; // whether the server accepts typing notices; undefined until known
let typedAt = 0;
let naming; // the promise of the last signIn
const pending = new Map(); // id → {text, by, item, state}: messages not known to be stored, and who wrote them
const pace = new Pace();
let retry; // timer, after the server refused a post for now; other posts queue behind it
let next; // timer, until the pace allows more

// ---- the connection

const connection = connect(place, {
  onState: showState,
  onOpen: () => {}, // the server speaks first
  onMessage: (data) => {
    receive(data);
    expectAnswers();
  },
  // Sending a post again brings an answer. If no post is unanswered, only a new connection can tell.
  onDoubt: () => (isOwed() ? repeat() : connection.again()),
});

// place returns the address to connect to, with a new ticket each time. Without a session it asks for a name.
async function place(signal) {
  const { status, answer } = await ticket(signal);
  if (status === 401) {
    me = undefined;
    forgetDrafts();
    card.show();
    return undefined;
  }
  if (status !== 201) {
    throw new Error(`no ticket: ${status}`);
  }
  await whoAmI(signal); // another tab may have signed in under another name
  return `/ws${base}?ticket=${encodeURIComponent(answer.ticket)}${lastSeq === undefined ? "" : `&after=${lastSeq}`}`;
}

// ticket requests a ticket, and repeats the request every half second until there is an answer. When a network fails silently,
// the browser still takes its kept-alive connections for working ones, and would wait on them for the answer.
async function ticket(signal) {
  const done = new AbortController();
  signal.addEventListener("abort", () => done.abort());
  const ask = async (n) => {
    await pause(n * 500, done.signal);
    const response = await request("/ticket", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ room }),
      signal: done.signal,
    });
    return { status: response.status, answer: response.ok ? await response.json() : {} };
  };
  try {
    return await Promise.race([0, 1, 2, 3, 4, 5].map(ask));
  } finally {
    done.abort();
  }
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function request(path, options) {
  return fetch(path, { signal: AbortSignal.timeout(10_000), ...options });
}

function showState(name, why, left) {
  showConnection({ state: name, left, ...{
    connecting: { said: "connecting …" },
    open: { said: "connected" },
    waiting: { said: awayWords(why), again: "Try now" },
    stopped: why === undefined ? { said: "not signed in" } : { said: `not connected: ${why}`, again: "Connect again" },
  }[name] });
  if (name !== "open") {
    begun = caughtUp = false;
    forgetPeople();
    for (const one of pending.values()) {
      if (isSending(one) || one.state === "waiting") {
        setPending(one, "waiting", "waiting for the connection");
      }
    }
  }
}

$("#connection-now").addEventListener("click", () => connection.again());

// isOwed reports whether the server still has to answer a post. If so, expectAnswers sets a deadline for its next message.
const isSending = (one) => one.state === "sending";
const isOwed = () => [...pending.values()].some(isSending);
const expectAnswers = () => isOwed() && connection.expect();

// ---- what the server says

const handlers = {
  history: (m) => {
    const anew = lastSeq === undefined;
    if (!begun && !anew && !m.complete) { // away for too long: messages are missing after those shown
      list.replaceChildren();
      lastSeq = firstSeq = undefined;
      allShown = false;
      forgetUnread();
    }
    const follow = list.childElementCount === 0 || following;
    const fresh = addAll(m.messages);
    if (anew && !begun) {
      allShown = m.complete;
    }
    settle(follow, anew ? [] : fresh);
    begun = true;
    caughtUp = m.more !== true;
    if (caughtUp) {
      transmitAll();
      if (scroller.scrollHeight <= scroller.clientHeight) { // nothing to scroll up to
        loadOlder();
      }
    }
  },
  message: (m) => {
    endTyping(m.from, m.mark);
    arrived.push(m);
    if (arrived.length < mostMessages) {
      showSoon();
    } else {
      settle(following, addAll(arrived.splice(0))); // there have been no frames for a long time
    }
  },
  ack: (m) => {
    if (lastSeq !== undefined && m.seq <= lastSeq) {
      removePending(m.id);
    } else if (pending.has(m.id)) {
      setPending(pending.get(m.id), "stored", "");
    }
    pace.acknowledged();
    sendOn();
  },
  presence: (m) => {
    if (m.people !== undefined) { // a server that sends this list also accepts typing notices
      takesTyping ??= true;
    }
    showPeople(m.count, m.people, isMe);
  },
  typing: (m) => {
    if (!isMe(m.from, m.mark)) {
      startTyping(m.from, m.mark);
    }
  },
  error: (m) => {
    const one = pending.get(m.id);
    if (one === undefined && m.code === "unknown_type") { // not about a post: a typing notice was unknown
      takesTyping = false;
    } else if (retryAfter.has(m.code) && (one !== undefined || isOwed())) {
      const refused = one === undefined ? [...pending.values()].filter(isSending) : [one]; // the error may not tell which
      refused.forEach((each) => setPending(each, "waiting", `${m.message} (trying again)`));
      if (retry === undefined) { // the first of several refusals counts
        pace.refused();
        retry = setTimeout(transmitAll, retryAfter.get(m.code));
      }
    } else if (one === undefined) {
      problem(m.message);
    } else {
      setPending(one, "refused", m.message);
    }
  },
};

function receive(data) {
  const message = parse(data);
  if (message === undefined) {
    console.warn("the server sent an unknown message", data);
    return;
  }
  handlers[message.type](message);
}

// ---- messages

const arrived = []; // messages not shown yet, fewer than mostMessages. If a history comes first, it includes them
const showSoon = eachFrame(addArrived, () => following && toEnd());

function addArrived() {
  bound(following, addAll(arrived.splice(0)));
}

// isMe reports whether a person is the reader. Without marks, there is no way to tell.
const isMe = (name, mark = "") => mark !== "" && mark === me?.mark && name === me.name;

// addAll appends messages, and returns the elements of those that were not shown before.
function addAll(messages) {
  return quietly(messages.length > quiet, () => messages.map(append).filter((item) => item !== undefined));
}

// append shows a message below all others and returns its element, or undefined if it is already shown.
function append(m) {
  if (lastSeq !== undefined && m.seq <= lastSeq) {
    return undefined;
  }
  lastSeq = m.seq;
  firstSeq ??= m.seq;
  removePending(m.id);
  const item = render(m, isMe(m.from, m.mark));
  const previous = list.lastElementChild;
  list.append(item);
  group(item, previous);
  return item;
}

// quietly keeps a screen reader from reading aloud what f shows.
function quietly(wanted, f) {
  const log = $("#log");
  if (wanted) {
    log.setAttribute("aria-live", "off");
    setTimeout(() => log.removeAttribute("aria-live"), 500);
  }
  return f();
}

// settle adjusts the view after messages were added: if it was at the end, it stays there.
function settle(follow, added) {
  bound(follow, added);
  if (follow) {
    toEnd();
  }
}

// bound counts the unread messages among those added, and removes the oldest: they are loaded again when the reader scrolls up.
function bound(follow, added) {
  $("#empty").hidden = list.childElementCount + pending.size > 0;
  if (!follow || document.hidden) {
    countUnread(added.filter((item) => !item.classList.contains("own")));
  }
  let over = list.childElementCount - (follow ? mostMessages : 5 * mostMessages);
  if (over <= 0) {
    return;
  }
  const fromEnd = follow ? 0 : scroller.scrollHeight - scroller.scrollTop;
  for (; over > 0; over -= 1) {
    list.firstElementChild.remove();
  }
  firstSeq = Number(list.firstElementChild.dataset.seq);
  allShown = false;
  group(list.firstElementChild, null);
  if (!follow) {
    scroller.scrollTop = scroller.scrollHeight - fromEnd;
  }
}

// ---- reading back

scroller.addEventListener("scroll", () => scroller.scrollTop < 120 && loadOlder());

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
    if (before === firstSeq) { // and the list was not replaced in the meantime
      prepend(messages.filter(isMessage));
      allShown = messages.length === 0;
    }
    note.textContent = allShown ? "There are no older messages." : "";
    note.hidden = !allShown;
  } catch {
    note.textContent = "Older messages could not be loaded. Scroll up to try again.";
  }
  loading = false;
}

// prepend keeps the messages being read in place.
function prepend(messages) {
  if (messages.length === 0) {
    return;
  }
  const fromEnd = scroller.scrollHeight - scroller.scrollTop;
  const first = list.firstElementChild;
  const items = messages.map((m) => render(m, isMe(m.from, m.mark)));
  quietly(true, () => list.prepend(...items)); // nobody wants old messages read aloud
  items.forEach((item, i) => group(item, items[i - 1]));
  if (first !== null) {
    group(first, items.at(-1));
  }
  firstSeq = messages[0].seq;
  scroller.scrollTop = scroller.scrollHeight - fromEnd;
}

// ---- posting

const store = `pending:${room}`; // in this tab's storage: a reload does not lose anything either

// savePending also records the last message seen: pending messages that were stored after it appear when the page is back,
// and are not sent again.
function savePending() {
  tab.set(store, { since: lastSeq, waiting: [...pending].map(([id, one]) => [id, one.text, one.by]) });
}

function addPending(id, content, by) {
  const item = element("li", "own");
  item.append(body(content), element("p", "state"));
  pendingList.append(item);
  const one = { text: content, by, item, state: "" };
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

// setPending shows the state of a pending message: "sending", "waiting", "stored", "refused", or "kept", which leaves the
// decision to the reader.
function setPending(one, state, note) {
  one.state = state;
  one.item.className = `own ${state}`;
  const line = one.item.querySelector(".state");
  line.textContent = note;
  if (state === "refused") {
    line.append(" ", choice("Edit", () => {
      removePending(idOf(one));
      takeBack(one.text);
      settle(false, []);
    }));
  }
}

// takeBack puts a text before what is being written, and the caret between them.
function takeBack(content) {
  text.value = text.value === "" ? content : `${content}\n${text.value}`;
  text.focus();
  text.setSelectionRange(content.length, content.length);
  written();
}

function choice(words, f) {
  const made = element("button", "link", words);
  made.type = "button";
  made.addEventListener("click", f);
  return made;
}

const idOf = (one) => [...pending].find(([, other]) => other === one)?.[0];

// sortPending is called once it is known who I am. This tab may hold messages of another person, or of me under another name.
// They are not sent in my name unless I say so.
function sortPending() {
  for (const one of pending.values()) {
    const mine = one.by?.name === me.name && one.by.mark === me.mark;
    if (!mine && one.state !== "stored") {
      keep(one);
    } else if (one.state === "kept") {
      setPending(one, "waiting", "waiting for the connection");
    }
  }
}

function keep(one) {
  setPending(one, "kept", "Not sent: written as ");
  const line = one.item.querySelector(".state");
  line.append(one.by ? person(one.by.name, one.by.mark) : "somebody else", ". ", choice("", () => {
    one.by = me;
    savePending();
    setPending(one, "waiting", "waiting for the connection");
    text.focus(); // the button disappears
    sendOn();
  }), " ", choice("Discard", () => {
    removePending(idOf(one));
    text.focus();
    settle(false, []);
  }));
  line.querySelector("button").append("Send as ", element("bdi", "", me.name));
}

// transmitAll sends waiting messages, as many as the pace allows.
function transmitAll() {
  clearTimeout(retry);
  retry = undefined;
  sendOn();
}

// sendOn sends more of the waiting messages, in the order in which they were written.
function sendOn() {
  clearTimeout(next);
  next = undefined;
  if (retry !== undefined) {
    return;
  }
  const waiting = [...pending].filter(([, one]) => one.state === "waiting");
  let unanswered = [...pending.values()].filter(isSending).length;
  for (const [id, one] of waiting) {
    const wait = pace.wait(unanswered);
    if (wait > 0) {
      next = wait === Infinity ? undefined : setTimeout(sendOn, wait); // each acknowledgement calls sendOn, too
      return;
    }
    if (!transmit(one, id)) {
      return;
    }
    unanswered += 1;
  }
}

// transmit sends a pending message, for the first time or again, and reports whether that was possible.
function transmit(one, id) {
  // Only after the history: a message in it is already stored.
  if (!caughtUp || !connection.send(JSON.stringify({ type: "post", id, text: one.text }))) {
    return false;
  }
  pace.sent();
  setPending(one, "sending", "sending …");
  expectAnswers();
  return true;
}

// repeat sends unanswered messages again.
function repeat() {
  pending.forEach((one, id) => isSending(one) && transmit(one, id));
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const content = text.value.replace(/^\s*\n|\s+$/gu, ""); // blank lines at either end
  const wrong = textProblem(content);
  problem(wrong);
  if (wrong !== "") {
    return;
  }
  const one = addPending(newID(), content, me);
  setPending(one, "waiting", caughtUp ? "waiting for earlier messages" : "waiting for the connection");
  sendOn();
  text.value = "";
  written();
  removeLine();
  settle(true, []);
});

// sends reports whether a key sends the message. On a touch screen, which has no Shift+Enter, Enter starts a new line.
function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches;
}

text.addEventListener("keydown", (event) => {
  if (sends(event) && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

text.addEventListener("keypress", (event) => { // for a keypress without a keydown before it
  if (sends(event)) {
    event.preventDefault();
  }
});

text.addEventListener("input", () => {
  written();
  tellTyping();
});

// tellTyping tells the others from time to time that somebody is writing.
function tellTyping() {
  if (takesTyping && caughtUp && text.value.trim() !== "" && Date.now() - typedAt >= typingEvery &&
    connection.send(JSON.stringify({ type: "typing" }))) {
    typedAt = Date.now();
  }
}

// written is called after every change of the text, whether the writer or the page made it.
function written() {
  grow();
  countCharacters();
  if (writer !== undefined) {
    saveDraft(room, writer, text.value);
  }
}

// grow fits the height of the text field to its lines, if the browser does not do so itself.
function grow() {
  if (getComputedStyle(text).fieldSizing !== "content") {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`; // include the borders
  }
}

let spoken; // timer: a screen reader hears the count when the writer pauses

function countCharacters() {
  const left = longestText - characters(text.value);
  const count = left < 0 ? `${characterCount(-left)} too many` : left < 200 ? `${characterCount(left)} left` : "";
  composer.classList.toggle("over", left < 0);
  $("#send").disabled = left < 0;
  $("#count").textContent = count;
  clearTimeout(spoken);
  spoken = setTimeout(() => { $("#count-spoken").textContent = count; }, 1_000);
}

const characterCount = (n) => `${n} ${n === 1 ? "character" : "characters"}`;

// newID returns a random id. crypto.randomUUID exists only under https:.
function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function problem(message) {
  $("#problem").textContent = message;
  $("#problem").hidden = message === "";
}

// ---- who I am

const card = nameCard({
  room,
  signIn: (name) => (naming = signIn(name)),
  onShow: () => { composer.hidden = true; },
  onHide: () => { composer.hidden = me === undefined; },
});

async function signIn(name) {
  const renames = me !== undefined && isSame(writerOf(await session()), writer); // and has not been signed out, or replaced
  const response = await request("/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name }),
  });
  const answer = await response.json();
  if (!response.ok) {
    return answer.message;
  }
  if (!renames && await session() === undefined) {
    return "This browser does not keep cookies for this page. The chat needs one to know who you are.";
  }
  if (!renames) {
    me = undefined;
    forgetDrafts();
  }
  showMe(answer, renames);
  card.hide();
  text.focus();
  connection.again();
  return "";
}

// whoAmI asks the server, and lets me write. The answer may already have the name that I am just changing to, which would look like
// somebody else's: only signIn knows better, and comes first.
async function whoAmI(signal) {
  const answer = await session({ signal });
  if (answer === undefined) {
    throw new Error("signed out meanwhile");
  }
  await Promise.allSettled([naming]);
  signal.throwIfAborted(); // signIn has connected again, or took too long
  showMe(answer);
}

// session returns who is signed in, or undefined.
async function session(options) {
  const response = await request("/session", options);
  if (response.status === 401) {
    return undefined;
  }
  if (!response.ok) {
    throw new Error(`no session: ${response.status}`);
  }
  const { name, mark = "" } = await response.json();
  return { name, mark };
}

// showMe learns who I am. If renames, I have just changed my name here; otherwise somebody else may have signed in.
function showMe({ name, mark = "" }, renames = false) {
  const first = me === undefined;
  const again = first && name === last?.name; // signed in again: each sign-in gives another mark
  me = last = { name, mark };
  if (renames) {
    renamed(writer, me);
  }
  showDraft(again);
  $("#me").textContent = name;
  $("#my-mark").textContent = mark;
  if (first) { // otherwise the name card may be open to change the name
    card.hide();
  }
  sortPending();
}

// showDraft restores my unfinished text. The text of somebody else, who has signed out or been replaced, is not mine.
function showDraft(again) {
  const before = writer;
  writer = writerOf(me);
  const mine = again || before === undefined || isSame(before, writer);
  if (!mine || text.value === "") {
    text.value = draftOf(room, writer);
  }
  written();
}

$("#rename").addEventListener("click", () => {
  if ([...pending.values()].some(({ state }) => state !== "kept")) { // they are sent under the name they were written under
    problem("Some messages are still being sent. Change your name once they have arrived.");
    return;
  }
  card.show(me.name);
});

restore();

// restore brings back messages that a reload interrupted.
function restore() {
  const kept = tab.get(store);
  if (Array.isArray(kept?.waiting) && kept.waiting.length > 0) {
    if (kept.since !== undefined) {
      lastSeq = kept.since;
      firstSeq = kept.since + 1;
    }
    kept.waiting.forEach(([id, content, by]) => setPending(addPending(id, content, by), "waiting", "waiting for the connection"));
  }
}
