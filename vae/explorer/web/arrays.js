// Arrays of the model, as vae/explorer/content.py packs them.

/** Returns the bytes of base64 text. */
export function fromBase64(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** Returns the number that 16 bits of half precision stand for. */
export function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Returns a packed array as Float32Array, rows first. */
export function unpack({ form, scale, data }) {
  const bytes = fromBase64(data);
  const view = new DataView(bytes.buffer);
  const size = form === "f2" ? 2 : 4;
  const found = new Float32Array(bytes.length / size);
  for (let i = 0; i < found.length; i++) {
    const value =
      form === "f2" ? fromHalf(view.getUint16(2 * i, true)) : view.getFloat32(4 * i, true);
    found[i] = scale * value;
  }
  return found;
}

/** Returns a packed matrix as an array of rows. */
export function unpackRows(packed) {
  const values = unpack(packed);
  const width = packed.shape[1];
  const rows = [];
  for (let at = 0; at < values.length; at += width) {
    rows.push(values.subarray(at, at + width));
  }
  return rows;
}

/** Returns the sum of products of two rows. */
export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
