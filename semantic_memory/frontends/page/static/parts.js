// What several views show.

import { ask, el, percent, say } from "./dom.js";

export const WHY_NOT = {
  threshold: "not relevant enough", gate: "the facts hold no answer, it seems", share: "far behind the best", limit: "behind the limit", budget: "over the token budget",
  duplicate: "says the same as a better one", quota: "too many of its origin", label: "has another label",
};

export const factText = (fact) =>
  fact.status === "forgotten" ? el("em", {}, "forgotten") : el("span", { class: "words", dir: "auto" }, fact.text);

export function badges(fact, all = false) {
  const shown = [
    (all || fact.status !== "active") && [fact.status, fact.status === "quarantined" ? "kept aside" : fact.status],
    (all || fact.kind !== "fact") && ["kind", fact.kind],
    (all || fact.origin !== "user") && ["origin", fact.origin],
    fact.conflicts_with && ["conflict", "disputed"],
  ];
  return shown.filter(Boolean).map(([kind, words]) => el("span", { class: `badge ${kind}` }, words));
}

export const meter = (part) => el("span", { class: "meter", title: "relevance" },
  el("meter", { min: 0, max: 1, value: part, "aria-label": `relevance ${percent(part)}` }), percent(part));

// Asks, does, says that it is done, and shows the fact that came out of it; a refusal is said in a dialog too.
export async function doing(dialog, work) {
  const answer = await ask(dialog);
  if (!answer) return;
  try {
    const fact = await work(answer);
    say(`Done: ${dialog.title}`);
    const target = `#/facts/${encodeURIComponent(fact.id)}`;
    if (location.hash === target) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = target;
  } catch (problem) {
    await ask({ title: "That didn't work", text: problem.message, fields: [], action: "All right" });
  }
}

// Each signal's share of the log-odds, as bars to the left (against) and to the right (for).
export function shares(signals) {
  const sorted = Object.entries(signals).filter(([, share]) => Math.abs(share) > 0.01)
    .sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  const most = Math.max(1, ...sorted.map(([, share]) => Math.abs(share)));
  return el("details", { class: "shares" }, el("summary", {}, "Why so relevant"),
    el("table", {}, el("caption", {}, "Each signal's share of the log-odds"), el("tbody", {}, sorted.map(([name, share]) =>
      el("tr", {}, el("th", { scope: "row" }, name.replaceAll("_", " ")),
        el("td", {}, bar(share / most)), el("td", { class: "number" }, `${share > 0 ? "+" : "−"}${Math.abs(share).toFixed(2)}`))))));
}

const bar = (part) => el("svg", { viewBox: "-50 0 100 8", class: "bar", "aria-hidden": "true", preserveAspectRatio: "none" },
  el("line", { x1: 0, y1: 0, x2: 0, y2: 8 }),
  el("path", { class: part > 0 ? "for" : "against", d: `M0 1H${part * 48}V7H0Z` }));
