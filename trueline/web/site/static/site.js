// What happens on every page: veils that open by a button, and dates that tell the local time.

document.addEventListener("click", (event) => { // here, and not on each: scripts of rooms put more of them into a page
  const veil = event.target instanceof Element && event.target.closest("[data-veil]");
  if (!veil) return;
  const open = veil.closest(".veiled").classList.toggle("open");
  veil.setAttribute("aria-pressed", String(open));
  veil.textContent = open ? "Blur" : "Show";
  for (const text of veil.closest(".veiled").querySelectorAll(".text[aria-hidden]")) text.ariaHidden = String(!open);
});

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString();
}
