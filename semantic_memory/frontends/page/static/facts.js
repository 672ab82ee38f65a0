// Facts: found, filtered, and one of them with everything that is known about it.

import { memory, query } from "./api.js";
import { count, day, el, empty, say, select, show, time } from "./dom.js";
import { factText, badges, doing, meter } from "./parts.js";

const PAGE = 100;
const STATUSES = [["active", "Active"], ["superseded", "Superseded"], ["quarantined", "Kept aside"],
  ["retracted", "Taken back"], ["expired", "Expired"], ["forgotten", "Forgotten"], ["any", "Any status"]];
const ORIGINS = [["", "Anybody"], ["user", "The user"], ["assistant", "An assistant"], ["tool", "A tool"],
  ["operator", "The program"], ["import", "An import"]];

export async function factsView(place, [id], wanted) {
  const list = el("section", { class: "list", "aria-label": "Facts" });
  const detail = el("section", { class: "detail", "aria-live": "off" });
  place.classList.toggle("one", Boolean(id));
  show(place, list, detail);
  const [found] = await Promise.all([fetched(wanted), id ? explained(detail, id, wanted) : hint(detail)]);
  listed(list, found, id, wanted);
}

const fetched = ({ status = "active", text, kind, origin, offset }) => memory.facts({
  ...(status === "any" ? { any_status: true } : { status }), text, kind, origin, offset, limit: PAGE + 1,
});

function listed(place, found, id, wanted) {
  const form = el("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    el("input", { type: "search", name: "text", placeholder: "Find words  ( / )", "aria-label": "Find words", value: wanted.text ?? "" }),
    select("status", STATUSES, wanted.status ?? "active"), select("origin", ORIGINS, wanted.origin ?? ""),
    el("input", { name: "kind", placeholder: "Kind", "aria-label": "Kind", value: wanted.kind ?? "" }));
  form.status.setAttribute("aria-label", "Status");
  form.origin.setAttribute("aria-label", "Said by");
  const refine = () => {
    const given = Object.fromEntries(new FormData(form));
    if (given.status === "active") delete given.status;
    location.hash = `#/facts${query(given)}`;
  };
  form.addEventListener("change", refine);
  const offset = Number(wanted.offset ?? 0);
  const rows = found.slice(0, PAGE).map((fact) =>
    el("li", {}, el("a", {
      class: "row", href: `#/facts/${encodeURIComponent(fact.id)}${query(wanted)}`, "aria-current": fact.id === id && "true",
    }, factText(fact), el("small", {}, day(fact.said_at), badges(fact)))));
  const list = el("ul", { class: "rows", onkeydown: (event) => stepping(event, list) }, rows);
  form.text.addEventListener("keydown", (event) => {
    const first = list.querySelector("a");
    if (event.key === "ArrowDown" && first) { event.preventDefault(); first.focus(); }
  });
  show(place,
    el("div", { class: "head" }, el("h1", {}, "Facts"), el("button", { onclick: () => remember() }, "Add")), form,
    el("p", { class: "hint", role: "status" }, range(found.length > PAGE, rows.length, offset)),
    rows.length ? list : empty("No such facts."),
    el("div", { class: "buttons" },
      offset > 0 && el("a", { class: "button", href: `#/facts${query({ ...wanted, offset: Math.max(0, offset - PAGE) || "" })}` }, "Newer"),
      found.length > PAGE && el("a", { class: "button", href: `#/facts${query({ ...wanted, offset: offset + PAGE })}` }, "Older")));
}

// Which of the facts these are; how many there are in all nobody has counted.
const range = (more, shown, offset) => (more || offset ? `${offset + 1} to ${offset + shown}${more ? ", and more" : ""}` : count(shown, "fact"));

function stepping(event, list) {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step) return;
  const links = [...list.querySelectorAll("a")];
  const next = links[links.indexOf(document.activeElement) + step];
  if (next) { event.preventDefault(); next.focus(); }
}

async function remember() {
  await doing({ title: "Add a fact", fields: [["text", "A statement that stands alone", "", true]], action: "Keep" },
    async ({ text }) => (await memory.remember(text, "fact"))[0]);
}

const hint = (place) => show(place, el("div", { class: "empty tall" },
  el("p", {}, "Choose a fact to see the words that taught it, what it replaced, and where it was shown.")));

async function explained(place, id, wanted) {
  const why = await memory.explain(id);
  const { fact, evidence, history, receipts, chain } = why;
  const last = chain[chain.length - 1];
  show(place,
    el("a", { class: "back", href: `#/facts${query(wanted)}` }, "← All facts"),
    el("article", {},
      el("h2", { tabindex: "-1", "data-focus": true }, factText(fact)),
      el("p", { class: "meta" }, badges(fact, true), " said ", time(fact.said_at), fact.subject && ` · about ${fact.subject}`,
        fact.labels.length > 0 && ` · ${fact.labels.join(", ")}`, " · ", el("code", {}, fact.id)),
      actions(fact),
      fact.conflicts_with && el("p", { class: "notice" }, "It contradicts ",
        el("a", { href: `#/facts/${encodeURIComponent(fact.conflicts_with)}` }, "another fact"), "."),
      part("Because", evidence.map(quoted)),
      chain.length > 1 && part("What was believed, oldest first", [el("ol", { class: "chain" }, chain.map((one) =>
        el("li", { class: one.id === fact.id ? "this" : "", "aria-current": one.id === fact.id && "true" },
          one.id === fact.id ? factText(one) : el("a", { href: `#/facts/${encodeURIComponent(one.id)}` }, factText(one)),
          el("small", {}, time(one.said_at), one === last && one.status === "active" ? " · holds now" : ` · ${one.status}`))))]),
      part("History", [el("ul", { class: "plain" }, history.map((one) => el("li", {}, time(one.at), " ",
        one.before && one.before !== one.after ? `${one.before} → ${one.after}` : one.before ? one.after : `written as ${one.after}`,
        one.reason && el("span", { class: "reason" }, ` “${one.reason}”`))))]),
      part(receipts.length ? `Shown in ${count(receipts.length, "recall")}` : "Never shown yet", [
        el("ul", { class: "plain" }, receipts.slice(0, 50).map((one) => el("li", {},
          el("a", { href: `#/recalls/${encodeURIComponent(one.id)}` }, `“${one.query}”`), " ",
          meter(new Map(one.shown).get(fact.id) ?? 0),
          el("small", {}, time(one.at), one.agent && ` · ${one.agent}`, one.session_id && ` · ${one.session_id}`))))])));
  say("");
}

const part = (title, children) => el("section", { class: "part" }, el("h3", {}, title), children);

function quoted(one) {
  const where = [one.session_id ? `session ${one.session_id}` : `from the ${one.origin === "operator" ? "program" : one.origin}`,
    one.position !== null && `item ${one.position}`, one.agent && `agent ${one.agent}`, one.extractor, one.reason];
  return el("figure", { class: "quote" },
    el("blockquote", {}, el("span", { class: "around" }, one.before),
      one.quote ? el("mark", {}, one.quote) : el("em", {}, "the words are forgotten"), el("span", { class: "around" }, one.after)),
    el("figcaption", {}, where.filter(Boolean).join(" · "), " · ", time(one.said_at ?? one.recorded_at),
      one.run_id && [" · ", el("a", { href: `#/recalls${query({ run_id: one.run_id })}` }, "what the run saw")]));
}

function actions(fact) {
  const why = ["reason", "Why? It is kept in the history.", ""];
  const correct = () => doing({ title: "Correct this fact", fields: [["text", "The statement as it is now", fact.text, true], why], action: "Correct" },
    ({ text, reason }) => memory.correct(fact.id, text, reason));
  const forget = () => doing({
    title: "Forget this fact", text: "Its text, its quotes and its vectors are gone for good; that there was one stays on record.",
    fields: [why], action: "Forget", grave: true,
  }, async ({ reason }) => { await memory.forget(fact.id, reason); return fact; });
  const restore = () => doing({ title: "Believe this again", text: "What has taken its place is superseded.", fields: [why], action: "Restore" },
    ({ reason }) => memory.reinstate(fact.id, reason));
  const current = fact.status === "active";
  return el("div", { class: "buttons" },
    current && el("button", { onclick: correct }, "Correct"),
    !current && fact.status !== "forgotten" && el("button", { onclick: restore }, "Restore"),
    fact.status !== "forgotten" && el("button", { class: "grave", onclick: forget }, "Forget"));
}
