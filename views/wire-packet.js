// Takes packets of Socket.IO (protocol revision 5) and Engine.IO (revision 4) apart, to show them. They are documented
// at https://socket.io/docs/v4/socket-io-protocol/ and https://socket.io/docs/v4/engine-io-protocol/.

const engineTypes = ["open", "close", "ping", "pong", "message", "upgrade", "noop"];
const socketTypes = ["CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"];

// packetOf takes the text of a frame apart:
//
//   parts  [{ raw, name }, …]: the parts of the text from its beginning, and what each one is
//   rest   the text after them: JSON, or empty
//   data   the parsed rest, or undefined if it is not JSON
//   type   "ping", "EVENT" and so on; namespace, id, event and attachments are set if the packet has them
//
// The raw texts of all parts, followed by the rest, make up the text again. packetOf returns undefined if it is not a packet.
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

// takeSocketParts reads the parts of a Socket.IO packet, and reports whether the text is one.
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
    const number = take(/^\d+-/, (raw) => `${parseInt(raw)} attachment${raw === "1-" ? "" : "s"}: that many binary frames follow`);
    packet.attachments = parseInt(number ?? "0");
  }
  packet.namespace = take(/^\/[^,]*,?/, () => "namespace")?.replace(/,$/, "") ?? "/";
  const id = take(/^\d+/, () => (packet.type.endsWith("ACK") ? "id of the event it answers" : "id: the sender wants an acknowledgement"));
  packet.id = id === undefined ? undefined : Number(id);
  return true;
}

// parse returns the parsed value, or undefined if the text is not JSON.
export function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

// layOut adds line breaks and an indent of two spaces to JSON, unless it is short. It changes only white space: a
// number too large for JavaScript stays as it was.
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
