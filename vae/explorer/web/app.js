// The page: what is where, and the keys.

import { unpackRows } from "./arrays.js";
import { find, make, tell } from "./dom.js";
import { Engine } from "./engine.js";
import { Pose } from "./pose.js";
import { Face } from "./face.js";
import { makeSliders } from "./sliders.js";
import { makeVariations } from "./variations.js";
import { makeFilm } from "./film.js";
import { Keys, makeFade } from "./keys.js";
import { makePresets } from "./presets.js";
import { makeTools } from "./saving.js";
import { Crops } from "./crops.js";

addEventListener("unhandledrejection", (event) => tell(`Something failed: ${event.reason}`));
try {
  begin();
} catch (error) {
  find("stage").prepend(make("p", { className: "about" },
    `This browser can't show the page: ${error.message}. A current Chromium, Firefox or`
    + " Safari can."));
}

function begin() {
  const model = JSON.parse(find("model").textContent);
  const text = find("worker").textContent;
  const live = new Engine(text, model); // the face alone, so that it never waits
  const patient = new Engine(text, model);
  const pose = new Pose(model);
  const film = model.film ? unpackRows(model.film) : [];
  const face = new Face(live, pose, model);
  const keys = new Keys(patient, pose);
  const crops = new Crops(patient, pose, model);
  const variations = makeVariations(patient, pose, film, unpackRows(model.principal));
  pose.show(pose.fromHash(location.hash) ?? pose.rest);
  addEventListener("hashchange", () => {
    const code = pose.fromHash(location.hash);
    if (code) pose.show(code);
  });
  makeTools(patient, pose, face, keys, model, find("tools"));
  makeFade(patient, pose);
  const open = makeTabs([
    ["Sliders", makeSliders(patient, pose, face)],
    ["More like this", variations],
    ["Walk", keys.view],
    ["Your face", crops.view],
    ["Presets", makePresets(patient, pose, film)],
  ]);
  makeFilm(patient, pose, film);
  crops.onRead = () => open(crops.view);
  takeDrops(crops);
  takeKeys(pose);
  // For the console, and for tests.
  window.explorer = { model, pose, face, live, patient, keys, crops, film };
}

/** Fills the tabs; returns a function that opens a view. */
function makeTabs(views) {
  const tabs = views.map(([name, view], number) => {
    Object.assign(view, { id: `view${number}`, tabIndex: -1 });
    view.setAttribute("role", "tabpanel");
    view.setAttribute("aria-label", name);
    const attributes = { role: "tab", "aria-controls": view.id };
    const on = { click: () => choose(number), keydown: (event) => turn(event, number) };
    return make("button", { type: "button", textContent: name, attributes, on });
  });
  const choose = (chosen) => {
    views.forEach(([, view], number) => {
      view.hidden = number !== chosen;
      tabs[number].setAttribute("aria-selected", number === chosen);
      tabs[number].tabIndex = number === chosen ? 0 : -1;
      if (number === chosen) view.refresh?.();
    });
  };
  const turn = (event, number) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = (number + step + tabs.length) % tabs.length;
    choose(next);
    tabs[next].focus();
  };
  find("tabs").append(...tabs);
  find("views").append(...views.map(([, view]) => view));
  choose(0);
  return (wanted) => choose(views.findIndex(([, view]) => view === wanted));
}

function takeDrops(crops) {
  const sign = find("drop");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    sign.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) sign.hidden = true;
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    sign.hidden = true;
    const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const entries = items.filter(Boolean);
    const files = entries.length
      ? (await Promise.all(entries.map(listFiles))).flat()
      : [...event.dataTransfer.files];
    if (files.length) crops.readFiles(files);
  });
}

/** Resolves to the files of a folder that was dropped, or to the file. */
async function listFiles(entry) {
  if (entry.isFile) return [await new Promise((found, failed) => entry.file(found, failed))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const some = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (!some.length) return files;
    for (const one of some) files.push(...(await listFiles(one)));
  }
}

function takeKeys(pose) {
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey)) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) pose.undo();
    else if (key === "y" || key === "z") pose.redo();
    else return;
    event.preventDefault();
  });
}
