// The packets of Socket.IO (protocol revision 5) and Engine.IO (revision 4), taken apart to be shown. What they mean is
// in https://socket.io/docs/v4/socket-io-protocol/ and https://socket.io/docs/v4/engine-io-protocol/.

const engineTypes = ["open", "close", "ping", "pong", "message", "upgrade", "noop"];
const socketTypes = ["CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"];

// packetOf takes the text of a frame apart:
//
//   parts  [{ raw, name }, …]: what each part of the text is, from its beginning
//   rest   the text after them: JSON, or nothing
//   data   what the rest says, undefined where it is no JSON
//   type   "ping", "EVENT" and so on; namespace, id, event and attachments are there where they are in the packet
//
// raw of all parts and the rest, put together, are the text again. It returns undefined for what is no packet.
export function packetOf(text) {
  const engine = engineTypes[text[0]];
  if (engine === undefined) {
    return undefined;
  }
  const packet = { type: engine, parts: [{ raw: text[0], name: engine }], rest: text.slice(1) };
  if (engine === "message" && !takeSocketParts(packet)) {
    return undefined;
  }
  packet.data = parse(packet.rest);
  if (["EVENT", "BINARY_EVENT"].includes(packet.type) && Array.isArray(packet.data)) {
    packet.event = packet.data[0];
  }
  return packet;
}

// takeSocketParts reads the parts of Socket.IO, and reports whether they are that.
function takeSocketParts(packet) {
  const take = (pattern, name) => {
    const [raw] = pattern.exec(packet.rest) ?? [];
    if (raw === undefined) {
      return undefined;
    }
    packet.parts.push({ raw, name: name(raw) });
    packet.rest = packet.rest.slice(raw.length);
    return raw;
  };
  const type = take(/^[0-6]/, (raw) => socketTypes[raw]);
  if (type === undefined) {
    return false;
  }
  packet.type = socketTypes[type];
  if (packet.type.startsWith("BINARY_")) {
    const number = take(/^\d+-/, (raw) => `${parseInt(raw)} attachment${raw === "1-" ? "" : "s"}: as many binary frames follow`);
    packet.attachments = parseInt(number ?? "0");
  }
  packet.namespace = take(/^\/[^,]*,?/, () => "namespace")?.replace(/,$/, "") ?? "/";
  const id = take(/^\d+/, () => (packet.type.endsWith("ACK") ? "id of the event it answers" : "id: an acknowledgement is wanted"));
  packet.id = id === undefined ? undefined : Number(id);
  return true;
}

// parse returns what JSON says, and undefined for what is none.
export function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

// layOut gives JSON lines and an indent of two spaces, unless it is short. It changes nothing but the space between: a
// number too large for JavaScript stays as it came.
export function layOut(json, short = 48) {
  if (json.length <= short) {
    return json;
  }
  let out = "";
  let depth = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{}[\],:]|[^\s"{}[\],:]+/gu)) {
    if (token === "}" || token === "]") {
      depth -= 1;
      out += line(depth);
    }
    out += token === ":" ? ": " : token;
    if (token === "{" || token === "[") {
      depth += 1;
    }
    if (["{", "[", ","].includes(token)) {
      out += line(depth);
    }
  }
  return out;
}

const line = (depth) => `\n${"  ".repeat(depth)}`;
