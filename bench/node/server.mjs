// express-ws on ws, as its README shows, with the two routes that bench drives.
import express from "express";
import expressWs from "express-ws";

const { app, getWss } = expressWs(express());

app.ws("/echo", (socket) => {
  socket.on("message", (message, binary) => socket.send(message, { binary }));
});

app.ws("/broadcast", (socket) => {
  socket.on("message", (message, binary) => {
    for (const member of getWss().clients) {
      member.send(message, { binary });
    }
  });
});

const server = app.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
