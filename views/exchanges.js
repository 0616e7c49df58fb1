// What led to what on the first lesson's page: a list of what was sent, what came back, when, and how long it took. The
// server of that page answers each message with one, in their order.

const mostExchanges = 100; // in the list; the oldest go

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const scroller = document.querySelector("#exchanges");
const list = scroller.querySelector("ol");
const waiting = []; // for their answers: items, and when they were sent

// asked begins an exchange: cause says why the text was sent.
export function asked(cause, text) {
  const item = begin(cause);
  item.append(step("sent", "↑ ", "sent ", make("code", text), ` ${bytes(text)}`));
  const answer = step("waits", "", "no answer yet");
  add(item, answer);
  waiting.push({ answer, start: performance.now() });
}

// answered ends the oldest exchange that waits. used tells whether the page did something with what came.
export function answered(data, used) {
  const now = performance.now();
  const oldest = waiting.shift();
  const text = typeof data === "string" ? data : "(bytes)";
  const took = oldest === undefined ? [] : [make("strong", ` after ${(now - oldest.start).toFixed(1)} ms`)];
  const answer = step("received", "↓ ", "received ", make("code", text), ...took, used ? "; the page appended its text" : "; the page did nothing with it");
  if (oldest === undefined) {
    add(begin("The server spoke by itself"), answer);
  } else {
    const follow = isAtEnd();
    oldest.answer.replaceWith(answer);
    toEnd(follow);
  }
}

// ended is for when no answers come any more.
export function ended() {
  waiting.splice(0).forEach(({ answer }) => answer.replaceWith(step("lost", "", "no answer came: the connection ended")));
}

function begin(cause) {
  const now = new Date();
  const time = make("time", clock.format(now));
  time.dateTime = now.toISOString();
  return make("li", step("cause", "", make("span", cause), " ", time));
}

// step is a line of an exchange. Its arrow is for the eye only.
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

function add(item, answer) {
  const follow = isAtEnd();
  item.append(answer);
  list.append(item);
  if (list.childElementCount > mostExchanges) {
    list.firstElementChild.remove();
  }
  toEnd(follow);
}

function isAtEnd() {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
}

function toEnd(wanted) {
  if (wanted) {
    scroller.scrollTop = scroller.scrollHeight;
  }
}

function bytes(text) {
  return `(${new TextEncoder().encode(text).length} bytes)`;
}

function make(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}
