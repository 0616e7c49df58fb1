// socket.io as its documentation shows, with the two events that bench drives.
import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
const io = new Server(server);

io.on("connection", (socket) => {
  socket.on("echo", (text) => socket.emit("echo", text));
  socket.on("broadcast", (text) => io.emit("broadcast", text));
});

server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
