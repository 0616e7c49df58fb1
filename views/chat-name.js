// The card in which one gives one's name, to begin with or to change it.

import { nameProblem } from "/chat-rules.js";

const $ = (selector) => document.querySelector(selector);
const card = $("#sign-in");
const input = $("#name");
const button = $("#sign-in-button");
const note = $("#name-problem");

const about = "Nothing that is marked as sent gets lost here: it is on the server's disk, and whoever was away gets what they missed. " +
  "Choose a name; there is no password. Four characters beside it tell you from others of that name.";

// nameCard shows the card and takes it away. signIn(name) is called with what was given, and throws what is wrong with it;
// onShow and onHide when the card comes and goes.
export function nameCard({ room, signIn, onShow, onHide }) {
  function show(name) {
    const renames = name !== undefined;
    $("#sign-in-title").textContent = renames ? "Change your name" : `Join #${room}`;
    $("#sign-in-about").textContent = renames ? "What you have said keeps the name that it was said in." : about;
    button.textContent = renames ? "Change name" : "Join";
    $("#sign-in-cancel").hidden = !renames;
    if (renames) {
      input.value = name;
    }
    card.hidden = false;
    $("#view").inert = true; // it lies below
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
    button.disabled = true; // once is enough
    try {
      await signIn(input.value);
    } catch (error) {
      complain(error.message || "That did not work; try again.");
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

// check says that a name is too long while it is written; that there is none needs no saying.
function check() {
  const wrong = input.value.trim() === "" ? "" : nameProblem(input.value);
  button.disabled = wrong !== "";
  complain(wrong);
}

function complain(wrong) {
  if (note.textContent !== wrong) { // a screen reader speaks each change
    note.textContent = wrong;
  }
  note.hidden = wrong === "";
  input.setAttribute("aria-invalid", wrong !== "");
}
