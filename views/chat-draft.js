// A draft survives a reload: this tab keeps it, per room, until it is sent or its writer is signed out. A writer who changes the
// name is a new person to the server, but keeps the drafts. Whoever signs in after a writer does not get them, with one exception: on a
// page left open, the text in sight stays for whoever signs in under the same name, so that a writer whose session has ended can go on.

import { browser, tab } from "/storage.js";

const mostRooms = 12; // with a draft; the least recently edited draft is dropped
const longest = 10_000; // UTF-16 units of a draft; the rest is cut off
const store = "drafts"; // in this tab's storage: [room, name, mark, text], the most recently edited last
const renames = "renamed"; // in this browser's storage: {now, writer}, the last change of name

// writerOf returns whose drafts a person has: their own, or those of the writer that they were before they changed their name, in
// any tab.
export function writerOf(person) {
  const kept = browser.get(renames);
  return kept !== undefined && isSame(kept.now, person) ? kept.writer : person;
}

// renamed is called when a writer has changed the name, and is that person now.
export function renamed(writer, person) {
  browser.set(renames, { now: person, writer });
}

export const isSame = (one, other) => one?.name === other?.name && one?.mark === other?.mark;

// saveDraft keeps a person's text for a room, and forgets it if it is empty.
export function saveDraft(room, { name, mark }, text) {
  const drafts = kept().filter(([other]) => other !== room);
  if (text !== "") {
    drafts.push([room, name, mark, text.slice(0, longest)]);
  }
  tab.set(store, drafts.slice(-mostRooms));
}

// draftOf returns what that person was writing in a room, or "".
export function draftOf(room, { name, mark }) {
  return kept().find((one) => one[0] === room && one[1] === name && one[2] === mark)?.[3] ?? "";
}

// forgetDrafts is called when nobody is signed in any more.
export function forgetDrafts() {
  tab.remove(store);
  browser.remove(renames);
}

// kept ignores entries of another shape: another page may have written them.
function kept() {
  const drafts = tab.get(store);
  return Array.isArray(drafts) ? drafts.filter(isDraft) : [];
}

const isDraft = (one) => Array.isArray(one) && one.length === 4 && one.every((part) => typeof part === "string");
