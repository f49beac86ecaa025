// Drafts: kept on the server soon after each change, and in this tab's own storage until the server has them.

import { post } from "/static/site/kit.js";

const SOON = 700; // milliseconds from a change to its draft
const AGAIN = 4000; // from a draft that did not get through to the next try

export class Keeper {
  /** `told(state, error)` is called with saving, saved, offline, stale or lost. */
  constructor(form, sheet, clock, told) {
    Object.assign(this, { form, sheet, clock, told, flying: null, timer: 0, dirty: false, held: false, done: false });
    this.key = `ranking/${form.elements.assignment.value}`;
    this.leased(Number(form.dataset.lease));
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.leave());
    addEventListener("online", () => this.dirty && this.save());
  }

  get version() {
    return this.form.elements.version.value;
  }

  set version(text) {
    this.form.elements.version.value = text;
  }

  fields() {
    const { assignment } = this.form.elements;
    return { assignment: assignment.value, version: this.version, seconds: this.clock.seconds, ...this.sheet.read() };
  }

  /** What this tab had and the server has not; null where there is nothing. */
  left() {
    const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
    if (kept && !this.sheet.same(kept.said, this.sheet.read())) return kept;
    sessionStorage.removeItem(this.key);
    return null;
  }

  changed() {
    this.dirty = true;
    sessionStorage.setItem(this.key, JSON.stringify({ said: this.sheet.read(), version: this.version }));
    this.later(SOON);
  }

  later(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), wait);
  }

  /** Send the draft; one at a time, and again until it got through. Returns whether the server has it now. */
  async save() {
    clearTimeout(this.timer);
    while (this.flying) await this.flying;
    if (this.done || this.held) return false;
    this.flying = this.send();
    const kept = await this.flying;
    return kept;
  }

  async send() {
    const fields = this.fields();
    this.dirty = false;
    this.told("saving");
    try {
      const told = await post(this.form.action, { do: "draft", ...fields });
      this.version = told.version;
      this.leased(told.lease);
      if (!this.dirty) sessionStorage.removeItem(this.key);
      this.told("saved");
      return true;
    } catch (error) {
      this.dirty = true;
      if (this.own(error, fields)) {
        this.version = error.version;
        return await this.send();
      }
      if (error.kind) {
        this.stop(error.kind, error);
      } else if (error.status) {
        this.told("refused", error);
      } else {
        this.told("offline", error);
        this.later(AGAIN);
      }
      return false;
    } finally {
      this.last = fields;
      this.flying = null;
    }
  }

  /** Whether what stands is what this tab sent, and only the reply got lost: then nobody else has changed it. */
  own(error, fields) {
    return error.kind === "stale" && [fields, this.last].some(sent => sent && this.sheet.same(error.draft, sent));
  }

  stop(kind, error) {
    this.done = true;
    this.told(kind, error);
  }

  /** Go on over what another tab has written. */
  over(version) {
    this.version = version;
    this.done = false;
    return this.save();
  }

  /** The page is left: what is not saved yet is sent without waiting. */
  leave() {
    if (!this.dirty || this.done) return;
    post(this.form.action, { do: "draft", ...this.fields() }, { keepalive: true }).then(
      told => { this.version = told.version; }, () => {});
    this.last = this.sheet.read();
  }

  /** An answer is on its way: no draft must overtake it. Waits for the one that flies, and says whether there is still an item. */
  async hold() {
    this.held = true;
    clearTimeout(this.timer);
    while (this.flying) await this.flying;
    return !this.done;
  }

  /** The answer did not get through: drafts go on. */
  release() {
    this.held = false;
    if (this.dirty) this.later(AGAIN);
  }

  /** All is answered: nothing more is kept here. */
  forget() {
    this.done = true;
    clearTimeout(this.timer);
    clearInterval(this.tick);
    sessionStorage.removeItem(this.key);
  }

  /** The item is this annotator's for so many seconds: held on to while they are at it, and told when it ran out. */
  leased(seconds) {
    const half = Date.now() + seconds * 500;
    clearInterval(this.tick);
    clearTimeout(this.end);
    this.tick = setInterval(() => this.clock.awake && Date.now() > half && this.save(), Math.max(1, seconds / 8) * 1000);
    this.end = setTimeout(() => this.done || this.told("over"), seconds * 1000);
  }
}
