// socket.io as its documentation shows, with the two events that bench drives. "recovery" turns on what keeps a
// lost connection's events, and "redis" what makes this process one node of several.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [feature] = process.argv.slice(2);
const options = {};
if (feature === "recovery") {
  options.connectionStateRecovery = { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true };
}
if (feature === "redis") {
  const publisher = createClient({ socket: { path: process.env.ECHOWS_BENCH_BROKER } });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  options.adapter = createAdapter(publisher, subscriber);
}

const server = createServer();
const io = new Server(server, options);

io.on("connection", (socket) => {
  socket.on("echo", (text) => socket.emit("echo", text));
  socket.on("broadcast", (text) => io.emit("broadcast", text));
});

server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
