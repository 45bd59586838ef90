// Two faces and a cross-fade; key poses and the walk along them.

import { button, draw, find, make, rename, tell, thumbnail } from "./dom.js";
import { between } from "./pose.js";

/** Fills the bar below the face: A, B, and what lies between. */
export function makeFade(engine, pose) {
  const slots = ["A", "B"].map((name) => makeSlot(name, engine, pose, () => follow()));
  const fade = make("input", {
    type: "range", min: 0, max: 1, step: 0.005, value: 0, disabled: true,
    attributes: { "aria-label": "From A to B" },
    on: {
      input: () => {
        const [a, b] = slots.map((slot) => slot.code);
        pose.show(between(a, b, fade.valueAsNumber), { passing: true });
      },
      change: () => pose.keep(),
    },
  });
  const follow = () => {
    fade.disabled = !slots.every((slot) => slot.code);
  };
  find("fade").append(slots[0].element, fade, slots[1].element);
}

function makeSlot(name, engine, pose, changed) {
  const canvas = thumbnail();
  const slot = { code: null };
  const keep = button(`Set ${name}`, `Keep this face as ${name}`, async () => {
    slot.code = pose.code;
    show.disabled = false;
    changed();
    draw(canvas, await engine.decode(slot.code));
    show.replaceChildren(canvas);
  });
  const show = make("button", {
    type: "button", disabled: true, title: `Show ${name}`,
    attributes: { "aria-label": `Show ${name}` },
    on: { click: () => pose.show(slot.code) },
  }, name);
  slot.element = make("div", { className: "slot" }, show, keep);
  return slot;
}

/** A point of a cubic that goes through poses (Catmull and Rom 1974). */
export function walkAt(poses, time, isLoop) {
  const count = poses.length;
  const at = (place) =>
    poses[isLoop ? (place + count) % count : Math.max(0, Math.min(count - 1, place))];
  const first = Math.min(Math.floor(time), isLoop ? count - 1 : count - 2);
  const t = time - first;
  const [a, b, c, d] = [-1, 0, 1, 2].map((step) => at(first + step));
  const shares = [
    (-(t ** 3) + 2 * t ** 2 - t) / 2,
    (3 * t ** 3 - 5 * t ** 2 + 2) / 2,
    (-3 * t ** 3 + 4 * t ** 2 + t) / 2,
    (t ** 3 - t ** 2) / 2,
  ];
  return b.map((_, i) => shares[0] * a[i] + shares[1] * b[i] + shares[2] * c[i] + shares[3] * d[i]);
}

/** Key poses, in order. */
export class Keys {
  constructor(engine, pose) {
    Object.assign(this, { engine, pose, poses: [], playing: 0 });
    this.list = make("ol", { className: "keys" });
    this.pace = make("input", {
      type: "range", min: 0.2, max: 3, step: 0.1, value: 0.8,
      attributes: { "aria-label": "Seconds from pose to pose" },
    });
    this.loop = make("input", { type: "checkbox", checked: true });
    this.play = button("▶ Play", "Play the walk", () => this.toggle());
    const add = button("Add this face", "Add the face that is shown", () => this.add(), "main");
    const clear = button("Clear", "Forget all key poses", () => this.set([]));
    this.view = make("div", { className: "walk" },
      make("p", { className: "about" }, "Add faces; the actor walks from each to the next."),
      make("div", { className: "row" }, add, this.play,
        make("label", {}, this.loop, " loop"), clear),
      make("label", { className: "row" }, "Quick ", this.pace, " slow"),
      this.list);
    this.set([]);
  }

  add() {
    this.set([...this.poses, this.pose.code]);
  }

  set(poses) {
    if (this.playing) this.stop();
    this.poses = poses;
    this.play.disabled = poses.length < 2;
    this.list.replaceChildren(...poses.map((code, number) => this.makeKey(code, number)));
  }

  makeKey(code, number) {
    const canvas = thumbnail();
    this.engine.decode(code).then((picture) => draw(canvas, picture));
    const name = `pose ${number + 1}`;
    const attributes = { "aria-label": `Show ${name}` };
    const click = () => this.pose.show(code);
    const show = make("button", { type: "button", title: `Show ${name}`, attributes, on: { click } }, canvas);
    const without = () => this.set(this.poses.filter((_, place) => place !== number));
    return make("li", {}, show, button("×", `Remove ${name}`, without, "remove"));
  }

  /** Seconds that one round takes. */
  get seconds() {
    return this.pace.valueAsNumber * (this.poses.length - (this.loop.checked ? 0 : 1));
  }

  toggle() {
    if (this.playing) this.stop();
    else this.start();
  }

  /** Plays; `ended` is called after a round, else it goes on if it is a loop. */
  start(ended = null) {
    const begun = performance.now();
    const stretches = this.poses.length - (this.loop.checked ? 0 : 1);
    rename(this.play, "❚❚ Stop", "Stop the walk");
    const step = (now) => {
      const time = Math.max(0, (now - begun) / 1000 / this.pace.valueAsNumber);
      const isOver = time >= stretches && (ended || !this.loop.checked);
      const place = isOver ? stretches : time % stretches;
      this.pose.show(walkAt(this.poses, place, this.loop.checked), { passing: true });
      if (isOver) {
        this.stop();
        ended?.();
      } else this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    rename(this.play, "▶ Play", "Play the walk");
    this.pose.keep();
  }

  /** Resolves to a film of one round, as the browser records a canvas; null: it can't. */
  record(canvas) {
    if (typeof MediaRecorder === "undefined" || !canvas.captureStream) return null;
    const kind = ["video/webm;codecs=vp9", "video/webm", "video/mp4"].find((type) =>
      MediaRecorder.isTypeSupported(type));
    if (!kind || this.poses.length < 2) return null;
    if (this.playing) this.stop();
    const recorder = new MediaRecorder(canvas.captureStream(), {
      mimeType: kind, videoBitsPerSecond: 8_000_000,
    });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    return new Promise((resolve) => {
      recorder.onstop = () => resolve(new Blob(parts, { type: kind.split(";")[0] }));
      recorder.start();
      tell(`Recording ${this.seconds.toFixed(1)} seconds`);
      this.start(() => setTimeout(() => recorder.stop(), 100)); // the last face is drawn
    });
  }
}
