// The sheet: what the form says, read and written as one plain value, and every change of it with a way back.

export class Sheet {
  constructor(form) {
    this.form = form;
    this.size = Number(form.dataset.size);
    this.questions = form.dataset.questions.split(" ");
    this.past = [];
    this.order = Object.fromEntries(this.questions.map(question => [question, []])); // cards in the order in which they were ranked
    this.known = JSON.stringify(this.read());
  }

  field(name, card) {
    return this.form.elements[`${name}.${card}`];
  }

  /** Check one of a card's radio buttons; a RadioNodeList's own setter passes over the empty value. */
  pick(question, card, rank) {
    for (const one of this.field(question, card)) one.checked = one.value === String(rank ?? "");
  }

  /** All that is said: ranks and flags in the order of the cards shown. */
  read() {
    const each = take => Array.from({ length: this.size }, (_, card) => take(card));
    const said = {};
    for (const question of this.questions) said[question] = each(card => Number(this.field(question, card).value) || null);
    for (const flag of ["refused", "refused_but_gave"]) said[flag] = each(card => this.field(flag, card).checked);
    said.all_bad = this.form.elements.all_bad.checked;
    return said;
  }

  write(said) {
    for (let card = 0; card < this.size; card++) {
      for (const question of this.questions) this.pick(question, card, said[question][card]);
      for (const flag of ["refused", "refused_but_gave"]) this.field(flag, card).checked = said[flag][card];
    }
    this.form.elements.all_bad.checked = said.all_bad;
    this.known = JSON.stringify(this.read());
  }

  /** Whether two sheets say the same, whatever else is in them. */
  same(one, other) {
    const plain = said => JSON.stringify([...this.questions, "refused", "refused_but_gave", "all_bad"].map(name => said[name]));
    return plain(one) === plain(other);
  }

  /** Note a change that was made, by a key or a hand; returns whether there was one. */
  changed() {
    const now = JSON.stringify(this.read());
    if (now === this.known) return false;
    this.past.push(this.known);
    this.known = now;
    return true;
  }

  undo() {
    const before = this.past.pop();
    if (before) this.write(JSON.parse(before));
    return Boolean(before);
  }

  rank(question, card) {
    return Number(this.field(question, card).value) || null;
  }

  setRank(question, card, rank) {
    this.pick(question, card, rank);
    this.ranked(question, card);
  }

  /** Remember which card was ranked last. */
  ranked(question, card) {
    this.order[question] = this.order[question].filter(other => other !== card);
    if (this.rank(question, card)) this.order[question].push(card);
  }

  /** The card that was ranked before this one, else the one that lies before it; null where neither has a rank. */
  before(question, card) {
    const last = this.order[question].findLast(other => other !== card && this.rank(question, other));
    if (last !== undefined) return last;
    return card > 0 && this.rank(question, card - 1) ? card - 1 : null;
  }

  /** The first question that says too little to be submitted. */
  lacking() {
    if (this.form.elements.all_bad.checked) return null;
    return this.questions.find(question => !this.read()[question].some(Boolean)) ?? null;
  }
}

/** What ranks imply, in the words that the server uses (told.in_words). */
export function inWords(ranks) {
  const size = ranks.length, ranked = ranks.filter(Boolean).length;
  if (!ranked) return `0 of ${size} ranked`;
  let pairs = 0, ties = 0;
  for (let i = 0; i < size; i++) for (let j = i + 1; j < size; j++) {
    if (!ranks[i] && !ranks[j]) continue;
    pairs += 1;
    ties += ranks[i] === ranks[j];
  }
  const whole = pairs === size * (size - 1) / 2 ? "all " : "";
  const tied = ties ? `, ${ties} of them ${ties === 1 ? "a tie" : "ties"}` : "";
  return `${ranked} of ${size} ranked: ${whole}${pairs} pair${pairs === 1 ? "" : "s"} implied${tied}`;
}

export const letter = card => "ABCDEFGHI"[card];
