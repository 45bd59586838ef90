// "More like this": nine faces, the one that is shown in the middle.

import { dot } from "./arrays.js";
import { button, draw, make, thumbnail } from "./dom.js";
import { plus } from "./pose.js";

const NEAR = 64; // frames of the film that directions come from
const ROUNDS = 12; // of the power method
const WAYS = 4; // directions, each to both sides
const PLACES = [0, 1, 2, 3, 5, 6, 7, 8]; // around the middle of nine

/**
 * The directions in which the film varies most around a code, a standard deviation each:
 * principal axes of the nearest frames, found one after another by the power method.
 */
export function findWays(code, film, principal, std) {
  if (film.length <= NEAR) return principal.slice(0, WAYS);
  const far = (frame) => frame.reduce((sum, z, i) => sum + ((z - code[i]) / (std[i] + 1e-6)) ** 2, 0);
  const near = film
    .map((frame) => [far(frame), frame])
    .sort((a, b) => a[0] - b[0])
    .slice(0, NEAR)
    .map(([, frame]) => frame);
  const mean = near.reduce((sum, frame) => plus(sum, frame, 1 / NEAR), code.map(() => 0));
  const rows = near.map((frame) => plus(frame, mean, -1));
  const ways = [];
  for (let number = 0; number < Math.min(WAYS, code.length); number++) {
    let way = rows[number].map((value) => value + 1e-6);
    let size = 0;
    for (let round = 0; round < ROUNDS; round++) {
      let next = way.map(() => 0);
      for (const row of rows) next = plus(next, row, dot(row, way));
      size = Math.sqrt(dot(next, next)) || 1;
      way = next.map((value) => value / size);
    }
    const spread = Math.sqrt(size / NEAR);
    ways.push(way.map((value) => value * spread));
    rows.forEach((row, at) => (rows[at] = plus(row, way, -dot(row, way))));
  }
  return ways;
}

/** Returns the view of nine faces; a click takes one, and shows its own neighbours. */
export function makeVariations(engine, pose, film, principal) {
  const spread = make("input", {
    type: "range", min: 0.5, max: 4, step: 0.1, value: 1.8,
    attributes: { "aria-label": "How different" },
    on: { change: () => refresh() },
  });
  const cells = Array.from({ length: 9 }, (_, place) => {
    const canvas = thumbnail();
    const text = place === 4 ? "The face that is shown" : "Take this face";
    const click = () => cells[place].code && pose.show(cells[place].code);
    const attributes = { "aria-label": text };
    const element = make("button", { type: "button", title: text, attributes, on: { click } }, canvas);
    return { canvas, element };
  });
  cells[4].element.classList.add("middle");
  let asked = 0;
  let turn = 0; // which of the nearby directions
  const refresh = () => {
    if (view.hidden) return;
    const mine = ++asked;
    const ways = findWays(pose.code, film, principal, pose.std);
    const turned = turn % 2 ? mixWays(ways) : ways;
    const put = (cell, code) => {
      cell.code = code;
      engine.decode(code, 1, () => mine === asked).then((picture) => {
        if (picture && mine === asked) draw(cell.canvas, picture);
      });
    };
    put(cells[4], pose.code);
    PLACES.forEach((place, number) => {
      const way = turned[Math.min(number, 7 - number) % turned.length];
      const sign = number < 4 ? -1 : 1; // opposite cells are opposite ways
      put(cells[place], plus(pose.code, way, sign * spread.valueAsNumber));
    });
  };
  const others = button("Other directions", "Show other directions", () => {
    turn++;
    refresh();
  });
  const grid = make("div", { className: "nine" }, ...cells.map((cell) => cell.element));
  const about = make("p", { className: "about" },
    "Faces the film comes near to from here. Click one, and go on from it.");
  const settings = make("div", { className: "row" },
    make("label", {}, "Alike ", spread, " different"), others);
  const view = make("div", { className: "variations" }, about, grid, settings);
  pose.addEventListener("keep", refresh);
  view.refresh = refresh;
  return view;
}

/** Directions between those of each pair. */
function mixWays(ways) {
  return ways.map((way, number) => {
    const other = ways[(number + 1) % ways.length];
    return plus(way, other).map((value) => value * Math.SQRT1_2);
  });
}
