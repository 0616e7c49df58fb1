// How the connection stands, at the top of each page.

const shown = document.querySelector("#connection");
const words = document.querySelector("#connection-state");
const seconds = document.querySelector("#connection-seconds");
const button = document.querySelector("#connection-now");

words.tabIndex = -1; // where the focus goes when the button goes under it

// showConnection shows the state of connection.js, what there is to say of it, for how many seconds it waits, if it does, and what
// the button for another attempt says; without one there is no button.
export function showConnection({ state, said, left, again }) {
  shown.dataset.state = state;
  if (words.textContent !== said) { // a screen reader speaks each change, not each second
    words.textContent = said;
  }
  seconds.textContent = left === undefined ? "" : `in ${left} s`;
  if (again === undefined && document.activeElement === button) {
    words.focus();
  }
  button.hidden = again === undefined;
  button.textContent = again ?? button.textContent;
}

// awayWords says that the page tries again, and, where it is known, why it has to.
export function awayWords(why) {
  return `not connected${why === undefined ? "" : ` (${why})`}, trying again`;
}
