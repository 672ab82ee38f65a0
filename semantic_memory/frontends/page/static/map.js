// The facts on a plane: what is near in meaning is near here, as far as a plane allows.

import { memory } from "./api.js";
import { count, el, empty, show, visible } from "./dom.js";

const NAMED = 40; // facts that have room for their words

export async function mapView(place) {
  const placed = await memory.map();
  const kinds = [...new Set(placed.map(({ fact }) => fact.kind))].sort();
  const label = el("p", { class: "map-label", "aria-hidden": "true" }, "Point at a fact, or walk through them with Tab.");
  const name = (fact) => () => { label.textContent = visible(fact.text); };
  const svg = el("svg", { viewBox: "-112 -76 224 152", class: "plane", role: "group", "aria-label": `Map of ${count(placed.length, "fact")}` },
    placed.map(({ fact, x, y }) => el("svg:a", {
      href: `#/facts/${encodeURIComponent(fact.id)}`, "aria-label": fact.text, class: `dot k${kinds.indexOf(fact.kind) % 6}`,
      onmouseenter: name(fact), onfocus: name(fact),
    }, el("circle", { cx: x * 104, cy: -y * 68, r: 2.2 }), placed.length <= NAMED && named(fact, x, y))));
  show(place, el("h1", {}, "Map"), placed.length ? [el("p", { class: "hint legend" }, kinds.map((kind, at) =>
    el("span", { class: `key k${at % 6}` }, kind))), svg, label] : empty("There is nothing to show yet."));
}

// Towards the middle, so that the words stay on the map.
const named = (fact, x, y) => el("text", {
  x: x * 104 + (x > 0.2 ? -4 : 4), y: -y * 68 + 1.2, "text-anchor": x > 0.2 ? "end" : "start", "aria-hidden": "true",
}, shortened([...fact.text]));

const shortened = (letters) => (letters.length > 34 ? `${letters.slice(0, 32).join("")}…` : letters.join(""));
