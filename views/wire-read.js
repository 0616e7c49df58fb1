// What a frame means, after those before it: which question it answers, how long that took, whose attachment it is.

import { packetOf, parse } from "/wire-packet.js";

const mostAsked = 100; // questions of one connection that wait for an answer; the oldest are given up
const mostConnections = 50; // that are followed; the oldest are not any more

// reader returns read(entry). It is to be called once for each entry of wire-record.js, in their order, when the page has
// it: not while it is held back. It returns
//
//   packet      of Socket.IO, as packetOf returns it, if it is one
//   answers     the entry it answers; took, the ms between the two: a round trip
//   attachment  of a binary frame of Socket.IO: which one it is, and of whose
//   offset      true where the last argument is the number of an event, by which it can be missed and sent again
export function reader() {
  const connections = new Map(); // by number
  return (entry) => {
    if (entry.socket === undefined) {
      return {};
    }
    if (!connections.has(entry.socket)) {
      putBounded(connections, entry.socket, connection(entry.url), mostConnections);
    }
    const read = connections.get(entry.socket)(entry);
    return read.answers === undefined ? read : { ...read, took: entry.at + (entry.heldFor ?? 0) - read.answers.at };
  };
}

function putBounded(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) {
    map.delete(map.keys().next().value);
  }
}

// connection returns what reads the entries of one connection.
function connection(address) {
  const url = new URL(address);
  const asked = asks();
  if (url.searchParams.has("EIO")) {
    return socketIO(asked);
  }
  return /^\/ws(\/echo)?\/?$/.test(url.pathname) ? inTurn(asked) : byID(asked);
}

// inTurn is for routes that answer each message with one, in their order.
function inTurn(asked) {
  let first = 0; // number of the question whose answer comes next
  let next = 0;
  return (entry) => {
    if (!isFrame(entry)) {
      return {};
    }
    if (entry.sent) {
      asked.put(next++, entry);
      return {};
    }
    return first < next ? { answers: asked.take(first++) } : {};
  };
}

// byID is for the chat: a post is answered by an ack or an error with its id.
function byID(asked) {
  return (entry) => {
    const message = entry.kind === "text" && !entry.cut ? parse(entry.text) : undefined;
    if (message?.id === undefined) {
      return {};
    }
    if (entry.sent) {
      asked.put(message.id, entry);
      return {};
    }
    return ["ack", "error"].includes(message.type) ? { answers: asked.take(message.id) } : {};
  };
}

// socketIO is for Socket.IO: an event with an id is answered by an ACK, CONNECT by CONNECT or CONNECT_ERROR, and a probe
// by another. A ping of the server is no question of the page's: its pong takes no time on the network that the page could see.
function socketIO(asked) {
  const recovering = new Set(); // namespaces whose events have a number
  const partial = new Map(); // by direction: the packet that waits for its attachments
  return (entry) => {
    if (entry.kind === "binary") {
      return attachmentOf(partial, entry);
    }
    const packet = entry.kind === "text" ? packetOf(entry.text) : undefined;
    if (packet === undefined) {
      return {};
    }
    partial.set(entry.sent, { entry, of: packet.attachments ?? 0, got: 0 });
    if (packet.type === "CONNECT" && !entry.sent && packet.data?.pid !== undefined) {
      recovering.add(packet.namespace);
    }
    const [question, answer] = keysOf(packet);
    if (entry.sent && question !== undefined) {
      asked.put(question, entry);
    }
    return {
      packet,
      answers: !entry.sent && answer !== undefined ? asked.take(answer) : undefined,
      offset: !entry.sent && hasOffset(packet) && recovering.has(packet.namespace),
    };
  };
}

// keysOf returns by which key a packet asks, where the page sends it, and by which it answers, where the server does.
function keysOf({ type, namespace, id, rest }) {
  switch (type) {
    case "EVENT":
    case "BINARY_EVENT":
      return [id === undefined ? undefined : `event ${namespace} ${id}`, undefined];
    case "ACK":
    case "BINARY_ACK":
      return [undefined, `event ${namespace} ${id}`];
    case "CONNECT":
      return [`connect ${namespace}`, `connect ${namespace}`];
    case "CONNECT_ERROR":
      return [undefined, `connect ${namespace}`];
    case "ping":
      return [`ping ${rest}`, undefined];
    case "pong":
      return [undefined, `ping ${rest}`];
    default:
      return [undefined, undefined];
  }
}

function hasOffset({ type, id, data }) {
  return type === "EVENT" && id === undefined && Array.isArray(data) && data.length > 1 && typeof data.at(-1) === "string";
}

function attachmentOf(partial, { sent }) {
  const packet = partial.get(sent);
  if (packet === undefined || packet.got === packet.of) {
    return {};
  }
  packet.got += 1;
  return { attachment: { number: packet.got, of: packet.of, packet: packet.entry } };
}

// asks keeps the questions of a connection that wait for their answers.
function asks() {
  const waiting = new Map(); // by key
  return {
    put: (key, entry) => putBounded(waiting, key, entry, mostAsked),
    take(key) {
      const entry = waiting.get(key);
      waiting.delete(key);
      return entry;
    },
  };
}

const isFrame = ({ kind }) => kind === "text" || kind === "binary";
