// The same client as a module: import { io } from "/socket.io/socket.io.esm.js".
import "./socket.io.js";

export const io = globalThis.io;
