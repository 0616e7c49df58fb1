// The wire, to be seen: a panel with what the page's WebSockets send and receive, and with buttons that make them fail.
// It is for all pages. It has to run before the script that connects: its tag stands before that one's. Until the panel is
// opened, by its button or by ?wire in the page's address, all it does is to keep the last frames in memory.

import { add, setState } from "/wire-record.js";
import { WatchedSocket } from "/wire-socket.js";

globalThis.WebSocket = WatchedSocket;

// A client that comes back by itself says how it stands, and for how long it waits: connection.js and small.js do.
addEventListener("echows:state", ({ detail }) => {
  setState(detail);
  const words = told(detail);
  if (words !== undefined) {
    add({ kind: "event", text: words, size: 0 });
  }
});

// told says what the frames do not show.
function told({ state, wait, attempt, reason, after }) {
  switch (state) {
    case "waiting":
      return `the page waits ${(wait / 1000).toFixed(1)} s, then makes attempt ${attempt}`;
    case "silent":
      return `nothing was heard for ${after / 1000} s, though an answer was expected: the page leaves the connection`;
    case "late":
      return `no connection after ${after / 1000} s: the page gives this attempt up`;
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

const panel = import("/wire-panel.js"); // now, and not when it is wanted: by then the server may be away
panel.catch(() => opener.remove());

async function toggle(byHand) {
  (await panel).toggle(host, opener, byHand);
}

if (new URLSearchParams(location.search).has("wire")) {
  toggle(false);
}
