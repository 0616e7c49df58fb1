// What a frame means in the context of earlier ones: which question it answers, after how long, and whose attachment it is.

import { packetOf, parse } from "/wire-packet.js";

const mostAsked = 100; // questions of one connection without an answer; the oldest are dropped
const mostConnections = 50; // tracked; the oldest are dropped

// reader returns read(entry). Call it once for each entry of wire-record.js, in order, as soon as the page has received
// it, not while it is held back. It returns
//
//   packet      the Socket.IO packet, from packetOf, if it is one
//   answers     the entry that it answers; took, the ms between the two: a round trip
//   attachment  for a binary frame of Socket.IO: its number, and the packet it belongs to
//   offset      true if the last argument is the event's offset, with which a client requests the events it missed
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

// connection returns a function that reads the entries of one connection.
function connection(address) {
  const url = new URL(address);
  const asked = asks();
  if (url.searchParams.has("EIO")) {
    return socketIO(asked);
  }
  return /^\/ws(\/echo)?\/?$/.test(url.pathname) ? inTurn(asked) : byID(asked);
}

// inTurn is for routes that answer each message with exactly one, in order.
function inTurn(asked) {
  let first = 0; // number of the question that the next answer belongs to
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

// byID is for the chat, which answers a post with an ack or an error that has its id.
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

// socketIO is for Socket.IO. An ACK answers an event with an id, CONNECT or CONNECT_ERROR answers CONNECT, and a pong answers a
// probe. A ping from the server does not count as a question: the page cannot see how long its own pong is on its way.
function socketIO(asked) {
  const recovering = new Set(); // namespaces whose events have offsets
  const partial = new Map(); // by direction: the last packet, how many attachments it announces, and how many have come
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

// keysOf returns the key of the question that a packet asks if the page sends it, and of the one that it answers if it arrives.
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

// asks keeps a connection's unanswered questions.
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
