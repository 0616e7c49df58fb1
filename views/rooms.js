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

// A page that is left may be kept, frozen, for the way back: say goodbye now, and come back then.
addEventListener("pagehide", () => sockets.forEach((socket) => socket.disconnect()));
addEventListener("pageshow", (event) => event.persisted && sockets.forEach((socket) => socket.connect()));

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
  let refusal = ""; // why it is not connected, and will not be by itself
  card.dataset.namespace = namespace;
  card.setAttribute("aria-label", title);
  $("h2").textContent = title;
  log.setAttribute("aria-label", `What is said in ${title}`);
  document.querySelector("#namespaces").append(card);

  const socket = io(namespace, { auth: { name }, transports: ["websocket"] });

  socket.on("connect", () => {
    refuse("");
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
  // It comes back by itself, unless it was the server that did not want it.
  socket.on("disconnect", (reason) => {
    refuse(reason === "io server disconnect" ? "The server ended this connection." : "");
    state();
  });
  socket.on("connect_error", (error) => {
    refuse(socket.active ? "" : `The server refused the connection: ${error.message}`);
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
    row.querySelector(".name").textContent = room;
    row.querySelector("label").textContent = `Message to room ${room}`;
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

// state shows how the namespaces stand, all together.
function state() {
  const open = sockets.filter((socket) => socket.connected).length;
  const trying = sockets.some((socket) => !socket.connected && socket.active);
  const name = open === sockets.length ? "open" : trying ? "connecting" : "stopped";
  const words = { open: "connected", connecting: "not connected, trying again", stopped: open > 0 ? "connected in part" : "not connected" }[name];
  document.querySelector("#connection").dataset.state = name;
  const shown = document.querySelector("#connection-state");
  if (shown.textContent !== words) { // a screen reader speaks each change
    shown.textContent = words;
  }
}
