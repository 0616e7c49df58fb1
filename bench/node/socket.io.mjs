// socket.io as its documentation shows, with the two events that bench drives. "recovery" turns on what keeps a
// lost connection's events.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [feature] = process.argv.slice(2);
const options = {};
if (feature === "recovery") {
  options.connectionStateRecovery = { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true };
}

const server = createServer();
const io = new Server(server, options);

io.on("connection", (socket) => {
  socket.on("echo", (text) => socket.emit("echo", text));
  socket.on("broadcast", (text) => io.emit("broadcast", text));
});

server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
