// Recalls: what was asked, what a model was told, and what a whole run saw.

import { memory, query } from "./api.js";
import { count, el, empty, moment, percent, show, time } from "./dom.js";
import { WHY_NOT, badges, factText, meter } from "./parts.js";

export async function recallsView(place, [id], wanted) {
  if (id) return one(place, id);
  const receipts = await memory.receipts({ ...wanted, limit: 200 });
  const told = wanted.run_id ? await memory.shown({ run_id: wanted.run_id }) : [];
  show(place, el("h1", {}, wanted.run_id ? "What a run saw" : "Recalls"),
    wanted.run_id && el("p", { class: "meta" }, "Run ", el("code", {}, wanted.run_id), ` · ${count(told.length, "fact")}`),
    told.length > 0 && el("ul", { class: "ranked" }, told.map(({ fact, evidence }) => el("li", {},
      el("a", { href: `#/facts/${encodeURIComponent(fact.id)}` }, factText(fact)),
      el("small", {}, badges(fact), evidence[0]?.quote && `“${evidence[0].quote}”`)))),
    receipts.length ? el("ul", { class: "rows" }, receipts.map((receipt) => el("li", {},
      el("a", { class: "row", href: `#/recalls/${encodeURIComponent(receipt.id)}` },
        el("span", { class: "words", dir: "auto" }, receipt.query),
        el("small", {}, time(receipt.at, moment), el("span", { class: `badge ${receipt.shown.length ? "active" : ""}` },
          receipt.shown.length ? count(receipt.shown.length, "fact") : "silence"),
          receipt.agent && el("span", { class: "badge" }, receipt.agent), el("span", { class: "badge" }, receipt.source),
          receipt.degraded && el("span", { class: "badge conflict" }, "degraded")))))) : empty("Nobody has asked yet."));
}

async function one(place, id) {
  const receipt = await memory.receipt(id);
  const ids = [...receipt.shown.map(([fact]) => fact), ...receipt.near.slice(0, 12).map((miss) => miss.fact_id)];
  const facts = new Map(await Promise.all([...new Set(ids)].map(async (fact) => [fact, await memory.fact(fact).catch(() => null)])));
  const row = (fact, relevance, why) => el("li", {}, el("div", { class: "line" },
    facts.get(fact) ? el("a", { href: `#/facts/${encodeURIComponent(fact)}` }, factText(facts.get(fact))) : el("em", {}, "gone"),
    meter(relevance)), el("small", {}, facts.get(fact) && badges(facts.get(fact)), why && el("span", { class: "why" }, why)));
  show(place, el("a", { class: "back", href: "#/recalls" }, "← All recalls"),
    el("h1", { tabindex: "-1", "data-focus": true, dir: "auto" }, `“${receipt.query}”`),
    el("dl", { class: "facts-of" }, pairs(receipt).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    receipt.degraded && el("p", { class: "notice" }, receipt.degraded),
    el("section", { class: "part" }, el("h2", {}, "What the model was told"), receipt.shown.length
      ? el("ol", { class: "ranked" }, receipt.shown.map(([fact, relevance]) => row(fact, relevance))) : empty("Nothing: memory was silent.")),
    receipt.near.length > 0 && el("section", { class: "part" }, el("h2", {}, "What was left out"),
      el("ul", { class: "ranked out" }, receipt.near.slice(0, 12).map((miss) => row(miss.fact_id, miss.relevance, WHY_NOT[miss.stopped_by] ?? miss.stopped_by)))));
}

const pairs = (receipt) => [["When", moment(receipt.at)], ["Asked by", receipt.source], ["Answered by", receipt.answered_by],
  ["Took", `${receipt.latency_ms.toFixed(1)} ms`], ["Holds an answer", receipt.answerable != null && percent(receipt.answerable)], ["Agent", receipt.agent], ["Session", receipt.session_id],
  ["Run", receipt.run_id && el("a", { href: `#/recalls${query({ run_id: receipt.run_id })}` }, receipt.run_id)], ["Trace", receipt.trace_id],
].filter(([, value]) => value);
