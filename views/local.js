// The first lesson's page: say hello, send on each click, and append what comes back.

import { connect } from "/connection.js";

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
  onOpen: () => connection.send(JSON.stringify({ loaded: true })),
  onMessage: append,
});

button.addEventListener("click", () => connection.send(JSON.stringify({ clicked: true })));
nowButton.addEventListener("click", () => connection.again());

function showState(name, more) {
  button.disabled = name !== "open";
  nowButton.hidden = name !== "waiting" && name !== "stopped";
  state.dataset.state = name;
  const word = name === "stopped" ? `${words.stopped}: ${more}` : words[name];
  if (stateText.textContent !== word) { // a screen reader speaks each change, not each second
    stateText.textContent = word;
  }
  stateSeconds.textContent = name === "waiting" ? `in ${more} s` : "";
}

// append shows a reply that asks for it. Whatever else the server says is for newer pages than this.
function append(data) {
  const reply = parse(data);
  if (reply?.append !== true || typeof reply.returnText !== "string") {
    return;
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
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
