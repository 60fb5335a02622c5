// The distribution at one place of the reply, as bars: before and after each filter, and what each cuts.

import {BY_MIN_P, BY_TEMPERATURE, BY_TOP_K, BY_TOP_P, MIN_TEMPERATURE, NO_CUT} from "./sampling.js";
import {textOf} from "./unpack.js";

const SHOWN = 12;
const SMALLEST = 1e-6;  // of the logarithmic scale
const CUT_NAMES = {[BY_TEMPERATURE]: "temperature", [BY_TOP_K]: "top_k", [BY_TOP_P]: "top_p", [BY_MIN_P]: "min_p"};

/** What stages there are with these settings: the filters that are on, behind the temperature. */
function stagesOf(settings) {
  if (settings.temperature < MIN_TEMPERATURE) return [0, BY_TEMPERATURE];
  const stages = [0];
  if (settings.top_k > 0) stages.push(BY_TOP_K);
  if (settings.top_p < 1) stages.push(BY_TOP_P);
  if (settings.min_p > 0) stages.push(BY_MIN_P);
  return stages;
}

/** Of each rank, the probability before all filters and behind a stage. */
function probabilities(lens, stage, isLast) {
  const weights = [], cuts = lens.cut;
  let all = lens.hiddenMass ?? 0, left = 0;
  for (let rank = 0; rank < lens.count; rank++) {
    const weight = lens.temperature < MIN_TEMPERATURE
      ? Math.exp(lens.ranked[rank] - lens.ranked[0])
      : Math.exp((lens.ranked[rank] - lens.ranked[0]) / lens.temperature);
    weights.push(weight);
    all += weight;
    if (cuts[rank] === NO_CUT || cuts[rank] > stage) left += weight;
  }
  if (stage === 0) left = all;
  const before = weights.map((weight) => weight / all);
  const after = weights.map((weight, rank) => {
    if (isLast) return lens.odds[rank];
    return cuts[rank] !== NO_CUT && cuts[rank] <= stage ? 0 : weight / left;
  });
  return {before, after};
}

export const percent = (odds) =>
  odds === 0 ? "0 %" : odds >= 0.0995 ? `${(100 * odds).toFixed(1)} %` : `${(100 * odds).toPrecision(2)} %`;

export function visible(text) {
  return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍") || "∅";
}

/**
 * Draws into `root`, and keeps what the reader chose of it: the stage, the scale, and whether all rows are shown.
 *
 * `onToken(rank in the kept scores)` is called for a token to go on with; `canBranch` says whether there is such a way.
 */
export class Bars {
  constructor(root, texts, onToken) {
    this.root = root;
    this.texts = texts;
    this.onToken = onToken;
    this.stage = null;  // null: behind all filters
    this.isLog = false;
    this.isLong = false;
    this.tapped = null;
  }

  draw(reply, place, settings) {
    const {texts} = this, {lens} = reply;
    reply.lookAt(place, settings);
    lens.temperature = settings.temperature;
    const stages = stagesOf(settings), last = stages.at(-1);
    const stage = stages.includes(this.stage) ? this.stage : last;
    const {before, after} = probabilities(lens, stage, stage === last);
    const redraw = () => this.draw(reply, place, settings);
    const controls = element("div", "controls");
    const group = element("div", "stages");
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", texts.stages);
    for (const one of stages) {
      const button = element("button", one === 0 ? "stage" : `stage by-${one}`, one === 0 ? texts.before : CUT_NAMES[one]);
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(one === stage));
      button.addEventListener("click", () => { this.stage = one === last ? null : one; redraw(); });
      group.append(button);
    }
    const log = element("label", "log"), box = element("input");
    box.type = "checkbox";
    box.checked = this.isLog;
    box.addEventListener("change", () => { this.isLog = box.checked; redraw(); });
    log.append(box, texts.log);
    controls.append(group, log);
    const rows = element("div", "rows");
    const numbers = element("p", "numbers", `${texts.hint} ${reply.header.canBranch ? texts.branch_hint : texts.no_branch}`);
    const count = this.isLong ? lens.count : Math.min(lens.count, SHOWN);
    let cumulative = 0;
    const line = [];
    for (let rank = 0; rank < count; rank++) {
      cumulative += before[rank];
      line.push(`${Math.min(1, cumulative)},${rank + 0.5}`);
      rows.append(this.row(reply, place, rank, before[rank], after[rank], cumulative, numbers));
    }
    if (settings.top_p < 1 && stages.includes(BY_TOP_P)) rows.append(cumulativeLine(line, settings.top_p, count, texts));
    const parts = [controls, rows, numbers];
    if (lens.count > SHOWN) {
      const more = element("button", "more", this.isLong ? texts.fewer : texts.all.replace("{count}", lens.count));
      more.type = "button";
      more.addEventListener("click", () => { this.isLong = !this.isLong; redraw(); });
      parts.push(more);
    }
    this.root.replaceChildren(...parts);
  }

  row(reply, place, rank, before, after, cumulative, numbers) {
    const {texts} = this, {lens} = reply, at = lens.order[rank], token = lens.ids[at], cut = lens.cut[rank];
    const isChosen = token === reply.chosen[place], isControl = Boolean(reply.flags[token] & 2);
    const text = visible(textOf(reply.pieces[token]));
    const row = element("button", `row${isChosen ? " chosen" : ""}${cut ? ` by-${cut}` : ""}`);
    row.type = "button";
    row.dataset.rank = rank;
    row.dataset.token = token;
    row.dataset.odds = after;
    const can = reply.header.canBranch && !isChosen && !isControl;
    row.setAttribute("aria-disabled", String(!can));
    const track = element("span", "track"), pale = element("span", "pale"), solid = element("span", "solid");
    pale.style.width = this.width(before);
    solid.style.width = this.width(after);
    track.append(pale, solid);
    const about = lens.error > 1e-3 ? "≈ " : "";
    row.append(element("span", "text", text), track, element("span", "number", about + percent(after)));
    const told = [
      text, `${texts.before} ${percent(before)}`, `${texts.after} ${about}${percent(after)}`,
      `Σ ${percent(Math.min(1, cumulative))}`, `${texts.score} ${lens.ranked[rank].toFixed(2)}`,
      cut ? texts.cut.replace("{filter}", CUT_NAMES[cut]) : "", isChosen ? texts.came : can ? texts.go_on : "",
    ].filter(Boolean).join(" · ");
    row.setAttribute("aria-label", told);
    const tell = () => { numbers.textContent = told; };
    row.addEventListener("pointerenter", tell);
    row.addEventListener("focus", tell);
    row.addEventListener("click", (event) => {
      const isFirstTap = event.pointerType === "touch" && this.tapped !== row;  // a finger cannot point: it reads first
      this.tapped = row;
      if (can && !isFirstTap) this.onToken(place, at);
    });
    return row;
  }

  width(odds) {
    if (odds <= 0) return "0";
    const part = this.isLog ? Math.max(0, 1 + Math.log10(odds) / -Math.log10(SMALLEST)) : odds;
    return `${(100 * Math.min(1, part)).toFixed(2)}%`;
  }
}

function cumulativeLine(points, part, count, texts) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "cumulative");
  svg.setAttribute("viewBox", `0 0 1 ${count}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  line.setAttribute("points", points.join(" "));
  const bound = document.createElementNS(svg.namespaceURI, "line");
  for (const [name, value] of Object.entries({x1: part, x2: part, y1: 0, y2: count})) bound.setAttribute(name, value);
  const title = document.createElementNS(svg.namespaceURI, "title");
  title.textContent = texts.cumulative;
  svg.append(title, bound, line);
  return svg;
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;  // never HTML: a model may write anything
  return made;
}
