// The film's frames: a strip to jump into, and to play.

import { button, draw, find, make, rename, thumbnail } from "./dom.js";

const SHOWN = 36; // pictures of the strip
const RATE = 25; // frames a second

/** Fills the strip of the film; an empty one is taken away. */
export function makeFilm(engine, pose, film) {
  const section = find("film");
  if (!film.length) {
    section.remove();
    return;
  }
  const scrub = make("input", {
    type: "range", min: 0, max: film.length - 1, step: 1, value: 0,
    attributes: { "aria-label": "Frame of the film" },
    on: {
      input: () => pose.show(film[scrub.valueAsNumber], { passing: true }),
      change: () => pose.keep(),
    },
  });
  let playing = 0;
  const stop = () => {
    cancelAnimationFrame(playing);
    playing = 0;
    rename(play, "▶ Play", "Play the film");
    pose.keep();
  };
  const start = () => {
    const from = scrub.valueAsNumber === film.length - 1 ? 0 : scrub.valueAsNumber;
    const begun = performance.now();
    rename(play, "❚❚ Stop", "Stop the film");
    const step = (now) => {
      const frame = Math.min(film.length - 1, from + Math.floor(((now - begun) * RATE) / 1000));
      scrub.value = Math.max(frame, 0);
      pose.show(film[scrub.valueAsNumber], { passing: true });
      playing = requestAnimationFrame(step);
      if (frame === film.length - 1) stop();
    };
    playing = requestAnimationFrame(step);
  };
  const play = button("▶ Play", "Play the film", () => (playing ? stop() : start()));
  const strip = make("div", { className: "frames" });
  const count = Math.min(SHOWN, film.length);
  for (let number = 0; number < count; number++) {
    const frame = Math.round((number * (film.length - 1)) / Math.max(1, count - 1));
    const canvas = thumbnail();
    const text = `Frame ${frame + 1} of ${film.length}`;
    const click = () => {
      scrub.value = frame;
      pose.show(film[frame]);
    };
    const attributes = { "aria-label": text };
    strip.append(make("button", { type: "button", title: text, attributes, on: { click } }, canvas));
    engine.decode(film[frame]).then((picture) => draw(canvas, picture));
  }
  section.append(make("div", { className: "row" }, play, scrub), strip);
}
