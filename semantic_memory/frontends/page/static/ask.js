// The playground: a message, what would be injected, why, and what was left out.

import { memory } from "./api.js";
import { count, el, empty, field, percent, say, show } from "./dom.js";
import { WHY_NOT, badges, factText, meter, shares } from "./parts.js";

const NEAR = 12;

export async function askView(place, _rest, { q = "" }) {
  const result = el("div", { class: "result", "aria-live": "polite" });
  const message = el("textarea", { name: "query", rows: 3, required: true, maxlength: 8000, value: q, "data-focus": true,
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(); } });
  const form = el("form", {
    class: "card", onsubmit: (event) => {
      event.preventDefault();
      const given = Object.fromEntries(new FormData(form));
      asked(result, { query: given.query, limit: Number(given.limit) || null, min_relevance: given.least === "" ? null : Number(given.least) });
    },
  },
    field("A message to the agent", message),
    el("div", { class: "line" },
      field("At most", el("input", { name: "limit", type: "number", min: 1, max: 1000, placeholder: "8" })),
      field("Least relevance", el("input", { name: "least", type: "number", min: 0, max: 1, step: "any", placeholder: "calibrated" })),
      el("button", { class: "main" }, "Recall")));
  show(place, el("h1", {}, "Playground"),
    el("p", { class: "hint" }, "What an agent would be told before it answers. The recall is kept on record like any other."), form, result);
  if (q) await asked(result, { query: q });
}

async function asked(place, question) {
  place.setAttribute("aria-busy", "true");
  try {
    const recall = await memory.recall(question);
    const near = await Promise.all(recall.near.slice(0, NEAR).map(async (miss) => [miss, await memory.fact(miss.fact_id)]));
    show(place, answer(recall), el("section", { class: "part" }, el("h2", {}, "What the agent would be told"),
      recall.context ? el("pre", { class: "block", tabindex: 0 }, recall.context) : empty("Nothing is relevant: not a byte is added to the instructions.")),
      el("section", { class: "part" }, el("h2", {}, "Shown"), recall.facts.length ? el("ol", { class: "ranked" }, recall.facts.map((one) =>
        ranked(one.fact, one.relevance, null, one.signals))) : empty("Nothing.")),
      near.length > 0 && el("section", { class: "part" }, el("h2", {}, "Left out"), el("ul", { class: "ranked out" }, near.map(([miss, fact]) =>
        ranked(fact, miss.relevance, WHY_NOT[miss.stopped_by] ?? miss.stopped_by, miss.signals)))));
    say(`${count(recall.facts.length, "fact")} recalled`);
  } catch (problem) {
    show(place, el("p", { class: "complaint", role: "alert" }, problem.message));
  }
  place.removeAttribute("aria-busy");
}

const answer = (recall) => el("p", { class: "meta" }, `${recall.latency_ms.toFixed(1)} ms · answered by the ${recall.answered_by} · `,
  el("a", { href: `#/recalls/${encodeURIComponent(recall.receipt_id)}` }, "its receipt"),
  recall.answerable != null && ` · ${percent(recall.answerable)} sure that these facts hold an answer at all`,
  recall.degraded && el("span", { class: "notice" }, ` ${recall.degraded}`));

const ranked = (fact, relevance, why, signals) => el("li", {},
  el("div", { class: "line" }, el("a", { href: `#/facts/${encodeURIComponent(fact.id)}` }, factText(fact)), meter(relevance)),
  el("small", {}, badges(fact), why && el("span", { class: "why" }, why)), Object.keys(signals).length > 0 && shares(signals));
