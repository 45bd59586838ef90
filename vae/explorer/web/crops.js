// Anyone's face: pictures that are dropped, and the camera.

import { button, draw, make, rename, tell, thumbnail } from "./dom.js";
import { between, plus } from "./pose.js";
import { unpack } from "./arrays.js";
import { openCode } from "./saving.js";

const FEW = 8; // pictures that a person is known by, see strangers/alignment.py
const MOST = 2000; // pictures read
const LEARNT = 3000; // milliseconds of the camera that a person is known by
const RECENT = 8; // readings that a neutral face is the mean of
const RATE = 25; // pictures a second, played
const QUICK = 0.6; // share of a new reading; the rest is the last one's

/** Returns the code of a reading: what it says beyond a person's usual, times a gain. */
export function placeReading(reading, usual, centre, gain) {
  return centre.map((value, i) => value + gain * (reading[i] - usual[i]));
}

function meanOf(readings) {
  const zero = new Float64Array(readings[0].length);
  return readings.reduce((sum, one) => plus(sum, one, 1 / readings.length), zero);
}

/** The view of dropped pictures and of the camera. */
export class Crops {
  constructor(engine, pose, model) {
    Object.assign(this, { engine, pose, model });
    this.usual = unpack(model.reader.rest); // of the actor: unless more is known
    this.gain = make("input", {
      type: "range", min: 0.5, max: 2.5, step: 0.1, value: 1,
      attributes: { "aria-label": "Strength of the expression" },
    });
    this.mirror = make("input", { type: "checkbox", checked: true });
    this.results = make("div", { className: "results" });
    this.makeCamera();
    const pick = (folder) =>
      make("input", {
        type: "file", multiple: true, hidden: true, webkitdirectory: folder,
        accept: folder ? "" : "image/*",
        on: { change: ({ target }) => this.readFiles([...target.files]) },
      });
    const [pictures, folder] = [pick(false), pick(true)];
    this.view = make("div", { className: "crops" },
      make("p", { className: "about" },
        "Your face plays the actor. Camera and pictures are read in this page and go nowhere."),
      make("div", { className: "row" }, this.start, this.neutral,
        make("label", {}, this.mirror, " mirror")),
      this.booth,
      make("label", { className: "row" }, "Shy ", this.gain, " lively"),
      make("div", { className: "row" },
        button("Open pictures …", "Open pictures of one person's face", () => pictures.click()),
        button("Open a folder …", "Open a folder of one person's face", () => folder.click()),
        pictures, folder),
      make("p", { className: "about" },
        "Or drop them anywhere: one person's, cut like the actor's face. From eight on,"
        + " what is common to them is taken for who that person is."),
      this.results);
  }

  /** Resolves to what is read of anything that a canvas can draw. */
  async read(source, box, flipped = false) {
    const { width, height } = box;
    const canvas = make("canvas", { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (flipped) context.setTransform(-1, 0, 0, 1, width, 0);
    context.drawImage(source, box.x, box.y, box.w, box.h, 0, 0, width, height);
    const rgba = context.getImageData(0, 0, width, height).data;
    return (await this.engine.ask("read", { rgba, height, width })).reading;
  }

  /** Reads files, in the order of their names, and shows what the actor makes of each. */
  async readFiles(files) {
    if (files.length === 1 && files[0].name.toLowerCase().endsWith(".json")) {
      return openCode(files[0], this.pose);
    }
    const name = (file) => file.webkitRelativePath || file.name;
    const compare = new Intl.Collator(undefined, { numeric: true }).compare;
    const images = files
      .filter((file) => file.type.startsWith("image/"))
      .sort((a, b) => compare(name(a), name(b)));
    const found = [];
    let failed = 0;
    for (const file of images.slice(0, MOST)) {
      try {
        const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
        const image = await createImageBitmap(file, options);
        const { width, height } = image;
        const box = { x: 0, y: 0, w: width, h: height, width, height };
        found.push({ name: file.name, reading: await this.read(image, box) });
        image.close();
      } catch {
        failed++;
      }
      if (found.length % 50 === 49) tell(`${found.length + 1} of ${images.length} pictures read`);
    }
    const left = files.length - found.length;
    tell(`${found.length} pictures read` + (left ? `, ${left} not: no pictures, or too many` : ""));
    if (found.length) this.list(found);
    return failed;
  }

  list(found) {
    const isKnown = found.length >= FEW;
    const usual = isKnown ? meanOf(found.map((one) => one.reading)) : this.usual;
    const codes = () =>
      found.map((one) => placeReading(one.reading, usual, this.pose.mean, this.gain.valueAsNumber));
    const cells = found.slice(0, 60).map((one, number) => {
      const canvas = thumbnail();
      const show = () => this.pose.show(Float32Array.from(codes()[number]));
      this.engine.decode(codes()[number]).then((picture) => draw(canvas, picture));
      return make("button", { type: "button", title: one.name, on: { click: show } }, canvas);
    });
    const play = button("▶ Play", "Play these pictures", () => {
      const all = codes();
      const begun = performance.now();
      const step = (now) => {
        const at = Math.max(0, Math.floor(((now - begun) * RATE) / 1000));
        this.pose.show(Float32Array.from(all[Math.min(at, all.length - 1)]), { passing: true });
        if (at < all.length) requestAnimationFrame(step);
        else this.pose.keep();
      };
      requestAnimationFrame(step);
    });
    const about = isKnown
      ? `${found.length} pictures; their mean is taken for the person.`
      : `${found.length} of at least ${FEW} that a person is known by: read as the actor's.`;
    const parts = [make("p", { className: "about", textContent: about })];
    if (found.length > 1) parts.push(make("div", { className: "row" }, play));
    this.results.replaceChildren(...parts, make("div", { className: "cells" }, ...cells));
    this.pose.show(Float32Array.from(codes()[0]));
    this.onRead?.();
  }

  makeCamera() {
    this.video = make("video", { muted: true, playsInline: true });
    this.ghost = make("canvas", { className: "ghost" });
    this.booth = make("div", { className: "booth", hidden: true },
      this.video, this.ghost, make("div", { className: "oval" }));
    this.mirror.addEventListener("change", () =>
      this.booth.classList.toggle("straight", !this.mirror.checked));
    this.start = button("Turn the camera on", "Turn the camera on", () => this.toggle(), "main");
    this.neutral = button("This is my neutral face", "Make a neutral face and press", () =>
      this.takeNeutral());
    this.neutral.disabled = true;
  }

  async toggle() {
    if (this.stream) {
      this.stop();
      return;
    }
    if (!navigator.mediaDevices?.getUserMedia) {
      tell("This browser gives no camera to a page from a file; drop pictures instead");
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    } catch (error) {
      tell(`No camera: ${error.message}`);
      return;
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    draw(this.ghost, await this.engine.decode(this.pose.rest));
    this.booth.hidden = false;
    this.neutral.disabled = false;
    rename(this.start, "Turn the camera off", "Turn the camera off");
    this.seen = [];
    this.centre = this.pose.mean;
    this.person = null;
    this.begun = performance.now();
    tell("Fit your face into the oval, over the actor's");
    this.follow();
  }

  stop() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.booth.hidden = true;
    this.neutral.disabled = true;
    rename(this.start, "Turn the camera on", "Turn the camera on");
    this.pose.keep();
  }

  /** Reads the square in the middle of the camera's picture, again and again. */
  async follow() {
    const { video, model } = this;
    let last = this.pose.code;
    while (this.stream) {
      const [wide, tall] = [video.videoWidth, video.videoHeight];
      const height = Math.min(tall, (wide * model.height) / model.width);
      const width = (height * model.width) / model.height;
      const box = { x: (wide - width) / 2, y: (tall - height) / 2, w: width, h: height };
      box.width = 2 * model.width;
      box.height = 2 * model.height;
      const reading = await this.read(video, box, this.mirror.checked);
      this.seen.push(reading);
      if (!this.person && performance.now() - this.begun > LEARNT) {
        this.person = meanOf(this.seen);
        tell("Your usual face is known; the actor follows what you change");
      }
      this.seen.splice(0, this.person ? this.seen.length - RECENT : 0);
      const usual = this.person ?? meanOf(this.seen);
      const code = placeReading(reading, usual, this.centre, this.gain.valueAsNumber);
      last = between(last, Float32Array.from(code), QUICK);
      this.pose.show(last, { passing: true });
      await new Promise(requestAnimationFrame);
    }
  }

  takeNeutral() {
    this.person = meanOf(this.seen.slice(-RECENT));
    this.centre = this.pose.rest;
    tell("Taken: this face is the actor's face at rest");
  }
}
