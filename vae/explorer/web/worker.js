// What a worker does: decodes and reads, one request after another.

import { Decoder } from "./decoder.js";
import { Reader } from "./reader.js";
import { resample, toRGBA } from "./resample.js";

let decoder = null;
let reader = null;
let model = null;

const JOBS = {
  /** Takes the model; nothing else works before. */
  begin(values) {
    model = values.model;
    decoder = new Decoder(model);
    return {};
  },

  /** RGBA of a code, `zoom` times as large as the model's pictures. */
  decode({ code, zoom }) {
    const { height, width, channels } = model;
    const levels = decoder.decode(code);
    const [tall, wide] = [height * zoom, width * zoom];
    const large = resample(levels, height, width, channels, tall, wide);
    return { rgba: toRGBA(large, channels), height: tall, width: wide };
  },

  /** What is read of a crop. */
  read({ rgba, height, width }) {
    reader ??= new Reader(model);
    return { reading: reader.read(rgba, height, width) };
  },
};

self.onmessage = ({ data }) => {
  try {
    const result = JOBS[data.job](data);
    const moved = result.rgba ? [result.rgba.buffer] : [];
    self.postMessage({ result }, moved);
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
