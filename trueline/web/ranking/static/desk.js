// The annotator's desk: what each key and each button does to the sheet, said in the live region; and on to the next item.

import { announce, free, post } from "/static/site/kit.js";
import { Clock } from "/static/ranking/clock.js";
import { Keeper } from "/static/ranking/keep.js";
import { inWords, letter, Sheet } from "/static/ranking/sheet.js";

const form = document.querySelector("#sheet");
const cards = [...document.querySelectorAll("[data-card]")];
const help = document.querySelector("#keys");
const notice = document.querySelector("[data-notice]");
const sheet = new Sheet(form);
const clock = new Clock(Number(form.elements.seconds.value));
const keeper = new Keeper(form, sheet, clock, kept);
const reopening = document.querySelector("[data-reopen]").action;
const desk = form.action.replace(/answer$/, "work");
let card = 0; // the one that keys are for
let asked = sheet.questions[0];
let over = false; // whether the notice tells of a lease that ran out
let sending = null; // what is on its way, to be sent again as it was

const capital = text => text[0].toUpperCase() + text.slice(1);
const named = () => `Card ${letter(card)}`;

// ---- where one is ----

function goTo(next, say = true) {
  card = Math.max(0, Math.min(cards.length - 1, next));
  cards[card].focus();
  if (say) announce(next === card ? told() : `${named()} is the ${next < 0 ? "first" : "last"}`);
}

function told() {
  const ranks = sheet.questions.map(question => `${question} ${sheet.rank(question, card) ?? "no rank"}`);
  return `${named()}: ${ranks.join(", ")}`;
}

function mark() {
  cards.forEach((one, place) => one.classList.toggle("now", place === card));
}

function ask(question, say = true) {
  asked = question;
  for (const one of document.querySelectorAll("[data-ask]")) one.setAttribute("aria-pressed", String(one.dataset.ask === question));
  for (const one of document.querySelectorAll(".rank")) one.classList.toggle("asked", sheet.questions.length > 1 && one.dataset.question === question);
  if (say) announce(`Number keys rank by: ${question}`);
}

// ---- what is said ----

/** Show what follows from the sheet, and keep it. */
function settle(say) {
  for (const question of sheet.questions) {
    const place = form.querySelector(`[data-implied="${question}"]`);
    place.textContent = `${capital(question)}: ${inWords(sheet.read()[question])}`;
  }
  if (sheet.changed()) {
    sending = null;
    keeper.changed();
  }
  if (say) announce(say);
}

function rank(number) {
  if (number > sheet.size) return announce(`Ranks go from 1 to ${sheet.size} here`);
  sheet.setRank(asked, card, number);
  settle(`${named()}: ${asked} ${number ?? "no rank"}. ${inWords(sheet.read()[asked])}`);
}

function tie() {
  const other = sheet.before(asked, card);
  if (other === null) return announce("No card is ranked yet: there is nothing to tie with");
  sheet.setRank(asked, card, sheet.rank(asked, other));
  settle(`${named()}: ${asked} ${sheet.rank(asked, card)}, a tie with card ${letter(other)}. ${inWords(sheet.read()[asked])}`);
}

function flag(name, words) {
  const box = sheet.field(name, card);
  box.checked = !box.checked;
  lone(name, card);
  settle(`${named()}: ${box.checked ? "" : "not "}${words}`);
}

/** A card refuses, or refuses and gives all the same: not both. */
function lone(name, at) {
  const other = name === "refused" ? "refused_but_gave" : "refused";
  if (sheet.field(name, at).checked) sheet.field(other, at).checked = false;
}

function bad() {
  const box = form.elements.all_bad;
  box.checked = !box.checked;
  settle(box.checked ? "All are bad" : "Not all are bad");
}

function veils() {
  const all = [...document.querySelectorAll("[data-veil]")];
  if (!all.length) return announce("Nothing is blurred here");
  const shut = all.filter(one => one.getAttribute("aria-pressed") === "false");
  for (const one of shut.length ? shut : all) one.click();
  announce(shut.length ? "All text is shown" : "All text is blurred");
}

async function undo() {
  if (sheet.undo()) {
    sending = null;
    keeper.changed();
    settle(`Undone. ${told()}`);
    return;
  }
  try {
    if (keeper.dirty && !(await keeper.save())) return;
    const back = await post(reopening, {});
    leave(back);
  } catch (error) {
    announce(capital(error.message));
  }
}

// ---- to the server ----

async function draft() {
  if (await keeper.save()) announce("Draft saved");
}

async function finish(what, more = {}) {
  if (what === "submit" && sheet.lacking()) {
    const lacking = sheet.lacking();
    ask(lacking, false);
    return announce(`Not submitted: rank one card or more by ${lacking}, or say that all are bad (b)`);
  }
  if (keeper.held) return;
  if (!(await keeper.hold())) {
    keeper.release();
    return announce("Nothing was sent: look at the note above the prompt");
  }
  // The very same is sent again after a lost answer, so that the server knows it for the same.
  if (sending?.do !== what || sending.reason !== more.reason) sending = { ...keeper.fields(), do: what, ...more };
  announce("Sending");
  try {
    const went = await post(form.action, sending);
    keeper.forget();
    leave(went);
  } catch (error) {
    keeper.release();
    if (keeper.own(error, sending)) {
      keeper.version = error.version;
      sending = null;
      return finish(what, more);
    }
    if (error.kind) keeper.stop(error.kind, error);
    else if (error.status) announce(`Not sent: ${error.message}`);
    else announce("Not sent: no connection. Nothing is lost; try again with Enter");
    if (error.status) sending = null;
  }
}

/** Go where an action leads, and have the next page say what was done. */
function leave(went) {
  keeper.forget();
  location.replace(`${went.to}?said=${encodeURIComponent(went.said)}`);
}

function kept(state, error) {
  const place = form.querySelector("[data-saved]");
  const words = { saving: "saving", saved: "draft saved", offline: "not saved yet: no connection; kept in this tab" };
  place.textContent = words[state] ?? "not saved";
  if (state === "saved" && over && !notice.hidden) hush();
  if (state !== "saving") over = state === "over";
  if (state === "offline") announce("No connection: what you do is kept in this tab, and sent when there is one");
  if (state === "refused") announce(`The draft was not saved: ${error.message}`);
  if (state === "over") tell("The time for this item ran out. If nobody has taken it over, you can go on.", ["Go on", () => keeper.save()]);
  if (state === "lost") tell(capital(error.message) + ".", ["Next item", () => location.replace(desk)]);
  if (state === "stale") tell(capital(error.message) + ".", ["Take what is stored", () => { keeper.forget(); location.replace(desk); }], ["Keep what is here", async () => (await keeper.over(error.version)) && hush()]);
}

/** Say what stands in the way, with what can be done; the focus goes to the first. */
function tell(text, ...doors) {
  notice.querySelector("[data-notice-text]").textContent = text;
  notice.querySelector("[data-notice-doors]").replaceChildren(...doors.map(([label, act]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    button.addEventListener("click", act);
    return button;
  }));
  notice.hidden = false;
  notice.querySelector("button").focus();
}

function hush() {
  notice.hidden = true;
  goTo(card, false);
  announce("Go on: your draft is saved");
}

function why(what) {
  const field = document.querySelector(`#why-${what}`);
  field.focus();
  announce(`${what === "discard" ? "Discard" : "Cannot judge"}: write the reason, then Enter; Escape goes back`);
}

function showHelp() {
  help.showModal();
}

// ---- keys and hands ----

const KEYS = {
  "=": tie, "0": () => rank(null), Backspace: () => rank(null), u: undo, s: () => finish("skip"), d: () => why("discard"),
  x: () => why("cannot"), b: bad, r: () => flag("refused", "refused"), e: () => flag("refused_but_gave", "refused, but gave it anyway"),
  v: veils, h: () => sheet.questions.length > 1 ? ask(sheet.questions.find(one => one !== asked)) : announce(`Only ${asked} is asked here`),
  j: () => goTo(card + 1), k: () => goTo(card - 1), "?": showHelp,
};
const ARROWS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
const single = document.querySelector("[data-single]");

document.addEventListener("keydown", event => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    event.preventDefault();
    draft();
    return;
  }
  const at = event.target;
  if (event.key === "Escape" && at.id?.startsWith("why-")) return goTo(card);
  if (help.open || !free(event) || event.isComposing) return;
  if (event.key === "Enter" || ARROWS[event.key]) {
    if (at !== document.body && !at.matches("[data-card], #main")) return; // a button, a link, a radio: its own key
    event.preventDefault();
    if (event.repeat && event.key === "Enter") return;
    return event.key === "Enter" ? finish("submit") : goTo(card + ARROWS[event.key]);
  }
  if (!single.checked && event.key !== "?") return;
  const does = /^[1-9]$/.test(event.key) ? () => rank(Number(event.key)) : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!does || (event.repeat && !["j", "k"].includes(event.key))) return;
  event.preventDefault();
  does();
});

for (const one of cards) one.addEventListener("focusin", () => { card = Number(one.dataset.card); mark(); });
for (const one of cards) one.addEventListener("pointerdown", () => { card = Number(one.dataset.card); mark(); });

form.addEventListener("change", event => {
  const [name, at] = event.target.name.split(".");
  if (at !== undefined && name.startsWith("refused")) lone(name, Number(at));
  if (sheet.questions.includes(name)) {
    ask(name, false);
    sheet.ranked(name, Number(at));
  }
  settle(at === undefined ? (event.target.checked ? "All are bad" : "Not all are bad") : told());
});
form.addEventListener("submit", event => {
  event.preventDefault();
  const what = event.submitter?.value || "submit";
  if (what === "draft") draft();
  else finish(what);
});
for (const one of document.querySelectorAll("[data-why]")) {
  one.addEventListener("submit", event => {
    event.preventDefault();
    finish(one.dataset.why, { reason: one.elements.reason.value });
  });
}
document.querySelector("[data-reopen]").addEventListener("submit", event => {
  event.preventDefault();
  sheet.past.length = 0;
  undo();
});
for (const one of document.querySelectorAll("[data-ask]")) one.addEventListener("click", () => ask(one.dataset.ask));
for (const [found, act] of [["[data-help]", showHelp], ["[data-undo]", undo]]) {
  const button = document.querySelector(found);
  button.hidden = false;
  button.addEventListener("click", act);
}
single.checked = localStorage.getItem("trueline-single-keys") !== "off";
single.addEventListener("change", () => localStorage.setItem("trueline-single-keys", single.checked ? "on" : "off"));
addEventListener("pageshow", event => event.persisted && location.reload());

// ---- the beginning ----

document.querySelector("[data-switch]")?.removeAttribute("hidden");
ask(asked, false);
for (const question of sheet.questions) for (let at = 0; at < sheet.size; at++) sheet.ranked(question, at);
cards[0].focus({ preventScroll: true });
mark();
const said = new URLSearchParams(location.search).get("said");
if (said) history.replaceState(null, "", location.pathname);
const rest = keeper.left();
if (rest) {
  sheet.write(rest.said);
  keeper.version = rest.version;
  settle("What this tab had is here again");
  keeper.changed();
  keeper.save();
} else {
  announce(`${said ? `${capital(said.slice(0, 200))}. ` : ""}${cards.length} cards by ${sheet.questions.join(" and ")}. ${named()} has the focus; ? tells the keys`);
}
document.documentElement.dataset.ready = "";
