// What happens on every page: veils that open by a button, dates that tell the local time, charts that were not ready, and
// parts that renew themselves (data-renew="SECONDS" on an element with an id) until somebody says stop.

import { announce, renew } from "/static/site/kit.js";

document.addEventListener("click", (event) => { // here, and not on each: scripts of rooms put more of them into a page
  const veil = event.target instanceof Element && event.target.closest("[data-veil]");
  if (!veil) return;
  const open = veil.closest(".veiled").classList.toggle("open");
  if (veil.hasAttribute("aria-pressed")) veil.setAttribute("aria-pressed", String(open));
  (veil.querySelector("[data-word]") ?? veil).textContent = open ? "Blur" : "Show";
  for (const text of veil.closest(".veiled").querySelectorAll(".text[aria-hidden]")) text.ariaHidden = String(!open);
});

function tellTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString();
  }
}
tellTimes(document);

let tries = 0;
async function finish() {
  if (!document.querySelector(".panels[data-unfinished]") || tries++ > 20) return;
  await renew(".panels", (part) => "unfinished" in part.dataset).catch(() => {});
  setTimeout(finish, 400 + 200 * tries);
}
setTimeout(finish, 400);

const fresh = document.querySelector("[data-renew]");
if (fresh) {
  let going = true;
  const stop = document.querySelector("[data-renew-stop]");
  if (stop) {
    stop.hidden = false;
    stop.addEventListener("click", () => {
      going = !going;
      stop.textContent = going ? "Stop refreshing" : "Refresh again";
      announce(going ? "This page refreshes." : "This page does not refresh any more.");
    });
  }
  setInterval(async () => {
    const reading = document.activeElement?.closest("[data-renew]") || document.querySelector("[data-renew] .veiled.open");
    if (!going || document.hidden || reading) return;
    await renew("[data-renew]").catch(() => {});
    tellTimes(document);
    tries = 0;
    setTimeout(finish, 400);
  }, 1000 * Number(fresh.dataset.renew));
}

const here = document.querySelector(".top [aria-current]"); // on a phone the navigation is one row, which scrolls
if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2;
