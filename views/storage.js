// What a browser remembers for these pages, as JSON. It may refuse, or have no room left; what it does not keep then lasts until
// the page is left.

export const tab = memory(() => sessionStorage); // until the tab is closed
export const browser = memory(() => localStorage); // for all tabs

// memory returns get(key), which is undefined for what is not there, or not JSON; set(key, value); and remove(key). None of them
// throws. Where storage is blocked, the browser throws as soon as a page asks for it, so open does that each time.
function memory(open) {
  const refused = new Map(); // key → JSON that the browser did not keep

  function get(key) {
    try {
      return JSON.parse(refused.get(key) ?? open().getItem(key)) ?? undefined;
    } catch {
      return undefined;
    }
  }

  function set(key, value) {
    const text = JSON.stringify(value);
    try {
      open().setItem(key, text);
      refused.delete(key);
    } catch {
      refused.set(key, text);
    }
  }

  function remove(key) {
    refused.delete(key);
    try {
      open().removeItem(key);
    } catch {
      // there is nothing to remove
    }
  }

  return { get, set, remove };
}
