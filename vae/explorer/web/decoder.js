// The decoder: runs the list of layers of vae/model/architecture.py, as
// vae/model/inference.py does. A grid is { height, width, channels, values }, rows first.

import { unpack } from "./arrays.js";

const GELU_SLOPE = Math.sqrt(2 / Math.PI);
const GELU_CUBE = 0.044715;
const MOST = 80; // keeps exp() finite

/** A decoder of codes to pictures. */
export class Decoder {
  constructor(model) {
    this.model = model;
    this.arrays = new Map();
    for (const [name, packed] of Object.entries(model.arrays)) {
      this.arrays.set(name, unpack(packed));
    }
  }

  /** Returns levels 0..255 (height, width, channels) of a code, rounded and clipped. */
  decode(code) {
    const { height, width, channels, likelihood, decoder } = this.model;
    const start = grid(1, 1, code.length, Float32Array.from(code));
    const outputs = this.run(decoder, start);
    const levels = new Uint8ClampedArray(height * width * channels);
    for (let pixel = 0; pixel < height * width; pixel++) {
      for (let c = 0; c < channels; c++) {
        let value = outputs.values[pixel * outputs.channels + c]; // what follows is noise
        if (likelihood === "bernoulli") {
          value = 1 / (1 + Math.exp(-Math.max(-MOST, Math.min(MOST, value))));
        }
        levels[pixel * channels + c] = 255 * value;
      }
    }
    return levels;
  }

  /** Returns what layers, one after another, make of a grid, which stays as it is. */
  run(layers, x) {
    for (const layer of layers) x = this.apply(layer, x);
    return x;
  }

  apply(layer, x) {
    const array = (name) => this.arrays.get(`decoder/${layer.name}/${name}`);
    switch (layer.kind) {
      case "Residual":
        return add(x, this.run(layer.layers, x).values);
      case "Dense":
        return convolve(x, array("kernel"), array("bias"), 1);
      case "Convolution":
        return convolve(x, array("kernel"), array("bias"), layer.size);
      case "AddImage":
        return add(x, array("image"));
      case "Rescale":
        return map(x, (value) => value * layer.scale + layer.offset);
      case "ReLU":
        return map(x, (value) => (value > 0 ? value : 0));
      case "GELU":
        return map(x, gelu);
      case "Reshape":
        return reshape(x, layer.shape);
      case "DepthToSpace":
        return unfold(x, layer.size);
      case "Crop":
        return crop(x, layer.height, layer.width);
      default:
        throw new Error(`${layer.kind}: a layer that this page doesn't know`);
    }
  }
}

function grid(height, width, channels, values) {
  return { height, width, channels, values };
}

function map(x, change) {
  return { ...x, values: x.values.map(change) };
}

function add(x, others) {
  const values = new Float32Array(x.values.length);
  for (let i = 0; i < values.length; i++) values[i] = x.values[i] + others[i];
  return { ...x, values };
}

function gelu(x) {
  return 0.5 * x * (1 + Math.tanh(GELU_SLOPE * (x + GELU_CUBE * x ** 3)));
}

function reshape(x, shape) {
  const [height, width, channels] = shape.length === 3 ? shape : [1, 1, shape[0]];
  return grid(height, width, channels, x.values);
}

/**
 * A convolution that keeps the size, zeros around. Zeros of the input, of which ReLU
 * leaves many, are passed over; of the others, four are done together, so that a sum is
 * loaded and stored once for four products.
 *
 * kernel: (size, size, inputs, outputs).
 */
export function convolve(x, kernel, bias, size) {
  const { height, width, channels } = x;
  const outputs = bias.length;
  const { places, values, counts } = gatherNonzero(x);
  const found = new Float32Array(height * width * outputs);
  const sums = new Float32Array(outputs);
  const edge = size >> 1;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      sums.set(bias);
      for (let tap = 0; tap < size * size; tap++) {
        const y = row + Math.floor(tap / size) - edge;
        const across = column + (tap % size) - edge;
        if (y < 0 || y >= height || across < 0 || across >= width) continue;
        const pixel = y * width + across;
        const first = pixel * channels;
        addRows(sums, kernel, tap * channels, places, values, first, first + counts[pixel]);
      }
      found.set(sums, (row * width + column) * outputs);
    }
  }
  return grid(height, width, outputs, found);
}

/** The channels of each pixel that are not 0, first ones first, and how many they are. */
function gatherNonzero({ height, width, channels, values }) {
  const places = new Int32Array(values.length);
  const kept = new Float32Array(values.length);
  const counts = new Int32Array(height * width);
  for (let pixel = 0; pixel < counts.length; pixel++) {
    const first = pixel * channels;
    let at = first;
    for (let c = 0; c < channels; c++) {
      const value = values[first + c];
      if (value !== 0) {
        places[at] = c;
        kept[at++] = value;
      }
    }
    counts[pixel] = at - first;
  }
  return { places, values: kept, counts };
}

/** Adds rows of a kernel, times values, to sums. */
function addRows(sums, kernel, start, places, values, from, to) {
  const count = sums.length;
  const f = Math.fround; // single precision: twice as fast
  let at = from;
  for (; at + 3 < to; at += 4) {
    const v0 = values[at];
    const v1 = values[at + 1];
    const v2 = values[at + 2];
    const v3 = values[at + 3];
    const r0 = (start + places[at]) * count;
    const r1 = (start + places[at + 1]) * count;
    const r2 = (start + places[at + 2]) * count;
    const r3 = (start + places[at + 3]) * count;
    for (let k = 0; k < count; k++) {
      const a = f(f(v0 * kernel[r0 + k]) + f(v1 * kernel[r1 + k]));
      const b = f(f(v2 * kernel[r2 + k]) + f(v3 * kernel[r3 + k]));
      sums[k] = f(sums[k] + f(a + b));
    }
  }
  for (; at < to; at++) {
    const v = values[at];
    const r = (start + places[at]) * count;
    for (let k = 0; k < count; k++) sums[k] = f(sums[k] + f(v * kernel[r + k]));
  }
}

/** Depth to space: (H, W, n*n*C) to (H*n, W*n, C). */
function unfold(x, size) {
  const channels = x.channels / size ** 2;
  const width = x.width * size;
  const values = new Float32Array(x.values.length);
  const run = size * channels; // values that stay together
  let from = 0;
  for (let row = 0; row < x.height; row++) {
    for (let column = 0; column < x.width; column++) {
      for (let inner = 0; inner < size; inner++, from += run) {
        const to = ((row * size + inner) * width + column * size) * channels;
        for (let i = 0; i < run; i++) values[to + i] = x.values[from + i];
      }
    }
  }
  return grid(x.height * size, width, channels, values);
}

function crop(x, height, width) {
  const values = new Float32Array(height * width * x.channels);
  const run = width * x.channels;
  for (let row = 0; row < height; row++) {
    const from = row * x.width * x.channels;
    values.set(x.values.subarray(from, from + run), row * run);
  }
  return grid(height, width, x.channels, values);
}
