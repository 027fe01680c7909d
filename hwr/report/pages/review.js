// The review: a grid of glyphs, each with an input for its right label, walked and filled with the keyboard alone.

class Review {
  constructor(root) {
    this.root = root;
    this.alphabet = new Set(JSON.parse(root.dataset.alphabet));
    this.long = root.hasAttribute("data-long"); // some labels take more than one key: only Enter moves on
    this.cards = Array.from(root.querySelectorAll(".glyphs > li"), (item) => this.card(item));
    this.store = storeOf(`hwr-corrections:${root.dataset.key}`, (error) => this.warn(error));
    this.labels = new Map();
    this.listen();
    this.restore();
    this.filter();
    for (const part of root.querySelectorAll("[data-controls]")) part.hidden = false;
    root.querySelector("[data-without]").hidden = true;
  }

  card(item) {
    const text = (name) => (name in item.dataset ? JSON.parse(item.dataset[name]) : undefined);
    const input = document.createElement("input");
    const card = { item, input, id: text("id"), truth: text("truth"), takes: text("takes") };
    card.was = card.truth ?? text("prediction");
    Object.assign(input, { type: "text", autocomplete: "off", spellcheck: false, placeholder: item.dataset.hint, tabIndex: -1 });
    input.setAttribute("autocapitalize", "off");
    input.setAttribute("aria-label", `Label of ${item.querySelector(".id").textContent}`);
    item.querySelector(".entry").append(input);
    input.addEventListener("focus", () => this.enter(card));
    input.addEventListener("keydown", (event) => this.press(card, event));
    // While letters are being composed nothing is final. Some browsers send the last input before the end of the
    // composition and some after it; taking the same text twice does no harm.
    input.addEventListener("input", (event) => event.isComposing || this.typed(card));
    input.addEventListener("compositionend", () => this.typed(card));
    return card;
  }

  listen() {
    const button = (name, act) => this.root.querySelector(`button[name=${name}]`).addEventListener("click", act);
    button("download", () => this.download());
    button("forget", () => this.forget());
    for (const choice of this.root.querySelectorAll("input[type=radio]")) {
      choice.addEventListener("change", () => this.filter());
    }
    // The same report in another tab: what was typed there counts here too.
    addEventListener("storage", (event) => event.key === this.store.key && this.restore());
  }

  restore() {
    const kept = this.store.read();
    this.labels = new Map(this.cards.filter((card) => kept.has(card.id)).map((card) => [card.id, kept.get(card.id)]));
    for (const card of this.cards) this.mark(card, this.labels.get(card.id) ?? "");
    this.count();
  }

  filter() {
    const wanted = this.root.querySelector("input[type=radio]:checked")?.value ?? "all";
    this.shown = this.cards.filter((card) => wanted === "all" || card.item.dataset.kinds.split(" ").includes(wanted));
    const shown = new Set(this.shown);
    for (const card of this.cards) card.item.classList.toggle("out", !shown.has(card));
    this.stop(this.shown[0]);
  }

  // One input of the grid is a stop for Tab, the last one that was worked on; the arrows lead to the others.
  stop(card) {
    if (this.current) this.current.input.tabIndex = -1;
    if (card) card.input.tabIndex = 0;
    this.current = card;
  }

  enter(card) {
    this.stop(card);
    card.input.select();
  }

  move(card, steps) {
    const place = this.shown.indexOf(card) + steps;
    if (place >= 0 && place < this.shown.length) this.shown[place].input.focus();
    else card.input.select();
  }

  columns() {
    const top = this.shown[0].item.offsetTop;
    const next = this.shown.findIndex((card) => card.item.offsetTop !== top);
    return next < 0 ? this.shown.length : next;
  }

  press(card, event) {
    // 229: some browsers send the key that ends a composition with isComposing already off.
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey) return;
    const { value, selectionStart, selectionEnd } = card.input;
    const whole = selectionStart === 0 && selectionEnd === value.length;
    const act = {
      ArrowLeft: () => this.move(card, -1),
      ArrowRight: () => this.move(card, 1),
      ArrowUp: () => this.move(card, -this.columns()),
      ArrowDown: () => this.move(card, this.columns()),
      Enter: () => this.accept(card),
      Backspace: () => this.clear(card),
      Delete: () => this.clear(card),
    }[event.key];
    // In the midst of a longer label these keys edit it.
    const edits = this.long && !whole && ["ArrowLeft", "ArrowRight", "Backspace", "Delete"].includes(event.key);
    if (!act || edits || event.shiftKey) return;
    event.preventDefault();
    act();
  }

  typed(card) {
    const label = card.input.value.normalize("NFC");
    this.set(card, label);
    if (label && !this.long) this.move(card, 1);
  }

  accept(card) {
    if (!card.input.value) {
      card.input.value = card.takes;
      this.set(card, card.takes);
    }
    this.move(card, 1);
  }

  clear(card) {
    card.input.value = "";
    this.set(card, "");
  }

  set(card, label) {
    if (label) this.labels.set(card.id, label);
    else this.labels.delete(card.id);
    this.store.write(this.labels);
    this.mark(card, label, true);
    this.count();
  }

  // Where there is a truth, the same again says nothing new; where there is none, agreeing with the model is a label.
  isCorrection(card) {
    const label = this.labels.get(card.id);
    return label !== undefined && label !== card.truth?.normalize("NFC");
  }

  mark(card, label, typing = false) {
    if (!typing) card.input.value = label;
    const isNew = label !== "" && !this.alphabet.has(label);
    const words = label === "" ? "" : isNew ? "new label" : label === card.was.normalize("NFC") ? "confirmed" : "corrected";
    card.item.querySelector(".mark").textContent = words;
    card.item.dataset.state = words;
  }

  corrections() {
    return this.cards.filter((card) => this.isCorrection(card));
  }

  count() {
    const { length } = this.corrections();
    const text = `${length.toLocaleString("en")} correction${length === 1 ? "" : "s"}`;
    this.root.querySelector("output").value = text;
    this.root.querySelector("button[name=download]").disabled = length === 0;
    this.root.querySelector("button[name=forget]").disabled = this.labels.size === 0;
  }

  download() {
    const rows = this.corrections().map((card) => [card.id, this.labels.get(card.id), card.was]);
    save("corrections.csv", toCsv([["file", "label", "was"], ...rows]));
  }

  forget() {
    const { size } = this.labels;
    if (!confirm(size === 1 ? "Forget the one label you gave?" : `Forget all ${size.toLocaleString("en")} labels you gave?`)) return;
    this.labels.clear();
    this.store.write(this.labels);
    for (const card of this.cards) this.mark(card, "");
    this.count();
  }

  warn(error) {
    const note = this.root.querySelector("[data-trouble]");
    note.textContent = `This browser keeps nothing between visits (${error.message}): download the corrections before you leave the page.`;
    note.hidden = false;
  }
}

for (const root of document.querySelectorAll("section.review")) new Review(root);
