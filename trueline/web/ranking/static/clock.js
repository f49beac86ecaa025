// Active time: it runs while the page is seen and somebody has touched it within the last minute.

const QUIET = 60_000; // milliseconds after the last touch at which it stops
const TOUCHES = ["keydown", "pointerdown", "pointermove", "wheel", "touchstart", "scroll"];

export class Clock {
  /** `before`: seconds that were counted earlier, by the draft. */
  constructor(before) {
    this.before = before * 1000;
    this.counted = 0;
    this.since = Date.now(); // up to here all is counted
    this.touched = Date.now();
    for (const kind of TOUCHES) addEventListener(kind, () => this.touch(), { passive: true, capture: true });
    document.addEventListener("visibilitychange", () => this.count(document.hidden));
  }

  touch() {
    this.count();
    this.touched = Date.now();
  }

  /** Whether somebody is there. */
  get awake() {
    return !document.hidden && Date.now() - this.touched < QUIET;
  }

  /** Count up to now; `seen` says whether the page was seen until now. */
  count(seen = !document.hidden) {
    const now = Date.now();
    if (seen) this.counted += Math.max(0, Math.min(now, this.touched + QUIET) - this.since);
    this.since = now;
  }

  get seconds() {
    this.count();
    return Math.round((this.before + this.counted) / 100) / 10;
  }
}
