// How the memory is: for everybody whether the server is ready; the doctor's report for keys that may see it.

import { memory, request } from "./api.js";
import { count, el, empty, moment, show } from "./dom.js";

export async function healthView(place) {
  const ready = await fetch("/health/ready").then((answer) => answer.ok, () => false);
  const [key, facts] = await Promise.all([request("/v1/key"), memory.facts({ any_status: true, limit: 1000 })]);
  const report = key.user_id === null && key.scopes.includes("admin") ? await request("/v1/health") : null;
  const byStatus = Map.groupBy ? Map.groupBy(facts, (fact) => fact.status) : grouped(facts);
  show(place, el("h1", {}, "Health"),
    el("p", { class: `state ${ready ? "good" : "bad"}` }, ready ? "The server is ready." : "The server is not ready."),
    el("section", { class: "part" }, el("h2", {}, "This memory"), el("dl", { class: "facts-of" }, [...byStatus].map(([status, some]) =>
      el("div", {}, el("dt", {}, status), el("dd", {}, facts.length === 1000 ? `${some.length} of the newest 1000` : String(some.length)))))),
    report && doctor(report),
    el("p", { class: "hint" }, `This key may ${key.scopes.join(", ")}${key.user_id === null ? " everybody's memory" : " this memory"}.`));
}

const doctor = (report) => el("section", { class: "part" }, el("h2", {}, "What the doctor sees"),
  el("dl", { class: "facts-of" }, [["Looked", moment(report.at)], ["Users", report.users.length], ["Model", report.model ?? "none"],
    ...Object.entries(report.size).map(([name, bytes]) => [name, `${(bytes / 2 ** 20).toFixed(1)} MiB`])].map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))),
  report.findings.length ? el("ul", { class: "plain" }, report.findings.map((one) => el("li", {},
    el("span", { class: `badge ${one.grave ? "conflict" : ""}` }, one.check), ` ${one.what}`, one.user_id && ` (${one.user_id})`,
    one.fact_ids.length > 0 && `: ${count(one.fact_ids.length, "fact")}`))) : empty("Nothing is wrong."));

function grouped(facts) {
  const found = new Map();
  for (const fact of facts) found.set(fact.status, [...(found.get(fact.status) ?? []), fact]);
  return found;
}
