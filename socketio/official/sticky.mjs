// Drives three nodes behind a proxy with the official client: node sticky.mjs http://127.0.0.1:PORT
// Each node answers "where" with its number. The proxy believes the header X-Forwarded-For, by which the
// clients have addresses of their own.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { ask, once, report } from "./common.mjs";

const url = process.argv[2];

// open connects a client, as from that address, and as a page of the server's own.
async function open(address, transports) {
  const extraHeaders = { "X-Forwarded-For": address, Origin: url };
  const socket = io(url, { forceNew: true, reconnection: false, transports, extraHeaders });
  await Promise.race([once(socket, "connect"), once(socket, "connect_error").then(([error]) => { throw error; })]);
  return socket;
}

// many opens clients with addresses of one network.
const many = (transports) => Promise.all(Array.from({ length: 30 }, (_, i) => open(`203.0.113.${i}`, transports)));

// node is where a client is, which has to stay the same from request to request.
async function node(socket) {
  const first = await ask(socket, "where");
  for (let i = 0; i < 10; i += 1) {
    assert.equal(await ask(socket, "where"), first);
  }
  return first;
}

// spread closes clients, and says on how many nodes they were.
async function spread(sockets) {
  const nodes = await Promise.all(sockets.map(node));
  sockets.forEach((socket) => socket.disconnect());
  return new Set(nodes).size;
}

await report("polling stays on its node, and addresses are spread", async () => {
  assert.notEqual(await spread(await many(["polling"])), 1);
});

await report("polling sends what is larger than nginx's buffers", async () => {
  const socket = await open("203.0.113.1", ["polling"]);
  const bytes = Buffer.alloc(500_000, 7);
  assert.deepEqual(Buffer.from(await ask(socket, "echo", bytes)), bytes);
  socket.disconnect();
});

await report("upgrading stays on its node", async () => {
  const sockets = await many(["polling", "websocket"]);
  await Promise.all(sockets.map(async (socket) => {
    const upgraded = socket.io.engine.transport.name === "websocket" || once(socket.io.engine, "upgrade");
    const first = await ask(socket, "where");
    await upgraded;
    assert.equal(socket.io.engine.transport.name, "websocket");
    assert.equal(await ask(socket, "where"), first);
  }));
  assert.notEqual(await spread(sockets), 1);
});

await report("WebSockets of one address are on all nodes", async () => {
  const sockets = await Promise.all(Array.from({ length: 9 }, () => open("203.0.113.1", ["websocket"])));
  assert.equal(await spread(sockets), 3);
});

process.exit();
