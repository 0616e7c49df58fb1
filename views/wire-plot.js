// A plot of the latest round trips, as SVG. It is also described in words.

import { make, milliseconds } from "/wire-row.js";

const mostTrips = 60;
const width = 400, height = 96, left = 46, right = 8, top = 10, bottom = 16; // of the picture, and the margins around the plot
const sayEvery = 1000; // ms between two updates of the words

// plot returns its element, add(ms), to call for each round trip, and draw(), which shows those added.
export function plot() {
  const trips = [];
  const picture = svg("svg", { class: "wire-plot", viewBox: `0 0 ${width} ${height}`, role: "img" });
  const grid = svg("g", { class: "wire-grid" });
  const line = svg("polyline", { class: "wire-line" });
  const last = svg("circle", { class: "wire-last", r: 3 });
  const under = make("p", "wire-trips");
  picture.append(grid, line, last);
  let said = -Infinity;
  let waiting; // timer for the next update

  function draw() {
    const most = roundUp(Math.max(1, ...trips));
    const x = (i) => left + (width - left - right) * (mostTrips - trips.length + i) / (mostTrips - 1); // the newest on the right
    const y = (ms) => height - bottom - (height - top - bottom) * ms / most;
    grid.replaceChildren(...[0, most / 2, most].flatMap((ms) => [
      svg("line", { x1: left, x2: width - right, y1: y(ms), y2: y(ms) }),
      label(left - 6, y(ms) + 3.5, "end", `${+ms.toPrecision(2)} ms`),
    ]), label(width - right, height - 3, "end", "newest"), label(left, height - 3, "start", `the last ${mostTrips} round trips`));
    line.setAttribute("points", trips.map((ms, i) => `${x(i).toFixed(1)},${y(ms).toFixed(1)}`).join(" "));
    last.setAttribute("visibility", trips.length > 0 ? "visible" : "hidden");
    if (trips.length > 0) {
      last.setAttribute("cx", x(trips.length - 1));
      last.setAttribute("cy", y(trips.at(-1)));
    }
    say();
  }

  // say updates the words at most once a second: a screen reader may be reading them.
  function say() {
    clearTimeout(waiting);
    const early = said + sayEvery - performance.now();
    if (early > 0) {
      waiting = setTimeout(say, early);
      return;
    }
    said = performance.now();
    const words = inWords(trips);
    picture.setAttribute("aria-label", `Round trips: ${words}`);
    under.textContent = words;
  }

  return {
    element: make("div", "wire-plotted", picture, under),
    add: (ms) => {
      trips.push(ms);
      if (trips.length > mostTrips) {
        trips.shift();
      }
    },
    draw,
  };
}

function inWords(trips) {
  if (trips.length === 0) {
    return "none yet. Send something that gets an answer.";
  }
  const sorted = trips.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  return `${trips.length}, last ${milliseconds(trips.at(-1))}, median ${milliseconds(median)}, longest ${milliseconds(sorted.at(-1))}`;
}

// roundUp returns an upper end for the axis: 1, 2 or 5 times a power of ten.
function roundUp(ms) {
  const power = 10 ** Math.floor(Math.log10(ms));
  return [1, 2, 5, 10].find((n) => n * power >= ms) * power;
}

function label(x, y, anchor, text) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}
