// The server, asked with the reader's key. The key stays in this tab, and is gone when the tab is closed.

export const session = {
  get key() { return sessionStorage.getItem("key"); },
  get user() { return sessionStorage.getItem("user"); },
  begin(key, user) { sessionStorage.setItem("key", key); sessionStorage.setItem("user", user); },
  end() { sessionStorage.clear(); },
};

export class Problem extends Error {
  constructor(status, detail) { super(detail); this.status = status; }
}

export async function request(path, { method = "GET", body, key = session.key } = {}) {
  const headers = { Authorization: `Bearer ${key}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch { throw new Problem(0, "The server can't be reached."); }
  if (answer.status === 204) return null;
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, said.detail ?? `The server answered ${answer.status}.`);
  return said;
}

export const query = (wanted) => {
  const given = Object.entries(wanted).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

// Dots are escaped too: a browser would follow an id of two dots upwards.
const segment = (id) => encodeURIComponent(id).replaceAll(".", "%2E");
const mine = (path, options) => request(`/v1/users/${segment(session.user)}${path}`, options);
const post = (path, body) => mine(path, { method: "POST", body });

export const memory = {
  facts: (wanted) => mine(`/facts${query(wanted)}`),
  fact: (id) => mine(`/facts/${segment(id)}`),
  explain: (id) => mine(`/facts/${segment(id)}/explanation`),
  correct: (id, text, reason) => post(`/facts/${segment(id)}/correct`, { text, reason: reason || null }),
  forget: (id, reason) => post(`/facts/${segment(id)}/forget`, { reason: reason || null }),
  reinstate: (id, reason) => post(`/facts/${segment(id)}/reinstate`, { reason: reason || null }),
  remember: (text, kind) => post("/facts", { statements: [{ text, kind }] }),
  recall: (asked) => post("/recall", { source: "page", ...asked }),
  receipts: (wanted) => mine(`/receipts${query(wanted)}`),
  receipt: (id) => mine(`/receipts/${segment(id)}`),
  shown: (wanted) => mine(`/shown${query(wanted)}`),
  timeline: (about) => mine(`/timeline${query({ about })}`),
  map: () => mine("/map"),
};
