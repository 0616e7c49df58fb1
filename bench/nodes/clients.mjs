// The clients of the fault runs: the official Socket.IO client, many times. Lines of JSON on standard input say what
// they do, each with an id, and are answered by lines on standard output. What each client saw is written down with
// its time and handed over at the end; whether it is right is not judged here.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../socketio/official/package.json", import.meta.url));
const { io } = require("socket.io-client");

const now = () => performance.timeOrigin + performance.now();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const pick = (list) => list[Math.floor(Math.random() * list.length)];

const nowhere = "http://127.0.0.1:1";
const patience = 8000; // ms for an acknowledgement
let urls = []; // the nodes' that clients go to
let open = []; // the places in urls of those that are alive
let clients = [];
let away = new Set(); // clients that cannot reach any node
let load = null; // { pause, churn, rooms }

class Client {
  constructor(number, node) {
    this.number = number;
    this.node = node;
    this.sent = 0;
    this.rooms = new Map(); // room: whether the client wants to be in it
    this.events = []; // what happened
    this.busy = false;
    const socket = io(urls[node], {
      transports: ["websocket"], forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 400, timeout: 4000,
    });
    this.socket = socket;
    socket.on("connect", () => this.connected());
    socket.on("disconnect", (reason) => {
      this.note({ what: "end", reason });
      this.elsewhere();
    });
    socket.on("connect_error", (error) => {
      this.note({ what: "refused", reason: error.message });
      if (socket.active) this.elsewhere();
      else setTimeout(() => socket.connect(), 200); // the server said no
    });
    socket.on("said", (said, offset) => this.note({ what: "heard", ...said, offset }));
    socket.on("poll", (answer) => answer(this.number));
  }

  note(event) {
    event.at = now();
    this.events.push(event);
  }

  connected() {
    this.note({ what: "begin", recovered: this.socket.recovered, node: String(this.node), reason: this.socket.id });
    if (this.socket.recovered) return;
    for (const [room, wanted] of this.rooms) {
      if (wanted) this.change("join", room); // the server knows nothing of it any more
    }
  }

  // elsewhere has the next attempt go to another node that is alive.
  elsewhere() {
    if (away.has(this)) {
      this.socket.io.uri = nowhere;
      return;
    }
    this.node = pick(open.length > 1 ? open.filter((place) => place !== this.node) : open);
    this.socket.io.uri = urls[this.node];
  }

  // change joins or leaves a room, and says how it went.
  async change(what, room) {
    this.rooms.set(room, what === "join");
    const event = { what, room, at: now(), until: 0, ok: false };
    this.events.push(event);
    try {
      event.reason = await this.socket.timeout(patience).emitWithAck(what, room);
      event.ok = event.reason === "";
    } catch (error) {
      event.reason = error.message;
    }
    event.until = now();
    return event.ok;
  }

  // say emits the next event.
  say(rooms) {
    const kind = pick(["all", "room", "room", "but"]);
    const said = { from: this.number, n: ++this.sent, kind };
    if (kind !== "all") said.room = pick(rooms);
    const event = { what: "said", ...said, at: now(), until: 0, ok: false, node: String(this.node) };
    this.events.push(event);
    this.socket.timeout(patience).emit("say", said, (error, reason) => {
      event.until = now();
      event.ok = !error && reason === "";
      event.reason = error ? error.message : reason;
    });
  }
}

// run has clients emit, and join and leave, until the load is another one.
async function run(mine) {
  while (load === mine) {
    const client = pick(clients);
    if (client.socket.connected) {
      client.say(mine.rooms);
      const other = pick(clients);
      if (mine.churn && Math.random() < 0.2 && other.socket.connected && !other.busy) {
        const room = pick(mine.rooms);
        other.busy = true;
        other.change(other.rooms.get(room) ? "leave" : "join", room).finally(() => { other.busy = false; });
      }
    }
    await sleep(mine.pause);
  }
}

// share is some of a node's clients.
function share(place, part) {
  const some = clients.filter((client) => client.node === place && client.socket.connected);
  some.length = Math.ceil(some.length * part);
  return some;
}

const commands = {
  // open starts clients, and has each join its share of the rooms.
  async open({ nodes, count, rooms }) {
    urls = nodes;
    open = nodes.map((_, place) => place);
    clients = Array.from({ length: count }, (_, i) => new Client(i, i % nodes.length));
    await commands.settled();
    const joined = clients.flatMap((client) => rooms
      .filter((_, room) => (Math.floor(client.number / nodes.length) + room) % 3 !== 0).map((room) => client.change("join", room)));
    return (await Promise.all(joined)).every(Boolean);
  },
  // alive says to which nodes clients may go from now on.
  alive({ places }) {
    open = places;
  },
  load({ pause, churn, rooms }) {
    load = { pause, churn, rooms };
    run(load);
  },
  quiet() {
    load = null;
  },
  // move ends the connections of some of a node's clients, which go elsewhere.
  move({ place, part }) {
    const some = share(place, part);
    for (const client of some) client.socket.io.engine.close();
    return some.length;
  },
  // leave is move for clients that stay away until they are called back.
  leave({ place, part }) {
    for (const client of share(place, part)) {
      away.add(client);
      client.socket.io.engine.close();
    }
  },
  back() {
    const all = [...away];
    away.clear();
    for (const client of all) client.elsewhere();
  },
  // settled waits until all are connected, and answers with how many are not in the end.
  async settled() {
    const end = now() + 30_000;
    const missing = () => clients.filter((client) => !client.socket.connected).length;
    while (missing() > 0 && now() < end) await sleep(20);
    return missing();
  },
  // still waits until nothing has been heard for a while.
  async still() {
    const heard = () => clients.reduce((sum, client) => sum + client.events.length, 0);
    const end = now() + 20_000;
    for (let before = -1, same = 0; same < 10 && now() < end; before = heard()) {
      await sleep(100);
      same = heard() === before ? same + 1 : 0;
    }
  },
  // ask has one client of each node that is open ask its node for something.
  async ask({ what }) {
    return Promise.all(open.map((place) => {
      const client = clients.find((one) => one.node === place && one.socket.connected);
      return client ? new Promise((resolve) => {
        client.socket.timeout(patience).emit(what, (error, ...answer) => resolve(error ? [error.message] : answer));
      }) : ["no client is there"];
    }));
  },
  // report hands over what was seen, and ends the clients.
  report() {
    load = null;
    const all = clients.map((client) => client.events);
    for (const client of clients) client.socket.disconnect();
    clients = [];
    return all;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...how } = JSON.parse(line);
  Promise.resolve(commands[command](how)).then(
    (answer) => process.stdout.write(JSON.stringify({ id, answer: answer ?? null }) + "\n"),
    (error) => process.stdout.write(JSON.stringify({ id, error: error.stack }) + "\n"),
  );
}
