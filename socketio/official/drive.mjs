// Drives the server with the official client of one version, named as in package.json, and runs the cases
// for what all versions can do, and for what is named behind it:
// node drive.mjs http://127.0.0.1:PORT socket.io-client timeout recovery
import assert from "node:assert/strict";
import { ask, once, report } from "./common.mjs";

const [url, client, ...features] = process.argv.slice(2);
const { io } = await import(client);

const open = (namespace, options) => io(url + namespace, { forceNew: true, reconnectionDelay: 10, ...options });

const cases = {
  async "connects, echoes, acknowledges"(options) {
    const socket = open("/", { ...options, auth: { token: "t" } });
    await once(socket, "connect");
    assert.deepEqual(await ask(socket, "auth"), { token: "t" });
    const values = [1, -2.5, "text \u2028 😀", null, true, [], {}, { a: [{ b: "c" }] }, "<&>"];
    assert.deepEqual(await ask(socket, "echo", values), values);
    socket.emit("back", ...values);
    assert.deepEqual((await once(socket, "back")).slice(0, values.length), values); // with recovery, an offset follows
    socket.disconnect();
  },

  async "sends binary both ways"(options) {
    const socket = open("/", options);
    const bytes = Buffer.from([0, 1, 2, 255]);
    const [same, deep] = await ask(socket, "echo2", bytes, { a: [bytes, "x"], b: new Uint8Array(70_000).fill(7) });
    assert.deepEqual(Buffer.from(same), bytes);
    assert.deepEqual(Buffer.from(deep.a[0]), bytes);
    assert.equal(Buffer.from(deep.b).length, 70_000);
    const sum = await ask(socket, "sum", bytes);
    assert.equal(sum, 258);
    socket.disconnect();
  },

  async "answers the server"(options) {
    const socket = open("/", options);
    socket.on("question", (n, answer) => answer(n * 2, Buffer.from("yes")));
    socket.emit("ask me", 21);
    const [answer, bytes] = await once(socket, "answered");
    assert.equal(answer, 42);
    assert.equal(Buffer.from(bytes).toString(), "yes");
    socket.disconnect();
  },

  async "has namespaces"(options) {
    const main = open("/", options);
    const admin = main.io.socket("/admin").connect();
    const dynamic = main.io.socket("/room-17").connect();
    await Promise.all([once(main, "connect"), once(admin, "connect"), once(dynamic, "connect")]);
    assert.notEqual(main.id, admin.id);
    assert.equal(await ask(dynamic, "where"), "/room-17");
    let heard = 0;
    main.on("to all", () => { heard += 1; });
    admin.emit("tell all");
    await once(admin, "to all");
    assert.equal(await ask(main, "echo", "after"), "after");
    assert.equal(heard, 0);
    const refused = main.io.socket("/refused").connect();
    const [error] = await once(refused, "connect_error");
    assert.equal(error.message, "not you");
    assert.deepEqual(error.data, { code: 7 });
    const unknown = main.io.socket("/unknown").connect();
    assert.equal((await once(unknown, "connect_error"))[0].message, "Invalid namespace");
    admin.disconnect();
    assert.equal(await ask(main, "echo", "still here"), "still here");
    admin.connect();
    await once(admin, "connect");
    main.emit("kick");
    assert.equal((await once(main, "disconnect"))[0], "io server disconnect");
    admin.disconnect();
    dynamic.disconnect();
  },

  async "has rooms"(options) {
    const [a, b, c] = [open("/", options), open("/", options), open("/", options)];
    await Promise.all([a, b, c].map((socket) => ask(socket, "echo", 1)));
    await Promise.all([ask(a, "join", "x"), ask(b, "join", "x"), ask(c, "join", "y")]);
    const heard = { a: [], b: [], c: [] };
    for (const [name, socket] of Object.entries({ a, b, c })) {
      socket.on("room", (text) => heard[name].push(text));
    }
    await ask(a, "to", ["x"], [], "x");
    await ask(a, "to", ["x", "y"], [], "xy");
    await ask(a, "to", ["x", "y"], ["y"], "x-y");
    await ask(b, "leave", "x");
    await ask(a, "to", ["x"], [], "left");
    await ask(a, "others", "others");
    await Promise.all([a, b, c].map((socket) => ask(socket, "echo", 2)));
    assert.deepEqual(heard, { a: ["x", "xy", "x-y", "left"], b: ["x", "xy", "x-y", "others"], c: ["xy", "others"] });
    [a, b, c].forEach((socket) => socket.disconnect());
  },

  async "hears everything that was said before it was disconnected"(options) {
    for (let i = 0; i < 5; i += 1) {
      const socket = open("/banned", options);
      const heard = [];
      socket.on("banned", (text) => heard.push(text));
      const [reason] = await once(socket, "disconnect");
      assert.deepEqual([...heard, reason], ["you", "know", "why", "io server disconnect"]);
      socket.io.reconnection(false);
    }
  },

  async "keeps order while it upgrades"(options) {
    const socket = open("/", options);
    const got = [];
    socket.on("back", (i) => got.push(i));
    for (let i = 0; i < 500; i += 1) {
      socket.emit("back", i);
      if (i % 50 === 0) {
        await new Promise((resolve) => { setImmediate(resolve); });
      }
    }
    await ask(socket, "echo", 1);
    assert.deepEqual(got, Array.from({ length: 500 }, (_, i) => i));
    if (options.transports.length === 2) {
      while (socket.io.engine.transport.name !== "websocket") {
        await new Promise((resolve) => { setTimeout(resolve, 5); });
      }
      assert.equal(await ask(socket, "echo", "upgraded"), "upgraded");
    }
    socket.disconnect();
  },

  async "two hundred clients"(options) {
    const sockets = Array.from({ length: 200 }, () => open("/crowd", options));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    const heard = Promise.all(sockets.map((socket) => once(socket, "to all")));
    assert.equal(await ask(sockets[0], "count"), 200);
    sockets[0].emit("tell all");
    await heard;
    sockets.forEach((socket) => socket.disconnect());
  },
};

// What newer versions can do, and what the server has to be set up for.
const more = {
  timeout: {
    async "times out without an answer"(options) {
      const socket = open("/", options);
      await once(socket, "connect");
      await assert.rejects(socket.timeout(50).emitWithAck("nothing"));
      socket.disconnect();
    },
  },

  recovery: {
    async "comes back as the same"(options) {
      const socket = open("/", options);
      await once(socket, "connect");
      await ask(socket, "join", "memory");
      socket.emit("back", "so that there is an offset");
      await once(socket, "back");
      const { id } = socket;
      const other = open("/", options);
      await once(other, "connect");
      const missed = [];
      socket.on("room", (text) => missed.push(text));
      socket.io.reconnectionDelay(300);
      const lost = once(socket, "disconnect");
      socket.io.engine.close();
      await lost;
      const back = once(socket, "connect");
      for (let i = 0; i < 5; i += 1) {
        await ask(other, "to", ["memory"], [], `missed ${i}`);
      }
      await ask(other, "to", ["elsewhere"], [], "not for it");
      await back;
      await ask(socket, "echo", 1);
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
      assert.deepEqual(missed, [0, 1, 2, 3, 4].map((i) => `missed ${i}`));
      await ask(other, "to", ["memory"], [], "live");
      await ask(socket, "echo", 2);
      assert.equal(missed.at(-1), "live");
      socket.disconnect();
      other.disconnect();
    },
  },
};

Object.assign(cases, ...features.map((feature) => more[feature]));

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  for (const [name, run] of Object.entries(cases)) {
    await report(`${transports} ${name}`, () => run({ transports }));
  }
}
process.exit();
