// How fast posts may go out: what was written while there was no connection would otherwise go all at once, and a server
// that takes 20 messages a second closes a connection that goes on with more.

const most = 20; // posts in a second, and posts that are not answered

export class Pace {
  #window = most; // posts that may wait for their answer at once
  #begun = -Infinity; // of the current second
  #sent = 0; // in it

  // wait returns for how many ms nothing more may be sent, or Infinity until an answer comes. unanswered is how many posts
  // wait for one.
  wait(unanswered, now = performance.now()) {
    if (unanswered >= this.#window) {
      return Infinity;
    }
    return this.#sent < most || now - this.#begun >= 1000 ? 0 : this.#begun + 1000 - now;
  }

  // sent is to be called for each post that was sent.
  sent(now = performance.now()) {
    if (now - this.#begun >= 1000) {
      this.#begun = now;
      this.#sent = 0;
    }
    this.#sent += 1;
  }

  // acknowledged and refused are for what the server says: after a refusal half as many may wait at once, and after each acknowledgement one more.
  acknowledged() {
    this.#window = Math.min(most, this.#window + 1);
  }

  refused() {
    this.#window = Math.max(1, Math.floor(this.#window / 2));
  }
}
