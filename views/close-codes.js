// The close codes of WebSockets in words: RFC 6455, section 7.4, and the codes that IANA has registered since.

// For each code: its name, and what it means for a client.
const codes = new Map([
  [1000, ["normal closure", "The connection is no longer needed. Connect again when it is."]],
  [1001, ["going away", "The server is shutting down, or the user left the page. Connect again after a short wait."]],
  [1002, ["protocol error", "One side broke a rule of the protocol. Another attempt would end the same way."]],
  [1003, ["unsupported data", "A message was of a type, text or binary, that the other side does not accept."]],
  [1005, ["no status received", "The connection was closed properly, but without a code. Neither side sends this code; the browser reports it."]],
  [1006, ["abnormal closure", "The connection ended without a close frame: the network failed, or the other side did. Neither side sends this code; the browser reports it. Connect again."]],
  [1007, ["invalid payload data", "A message's data did not match its type: usually, a text message was not UTF-8."]],
  [1008, ["policy violation", "The server refuses what this client does. Read the reason before you connect again."]],
  [1009, ["message too big", "A message was larger than the other side accepts. Send smaller messages."]],
  [1010, ["mandatory extension", "The client needs an extension that the server does not have."]],
  [1011, ["internal error", "The server failed. Connect again after a wait."]],
  [1012, ["service restart", "The server is restarting. Connect again after a random wait, so that not all clients connect at once."]],
  [1013, ["try again later", "The server is overloaded, or this client reads too slowly. Connect again later."]],
  [1014, ["bad gateway", "A proxy got no valid response from the server behind it. Connect again after a wait."]],
  [1015, ["TLS handshake failed", "The encrypted connection could not be made. Neither side sends this code; the browser reports it."]],
  [3000, ["unauthorized", "The server requires you to sign in. Sign in, then connect again."]],
  [3003, ["forbidden", "The server knows who you are, and does not allow you to connect."]],
  [3008, ["timeout", "Something took longer than the server was willing to wait."]],
]);

// closeWords describes for people how a connection ended: closeWords(1008, "signed out") is
// "1008 policy violation: signed out". The reason may be empty or missing, or just repeat the code's name.
export function closeWords(code, reason = "") {
  const [name] = codeOf(code);
  return `${code} ${name}${["", name].includes(reason) ? "" : `: ${reason}`}`;
}

// closeMeaning explains in a sentence or two what a code means for a client.
export function closeMeaning(code) {
  return codeOf(code)[1];
}

function codeOf(code) {
  return codes.get(code) ?? rangeOf(code);
}

function rangeOf(code) {
  if (code >= 4000 && code <= 4999) {
    return ["application code", "Its meaning is defined by the application; the reason may explain it."];
  }
  if (code >= 3000 && code <= 3999) {
    return ["library code", "Its meaning is defined by the library or framework that registered it."];
  }
  return ["unknown code", "It is not in the registry of close codes."];
}
