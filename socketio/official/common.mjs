// What the programs that drive the official client have in common.

const patience = 60_000;

// once waits for an event.
export function once(socket, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), patience);
    socket.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

// ask emits and waits for the acknowledgement. Older clients take a function for it, and do not time out.
export function ask(socket, ...args) {
  if (socket.emitWithAck) {
    return socket.timeout(patience).emitWithAck(...args);
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${args[0]} is not acknowledged`)), patience);
    socket.emit(...args, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}

// report runs a case and prints whether it passed.
export async function report(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error.stack.replaceAll("\n", "\n\t")}`);
    process.exitCode = 1;
  }
}
