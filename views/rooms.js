// The third lesson's page: two namespaces over one connection, each with its announcements, its count, its
// rooms, and acknowledgements. It uses the official client, or with ?client=small the small one beside it.

const mostLines = 300; // of a log; the oldest go

const small = new URLSearchParams(location.search).get("client") === "small";
const { io } = await import(small ? "/socket.io/small.js" : "/socket.io/socket.io.esm.min.js");

const name = myName();
document.querySelector("#me").textContent = name;

const sockets = [
  show("/", "Main hall"),
  show("/garden", "Garden"),
];

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
  const log = $(".log");
  const rooms = new Map(); // the rooms this tab is in, and their rows
  card.dataset.namespace = namespace;
  $("h2").textContent = title;
  log.setAttribute("aria-label", `What is said in ${title}`);
  document.querySelector("#namespaces").append(card);

  const socket = io(namespace, { auth: { name }, transports: ["websocket"], closeOnBeforeunload: true });

  socket.on("connect", () => {
    if (!socket.recovered) { // a socket that is not the one it was is in no room
      rooms.forEach((row, room) => socket.emit("join", { room }, settle));
    }
    state();
  });
  socket.on("disconnect", state);
  socket.on("connect_error", (error) => {
    problem(socket.active ? "" : error.message);
    state();
  });
  socket.on("stats", ({ clients }) => {
    $(".clients").textContent = clients === 1 ? "1 connected" : `${clients} connected`;
  });
  socket.on("announcements", ({ text }) => line("announcement", text));
  socket.on("message", ({ from, text }) => line("", text, from));
  socket.on("room message", ({ room, from, text }) => line("", text, from, room));

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
      if (!socket.connected) {
        problem("Not connected at the moment; try again soon.");
        return;
      }
      problem("");
      f(form.elements);
    });
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
    row.querySelector(".name").textContent = room;
    row.querySelector("label").textContent = `Message to room ${room}`;
    submit(form, ({ text }) => socket.emit("room message", { room, text: text.value }, clear(text)));
    row.querySelector(".leave").addEventListener("click", () => {
      socket.emit("leave", { room }, (answer) => {
        settle(answer);
        rooms.delete(room);
        row.remove();
      });
    });
    rooms.set(room, row);
    $(".joined").append(row);
    form.elements.text.focus();
  }

  function line(kind, text, from, room) {
    const p = document.createElement("p");
    p.className = kind;
    if (room !== undefined) {
      p.append(part("span", "room", `${room} · `));
    }
    if (from !== undefined) {
      p.append(part("bdi", "", from), ": ");
    }
    const words = part("span", "", text);
    words.dir = "auto";
    p.append(words);
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(p);
    if (log.childElementCount > mostLines) {
      log.firstElementChild.remove();
    }
    if (atEnd) {
      log.scrollTop = log.scrollHeight;
    }
  }

  function part(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  return socket;
}

// state shows whether all namespaces are connected.
function state() {
  const open = sockets?.every((socket) => socket.connected);
  document.querySelector("#connection").dataset.state = open ? "open" : "connecting";
  const words = open ? "connected" : "not connected, trying again";
  const shown = document.querySelector("#connection-state");
  if (shown.textContent !== words) {
    shown.textContent = words;
  }
}
