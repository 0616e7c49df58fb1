// The wire made visible: a panel that shows what the page's WebSockets send and receive, with buttons that make them fail.
// All lessons have it. It has to run before the script that connects, so its tag comes first. Until the panel is
// opened, with its button or with ?wire in the page's address, the script only keeps the last frames in memory.

import { add, setState } from "/wire-record.js";
import { WatchedSocket } from "/wire-socket.js";

globalThis.WebSocket = WatchedSocket;

// Clients that reconnect by themselves report their state and how long they wait: connection.js and small.js do.
addEventListener("echows:state", ({ detail }) => {
  setState(detail);
  const words = told(detail);
  if (words !== undefined) {
    add({ kind: "event", text: words, size: 0 });
  }
});

// told describes what the frames do not show.
function told({ state, wait, attempt, reason, after }) {
  switch (state) {
    case "waiting":
      return `the page waits ${(wait / 1000).toFixed(1)} s, then makes attempt ${attempt}`;
    case "silent":
      return `nothing was heard for ${after / 1000} s, although an answer was expected: the page abandons the connection`;
    case "late":
      return `no connection after ${after / 1000} s: the page abandons this attempt`;
    case "stopped":
      return `the page does not try again${reason === undefined ? "" : `: ${reason}`}`;
    default:
      return undefined;
  }
}

const host = document.querySelector("#wire");
host.setAttribute("role", "complementary");
host.setAttribute("aria-label", "The wire");
const opener = document.createElement("button");
opener.type = "button";
opener.className = "wire-opener";
opener.textContent = "The wire";
opener.title = "Every frame that this page sends and receives";
opener.setAttribute("aria-expanded", "false");
opener.addEventListener("click", () => toggle(true));

const style = document.createElement("link");
style.rel = "stylesheet";
style.href = "/wire.css";
style.onload = style.onerror = () => host.append(opener);
document.head.append(style);

const panel = import("/wire-panel.js"); // now, not when it is needed: the server may be unavailable by then
panel.catch(() => opener.remove());

async function toggle(byHand) {
  (await panel).toggle(host, opener, byHand);
}

if (new URLSearchParams(location.search).has("wire")) {
  toggle(false);
}
