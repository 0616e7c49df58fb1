// The page /rooms, for lesson 6: two namespaces over one connection, each with its announcements, its count, its
// rooms, and acknowledgements. It uses the official client, or the small one beside it with ?client=small.

import { closeWords } from "/close-codes.js";
import { awayWords, showConnection } from "/connection-shown.js";
import { comeBack } from "/rooms-return.js";
import { tab } from "/storage.js";
import { tail } from "/tail.js";

const mostLines = 300; // per log; the oldest are dropped

const small = new URLSearchParams(location.search).get("client") === "small";
const { io } = await import(small ? "/socket.io/small.js" : "/socket.io/socket.io.esm.min.js");

const name = myName();
document.querySelector("#me").textContent = name;

const wanted = new Set(); // the sockets that should be connected: all except those that the server refused or ended
const leave = () => sockets.forEach((socket) => socket.disconnect());
const enter = () => {
  wanted.forEach((socket) => socket.connect());
  state();
};
const back = comeBack({ leave, enter, onWait: (seconds) => state(seconds) });

const sockets = [
  show("/", "Main hall"),
  show("/garden", "Garden"),
];
document.querySelector("#connection-now").addEventListener("click", back.now);

// The browser may keep a page frozen, for the way back to it: close now, and reconnect when the page is shown again.
addEventListener("pagehide", () => {
  back.stop();
  leave();
});
addEventListener("pageshow", (event) => event.persisted && enter());

// myName returns this tab's name, which lasts as long as the tab.
function myName() {
  const made = tab.get("name") ?? `guest ${1000 + crypto.getRandomValues(new Uint16Array(1))[0] % 9000}`;
  tab.set("name", made);
  return made;
}

// show makes the card for one namespace and connects it.
function show(namespace, title) {
  const card = document.querySelector("#namespace").content.cloneNode(true).firstElementChild;
  const $ = (selector) => card.querySelector(selector);
  const log = tail({ list: $(".log"), note: $(".gone"), most: mostLines });
  const rooms = new Map(); // the rooms that this tab is in, and their rows
  let refusal = ""; // why it is not connected, and will not reconnect by itself
  card.dataset.namespace = namespace;
  card.setAttribute("aria-label", title);
  $("h2").textContent = title;
  $(".log").setAttribute("aria-label", `Messages in ${title}`);
  document.querySelector("#namespaces").append(card);

  const socket = io(namespace, { auth: { name }, transports: ["websocket"] });
  wanted.add(socket);

  socket.on("connect", () => {
    refuse("");
    back.found();
    cause("");
    if (!socket.recovered) { // a new socket is not in any room
      rooms.forEach((row, room) => socket.emit("join", { room }, (answer) => {
        settle(answer);
        if (!answer.ok) {
          removeRoom(room);
        }
      }));
    }
    state();
  });
  // It reconnects, unless the server ended it deliberately.
  socket.on("disconnect", (reason, details) => {
    $(".clients").textContent = "not connected"; // the number is unknown now
    if (reason === "io server disconnect") {
      refuse("The server ended this connection.");
    } else if (reason !== "io client disconnect") {
      cause(howItEnded(reason, details?.context));
      back.lost();
    }
    state();
  });
  socket.on("connect_error", (error) => {
    if (socket.active) { // the whole connection failed, not this namespace alone
      back.lost();
    } else {
      refuse(`The server refused the connection: ${error.message}`);
    }
    state();
  });
  $(".again").addEventListener("click", () => {
    $(".say input").focus(); // the button disappears
    refuse("");
    socket.connect();
    state();
  });
  socket.on("stats", ({ clients }) => {
    $(".clients").textContent = clients === 1 ? "1 connected" : `${clients} connected`;
  });
  socket.on("announcements", ({ text }) => line("announcement", named(text)));
  socket.on("message", ({ from, text }) => line("", [text], from));
  socket.on("room message", ({ room, from, text }) => line("", [text], from, room));

  submit($(".say"), (form) => socket.emit("message", { text: form.text.value }, clear(form.text)));
  submit($(".join"), (form) => {
    const room = form.room.value;
    socket.emit("join", { room }, (answer) => {
      clear(form.room)(answer);
      if (answer.ok) {
        addRoom(room);
      }
    });
  });
  $(".trip button").addEventListener("click", () => {
    if (!ready()) {
      return;
    }
    const start = performance.now();
    socket.emit("round trip", () => {
      $(".trip output").textContent = `${(performance.now() - start).toFixed(1)} ms`;
    });
  });

  function submit(form, f) {
    form.querySelectorAll("label").forEach((label) => { // each copy of the template needs its own ids
      const input = form.querySelector("input");
      input.id ||= `input-${Math.random().toString(36).slice(2)}`;
      label.htmlFor = input.id;
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (ready()) {
        f(form.elements);
      }
    });
  }

  // ready reports whether the server can be asked now, and shows why not.
  function ready() {
    problem(socket.connected ? "" : refusal || "Not connected at the moment; try again soon.");
    return socket.connected;
  }

  function refuse(why) {
    refusal = why;
    wanted[why === "" ? "add" : "delete"](socket);
    problem(why);
    $(".again").hidden = why === "";
  }

  // clear empties an input once the server has accepted its content.
  function clear(input) {
    return (answer) => {
      settle(answer);
      if (answer.ok) {
        input.value = "";
      }
    };
  }

  function settle(answer) {
    problem(answer.ok ? "" : answer.error);
  }

  function problem(text) {
    $(".problem").textContent = text;
    $(".problem").hidden = text === "";
  }

  function addRoom(room) {
    if (rooms.has(room)) {
      return;
    }
    const row = document.querySelector("#room").content.cloneNode(true).firstElementChild;
    const form = row.querySelector("form");
    row.dataset.room = room;
    row.querySelector("label").textContent = `Room ${room}`;
    row.querySelector(".leave").setAttribute("aria-label", `Leave room ${room}`);
    submit(form, ({ text }) => socket.emit("room message", { room, text: text.value }, clear(text)));
    row.querySelector(".leave").addEventListener("click", () => {
      if (!ready()) {
        return;
      }
      socket.emit("leave", { room }, (answer) => {
        settle(answer);
        if (answer.ok) {
          removeRoom(room);
          $(".join input").focus(); // the focused button is gone
        }
      });
    });
    rooms.set(room, row);
    $(".joined").append(row);
    form.elements.text.focus();
  }

  function removeRoom(room) {
    rooms.get(room)?.remove();
    rooms.delete(room);
  }

  // named highlights the names in an announcement. The server quotes them, “so”, and named takes everything from the
  // first to the last quote: a name that contains quotes cannot pass off part of itself as the server's words.
  function named(text) {
    const [, before, names, after] = /^([^“]*“)(.*)(”[^”]*)$/su.exec(text) ?? [];
    if (names === undefined) {
      return [text];
    }
    const parts = names.split(/(”, “|” and “)/u); // each name isolated, as its direction may differ
    return [before, ...parts.map((one, i) => (i % 2 === 0 ? part("bdi", "who", one) : one)), after];
  }

  // line adds a line to the log. content consists of strings and elements.
  function line(kind, content, from, room) {
    log.add(() => lineOf(kind, content, from, room));
  }

  function lineOf(kind, content, from, room) {
    const p = document.createElement("p");
    p.className = kind;
    if (room !== undefined) {
      p.append(part("span", "room", `${room} · `));
    }
    if (from !== undefined) {
      p.append(part("bdi", "", from), ": ");
    }
    const words = part("span", "", "");
    words.dir = "auto";
    words.append(...content);
    p.append(words);
    return p;
  }

  function part(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  return socket;
}

// state shows the state of all namespaces together. seconds are the seconds left of a wait, if there is one.
function state(seconds) {
  if (seconds === undefined && back.isWaiting()) {
    return; // the wait is already on display, or will be in a moment
  }
  const open = sockets.filter((socket) => socket.connected).length;
  const name = seconds !== undefined ? "waiting" : open === sockets.length ? "open" : open < wanted.size ? "connecting" : "stopped";
  showConnection({ state: name, left: seconds, ...{
    open: { said: "connected" },
    connecting: { said: "connecting …" },
    waiting: { said: awayWords(), again: "Try now" }, // the reason is shown below: see cause
    stopped: { said: open > 0 ? "partly connected" : "not connected" },
  }[name] });
}

// howItEnded takes the official client's reason, and the event that ended the WebSocket, if there is one. On a network
// error that client reports before the close code arrives, but the code is always the same.
function howItEnded(reason, end) {
  if (reason === "transport error") {
    return closeWords(1006);
  }
  return end?.code === undefined ? reason : closeWords(end.code, end.reason);
}

// cause shows how the connection ended, until the page is connected again.
function cause(words) {
  const line = document.querySelector("#cause");
  line.textContent = words === "" ? "" : `The connection ended: ${words}`;
  line.hidden = words === "";
}
