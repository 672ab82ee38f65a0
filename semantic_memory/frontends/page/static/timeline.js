// How what is known came about: chains of facts of which each replaced the one before.

import { memory, query } from "./api.js";
import { count, el, empty, show, time } from "./dom.js";
import { badges, factText } from "./parts.js";

export async function timelineView(place, _rest, { about = "", all }) {
  const chains = await memory.timeline(about);
  const shown = chains.filter((chain) => about || all || chain.length > 1);
  const form = el("form", { class: "filters", role: "search", onsubmit: (event) => {
    event.preventDefault();
    location.hash = `#/timeline${query({ about: form.about.value })}`;
  } }, el("input", { type: "search", name: "about", value: about, placeholder: "About  ( / )", "aria-label": "About" }),
    el("button", {}, "Show"));
  show(place, el("h1", {}, "Timeline"), form, el("p", { class: "hint", role: "status" }, about
    ? `${count(shown.length, "thread")} about “${about}”` : "What has changed. ",
    !about && !all && el("a", { href: "#/timeline?all=1" }, `Also the ${chains.length - shown.length} that never did`)),
    shown.length ? shown.map((chain) => el("ol", { class: "chain" }, chain.map(({ fact, evidence }) =>
      el("li", { class: fact.status === "active" ? "this" : "" },
        el("a", { href: `#/facts/${encodeURIComponent(fact.id)}` }, factText(fact)),
        el("small", {}, time(fact.said_at), badges(fact), evidence[0]?.session_id && ` ${evidence[0].session_id}`)))))
      : empty("Nothing has been replaced yet."));
}
