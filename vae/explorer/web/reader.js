// The reader: a crop of anyone's face to a code, as vae/strangers/features.py measures it
// and vae/strangers/reader.py maps it.

import { unpack, unpackRows } from "./arrays.js";
import { fromRGBA, resample } from "./resample.js";

const SMALLEST = 1e-8; // keeps divisions finite

/** Reads what a face does; what is common to a person has to be taken out of it. */
export class Reader {
  constructor(model) {
    const { reader } = model;
    this.model = model;
    this.size = reader.size;
    this.directions = reader.directions;
    this.faintest = reader.faintest;
    for (const name of ["down", "across", "near", "pool", "reader"]) {
      this[name] = unpackRows(reader[name]);
    }
    for (const name of ["hidden_kernel", "kernel"]) this[name] = unpackRows(reader[name]);
    this.hiddenBias = unpack(reader.hidden_bias);
  }

  /** Returns what features of a face read as, (Z,): RGBA of a crop of any size. */
  read(rgba, height, width) {
    const { model } = this;
    const levels = fromRGBA(rgba, model.channels);
    const fitted = resample(levels, height, width, model.channels, model.height, model.width);
    const edges = this.orientedGradients(fitted);
    return multiply([...edges, ...this.measureMouth(edges)], this.reader);
  }

  /** Returns histograms of oriented gradients, cell by cell. */
  orientedGradients(levels) {
    const { height, width, channels } = this.model;
    const gray = new Float32Array(height * width);
    for (let i = 0; i < gray.length; i++) {
      for (let c = 0; c < channels; c++) gray[i] += levels[i * channels + c];
      gray[i] /= 255 * channels;
    }
    const face = filter(gray, width, this.down, this.across);
    const { size } = this;
    const rows = new Float32Array(size * size);
    const columns = new Float32Array(size * size);
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const at = y * size + x;
        if (y > 0 && y < size - 1) rows[at] = face[at + size] - face[at - size];
        if (x > 0 && x < size - 1) columns[at] = face[at + 1] - face[at - 1];
      }
    }
    const power = rows.map((value, at) => value ** 2 + columns[at] ** 2);
    const contrast = filter(power, size, this.near, this.near);
    const scale = power.map((value, at) => {
      const around = Math.sqrt(Math.max(contrast[at], 0)) + this.faintest;
      return 1 / ((Math.sqrt(value) + SMALLEST) * around);
    });
    const cells = this.pool.length ** 2;
    const found = new Float32Array(cells * this.directions);
    for (let direction = 0; direction < this.directions; direction++) {
      const turn = (2 * Math.PI * direction) / this.directions;
      const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
      const along = scale.map((value, at) => {
        const part = Math.max(columns[at] * cosine + rows[at] * sine, 0);
        return part ** 2 * value;
      });
      filter(along, size, this.pool, this.pool).forEach((value, cell) => {
        found[cell * this.directions + direction] = value;
      });
    }
    return found;
  }

  /** Returns the numbers of the mouth: open, smile, width, shift. */
  measureMouth(edges) {
    const hidden = multiply(edges, this.hidden_kernel).map((value, unit) => {
      const bias = this.hiddenBias[unit];
      return Math.max(value + bias, 0) - Math.max(bias, 0);
    });
    return multiply(hidden, this.kernel);
  }
}

/** Returns a row (F,) times a matrix (F, Z). */
function multiply(row, matrix) {
  const found = new Float64Array(matrix[0].length);
  row.forEach((value, place) => {
    if (value === 0) return;
    const weights = matrix[place];
    for (let i = 0; i < found.length; i++) found[i] += value * weights[i];
  });
  return found;
}

/** Applies a matrix to each axis of an image (H, width). */
function filter(image, width, down, across) {
  const tall = new Float32Array(down.length * width);
  down.forEach((shares, row) => {
    shares.forEach((share, from) => {
      if (share === 0) return;
      for (let x = 0; x < width; x++) tall[row * width + x] += share * image[from * width + x];
    });
  });
  const found = new Float32Array(down.length * across.length);
  for (let row = 0; row < down.length; row++) {
    across.forEach((shares, column) => {
      let sum = 0;
      for (let x = 0; x < width; x++) sum += shares[x] * tall[row * width + x];
      found[row * across.length + column] = sum;
    });
  }
  return found;
}
