// The pose: the code of the face that is shown, its history, and what it is called.

import { dot, unpack } from "./arrays.js";

const MOST = 500; // poses that undo goes back
const SLIGHT = 0.02; // of a slider's reach, that is not worth a word
const DIGITS = 4; // of a number of the code, in a link

/** Returns sums of `a`, and `b` times a factor. */
export function plus(a, b, factor = 1) {
  return a.map((value, i) => value + factor * b[i]);
}

/** Returns a code between two; 0 is the first. */
export function between(a, b, share) {
  return a.map((value, i) => value + share * (b[i] - value));
}

/** What is shown, and how it came to be. */
export class Pose extends EventTarget {
  constructor(model) {
    super();
    this.mean = unpack(model.mean);
    this.std = unpack(model.std);
    this.rest = unpack(model.neutral);
    this.sliders = model.sliders.map((slider) => ({
      ...slider,
      reading: unpack(slider.reading),
      direction: unpack(slider.direction),
    }));
    this.code = this.rest;
    this.past = [this.rest];
    this.place = 0; // in the past; what comes after was undone
  }

  /** Shows a code; unless it is a passing one, undo comes back to it. */
  show(code, { passing = false } = {}) {
    this.code = code;
    this.dispatchEvent(new Event("move"));
    if (!passing) this.keep();
  }

  /** Makes the code that is shown one that undo comes back to. */
  keep() {
    const last = this.past[this.place];
    if (this.code.every((value, i) => value === last[i])) return;
    this.past.splice(this.place + 1);
    this.past.push(this.code);
    if (this.past.length > MOST) this.past.shift();
    this.place = this.past.length - 1;
    this.dispatchEvent(new Event("keep"));
  }

  undo() {
    this.step(-1);
  }

  redo() {
    this.step(1);
  }

  canStep(change) {
    return this.past[this.place + change] !== undefined;
  }

  step(change) {
    if (!this.canStep(change)) return;
    this.place += change;
    this.code = this.past[this.place];
    this.dispatchEvent(new Event("move"));
    this.dispatchEvent(new Event("keep"));
  }

  /** A slider's value at a code. */
  read(slider, code = this.code) {
    return dot(plus(code, this.rest, -1), slider.reading);
  }

  /** The code that is shown, with one slider elsewhere. */
  slid(slider, value, code = this.code) {
    return plus(code, slider.direction, value - this.read(slider, code));
  }

  /** Says how far a slider is from rest. */
  describe(slider, value = this.read(slider)) {
    const end = value < 0 ? slider.low : slider.high;
    const share = Math.abs(value) / Math.max(Math.abs(end), 1e-6);
    if (share < SLIGHT) return "at rest";
    return `${Math.round(100 * share)} % ${slider.ends[value < 0 ? 0 : 1]}`;
  }

  describeAll() {
    const told = this.sliders
      .map((slider) => [slider, this.describe(slider)])
      .filter(([, text]) => text !== "at rest")
      .map(([slider, text]) => `${slider.label.toLowerCase()} ${text}`);
    return told.join(", ") || "at rest";
  }

  /** The code as a link's hash, and back; null if it is none of this actor. */
  toHash() {
    return `code=${Array.from(this.code, (value) => Number(value.toFixed(DIGITS))).join(",")}`;
  }

  fromHash(hash) {
    const text = new URLSearchParams(hash.replace(/^#/, "")).get("code");
    return text === null ? null : this.check(text.split(",").map(Number));
  }

  /** Numbers from elsewhere as a code, or null. */
  check(numbers) {
    const fits =
      Array.isArray(numbers) &&
      numbers.length === this.rest.length &&
      numbers.every((value) => typeof value === "number" && Number.isFinite(value));
    return fits ? Float32Array.from(numbers) : null;
  }
}
