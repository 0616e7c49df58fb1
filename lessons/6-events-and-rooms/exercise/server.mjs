// A classroom, for Node. Port it to Go, in exercise.go.
import { Server } from "socket.io";

const io = new Server(3000);
const classroom = io.of("/class");

classroom.use((socket, next) => {
  const { name } = socket.handshake.auth;
  if (!name) {
    return next(new Error("who are you?"));
  }
  socket.data.name = name;
  next();
});

classroom.on("connection", (socket) => {
  const { name } = socket.data;

  socket.on("raise", async (callback) => {
    await socket.join("hands");
    socket.broadcast.emit("raised", name);
    callback((await classroom.in("hands").fetchSockets()).length);
  });
  socket.on("lower", (callback) => {
    socket.leave("hands");
    callback();
  });
  socket.on("hint", (text) => {
    classroom.to("hands").emit("hint", name, text); // only to those who have a hand up
  });
});
