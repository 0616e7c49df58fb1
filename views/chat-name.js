// The card that asks for a name, on signing in or to change it.

import { nameProblem } from "/chat-rules.js";

const $ = (selector) => document.querySelector(selector);
const card = $("#sign-in");
const input = $("#name");
const button = $("#sign-in-button");
const note = $("#name-problem");

const about = "Once a message is shown as sent, it is not lost: it is on the server's disk, and anyone who was away gets it later. " +
  "Choose a name; there is no password. Four characters next to it distinguish you from others with the same name.";

// nameCard shows and hides the card. signIn(name) is called with the name entered, and says why the server refused it, or "";
// onShow and onHide are called when the card appears and disappears.
export function nameCard({ room, signIn, onShow, onHide }) {
  function show(name) {
    const renames = name !== undefined;
    $("#sign-in-title").textContent = renames ? "Change your name" : `Join #${room}`;
    $("#sign-in-about").textContent = renames ? "Your earlier messages keep your old name." : about;
    button.textContent = renames ? "Change name" : "Join";
    $("#sign-in-cancel").hidden = !renames;
    if (renames) {
      input.value = name;
    }
    card.hidden = false;
    $("#view").inert = true; // the card covers it
    check();
    onShow();
    input.focus();
    input.select();
  }

  function hide() {
    card.hidden = true;
    $("#view").inert = false;
    complain("");
    onHide();
  }

  function cancel() {
    hide();
    $("#rename").focus();
  }

  card.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = nameProblem(input.value);
    if (wrong !== "" || button.disabled) {
      complain(wrong);
      return;
    }
    button.disabled = true; // until there is an answer, so that the name is sent only once
    try {
      complain(await signIn(input.value));
    } catch { // there was no answer, or none from the server: the browser's words for that are not for readers
      complain("That did not work; try again.");
    }
    button.disabled = false;
  });
  input.addEventListener("input", check);
  $("#sign-in-cancel").addEventListener("click", cancel);
  card.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing && !$("#sign-in-cancel").hidden) {
      cancel();
    }
  });
  return { show, hide };
}

// check complains about a name that is too long while it is typed, but not about an empty one.
function check() {
  const wrong = input.value.trim() === "" ? "" : nameProblem(input.value);
  button.disabled = wrong !== "";
  complain(wrong);
}

function complain(wrong) {
  if (note.textContent !== wrong) { // a screen reader reads every change aloud
    note.textContent = wrong;
  }
  note.hidden = wrong === "";
  input.setAttribute("aria-invalid", wrong !== "");
}
