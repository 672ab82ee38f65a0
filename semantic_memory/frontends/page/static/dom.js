// Elements from values. Text becomes text nodes, never markup; the page's policy would refuse anything else.

const SVG = "http://www.w3.org/2000/svg";
const SPOKEN = new Set(["aria-label", "title", "placeholder"]);
const DRAWN = new Set(["svg", "circle", "line", "path", "text", "svg:a"]);

// Characters that show nothing, or turn the text around, as their numbers; emoji keep their joiners.
const HIDDEN = /[^\P{C}\n\t\u200d]/gu;
export const visible = (text) => text.replace(HIDDEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);

export function el(name, attributes = {}, ...children) {
  const made = DRAWN.has(name) ? document.createElementNS(SVG, name.replace("svg:", "")) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : SPOKEN.has(key) ? visible(String(value)) : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false && one !== "")
    .map((one) => (typeof one === "string" ? visible(one) : one)));
  return made;
}

export function show(place, ...children) {
  place.replaceChildren(...children.flat().filter(Boolean));
}

export function say(words) {
  document.getElementById("say").textContent = visible(words);
}

export const day = (at) => (at ? new Date(at).toLocaleDateString(undefined, { dateStyle: "medium" }) : "");
export const moment = (at) =>
  at ? new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "";
export const time = (at, shown = day) => el("time", { datetime: at, title: moment(at) }, shown(at));
export const percent = (part) => `${Math.round(part * 100)} %`;
export const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
export const field = (label, input) => el("label", { class: "field" }, el("span", {}, label), input);
export const empty = (...words) => el("p", { class: "empty" }, ...words);

export function select(name, choices, chosen) {
  return el("select", { name }, choices.map(([value, words]) =>
    el("option", { value, selected: value === chosen }, words)));
}

const LONGEST = { text: 8000 }; // characters that the server takes; of a reason 2000

// Asks in a dialog; the answers by field, or null where it was left. `fields`: [name, label, value, required].
export function ask({ title, text, fields, action, grave }) {
  const dialog = document.getElementById("dialog");
  return new Promise((done) => {
    const inputs = fields.map(([name, label, value, required]) =>
      field(label, el("textarea", { name, required, rows: name === "text" ? 3 : 1, maxlength: LONGEST[name] ?? 2000, value: value ?? "" })));
    const finish = (answer) => { dialog.close(); done(answer); };
    const form = el("form", {
      method: "dialog",
      onsubmit: (event) => {
        event.preventDefault();
        finish(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])));
      },
    },
      el("h2", { id: "dialog-title" }, title), text && el("p", {}, text), inputs,
      el("div", { class: "buttons" },
        el("button", { type: "button", onclick: () => finish(null) }, "Cancel"),
        el("button", { class: grave ? "grave" : "main" }, action)));
    dialog.oncancel = () => done(null);
    show(dialog, form);
    dialog.showModal();
    (form.querySelector("textarea") ?? form.querySelector("button")).focus();
  });
}
