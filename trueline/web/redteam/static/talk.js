// A conversation with a target. The server writes every turn; this puts the new page's part in the place of the old one, so
// that nothing here ever builds markup of what a model said. Without it, the same forms post and lead to the same page.

import { post, twin, announce, free } from "/static/site/kit.js";

const EVERY = 2000; // milliseconds between two looks at a reply that somebody else waits for
const here = () => document.getElementById("talk");
const message = () => document.querySelector(".composer [name=text]");
const draft = `trueline-redteam ${location.pathname}`;

/** Put the conversation that stands at an address in the place of this one. */
async function turnTo(url) {
  const answer = await fetch(url, { headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const talk = page.getElementById("talk");
  if (!answer.ok || !talk) { location.assign(url); return; }
  here().replaceWith(document.adoptNode(talk));
  document.querySelector(".hunts").replaceWith(document.adoptNode(page.querySelector(".hunts")));
  history.replaceState(null, "", url);
  watch();
}

function wrong(text) { document.getElementById("wrong").textContent = text; }

/** Say what came, in the words that stand there: its verdict, or why there is none. */
function told() {
  const last = [...document.querySelectorAll(".turn .theirs")].at(-1);
  const says = last?.querySelector(".verdict p, .wrong")?.textContent ?? "";
  const stance = last?.querySelector(".verdict dd")?.textContent;
  announce(stance ? `The reply is there. The target ${stance}. ${says}` : says);
}

/** Show what was sent, and that an answer is awaited. */
function await_(text) {
  const turn = Object.assign(document.createElement("div"), { className: "turn" });
  const mine = Object.assign(document.createElement("div"), { className: "mine" });
  mine.append(Object.assign(document.createElement("pre"), { className: "text", textContent: text }));
  const theirs = Object.assign(document.createElement("div"), { className: "theirs" });
  theirs.append(Object.assign(document.createElement("p"), { className: "busy", textContent: "The target is answering" }));
  turn.append(mine, theirs);
  here().querySelector(".turns").after(turn);
  here().setAttribute("aria-busy", "true");
  announce("The target is answering");
  return turn;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches(".ask, .claiming")) return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return;
  const fields = Object.fromEntries(new FormData(form));
  const asking = form.matches(".ask");
  button.disabled = true;
  wrong("");
  const shown = asking ? await_(fields.text ?? "…") : null;
  if (asking && form.matches(".composer")) message().value = "";
  try {
    const went = await post(form.getAttribute("action"), fields);
    sessionStorage.removeItem(draft);
    await turnTo(went.to);
    if (asking) { told(); message()?.focus({ preventScroll: true }); here().querySelector(".turn:last-child .theirs")?.scrollIntoView({ block: "nearest" }); } else announce(went.said);
  } catch (error) {
    shown?.remove();
    here().setAttribute("aria-busy", "false");
    button.disabled = false;
    if (form.matches(".composer")) message().value = fields.text;
    wrong(error.status ? error.message : "The line to the server broke. What you sent is kept there if it arrived: reload the page to see.");
    form.querySelector("textarea, select, button")?.focus();
  }
});

document.addEventListener("input", (event) => {
  if (event.target === message()) sessionStorage.setItem(draft, message().value);
});

document.addEventListener("keydown", (event) => {
  const writing = event.target instanceof HTMLTextAreaElement;
  if (writing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    event.target.form.requestSubmit();
  } else if (event.altKey && event.key === "ArrowUp" && message()) {
    event.preventDefault();
    recall();
  } else if (free(event)) {
    const last = [...document.querySelectorAll(".turns > .turn")].at(-1);
    if (event.key === "v") for (const veil of last?.querySelectorAll("[data-veil]") ?? []) veil.click();
    else if (event.key === "m" && message()) { event.preventDefault(); message().focus(); }
    else if (event.key === "c" && last?.querySelector(".claim")) {
      event.preventDefault();
      last.querySelector(".claim").open = true;
      last.querySelector(".claim select").focus();
    }
  }
});

/** Bring back what was said: the last one, then those before it. */
function recall() {
  const said = [...document.querySelectorAll(".turns > .turn")].map((turn) => turn.dataset.said).filter(Boolean).reverse();
  if (!said.length) return;
  const at = said.indexOf(message().value);
  message().value = said[Math.min(at + 1, said.length - 1)];
  message().focus();
  message().dispatchEvent(new Event("input", { bubbles: true }));
}

/** Look now and then, where a reply is under way that this page did not ask for: it was reloaded meanwhile. */
function watch() {
  const waits = here().dataset.waiting;
  if (!waits) return;
  const look = setInterval(async () => {
    if (here().dataset.waiting !== waits) { clearInterval(look); return; }
    const now = await twin(waits).catch(() => null);
    if (now && !now.waiting) { clearInterval(look); await turnTo(location.href); told(); }
  }, EVERY);
}

if (message() && !message().value) message().value = sessionStorage.getItem(draft) ?? "";
watch();
