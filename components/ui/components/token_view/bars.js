// The distribution at one place of the reply, as bars: before and after each filter, and what each cuts.

import {BY_MIN_P, BY_TEMPERATURE, BY_TOP_K, BY_TOP_P, SUFFICIENT} from "./sampling.js";
import {BEFORE, CUT_NAMES, addUp} from "./stages.js";
import {textOf} from "./unpack.js";

const SHOWN = 12;
const SMALLEST = 1e-6;  // of the logarithmic scale

export const percent = (odds) =>
  odds === 0 ? "0 %" : odds >= 0.0995 ? `${(100 * odds).toFixed(1)} %` : `${(100 * odds).toPrecision(2)} %`;

/** The odds of a rank as they are told: with a sign where those of the stage are known only roughly. */
export const oddsText = ({odds, doubts, suffices}, rank) =>
  isOpen(doubts[rank]) ? "?" : roughly(odds[rank], !suffices);

const roughly = (odds, isRough) => (isRough ? "≈ " : "") + percent(odds);

/** Which filter cut a token, as far as that is known. */
export const cutBy = (texts, cut) => CUT_NAMES[cut] ? texts.cut.replace("{filter}", CUT_NAMES[cut]) : texts.cut_by_some;

const isOpen = (doubt) => doubt >= 0.5;  // it may be nothing or all

export function visible(text) {
  return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍") || "∅";
}

/**
 * Draws into `root`, and keeps what the reader chose of it: the stage, the scale, and whether all rows are shown.
 *
 * What is there is changed in place, so that a control that has the focus or is under a finger stays the same one.
 * `onToken(place, rank in the kept scores)` is called for a token to go on with.
 */
export class Bars {
  constructor(root, texts, onToken) {
    this.root = root;
    this.texts = texts;
    this.onToken = onToken;
    this.stage = null;  // null: behind all filters
    this.isLog = false;
    this.isLong = false;
    this.tapped = "";
    this.drawn = null;  // what is shown
    this.rows = [];  // from above
    this.told = null;  // the row whose numbers are told
    this.list = element("div", "rows");
    this.line = cumulativeLine();
    this.legend = element("p", "legend");
    this.about = element("span", "about", texts.approximate);
    this.adding = element("span");
    this.legend.append(this.adding, this.about);
    this.numbers = element("p", "numbers");
    this.more = element("button", "more");
    this.more.type = "button";
    this.more.addEventListener("click", () => { this.isLong = !this.isLong; this.redraw(); });
    root.append(this.controls(), this.list, this.legend, this.numbers, this.more);
  }

  controls() {
    const {texts} = this, controls = element("div", "controls"), group = element("div", "stages");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", texts.stages);
    this.buttons = [BEFORE, BY_TEMPERATURE, BY_TOP_K, BY_TOP_P, BY_MIN_P].map((cut) => {
      const button = element("button", cut === BEFORE ? "stage" : `stage by-${cut}`);
      button.type = "button";
      button.addEventListener("click", () => {
        this.stage = cut === this.drawn.stages.at(-1).cut ? null : cut;
        this.redraw();
      });
      group.append(button);
      return [cut, button];
    });
    const log = element("label", "log"), box = element("input");
    box.type = "checkbox";
    box.addEventListener("change", () => { this.isLog = box.checked; this.redraw(); });
    log.append(box, texts.log);
    controls.append(group, log);
    return controls;
  }

  redraw() {
    const {reply, place, settings, stages} = this.drawn;
    this.draw(reply, place, settings, stages);
  }

  /** What `reply.lookAt` found at a place: the lens of the reply still holds it. */
  draw(reply, place, settings, stages) {
    const {texts} = this, {lens} = reply, isSamePlace = this.drawn?.place === place;
    this.drawn = {reply, place, settings, stages};
    const stage = stages.find(({cut}) => cut === this.stage) ?? stages.at(-1);
    for (const [cut, button] of this.buttons) {
      const one = stages.find((other) => other.cut === cut);
      button.hidden = !one;
      if (!one) continue;
      const name = cut === BEFORE ? texts.before : CUT_NAMES[cut];
      setText(button, one.suffices ? name : `${name} ≈`);
      button.title = one.suffices ? "" : texts.approximate;
      button.setAttribute("aria-pressed", String(one === stage));
    }
    const {ranks, together} = this.ranksShown(reply, place), sum = addUp(stages);
    this.fit(ranks.length);
    ranks.forEach((rank, at) => this.fill(this.rows[at], rank, stage, sum));
    this.list.classList.toggle("apart", together < ranks.length);
    this.drawLine(sum, together, ranks.length);
    this.about.classList.toggle("none", stage.suffices && stages[0].suffices);
    this.tellAgain(isSamePlace);
    this.more.hidden = lens.count <= SHOWN;
    setText(this.more, this.isLong ? texts.fewer : texts.all.replace("{count}", lens.count));
  }

  /** The likeliest tokens; the one that came stands last where it is none of them, so that the view stays as high. */
  ranksShown({lens, chosen}, place) {
    const count = this.isLong ? lens.count : Math.min(lens.count, SHOWN);
    const ranks = Array.from({length: count}, (_, rank) => rank);
    let came = 0;
    while (came < lens.count && lens.ids[lens.order[came]] !== chosen[place]) came++;
    if (came < count || came === lens.count) return {ranks, together: count};
    ranks[count - 1] = came;
    return {ranks, together: count - 1};
  }

  /** So many rows, of which those that were there stay. */
  fit(count) {
    while (this.rows.length < count) {
      const row = this.makeRow();
      this.rows.push(row);
      this.list.append(row.root);
    }
    const gone = this.rows.splice(count), focused = this.root.getRootNode().activeElement;
    if (gone.some(({root}) => root === focused)) this.rows.at(-1)?.root.focus();
    for (const {root} of gone) root.remove();
  }

  makeRow() {
    const row = {
      root: element("button", "row"), text: element("span", "text"), track: element("span", "track"),
      pale: element("span", "pale"), solid: element("span", "solid"), number: element("span", "number"), told: "",
    };
    const {root} = row;
    root.type = "button";
    row.track.append(row.pale, row.solid);
    root.append(row.text, row.track, row.number);
    const tell = () => { this.told = row; setText(this.numbers, row.told); };
    root.addEventListener("pointerenter", tell);
    root.addEventListener("focus", tell);
    root.addEventListener("click", (event) => {
      const {place} = this.drawn, tapped = `${place} ${root.dataset.token}`;
      const isFirstTap = event.pointerType === "touch" && this.tapped !== tapped;  // a finger cannot point: it reads first
      this.tapped = tapped;
      if (row.can && !isFirstTap) this.onToken(place, row.at);
    });
    return row;
  }

  fill(row, rank, stage, sum) {
    const {texts} = this, {reply, place, stages} = this.drawn, {lens} = reply, at = lens.order[rank], token = lens.ids[at];
    const first = stages[0], last = stages.at(-1), cut = last.cuts[rank], before = first.odds[rank], odds = stage.odds[rank];
    const isChosen = token === reply.chosen[place], isControl = Boolean(reply.flags[token] & 2);
    const text = visible(textOf(reply.pieces[token]));
    row.at = at;
    row.can = reply.header.canBranch && !isChosen && !isControl;
    row.root.className = `row${isChosen ? " chosen" : ""}${cut ? ` by-${cut}` : ""}`;
    Object.assign(row.root.dataset, {rank, token, odds});
    row.root.setAttribute("aria-disabled", String(!row.can));
    row.pale.style.width = this.width(before, first.doubts[rank]);
    row.solid.style.width = this.width(odds, stage.doubts[rank]);
    setText(row.text, text);
    setText(row.number, oddsText(stage, rank));
    row.told = [
      text, `${texts.before} ${oddsText(first, rank)}`, `${texts.after} ${oddsText(stage, rank)}`,
      `Σ ${roughly(sum.sums[rank], sum.doubts[rank] > SUFFICIENT)}`, `${texts.score} ${lens.ranked[rank].toFixed(2)}`,
      cut ? cutBy(texts, cut) : "", isChosen ? texts.came : row.can ? texts.go_on : "",
    ].filter(Boolean).join(" · ");
    row.root.setAttribute("aria-label", row.told);
  }

  drawLine({cut, sums}, together, count) {
    const {texts} = this, {settings, stages} = this.drawn;
    const isShown = stages.some((stage) => stage.cut === BY_TOP_P);
    if (isShown) {
      const {svg, line, bound} = this.line;
      svg.setAttribute("viewBox", `0 0 1 ${together}`);
      svg.style.height = `${(100 * together) / count}%`;
      line.setAttribute("points", Array.from(sums.subarray(0, together), (sum, rank) => `${sum},${rank + 0.5}`).join(" "));
      for (const [name, value] of Object.entries({x1: settings.top_p, x2: settings.top_p, y1: 0, y2: together})) {
        bound.setAttribute(name, value);
      }
      if (!svg.isConnected) this.list.append(svg);
    } else this.line.svg.remove();
    const stage = cut === BEFORE ? texts.before : texts.behind.replace("{filter}", CUT_NAMES[cut]);
    setText(this.adding, isShown ? texts.cumulative.replace("{stage}", stage) : "");
  }

  /** The numbers of the row that was pointed at, as they are now; a hint where the place is another one. */
  tellAgain(isSamePlace) {
    const {texts, rows} = this, {reply, place} = this.drawn;
    const stays = rows.includes(this.told) && (isSamePlace || this.told.root.matches(":hover, :focus"));
    if (!stays) this.told = null;
    const hints = [
      reply.isTold(place) ? "" : texts.untold_here,
      reply.hasOthers(place) ? "" : texts.alone,
      reply.lens.count ? texts.hint : "",
      reply.header.canBranch ? texts.branch_hint : texts.no_branch,
    ];
    setText(this.numbers, this.told ? this.told.told : hints.filter(Boolean).join(" "));
  }

  width(odds, doubt) {
    if (odds <= 0 || isOpen(doubt)) return "0";
    const part = this.isLog ? Math.max(0, 1 + Math.log10(odds) / -Math.log10(SMALLEST)) : odds;
    return `${(100 * Math.min(1, part)).toFixed(2)}%`;
  }
}

function cumulativeLine() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "cumulative");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");  // the legend and the numbers say it
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  const bound = document.createElementNS(svg.namespaceURI, "line");
  svg.append(bound, line);
  return {svg, line, bound};
}

/** Only where it is another one: what is read aloud is not read again. */
export function setText(made, text) {
  if (made.textContent !== text) made.textContent = text;  // never HTML: a model may write anything
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) setText(made, text);
  return made;
}
