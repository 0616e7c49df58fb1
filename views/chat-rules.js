// What people may write in the chat, and what the server may send. These functions know nothing of the page.

export const longestText = 2000; // characters
const longestName = 32;

// characters counts code points, as the server does.
export const characters = (text) => [...text].length;

// textProblem says what is wrong with a text, or returns "".
export function textProblem(text) {
  if (!/[^\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/u.test(text)) {
    return "Write something first.";
  }
  if (characters(text) > longestText) {
    return `A message has at most ${longestText} characters; this one has ${characters(text)}.`;
  }
  if (/[^\P{Cc}\n\r\t]/u.test(text)) {
    return "The message contains a control character, which cannot be sent.";
  }
  return "";
}

// nameProblem says whether a name is too short or too long. It counts as the server does: without superfluous spaces,
// and in Unicode's composed form. The server reports anything else that is wrong with a name.
export function nameProblem(name) {
  const length = characters(name.split(/\p{White_Space}+/u).filter((word) => word !== "").join(" ").normalize("NFC"));
  return length >= 1 && length <= longestName ? "" : `A name has 1 to ${longestName} characters; this one has ${length}.`;
}

const isString = (value) => typeof value === "string";
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

const orNone = (is) => (value) => value === undefined || is(value); // an older server leaves it out
const isMark = orNone(isString);
const isFlag = orNone((value) => typeof value === "boolean");
const isPeople = orNone((value) => Array.isArray(value) && value.every((one) => isString(one?.name) && isMark(one.mark)));

export const isMessage = (m) => isCount(m?.seq) && isString(m.id) && isString(m.from) && isMark(m.mark) && isString(m.text) && !Number.isNaN(Date.parse(m.at));

const rules = {
  history: (m) => Array.isArray(m.messages) && m.messages.every(isMessage) && typeof m.complete === "boolean" && isFlag(m.more),
  message: isMessage,
  ack: (m) => isString(m.id) && isCount(m.seq),
  presence: (m) => isCount(m.count) && isPeople(m.people),
  typing: (m) => isString(m.from) && isMark(m.mark),
  error: (m) => isString(m.code) && isString(m.message) && (m.id === undefined || isString(m.id)),
};

// parse returns the server's message, if this page knows its type and its fields are valid.
export function parse(data) {
  try {
    const message = JSON.parse(data);
    return Object.hasOwn(rules, message?.type) && rules[message.type](message) ? message : undefined;
  } catch {
    return undefined;
  }
}

// splitText splits a text into plain parts, links with their address, and code: "inline" between single backticks, and
// "block" between triple ones. It takes linear time, whatever the text is.
export function splitText(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(/```([^]*?)```\n?|`([^`\n]+)`/gu)) {
    const [whole, block, inline] = found;
    const part = inline ?? block.replace(/^\n|\n$/gu, "");
    if (part.trim() === "") {
      continue; // blank, so not code
    }
    parts.push(...splitLinks(text.slice(end, found.index)), { part, code: inline === undefined ? "block" : "inline" });
    end = found.index + whole.length;
  }
  return [...parts, ...splitLinks(text.slice(end))];
}

// isRightToLeft reports whether a text runs from right to left. Its first letter decides, as with dir="auto".
export function isRightToLeft(text) {
  return /^\P{L}*(?=\p{L})[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u.test(text);
}

// splitLinks splits a text into plain parts, and links with their address.
function splitLinks(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"]+/giu)) {
    const part = found[0].replace(/[.,;:!?'’)\]}]+$/u, "");
    if (!URL.canParse(part)) {
      continue;
    }
    parts.push({ part: text.slice(end, found.index) }, { part, link: new URL(part).href });
    end = found.index + part.length;
  }
  parts.push({ part: text.slice(end) });
  return parts.filter(({ part }) => part !== "");
}
