// What is being written is kept for a reload: in this tab, by room, until it is sent, or whoever wrote it is signed out.

const mostRooms = 12; // with a draft; the one written in longest ago goes
const longest = 10_000; // UTF-16 units of a draft; of a longer one the beginning is kept
const store = "drafts"; // of this tab: [room, name, mark, text], the one written last at the end

// saveDraft keeps a person's text for a room; an empty one is forgotten.
export function saveDraft(room, { name, mark }, text) {
  const drafts = kept().filter(([other]) => other !== room);
  if (text !== "") {
    drafts.push([room, name, mark, text.slice(0, longest)]);
  }
  try {
    sessionStorage.setItem(store, JSON.stringify(drafts.slice(-mostRooms)));
  } catch {
    // a browser that keeps nothing, or no more
  }
}

// draftOf returns what that person was writing in a room, or "".
export function draftOf(room, { name, mark }) {
  return kept().find((one) => one[0] === room && one[1] === name && one[2] === mark)?.[3] ?? "";
}

// forgetDrafts is for when nobody is signed in any more.
export function forgetDrafts() {
  try {
    sessionStorage.removeItem(store);
  } catch {
    // then there are none
  }
}

// kept leaves out what another page has written there.
function kept() {
  try {
    const drafts = JSON.parse(sessionStorage.getItem(store));
    return drafts.filter((one) => one.length === 4 && one.every((part) => typeof part === "string"));
  } catch {
    return [];
  }
}
