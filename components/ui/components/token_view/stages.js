// The odds at one place of a reply, stage by stage: before the filters, and behind each that is on.

import {
  BY_MIN_P, BY_TEMPERATURE, BY_TOP_K, BY_TOP_P, MIN_TEMPERATURE, NO_CUT, SUFFICIENT,
} from "./sampling.js";

export const BEFORE = NO_CUT;  // the stage at which nothing is cut
export const CUT_NAMES = {[BY_TEMPERATURE]: "temperature", [BY_TOP_K]: "top_k", [BY_TOP_P]: "top_p", [BY_MIN_P]: "min_p"};

const CLOSE = 1e-4;  // scores that are read again may differ by so much

/** What stages there are with these settings, each with the settings that would leave just what it leaves. */
export function stagesOf(settings) {
  let open = {...settings, top_k: 0, top_p: 1, min_p: 0};
  if (settings.temperature < MIN_TEMPERATURE) {
    return [{cut: BEFORE, settings: {...open, temperature: 1}}, {cut: BY_TEMPERATURE, settings}];
  }
  const stages = [{cut: BEFORE, settings: open}];
  for (const cut of [BY_TOP_K, BY_TOP_P, BY_MIN_P]) {
    const name = CUT_NAMES[cut];
    if (settings[name] === open[name]) continue;
    open = {...open, [name]: settings[name]};
    stages.push({cut, settings: open});
  }
  return stages;
}

/**
 * Looks through a lens at every stage; of all settings' outcome it then holds the last.
 *
 * @param answer what the model says of this place with these settings; undefined where it was not asked.
 * @returns for each stage `cut` (the filter it is behind) and, by rank, `odds`, `doubts` (how far each may be off) and
 *   `cuts` (the filter that ruled it out until then); and `suffices`, whether all odds are known well enough.
 */
export function lookThrough(lens, step, settings, answer) {
  return stagesOf(settings).map(({cut, settings: left}) => {
    lens.look(step, left);
    if (answer) takeAnswer(lens, answer, left, cut);
    return {
      cut,
      odds: lens.odds.slice(0, lens.count),
      doubts: lens.doubts.slice(0, lens.count),
      cuts: lens.cut.slice(0, lens.count),
      suffices: lens.error <= SUFFICIENT,
    };
  });
}

/** The odds added up from the likeliest on as top_p does it: of what it is given; where it is off, before the filters. */
export function addUp(stages) {
  const behind = stages.findIndex(({cut}) => cut === BY_TOP_P);
  const {cut, odds, doubts} = stages[Math.max(0, behind - 1)];
  let sum = 0, doubt = 0;
  const sums = odds.map((one) => (sum = Math.min(1, sum + one)));
  return {cut, sums, doubts: doubts.map((one) => (doubt = Math.min(1, doubt + one)))};
}

/** The odds and the filter that cut it, of the token of one rank, by what the model says of a stage. */
export function byAnswer(answer, lens, rank, settings, stage) {
  let left = null;
  for (const one of answer.stages) {
    if (one.cut > stage) break;
    if (!isLeft(answer, one, lens, rank)) return {odds: 0, cut: one.cut};
    left = one;
  }
  const temperature = settings.temperature < MIN_TEMPERATURE ? 1 : settings.temperature;
  return {odds: Math.min(1, Math.exp(lens.ranked[rank] / temperature - left.log_total)), cut: NO_CUT};
}

function takeAnswer(lens, answer, settings, stage) {
  for (let rank = 0; rank < lens.count; rank++) {
    const {odds, cut} = byAnswer(answer, lens, rank, settings, stage);
    lens.odds[rank] = odds;
    lens.cut[rank] = cut;
  }
  lens.doubts.fill(0, 0, lens.count);
  lens.error = 0;
}

function isLeft(answer, left, lens, rank) {
  if (left.cut === BEFORE) return true;
  if (left.cut === BY_TEMPERATURE) return lens.ids[lens.order[rank]] === answer.likeliest;
  const above = lens.ranked[rank] - left.lowest;
  // Of equal scores some may be left: then ranks tell which.
  return Math.abs(above) > Math.max(CLOSE, lens.off[rank]) ? above > 0 : rank < left.kept;
}

/** An answer as it comes, with the filters as numbers. */
export function readAnswer({place, likeliest, text, stages}) {
  const numbers = Object.fromEntries(Object.entries(CUT_NAMES).map(([cut, name]) => [name, Number(cut)]));
  return {
    place, likeliest, text: Uint8Array.from(text),
    stages: stages.map((left) => ({...left, cut: left.cut === null ? BEFORE : numbers[left.cut]})),
  };
}
