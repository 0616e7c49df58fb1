// How fast posts may be sent. Otherwise, everything written while offline would go out in one burst, and a server
// that accepts 20 messages a second closes a connection that keeps sending more.

const most = 20; // posts a second, and also unanswered posts

export class Pace {
  #window = most; // posts that may be unanswered at the same time
  #begun = -Infinity; // start of the current second
  #sent = 0; // posts in this second

  // wait returns for how many ms nothing may be sent, or Infinity if an answer has to come first. unanswered is the number of
  // posts without an answer.
  wait(unanswered, now = performance.now()) {
    if (unanswered >= this.#window) {
      return Infinity;
    }
    return this.#sent < most || now - this.#begun >= 1000 ? 0 : this.#begun + 1000 - now;
  }

  // sent must be called for each post sent.
  sent(now = performance.now()) {
    if (now - this.#begun >= 1000) {
      this.#begun = now;
      this.#sent = 0;
    }
    this.#sent += 1;
  }

  // acknowledged and refused report the server's answers: a refusal halves the window, and each acknowledgement widens it by one.
  acknowledged() {
    this.#window = Math.min(most, this.#window + 1);
  }

  refused() {
    this.#window = Math.max(1, Math.floor(this.#window / 2));
  }
}
