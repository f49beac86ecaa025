// What scripts of the pages share, and nothing that happens by itself: a POST with the page's token, the JSON twin of a page, its parts,
// words for a screen reader. A room's script says: import { post, announce } from "/static/site/kit.js";

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** Send JSON to an action of this site; returns what it says, or throws an Error with its text, `status` and what else was told. */
export async function post(path, fields, options = {}) {
  const answer = await fetch(path, {
    ...options,
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": token },
    body: JSON.stringify(fields),
  });
  const told = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(told.error ?? `the server answered ${answer.status}`), told, { status: answer.status });
  return told;
}

/** Read the JSON twin of a page. */
export async function twin(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw Object.assign(new Error(`the server answered ${answer.status}`), { status: answer.status });
  return answer.json();
}

/** Say something to a screen reader, and in the page's own live region where it has one. */
export function announce(text) {
  let region = document.querySelector("[data-live]");
  if (!region) {
    region = Object.assign(document.createElement("p"), { className: "hush" });
    region.setAttribute("aria-live", "polite");
    region.dataset.live = "";
    document.body.append(region);
  }
  region.textContent = text;
}

/** Whether a key that was pressed is for the page, and not for a field that is being written in. */
export function free(event) {
  const at = event.target;
  const writing = at instanceof HTMLTextAreaElement || at instanceof HTMLSelectElement ||
    (at instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit"].includes(at.type));
  return !writing && !event.ctrlKey && !event.metaKey && !event.altKey;
}

/** Ask for this page again and put its parts in place of those shown: the elements that a selector finds, one by one in order. */
export async function renew(selector, wanted = () => true) {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = [...page.querySelectorAll(selector)];
  [...document.querySelectorAll(selector)].forEach((part, place) => {
    if (wanted(part) && now[place]) part.replaceWith(document.adoptNode(now[place]));
  });
}
