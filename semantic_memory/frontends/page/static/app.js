// The way in, and which view is shown.

import { request, session } from "./api.js";
import { el, empty, field, say, show } from "./dom.js";
import { askView } from "./ask.js";
import { factsView } from "./facts.js";
import { healthView } from "./health.js";
import { mapView } from "./map.js";
import { recallsView } from "./recalls.js";
import { timelineView } from "./timeline.js";

const VIEWS = {
  facts: ["Facts", factsView], ask: ["Playground", askView], recalls: ["Recalls", recallsView],
  timeline: ["Timeline", timelineView], map: ["Map", mapView], health: ["Health", healthView],
};
const main = document.getElementById("main");
let shown = 0;

async function route() {
  if (!session.key) return signIn();
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const [title, view] = VIEWS[name] ?? VIEWS.facts;
  frame(VIEWS[name] ? name : "facts");
  document.title = `${title} · Semantic memory`;
  const mine = ++shown;
  const place = el("div", { class: `view ${name || "facts"}` });
  try {
    await view(place, rest.map(decodeURIComponent), Object.fromEntries(new URLSearchParams(search)));
  } catch (problem) {
    if (problem.status === 401) { session.end(); return signIn(problem.message); }
    if (problem.status === undefined) console.error(problem);
    show(place, el("h1", {}, title), empty(problem.status === 404 ? "There is no such thing here." : problem.message));
  }
  if (mine !== shown) return;
  const held = main.contains(document.activeElement) ? document.activeElement.name : null;
  show(main, place);
  focus(place, held);
}

// Where it was, if that field is here again; else at what the view is for, or at its title, from where Tab goes on.
function focus(place, held) {
  const title = place.querySelector("h1");
  title?.setAttribute("tabindex", "-1");
  const asked = (held && place.querySelector(`[name=${CSS.escape(held)}]`)) || place.querySelector("[data-focus]") || title;
  asked?.focus();
  say(place.querySelector("h1, h2")?.textContent ?? "");
}

function frame(current) {
  const views = document.getElementById("views");
  views.hidden = false;
  show(views, Object.entries(VIEWS).map(([name, [title]]) =>
    el("a", { href: `#/${name}`, "aria-current": name === current && "page" }, title)));
  views.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone
  const who = document.getElementById("who");
  who.hidden = false;
  show(who, el("span", { class: "user", title: "Whose memory this is" }, session.user),
    el("button", { class: "quiet", onclick: () => { session.end(); location.hash = "#/"; route(); } }, "Leave"));
}

function signIn(problem) {
  document.getElementById("views").hidden = document.getElementById("who").hidden = true;
  document.title = "Semantic memory";
  const complaint = el("p", { class: "complaint", role: "alert" }, problem ?? "");
  const key = el("input", { name: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const user = el("input", { name: "user", autocomplete: "off", spellcheck: "false", "aria-describedby": "user-hint" });
  const form = el("form", {
    class: "card sign-in",
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        const known = await request("/v1/key", { key: key.value.trim() });
        const whose = known.user_id ?? user.value;
        if (!whose) { complaint.textContent = "This key is good for everybody: say whose memory you want to see."; user.focus(); return; }
        session.begin(key.value.trim(), whose);
        route();
      } catch (error) { complaint.textContent = error.message; key.focus(); }
    },
  },
    el("h1", {}, "What is known, and why"),
    el("p", {}, "Every fact with the words that taught it, what replaced it, and each time it was shown to a model."),
    field("Key", key), field("User", user),
    el("p", { class: "hint", id: "user-hint" }, "Only where the key isn't bound to one. Make a key: ",
      el("code", {}, "semantic-memory keys create --scope read,write --user ada")),
    complaint, el("div", { class: "buttons" }, el("button", { class: "main" }, "Look")));
  show(main, form);
  key.focus();
}

addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
  if (event.key === "Escape" && typing?.type === "search") typing.blur();
});
route();
