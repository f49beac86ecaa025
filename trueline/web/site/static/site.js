// What happens on every page: veils that open by a button, and dates that tell the local time.

for (const veil of document.querySelectorAll("[data-veil]")) {
  veil.addEventListener("click", () => {
    const open = veil.closest(".veiled").classList.toggle("open");
    veil.setAttribute("aria-pressed", String(open));
    veil.textContent = open ? "Blur" : "Show";
  });
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString();
}
