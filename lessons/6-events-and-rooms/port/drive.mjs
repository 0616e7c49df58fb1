// Drives a server, and prints what its clients hear: node drive.mjs http://127.0.0.1:PORT
import { io } from "socket.io-client";

const url = process.argv[2];
const open = (namespace, auth) => io(url + namespace, { auth, forceNew: true, reconnection: false });
const once = (socket, event) => new Promise((resolve) => { socket.once(event, (...args) => resolve(args)); });
const ask = (socket, ...args) => socket.timeout(30_000).emitWithAck(...args);
const print = (what, ...args) => console.log(what, JSON.stringify(args));

const nobody = open("/", {});
const [refusal] = await once(nobody, "connect_error");
print("refused", refusal.message, refusal.data);

const ana = open("/", { name: "ana" });
await once(ana, "connect");
const bob = open("/", { name: "bob" });
const joined = once(ana, "joined");
await once(bob, "connect");
print("joined", await joined);

const said = once(bob, "said");
print("say", await ask(ana, "say", "hello"), await said);

print("enter", await ask(ana, "enter", "kitchen"));
const entered = once(ana, "entered");
print("enter", await ask(bob, "enter", "kitchen"), await entered);

const whispered = once(bob, "whispered");
ana.emit("whisper", "kitchen", "psst");
print("whisper", await whispered);

const typing = once(bob, "typing");
ana.emit("typing");
print("typing", await typing);

bob.on("question", (question, answer) => answer(`${question} yes`));
print("poll", await ask(ana, "poll", "tea?"));

const stranger = open("/admin", { token: "?" });
print("admin", (await once(stranger, "connect_error"))[0].message);
const admin = open("/admin", { token: "let me in" });
await once(admin, "connect");
await ask(admin, "close room", "kitchen");
print("alone", await ask(ana, "enter", "kitchen"));

const left = once(ana, "left");
const gone = once(bob, "disconnect");
bob.emit("bye");
print("bye", await gone, await left);
process.exit();
