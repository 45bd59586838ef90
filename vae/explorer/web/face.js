// The face, large, and dragging on it.

import { draw, find } from "./dom.js";

const SMOOTH = 256; // pixels a side, about: from there on the browser's own is as smooth
const TRAVEL = 0.3; // of the face's side, that a drag takes a slider from end to end
const LEAST = 0.12; // of the most that a slider changes, to be dragged there
// How sliders follow a pointer: the axis, and the way; "out" is away from the middle.
const DRAGS = {
  open: ["y", 1], smile: ["y", -1], eyes: ["y", -1], brows: ["y", -1],
  width: ["x", "out"], pucker: ["x", "in"], aside: ["x", 1], gaze: ["x", 1], yaw: ["x", 1],
};

/** Shows the pose as soon as the worker can, and lets its features be dragged. */
export class Face {
  constructor(engine, pose, model) {
    Object.assign(this, { engine, pose, model });
    this.canvas = find("face");
    this.frame = find("frame");
    this.grip = find("grip");
    this.zoom = Math.max(1, Math.round(SMOOTH / Math.max(model.width, model.height)));
    this.changes = new Map(); // slider -> how much it changes each pixel, 0..1
    this.drawn = 0; // faces so far
    this.frame.style.aspectRatio = `${model.width} / ${model.height}`;
    pose.addEventListener("move", () => this.refresh());
    for (const name of ["down", "move", "up", "cancel", "leave"]) {
      this.canvas.addEventListener(`pointer${name}`, (event) => this[name](event));
    }
  }

  /** Draws the newest pose; those that came in between are passed over. */
  async refresh() {
    this.isStale = true;
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      while (this.isStale) {
        this.isStale = false;
        draw(this.canvas, await this.engine.decode(this.pose.code, this.zoom));
        this.drawn++;
      }
    } finally {
      this.isBusy = false;
    }
    this.canvas.setAttribute("aria-label", `The actor's face: ${this.pose.describeAll()}`);
  }

  /** Learns where a slider changes the face, from pictures of both its ends. */
  learn(slider, low, high) {
    const { width, height } = low;
    const found = new Float32Array(width * height);
    for (let i = 0; i < found.length; i++) {
      for (let c = 0; c < 3; c++) found[i] += Math.abs(low.rgba[4 * i + c] - high.rgba[4 * i + c]);
    }
    const most = found.reduce((a, b) => Math.max(a, b), 1);
    this.changes.set(slider, found.map((value) => value / most));
  }

  /** The slider that moves along an axis what is at a place, or null. */
  choose(axis, across, down) {
    const { width, height } = this.model;
    let [best, most] = [null, LEAST];
    for (const [slider, change] of this.changes) {
      if (DRAGS[slider.name]?.[0] !== axis) continue;
      let value = average(change, width, height, across * width, down * height);
      // The corners of the mouth smile, its middle opens.
      if (slider.name === "smile") value *= Math.abs(across - 0.5) > 0.09 ? 2 : 0.3;
      if (value > most) [best, most] = [slider, value];
    }
    return best;
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  down(event) {
    if (event.button) return;
    const start = this.place(event);
    const held = { x: this.choose("x", ...start), y: this.choose("y", ...start) };
    if (!held.x && !held.y) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.held = { ...held, start, code: this.pose.code };
    this.frame.classList.add("held");
    event.preventDefault();
  }

  move(event) {
    const at = this.place(event);
    if (!this.held) {
      this.hint(event, this.choose("x", ...at), this.choose("y", ...at));
      return;
    }
    const { start, code } = this.held;
    let found = code;
    ["x", "y"].forEach((axis, number) => {
      const slider = this.held[axis];
      if (!slider) return;
      let [, way] = DRAGS[slider.name];
      if (typeof way === "string") way = (way === "out") === start[0] > 0.5 ? 1 : -1;
      const far = (way * (at[number] - start[number])) / TRAVEL;
      const value = this.pose.read(slider, code) + far * (slider.high - slider.low);
      const within = Math.max(slider.low, Math.min(slider.high, value));
      found = this.pose.slid(slider, within, found);
    });
    this.pose.show(found, { passing: true });
    this.hint(event, this.held.x, this.held.y);
  }

  up() {
    if (!this.held) return;
    this.held = null;
    this.frame.classList.remove("held");
    this.pose.keep();
  }

  cancel() {
    this.up();
    this.leave();
  }

  leave() {
    if (!this.held) this.grip.textContent = "";
  }

  /** Says beside the pointer what a drag would move. */
  hint(event, across, down) {
    const parts = [across && `↔ ${across.label}`, down && `↕ ${down.label}`];
    const box = this.frame.getBoundingClientRect();
    this.grip.textContent = parts.filter(Boolean).join("  ");
    this.grip.style.left = `${event.clientX - box.left}px`;
    this.grip.style.top = `${event.clientY - box.top}px`;
    this.canvas.style.cursor = across || down ? "grab" : "default";
  }
}

/** The mean of an image around a place. */
function average(image, width, height, x, y) {
  const reach = Math.max(1, Math.round(width / 24));
  let [sum, count] = [0, 0];
  for (let row = Math.floor(y) - reach; row <= y + reach; row++) {
    for (let column = Math.floor(x) - reach; column <= x + reach; column++) {
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      sum += image[row * width + column];
      count++;
    }
  }
  return sum / Math.max(1, count);
}
