// The first lesson's page: say hello, send on each click, and append the replies. Beside them: what caused each.

import { connect } from "/connection.js";
import { awayWords, showConnection } from "/connection-shown.js";
import { answered, asked, ended } from "/exchanges.js";
import { tail } from "/tail.js";

const mostReplies = 500; // on the page; the oldest are dropped

const button = document.querySelector("#websocket-button");
const returns = tail({ list: document.querySelector("#websocket-returns"), note: document.querySelector("#replies-gone"), most: mostReplies });

const connection = connect("/ws", {
  onState: showState,
  onOpen: () => say("The connection opened", { loaded: true }),
  onMessage: (data) => answered(data, append(data)),
});

button.addEventListener("click", () => say("You clicked", { clicked: true }));
document.querySelector("#connection-now").addEventListener("click", () => connection.again());

// say sends a message, and shows its cause. Without a connection it does nothing.
function say(cause, message) {
  const text = JSON.stringify(message);
  if (connection.send(text)) {
    asked(cause, text);
    connection.expect(); // the server answers each message
  }
}

function showState(name, why, left) {
  if (name === "open") {
    button.disabled = false; // for good: a disabled button loses the focus
  } else {
    ended();
  }
  button.setAttribute("aria-disabled", name !== "open");
  showConnection({ state: name, left, ...{
    connecting: { said: "connecting …" },
    open: { said: "connected" },
    waiting: { said: awayWords(why), again: "Try now" },
    stopped: { said: `the server ended the connection: ${why}`, again: "Try now" },
  }[name] });
}

// append shows a reply that asks to be appended, and reports whether it did. Other messages are for newer
// versions of this page.
function append(data) {
  const reply = parse(data);
  if (reply?.append !== true || typeof reply.returnText !== "string") {
    return false;
  }
  returns.add(() => {
    const line = document.createElement("p");
    line.textContent = reply.returnText;
    return line;
  });
  return true;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
