// Elements, and what a person is told.

/** Returns a new element: attributes, `on` for events, other names as properties. */
export function make(tag, { on = {}, attributes = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const [name, handler] of Object.entries(on)) element.addEventListener(name, handler);
  element.append(...children);
  return element;
}

/** Returns a button that says what it does, in its title too. */
export function button(text, title, click, className = "") {
  const attributes = { "aria-label": title };
  return make("button", {
    type: "button", className, title, textContent: text, attributes, on: { click },
  });
}

/** Gives a button another text, and another name for screen readers. */
export function rename(element, text, title) {
  element.textContent = text;
  element.title = title;
  element.setAttribute("aria-label", title);
}

/** Returns the element of an id. */
export function find(id) {
  return document.getElementById(id);
}

let clearing = 0;

/** Tells a line; screen readers say it as well. */
export function tell(text) {
  const status = find("status");
  status.textContent = text;
  status.classList.add("shown");
  clearTimeout(clearing);
  clearing = setTimeout(() => status.classList.remove("shown"), 4000);
}

/** Returns a canvas for small pictures. */
export function thumbnail() {
  return make("canvas", { className: "thumb", width: 1, height: 1 });
}

/** Draws what a worker decoded. */
export function draw(canvas, { rgba, width, height }) {
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
  }
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

/** Gives a file to a person. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
