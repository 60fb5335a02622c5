// A reply's tokens, coloured by the odds that each had, under settings that the reader moves: all of it in the browser.
//
// Streamlit calls the default function again whenever something about the component changed; a view that is there
// already then keeps what the reader did with it. Answers of the model's come through a second, empty component.

import {Bars, cutBy, element, oddsText, setText, visible} from "./bars.js";
import {Reply} from "./looking.js";
import {cellsOf, textOf, unpack} from "./unpack.js";

const LEVELS = [0.9, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.005];
const ASK_AFTER_MS = 700;
const PIECE = 300;  // tokens out of sight that a frame recolours
const SMALL_PIECE = 100;  // and where what is in sight was recoloured in it, too

const views = new Map();  // that are on the page, by the reply that they show
const viewOf = new WeakMap();
let left = null;  // the view that was taken off the page last: where it comes back, the sliders stand as they did

export default function tokenView({data, parentElement, setTriggerValue}) {
  if (!(data instanceof Uint8Array)) {
    parentElement.host?.closest("[data-testid=stElementContainer]")?.style.setProperty("display", "none");
    views.get(data.view)?.takeExact(data);
    return undefined;
  }
  const reply = unpack(data.slice());
  let view = viewOf.get(parentElement);
  if (view?.reply.header.version !== reply.header.version) {
    const before = view ?? views.get(reply.header.view) ?? left;
    view?.leave();
    view = new View(new Reply(reply), parentElement, before);
    viewOf.set(parentElement, view);
  }
  view.send = setTriggerValue;
  view.come(parentElement);
  return () => {
    if (!view.root.isConnected) view.leave();  // else another call of this function has overtaken the one before
  };
}

class View {
  constructor(reply, parent, before) {
    this.reply = reply;
    this.texts = reply.header.texts;
    this.settings = before?.reply.header.version === reply.header.version
      ? {...before.settings} : {...reply.header.settings};
    this.cells = cellsOf(reply);
    this.codes = new Int32Array(this.cells.length).fill(-1);
    this.told = {greedy: -1, isGreedySure: false};
    this.current = 0;
    this.part = 0;  // which of a character's tokens
    this.asked = "";
    this.old = 0;  // how many cells out of sight have yet to be looked at with these settings
    this.next = 0;  // the first of them
    this.isMoving = false;  // whether a slider moved since the last piece
    this.root = element("div", "view");
    this.summary = element("p", "summary");
    this.summary.setAttribute("aria-live", "polite");
    this.tokens = element("div", "tokens");
    this.heading = element("div", "heading");
    this.name = element("strong");
    this.where = element("span", "where");
    this.parts = [];
    this.heading.append(this.name, this.where);
    this.distribution = element("div", "distribution");
    this.bars = new Bars(this.distribution, this.texts, (place, rank) => this.send("branch", {place, rank, settings: this.settings}));
    this.root.append(this.sliders(), this.summary, this.tokens, this.heading, this.distribution);
    this.drawTokens();
    parent.append(this.root);
    this.recolour();
    this.select(0);
  }

  come(parent) {
    const {view} = this.reply.header;
    views.set(view, this);
    if (left === this) left = null;
    if (this.root.isConnected) return;
    parent.append(this.root);
    this.recolourSoon();
  }

  leave() {
    const {view} = this.reply.header;
    if (views.get(view) === this) views.delete(view);
    left = this;
    this.root.remove();
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.later);
    this.frame = this.later = 0;
  }

  sliders() {
    const box = element("div", "sliders");
    this.inputs = {};
    for (const {name, label, low, high, step, problem} of this.reply.header.sliders) {
      const row = element("label", "slider"), value = element("output", "value"), input = element("input");
      Object.assign(input, {type: "range", min: low, max: high, step, disabled: Boolean(problem)});
      input.value = this.settings[name];
      input.dataset.name = name;
      value.textContent = String(this.settings[name]);
      row.append(element("span", "label", label), value, input);
      if (problem) row.title = problem;
      input.addEventListener("input", () => {
        this.settings[name] = Number(Number(input.value).toFixed(6));
        value.textContent = String(this.settings[name]);
        this.recolourSoon();
      });
      this.inputs[name] = [input, value];
      box.append(row);
    }
    const reset = element("button", "reset", this.texts.reset);
    reset.type = "button";
    reset.addEventListener("click", () => {
      this.settings = {...this.reply.header.settings};
      for (const [name, [input, value]] of Object.entries(this.inputs)) {
        input.value = this.settings[name];
        value.textContent = String(this.settings[name]);
      }
      this.recolourSoon();
    });
    box.append(reset);
    return box;
  }

  drawTokens() {
    const {tokens} = this;
    tokens.tabIndex = 0;
    tokens.setAttribute("role", "listbox");
    tokens.setAttribute("aria-label", this.texts.tokens);
    this.spans = this.cells.map(([place, , text], cell) => {
      const span = element("span", "", cell === 0 ? text.replace(/^ /, "") || text : text);
      if (this.reply.flags[this.reply.chosen[place]] & 2) span.dataset.control = "";
      span.setAttribute("role", "option");
      span.id = `t${cell}`;
      return span;
    });
    tokens.append(...this.spans);
    const cellAt = (event) => this.spans.indexOf(event.target);
    tokens.addEventListener("pointerover", (event) => {
      const cell = cellAt(event);
      if (cell >= 0 && event.pointerType === "mouse") this.show(cell, 0);
    });
    tokens.addEventListener("pointerleave", () => this.show(this.current, this.part));
    tokens.addEventListener("click", (event) => {
      const cell = cellAt(event);
      if (cell >= 0) this.select(cell);
    });
    tokens.addEventListener("keydown", (event) => this.walk(event));
  }

  walk(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;  // the browser's own: Alt and an arrow goes back
    const last = this.cells.length - 1, {current} = this;
    const to = {
      ArrowRight: () => current + 1, ArrowLeft: () => current - 1, Home: () => 0, End: () => last,
      ArrowDown: () => this.onLine(1), ArrowUp: () => this.onLine(-1),
    }[event.key];
    if (event.key === "Enter") this.distribution.querySelector(".row")?.focus();
    else if (to) this.select(Math.min(last, Math.max(0, to())));
    else return;
    event.preventDefault();
  }

  /** The cell above or below the current one. */
  onLine(way) {
    const {left, top} = this.spans[this.current].getBoundingClientRect();
    let best = this.current, nearest = Infinity, line = null;
    for (let cell = this.current + way; cell >= 0 && cell < this.cells.length; cell += way) {
      const box = this.spans[cell].getBoundingClientRect();
      if (Math.abs(box.top - top) < 2) continue;
      line ??= box.top;
      if (Math.abs(box.top - line) > 2) break;
      if (Math.abs(box.left - left) < nearest) [best, nearest] = [cell, Math.abs(box.left - left)];
    }
    return best;
  }

  select(cell) {
    for (const name of ["aria-selected", "aria-label"]) this.spans[this.current].removeAttribute(name);
    this.current = cell;
    this.part = 0;
    const span = this.spans[cell];
    if (!span) return;
    span.setAttribute("aria-selected", "true");
    this.tokens.setAttribute("aria-activedescendant", span.id);
    const {offsetTop, offsetHeight} = span, {scrollTop, clientHeight} = this.tokens;
    if (offsetTop < scrollTop) this.tokens.scrollTop = offsetTop;
    else if (offsetTop + offsetHeight > scrollTop + clientHeight) this.tokens.scrollTop = offsetTop + offsetHeight - clientHeight;
    this.show(cell, 0);
  }

  show(cell, part) {
    if (!this.cells.length) return;
    const [first, count, text] = this.cells[cell];
    this.shown = [cell, part];
    const place = first + part, stages = this.reply.lookAt(place, this.settings);
    setText(this.name, visible(text));
    const where = this.texts.place.replace("{place}", place + 1).replace("{count}", this.reply.steps);
    const odds = this.reply.isTold(place) ? this.oddsAt(place, stages) : "";
    setText(this.where, [where, odds].filter(Boolean).join(" · "));
    if (cell === this.current) {  // a colour says it to those who see it
      this.spans[cell].setAttribute("aria-label", [visible(text), odds].filter(Boolean).join(" · "));
    }
    this.showParts(first, count > 1 ? count : 0, part);
    this.bars.draw(this.reply, place, this.settings, stages);
  }

  /** Of the token that came, behind all filters, where it is told how likely it was. */
  oddsAt(place, stages) {
    const {lens, chosen} = this.reply, last = stages.at(-1);
    let rank = 0;
    while (lens.ids[lens.order[rank]] !== chosen[place]) rank++;
    return oddsText(last, rank) + (last.cuts[rank] ? ` · ${cutBy(this.texts, last.cuts[rank])}` : "");
  }

  /** The tokens of a character, to look at one by one; the buttons stay the same ones. */
  showParts(first, count, part) {
    while (this.parts.length < count) {
      const one = this.parts.length, button = element("button", "part");
      button.type = "button";
      button.addEventListener("click", () => {
        [this.current] = this.shown;
        this.part = one;
        this.show(this.current, one);
      });
      this.parts.push(button);
      this.heading.append(button);
    }
    const gone = this.parts.splice(count), focused = this.root.getRootNode().activeElement;
    for (const button of gone) button.remove();
    if (gone.includes(focused)) this.tokens.focus({preventScroll: true});
    this.parts.forEach((button, one) => {
      setText(button, visible(textOf(this.reply.pieces[this.reply.chosen[first + one]])));
      button.setAttribute("aria-pressed", String(one === part));
    });
  }

  recolourSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.recolour();
      if (this.shown) this.show(...this.shown);
    });
  }

  /** At once what is in sight; what is scrolled away follows a piece a frame, so that no frame takes long. */
  recolour() {
    const {cells} = this;
    clearTimeout(this.timer);  // what is asked is asked with the settings at which the sliders rest
    this.old = cells.length;
    if (cells.length <= PIECE) return this.goOn();
    this.isMoving = true;
    const {scrollTop, clientHeight} = this.tokens;
    this.lookAt(this.firstBelow(scrollTop), this.firstBelow(scrollTop + clientHeight) + 1);
    this.goOnSoon();
  }

  goOnSoon() {
    this.later ||= requestAnimationFrame(() => {
      this.later = 0;
      this.goOn();
    });
  }

  /** The next piece, round and round: while a slider moves all the time, too, every token gets its turn. */
  goOn() {
    const {cells, next} = this, end = Math.min(next + (this.isMoving ? SMALL_PIECE : PIECE), cells.length);
    this.isMoving = false;
    this.lookAt(next, end);
    this.old -= end - next;
    this.next = end === cells.length ? 0 : end;
    if (this.next === 0 || this.old <= 0) this.finish();
    if (this.old > 0) this.goOnSoon();
  }

  lookAt(from, to) {
    const {cells} = this, last = Math.min(to, cells.length) - 1;
    if (last < from) return;
    this.reply.look(this.settings, cells[from][0], cells[last][0] + cells[last][1]);
    this.paint(from, last + 1);
  }

  /** When all places were looked at: with the newest settings, or some while a slider stood elsewhere. */
  finish() {
    const before = this.told.greedy;
    this.told = this.reply.told();
    for (const place of [before, this.told.greedy]) {
      const cell = this.cells.findIndex(([first, count]) => place >= first && place < first + count);
      if (cell >= 0) this.paint(cell, cell + 1);
    }
    this.tell(this.told);
    if (this.old <= 0) this.askSoon();
  }

  /** The first cell whose lower edge is below a height; the last one where none is. */
  firstBelow(height) {
    let low = 0, high = this.spans.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1, {offsetTop, offsetHeight} = this.spans[middle];
      if (offsetTop + offsetHeight > height) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  paint(from, to) {
    const {reply, cells, codes, spans, told} = this;
    for (let cell = from; cell < Math.min(to, cells.length); cell++) {
      const [first, count] = cells[cell];
      let odds = 1, isForbidden = false, isKnown = true, isTold = true;
      for (let place = first; place < first + count; place++) {
        odds *= reply.odds[place];
        if (!reply.isTold(place)) isTold = false;
        else if (!reply.suffices[place]) isKnown = false;
        else if (reply.odds[place] === 0) isForbidden = true;
      }
      let level = 0;
      while (level < LEVELS.length && odds < LEVELS[level]) level++;
      const differs = told.isGreedySure && told.greedy >= first && told.greedy < first + count;
      const code = level | (isForbidden ? 16 : 0) | (isKnown ? 0 : 32) | (differs ? 64 : 0) | (isTold ? 0 : 128);
      if (code === codes[cell]) continue;
      codes[cell] = code;
      const name = isForbidden ? "forbidden" : !isTold ? "untold" : `o${level}${isKnown ? "" : " unknown"}`;
      spans[cell].className = differs ? `${name} greedy` : name;
    }
  }

  tell(told) {
    const {texts, reply} = this, parts = [];
    const isAsking = reply.header.canAsk && !reply.hasExact(this.settings);
    if (told.greedy < 0) parts.push(texts.greedy_same);
    else if (!told.isGreedySure) {
      parts.push((isAsking ? texts.greedy_asking : texts.greedy_unknown).replace("{place}", told.greedy + 1));
    } else {
      const token = visible(textOf(told.greedyPiece));
      parts.push(texts.greedy_differs.replace("{place}", told.greedy + 1).replace("{token}", () => token));
    }
    if (told.forbidden) parts.push(texts.forbidden.replace("{count}", told.forbidden));
    if (told.lacking) parts.push((isAsking ? texts.asking : texts.lacking).replace("{count}", told.lacking));
    if (told.untold) parts.push(texts.untold.replace("{count}", told.untold));
    setText(this.summary, parts.join("\n"));
  }

  /** Once the slider rests, the model is asked for what the kept scores cannot tell: once for the same settings. */
  askSoon() {
    clearTimeout(this.timer);
    const settings = JSON.stringify(this.settings);
    if (!this.reply.header.canAsk || this.reply.hasExact(this.settings) || this.asked === settings) return;
    const places = this.reply.unknown();
    if (!places.length) return;
    this.timer = setTimeout(() => {
      this.asked = settings;
      this.send("ask", {settings: this.settings, places});
    }, ASK_AFTER_MS);
  }

  takeExact({settings, answers}) {
    this.reply.takeExact(settings, answers);
    this.recolourSoon();
  }
}
