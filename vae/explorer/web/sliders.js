// Sliders, in groups, each above a strip of what it does.

import { draw, make, thumbnail } from "./dom.js";

const PICTURES = 5;
const STEPS = 200;

/** Returns the view of all sliders. */
export function makeSliders(engine, pose, face) {
  const view = make("div", { className: "sliders" });
  const groups = new Map();
  for (const slider of pose.sliders) {
    if (!groups.has(slider.group)) {
      const group = make("fieldset", {}, make("legend", { textContent: slider.group }));
      groups.set(slider.group, group);
      view.append(group);
    }
    groups.get(slider.group).append(makeSlider(slider, engine, pose, face));
  }
  if (!pose.sliders.length) {
    view.append(make("p", {}, "The film's codes tell none of the readings that sliders need."));
  }
  return view;
}

function makeSlider(slider, engine, pose, face) {
  const value = make("output", {});
  const range = make("input", {
    type: "range", min: slider.low, max: slider.high,
    step: (slider.high - slider.low) / STEPS,
    attributes: { "aria-label": `${slider.group}: ${slider.label}` },
    on: {
      input: () => pose.show(pose.slid(slider, range.valueAsNumber), { passing: true }),
      change: () => pose.keep(),
      dblclick: () => pose.show(pose.slid(slider, 0)),
    },
  });
  const rest = -slider.low / (slider.high - slider.low);
  range.style.setProperty("--rest", rest);
  const strip = make("div", { className: "strip" });
  fill(strip, slider, engine, pose, face);
  const follow = () => {
    const now = pose.read(slider);
    range.value = now;
    range.style.setProperty("--at", (range.valueAsNumber - slider.low) / (slider.high - slider.low));
    value.textContent = pose.describe(slider, now);
    range.setAttribute("aria-valuetext", value.textContent);
  };
  pose.addEventListener("move", follow);
  follow();
  const head = make("div", { className: "head" }, make("b", { textContent: slider.label }), value);
  return make("div", { className: "slider" }, head, strip, range);
}

/** Decodes the face at rest with the slider at five places; a click goes there. */
function fill(strip, slider, engine, pose, face) {
  const pictures = Array.from({ length: PICTURES }, async (_, number) => {
    const value = slider.low + ((slider.high - slider.low) * number) / (PICTURES - 1);
    const canvas = thumbnail();
    const text = `${slider.label}: ${pose.describe(slider, value)}`;
    const attributes = { "aria-label": text, tabindex: -1 };
    const click = () => pose.show(pose.slid(slider, value));
    strip.append(make("button", { type: "button", title: text, attributes, on: { click } }, canvas));
    const picture = await engine.decode(pose.slid(slider, value, pose.rest));
    draw(canvas, picture);
    return picture;
  });
  Promise.all(pictures).then((found) => face.learn(slider, found[0], found.at(-1)));
}
