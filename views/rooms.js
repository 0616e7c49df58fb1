// The page /rooms, of lesson 6: two namespaces over one connection, each with its announcements, its count, its
// rooms, and acknowledgements. It uses the official client, or with ?client=small the small one beside it.

import { closeWords } from "/close-codes.js";
import { awayWords, showConnection } from "/connection-shown.js";
import { comeBack } from "/rooms-return.js";
import { tail } from "/tail.js";

const mostLines = 300; // of a log; the oldest go

const small = new URLSearchParams(location.search).get("client") === "small";
const { io } = await import(small ? "/socket.io/small.js" : "/socket.io/socket.io.esm.min.js");

const name = myName();
document.querySelector("#me").textContent = name;

const wanted = new Set(); // the sockets that are to be connected: not those that the server did not want
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

// A page that is left may be kept, frozen, for the way back: say goodbye now, and come back then.
addEventListener("pagehide", () => {
  back.stop();
  leave();
});
addEventListener("pageshow", (event) => event.persisted && enter());

// myName is this tab's, and stays for as long as the tab does.
function myName() {
  const kept = sessionStorage.getItem("name");
  const made = kept ?? `guest ${1000 + crypto.getRandomValues(new Uint16Array(1))[0] % 9000}`;
  sessionStorage.setItem("name", made);
  return made;
}

// show makes the card of one namespace and connects it.
function show(namespace, title) {
  const card = document.querySelector("#namespace").content.cloneNode(true).firstElementChild;
  const $ = (selector) => card.querySelector(selector);
  const log = tail({ list: $(".log"), note: $(".gone"), most: mostLines });
  const rooms = new Map(); // the rooms this tab is in, and their rows
  let refusal = ""; // why it is not connected, and will not be by itself
  card.dataset.namespace = namespace;
  card.setAttribute("aria-label", title);
  $("h2").textContent = title;
  $(".log").setAttribute("aria-label", `What is said in ${title}`);
  document.querySelector("#namespaces").append(card);

  const socket = io(namespace, { auth: { name }, transports: ["websocket"] });
  wanted.add(socket);

  socket.on("connect", () => {
    refuse("");
    back.found();
    cause("");
    if (!socket.recovered) { // a socket that is not the one it was is in no room
      rooms.forEach((row, room) => socket.emit("join", { room }, (answer) => {
        settle(answer);
        if (!answer.ok) {
          removeRoom(room);
        }
      }));
    }
    state();
  });
  // It comes back, unless it was the server that did not want it.
  socket.on("disconnect", (reason, details) => {
    $(".clients").textContent = "not connected"; // how many are there now, nobody knows
    if (reason === "io server disconnect") {
      refuse("The server ended this connection.");
    } else if (reason !== "io client disconnect") {
      cause(howItEnded(reason, details?.context));
      back.lost();
    }
    state();
  });
  socket.on("connect_error", (error) => {
    if (socket.active) { // it is not this one's fault
      back.lost();
    } else {
      refuse(`The server refused the connection: ${error.message}`);
    }
    state();
  });
  $(".again").addEventListener("click", () => {
    $(".say input").focus(); // the button goes
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
    form.querySelectorAll("label").forEach((label) => { // each copy of the template needs ids of its own
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

  // ready reports whether the server can be asked now, and says why not.
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

  // clear empties an input once the server has taken what it held.
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
          $(".join input").focus(); // the button that had it is gone
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

  // named makes the names of an announcement stand out: what the server puts in “quotes”, from the first to the
  // last, so that a name with quotes of its own cannot say something that looks like the server's words.
  function named(text) {
    const [, before, names, after] = /^([^“]*“)(.*)(”[^”]*)$/su.exec(text) ?? [];
    if (names === undefined) {
      return [text];
    }
    const parts = names.split(/(”, “|” and “)/u); // and each by itself, whatever its direction
    return [before, ...parts.map((one, i) => (i % 2 === 0 ? part("bdi", "who", one) : one)), after];
  }

  // line adds one to the log. What it says is text and elements.
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

// state shows how the namespaces stand, all together: seconds are left of a wait.
function state(seconds) {
  if (seconds === undefined && back.isWaiting()) {
    return; // it is said already, or will be at once
  }
  const open = sockets.filter((socket) => socket.connected).length;
  const name = seconds !== undefined ? "waiting" : open === sockets.length ? "open" : open < wanted.size ? "connecting" : "stopped";
  showConnection({ state: name, left: seconds, ...{
    open: { said: "connected" },
    connecting: { said: "connecting …" },
    waiting: { said: awayWords(), again: "Try now" }, // why is below: see cause
    stopped: { said: open > 0 ? "connected in part" : "not connected" },
  }[name] });
}

// howItEnded takes the official client's words, and the event that ended the WebSocket, which is not always known. Of a
// connection that fails, that client tells at once, before the code comes: it is always the same.
function howItEnded(reason, end) {
  if (reason === "transport error") {
    return closeWords(1006);
  }
  return end?.code === undefined ? reason : closeWords(end.code, end.reason);
}

// cause says how the connection ended, until there is another.
function cause(words) {
  const line = document.querySelector("#cause");
  line.textContent = words === "" ? "" : `The connection ended: ${words}`;
  line.hidden = words === "";
}
