// The state of the connection, at the top of each page.

const shown = document.querySelector("#connection");
const words = document.querySelector("#connection-state");
const seconds = document.querySelector("#connection-seconds");
const button = document.querySelector("#connection-now");

words.tabIndex = -1; // takes the focus when a focused button disappears

// showConnection shows the state from connection.js, a text about it, the seconds left, if it waits, and the label of
// the button for another attempt; without a label there is no button.
export function showConnection({ state, said, left, again }) {
  shown.dataset.state = state;
  if (words.textContent !== said) { // a screen reader reads each change aloud, but should not count seconds
    words.textContent = said;
  }
  seconds.textContent = left === undefined ? "" : `in ${left} s`;
  if (again === undefined && document.activeElement === button) {
    words.focus();
  }
  button.hidden = again === undefined;
  button.textContent = again ?? button.textContent;
}

// awayWords says that the page is trying again, and why, if that is known.
export function awayWords(why) {
  return `not connected${why === undefined ? "" : ` (${why})`}, trying again`;
}
