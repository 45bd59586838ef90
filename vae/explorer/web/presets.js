// Presets: the film's own extremes, or, without the film, those of the sliders.

import { draw, make, thumbnail } from "./dom.js";

/** Returns the view of presets. */
export function makePresets(engine, pose, film) {
  const presets = [["At rest", pose.rest]];
  for (const slider of pose.sliders) {
    [["low", -1], ["high", 1]].forEach(([side, sign], end) => {
      let code = pose.slid(slider, slider[side], pose.rest);
      if (film.length) {
        const most = film.map((frame) => sign * pose.read(slider, frame));
        code = film[most.indexOf(Math.max(...most))];
      }
      const part = slider.group === "mouth" ? "Mouth" : slider.label;
      presets.push([`${part} ${slider.ends[end]}`, code]);
    });
  }
  const about = film.length
    ? "The film's own extremes: for each slider, the frames that go farthest."
    : "For each slider, how far it goes.";
  const cells = presets.map(([name, code]) => {
    const canvas = thumbnail();
    engine.decode(code).then((picture) => draw(canvas, picture));
    const on = { click: () => pose.show(code) };
    return make("button", { type: "button", on }, canvas, make("span", { textContent: name }));
  });
  return make("div", { className: "presets" },
    make("p", { className: "about" }, about), make("div", { className: "cells" }, ...cells));
}
