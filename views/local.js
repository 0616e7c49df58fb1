// The first lesson's page: say hello, send on each click, and append what comes back. Beside it: what led to what.

import { connect } from "/connection.js";
import { answered, asked, ended } from "/exchanges.js";

const mostReplies = 500; // on the page; the oldest go

const button = document.querySelector("#websocket-button");
const returns = document.querySelector("#websocket-returns");
const state = document.querySelector("#connection");
const stateText = document.querySelector("#connection-state");
const stateSeconds = document.querySelector("#connection-seconds");
const nowButton = document.querySelector("#connection-now");

const words = {
  connecting: "connecting …",
  open: "connected",
  waiting: "not connected, trying again",
  stopped: "the server ended the connection",
};

const connection = connect("/ws", {
  onState: showState,
  onOpen: () => say("The connection opened", { loaded: true }),
  onMessage: (data) => answered(data, append(data)),
});

button.addEventListener("click", () => say("You clicked", { clicked: true }));
nowButton.addEventListener("click", () => connection.again());

// say sends a message, and shows what led to it.
function say(cause, message) {
  const text = JSON.stringify(message);
  if (connection.send(text)) {
    asked(cause, text);
  }
}

function showState(name, more) {
  if (name !== "open") {
    ended();
  }
  button.disabled = name !== "open";
  nowButton.hidden = name !== "waiting" && name !== "stopped";
  state.dataset.state = name;
  const word = name === "stopped" ? `${words.stopped}: ${more}` : words[name];
  if (stateText.textContent !== word) { // a screen reader speaks each change, not each second
    stateText.textContent = word;
  }
  stateSeconds.textContent = name === "waiting" ? `in ${more} s` : "";
}

// append shows a reply that asks for it, and reports whether it did. Whatever else the server says is for newer pages
// than this.
function append(data) {
  const reply = parse(data);
  if (reply?.append !== true || typeof reply.returnText !== "string") {
    return false;
  }
  const line = document.createElement("p");
  line.textContent = reply.returnText;
  const atEnd = returns.scrollHeight - returns.scrollTop - returns.clientHeight < 40;
  returns.append(line);
  if (returns.childElementCount > mostReplies) {
    returns.firstElementChild.remove();
  }
  if (atEnd) {
    returns.scrollTop = returns.scrollHeight;
  }
  return true;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
