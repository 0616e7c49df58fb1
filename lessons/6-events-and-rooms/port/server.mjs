// A small Socket.IO server for Node. main.go is the same in Go, in the same order.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { cors: { origin: "*" } });

io.use((socket, next) => {
  const { name } = socket.handshake.auth;
  if (!name) {
    const refusal = new Error("who are you?");
    refusal.data = { field: "name" };
    return next(refusal);
  }
  socket.data.name = name;
  next();
});

io.on("connection", (socket) => {
  const { name } = socket.data;
  socket.broadcast.emit("joined", name);

  socket.on("say", (text, callback) => {
    io.emit("said", { name, text });
    callback({ ok: true });
  });
  socket.on("enter", async (room, callback) => {
    await socket.join(room);
    socket.to(room).emit("entered", room, name);
    callback((await io.in(room).fetchSockets()).length);
  });
  socket.on("whisper", (room, text) => {
    if (socket.rooms.has(room)) {
      io.to(room).except(socket.id).emit("whispered", { room, name, text });
    }
  });
  socket.on("typing", () => {
    socket.broadcast.volatile.emit("typing", name);
  });
  socket.on("poll", async (question, callback) => {
    const answers = await io.except(socket.id).timeout(2000).emitWithAck("question", question);
    callback(answers);
  });
  socket.once("bye", () => {
    socket.disconnect(true);
  });
  socket.on("disconnect", () => {
    io.emit("left", name);
  });
});

io.of("/admin").use((socket, next) => {
  next(socket.handshake.auth.token === "let me in" ? undefined : new Error("not you"));
});

io.of("/admin").on("connection", (socket) => {
  socket.on("close room", (room, callback) => {
    io.in(room).socketsLeave(room);
    callback();
  });
});

http.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
