// Pictures, codes, films and links, out and in.

import { button, download, draw, make, tell } from "./dom.js";

const LARGE = 512; // pixels a side, about, of a picture to keep
const LARGEST = 1 << 24; // bytes of a code that is opened

/** Fills the toolbar. */
export function makeTools(engine, pose, face, keys, model, tools) {
  const name = model.title.replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 60) || "actor";
  const undo = button("↶", "Undo", () => pose.undo());
  const redo = button("↷", "Redo", () => pose.redo());
  const rest = button("Rest", "Back to the face at rest", () => pose.show(pose.rest));
  const follow = () => {
    undo.disabled = !pose.canStep(-1);
    redo.disabled = !pose.canStep(1);
  };
  pose.addEventListener("keep", follow);
  follow();
  const savePicture = async (zoom) => {
    const canvas = make("canvas");
    draw(canvas, await engine.decode(pose.code, zoom));
    canvas.toBlob((blob) => download(blob, `${name}.png`), "image/png");
  };
  const saveCode = () => {
    const values = { z_mean: [Array.from(pose.code)], files: [name] };
    download(new Blob([JSON.stringify(values)], { type: "application/json" }), `${name}.json`);
  };
  const saveFilm = async () => {
    const film = await keys.record(face.canvas);
    if (film) download(film, `${name}.${film.type.split("/")[1]}`);
    else if (keys.poses.length < 2) tell("Add two key poses or more first, under Walk");
    else tell("This browser can't record a canvas; Chromium, Firefox and Safari 14 can");
  };
  const copyLink = async () => {
    const link = `${location.href.split("#")[0]}#${pose.toHash()}`;
    try {
      await navigator.clipboard.writeText(link);
      tell("The link to this face is copied; it opens this same file");
    } catch {
      location.hash = pose.toHash();
      tell("The address bar has the link to this face");
    }
  };
  const chosen = make("input", {
    type: "file", accept: ".json,application/json", hidden: true,
    on: { change: () => openCode(chosen.files[0], pose) },
  });
  const zoom = Math.max(2, Math.round(LARGE / Math.max(model.width, model.height)));
  const large = `${model.width * zoom} × ${model.height * zoom}`;
  const items = [
    [`Picture, ${large}`, () => savePicture(zoom)],
    [`Picture, ${model.width} × ${model.height}`, () => savePicture(1)],
    ["Film of the walk", saveFilm],
    ["Code, as JSON", saveCode],
    ["Open a code …", () => chosen.click()],
    ["Copy a link to this face", copyLink],
  ];
  const menu = make("details", { className: "menu" }, make("summary", { textContent: "Save" }));
  const close = (action) => () => {
    menu.open = false;
    action();
  };
  menu.append(make("div", {}, ...items.map(([text, action]) => button(text, text, close(action)))));
  document.addEventListener("pointerdown", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu.open = false;
  });
  tools.append(undo, redo, rest, menu, chosen);
}

/** Shows the code of a file that `Code, as JSON` wrote. */
export async function openCode(file, pose) {
  let code = null;
  try {
    if (file.size <= LARGEST) code = pose.check(JSON.parse(await file.text()).z_mean[0]);
  } catch {
    code = null;
  }
  if (code) pose.show(code);
  else tell(`${file.name}: no code of this actor: ${pose.rest.length} numbers expected`);
}
