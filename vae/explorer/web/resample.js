// Resampling by Lanczos's kernel, as Pillow does it: antialiased when smaller, smooth when
// larger.

const LOBES = 3;

function lanczos(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const turn = Math.PI * x;
  return (LOBES * Math.sin(turn) * Math.sin(turn / LOBES)) / turn ** 2;
}

/** For each of the pixels to make: the first one that it is made of, and their shares. */
function findShares(from, to) {
  const scale = Math.max(from / to, 1);
  const reach = LOBES * scale;
  return Array.from({ length: to }, (_, place) => {
    const centre = ((place + 0.5) * from) / to;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(from, Math.trunc(centre + reach + 0.5));
    const shares = [];
    for (let i = first; i < last; i++) shares.push(lanczos((i - centre + 0.5) / scale));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return { first, shares: Float32Array.from(shares, (share) => share / total) };
  });
}

const known = new Map(); // shares that were asked for before

function recallShares(from, to) {
  const key = `${from} ${to}`;
  if (!known.has(key)) known.set(key, findShares(from, to));
  return known.get(key);
}

/** Returns levels (height, width, channels) at another size; rounded after each axis. */
export function resample(levels, height, width, channels, newHeight, newWidth) {
  let found = levels;
  if (newWidth !== width) {
    // Lines are turned upright, so that both axes are done alike, whole lines at once.
    const upright = turn(levels, height, width, channels);
    const resized = mixLines(upright, recallShares(width, newWidth), height * channels);
    found = turn(resized, newWidth, height, channels);
  }
  if (newHeight === height) return found;
  return mixLines(found, recallShares(height, newHeight), newWidth * channels);
}

/** Returns lines of `run` values, each a sum of lines of the source by shares. */
function mixLines(source, places, run) {
  const result = new Uint8ClampedArray(places.length * run);
  const sums = new Float32Array(run);
  places.forEach(({ first, shares }, line) => {
    sums.fill(0);
    for (let k = 0; k < shares.length; k++) {
      const share = shares[k];
      const from = (first + k) * run;
      for (let i = 0; i < run; i++) sums[i] += share * source[from + i];
    }
    result.set(sums, line * run);
  });
  return result;
}

/** Returns (width, height, channels) of levels (height, width, channels). */
function turn(levels, height, width, channels) {
  const found = new Uint8ClampedArray(levels.length);
  let from = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const to = (column * height + row) * channels;
      for (let c = 0; c < channels; c++) found[to + c] = levels[from++];
    }
  }
  return found;
}

/** Returns RGBA of levels (pixels, 1 or 3 channels). */
export function toRGBA(levels, channels) {
  const count = levels.length / channels;
  const found = new Uint8ClampedArray(count * 4).fill(255);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) {
      found[4 * i + c] = levels[i * channels + (channels === 3 ? c : 0)];
    }
  }
  return found;
}

/** Returns levels (pixels, channels) of RGBA; gray as Pillow does (ITU-R 601-2). */
export function fromRGBA(rgba, channels) {
  const count = rgba.length / 4;
  const found = new Uint8ClampedArray(count * channels);
  for (let i = 0; i < count; i++) {
    const [r, g, b] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]];
    if (channels === 3) found.set([r, g, b], 3 * i);
    else found[i] = (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
  }
  return found;
}
