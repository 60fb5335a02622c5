// What would have been possible with other settings, from the scores that were kept of a reply, without the model.
//
// The same as components/sampling/what_if.py, step by step; a test runs both on the same cases. It keeps its arrays
// between steps, because a slider's move looks at two thousand of them within a frame.

export const SUFFICIENT = 1e-3;
export const MIN_TEMPERATURE = 1e-5;
export const NO_CUT = 0, BY_TEMPERATURE = 1, BY_TOP_K = 2, BY_TOP_P = 3, BY_MIN_P = 4;
export const BY_SOME = 5;  // one of the filters: it is not known which

const REST_SLACK = 1e-5, ROUNDING = 1e-6, TINY = 1e-300;
const OUT = 0, MAYBE = 1, IN = 2;

/** What settings change of the scores of tokens that came before. */
export function changes(settings) {
  return settings.repetition_penalty !== 1 || settings.presence_penalty !== 0 || settings.frequency_penalty !== 0;
}

/**
 * Looks at one step after the other, with room for `size` known tokens in each.
 *
 * Before `look`, fill in for each of `count` tokens: `ids`, `scores` (of the model, the likeliest first), `errors` (by
 * how much each score may be off), `counts` (how often it came in the reply so far) and `prompt` (1: it is in the
 * prompt). Where `isExtra`, the last of them is the token that came and is none of the kept ones. After it, by rank:
 * `order` (a place in these), `ranked` (the scores after penalties), `odds`, `doubts` (how far each of the odds may be
 * off) and `cut`; and `error`, the largest of these doubts.
 */
export class Lens {
  constructor(size) {
    this.ids = new Int32Array(size);
    this.scores = new Float64Array(size);
    this.errors = new Float64Array(size);
    this.counts = new Int32Array(size);
    this.prompt = new Uint8Array(size);
    this.order = new Int32Array(size);
    this.odds = new Float64Array(size);
    this.doubts = new Float64Array(size);
    this.cut = new Uint8Array(size);
    this.error = 0;
    this.ranked = new Float64Array(size);
    this.off = new Float64Array(size);
    this.low = new Float64Array(size);
    this.high = new Float64Array(size);
    this.states = new Uint8Array(size);
  }

  /**
   * @param step {count, isExtra, rest, vocabulary, distinct, inReply, mostOften}: how many tokens are filled in, none
   *   where nothing is known; the logarithm of what all weigh that are not kept; how many tokens there are; how many
   *   distinct ones are in prompt and reply so far, and in the reply alone; and how often the commonest came in it.
   * @param settings temperature, top_k, top_p, min_p and the three penalties.
   */
  look(step, settings) {
    this.rank(step, settings);
    if (!this.count) {
      this.error = 1;
      return;
    }
    if (!this.sure && this.count === 1 && step.isExtra) return this.takeAlone(step, settings);
    if (settings.temperature < MIN_TEMPERATURE) return this.takeLikeliest();
    if (isFiltered(settings, step.vocabulary) && !this.sure) {  // filters go by ranks, and not even the first is known
      this.odds.fill(0.5, 0, this.count);
      this.doubts.fill(0.5, 0, this.count);
      this.cut.fill(NO_CUT, 0, this.count);
      this.error = 0.5;
      return;
    }
    this.weighHidden(step, settings);
    this.filter(step, settings);
  }

  rank(step, settings) {
    const {count, isExtra} = step;
    const {repetition_penalty: repetition, presence_penalty: presence, frequency_penalty: frequency} = settings;
    const changed = changes(settings);
    const factor = Math.fround(repetition), widened = Math.max(repetition, 1 / repetition);
    const kept = isExtra ? count - 1 : count;
    const {ids, scores, errors, counts, prompt, ranked, off, order} = this;
    let known = 0, rounded = false;
    this.count = count;
    for (let i = 0; i < count; i++) {
      let score = Math.fround(scores[i]), error = errors[i];
      if (changed) {
        const often = counts[i];
        if (often || prompt[i]) {  // in single precision, as the engine does: what is equal there is equal here
          score = score > 0 ? Math.fround(score / factor) : Math.fround(score * factor);
          error *= widened;
          known += often || repetition !== 1 ? 1 : 0;
        }
        if (often) score = Math.fround(score - Math.fround(presence + frequency * often));
      }
      if (error > 0) rounded = true;
      let at = i;  // sorted by insertion: without penalties they come in order
      for (; at > 0; at--) {
        const before = ranked[at - 1];
        if (before > score || (before === score && (rounded || ids[order[at - 1]] < ids[i]))) break;
        ranked[at] = before;
        off[at] = off[at - 1];
        order[at] = order[at - 1];
      }
      ranked[at] = score;
      off[at] = error;
      order[at] = i;
    }
    this.hidden = !changed ? 0 : (repetition !== 1 ? step.distinct : step.inReply) - known;
    let lastError = kept ? this.errors[kept - 1] : 0;
    if (kept && changed && (this.counts[kept - 1] || this.prompt[kept - 1])) lastError *= widened;
    this.lowest = kept ? Math.fround(this.scores[kept - 1]) : Infinity;
    this.cap = Math.min(this.lowest + lastError, others(step, scores, REST_SLACK));
    if (this.hidden > 0) this.cap = raised(this.cap, settings, step.mostOften);
    this.sure = 0;
    while (this.sure < count) {
      const isFirst = this.ranked[this.sure] - this.off[this.sure] > this.cap;
      if (!isFirst && (changed || (isExtra && this.order[this.sure] === count - 1))) break;
      this.sure++;
    }
    this.maySwap = changed && rounded;
  }

  mayTie(rank, other) {
    return Math.abs(this.ranked[rank] - this.ranked[other]) <= this.off[rank] + this.off[other];
  }

  takeLikeliest() {
    const isUnsure = this.sure === 0 || (this.maySwap && this.count > 1 && this.mayTie(0, 1));
    this.odds.fill(0, 0, this.count);
    this.odds[0] = 1;
    this.cut.fill(isUnsure ? NO_CUT : BY_TEMPERATURE, 0, this.count);
    this.cut[0] = NO_CUT;
    this.error = isUnsure ? 1 : 0;
    this.doubts.fill(this.error, 0, this.count);
  }

  /** Nothing but the token that came is known, and others may have been likelier: see what_if.py. */
  takeAlone(step, settings) {
    let low = 0, high = 1;
    if (settings.temperature >= MIN_TEMPERATURE && !isFiltered(settings, step.vocabulary)) {
      this.weighHidden(step, settings);
      low = 1 / (1 + this.hiddenHigh);
      high = 1 / (1 + this.hiddenLow);
    }
    const odds = Math.min(Math.max(exp(this.scores[0] - step.rest), low), high);
    this.odds[0] = odds;
    this.cut[0] = NO_CUT;
    this.error = this.doubts[0] = Math.max(odds - low, high - odds);
  }

  weighHidden(step, settings) {
    const unknown = step.vocabulary - this.count;
    const low = others(step, this.scores, -REST_SLACK), high = others(step, this.scores, REST_SLACK);
    this.hiddenLow = this.hiddenHigh = this.hiddenEach = 0;
    if (unknown <= 0 || high === -Infinity) return;
    const power = 1 / settings.temperature, top = this.ranked[0];
    let most = 0;
    for (let rank = 0; rank < this.count; rank++) if (this.off[rank] > most) most = this.off[rank];
    const own = Math.min(this.lowest + most, high);
    this.hiddenLow = exp(Math.min(spread(low, unknown, power), peaked(low, own, power)) - top * power);
    this.hiddenHigh = exp(Math.max(spread(high, unknown, power), peaked(high, own, power)) - top * power);
    this.hiddenEach = exp((this.cap - top) * power);
    if (this.hidden > 0) {
      this.hiddenLow = Math.max(0, this.hiddenLow - this.hidden * exp((own - top) * power));
      const {repetition_penalty: repetition, presence_penalty: presence, frequency_penalty: frequency} = settings;
      if (repetition < 1 || Math.min(presence, frequency) < 0) this.hiddenHigh += this.hidden * this.hiddenEach;
    }
  }

  filter(step, settings) {
    const {count, low, high, states} = this, {temperature} = settings;
    const {ranked, off, cut, odds, doubts} = this, top = ranked[0];
    let lastOff = 0, factor = 1;  // errors are nearly all the same, and an exponential is what takes longest here
    for (let rank = 0; rank < count; rank++) {
      if (off[rank] !== lastOff) {
        lastOff = off[rank];
        factor = Math.exp(lastOff / temperature);
      }
      const weight = Math.exp((ranked[rank] - top) / temperature);
      low[rank] = weight / factor;
      high[rank] = weight * factor;
      states[rank] = IN;
      cut[rank] = NO_CUT;
    }
    this.least = 0;
    this.most = Infinity;
    if (settings.top_k > 0 && settings.top_k < step.vocabulary) this.applyTopK(settings.top_k);
    if (settings.top_p < 1) this.applyTopP(settings.top_p);
    if (settings.min_p > 0) this.applyMinP(settings.min_p);
    this.weigh();
    const {heaviest} = this, lightest = Math.max(this.lightest, TINY);
    let error = 0;
    for (let rank = 0; rank < count; rank++) {
      const state = states[rank], most = high[rank];
      const from = state === IN ? low[rank] / heaviest : 0;
      const to = state === OUT ? 0 : most > lightest ? 1 : most / lightest;
      odds[rank] = (from + to) / 2;
      doubts[rank] = (to - from) / 2;
      if (doubts[rank] > error) error = doubts[rank];
      if (state !== OUT) cut[rank] = NO_CUT;
    }
    this.error = error;
  }

  /** What is left weighs between `lightest` and `heaviest`. */
  weigh() {
    const {count, states, low, high} = this;
    let least = 0, most = 0;
    for (let rank = 0; rank < count; rank++) {
      const state = states[rank];
      if (state === IN) least += low[rank];
      if (state !== OUT) most += high[rank];
    }
    this.lightest = Math.max(least + this.hiddenLow, this.least);
    this.heaviest = Math.min(most + this.hiddenHigh, this.most);
  }

  ruleOut(rank, cut) {
    if (this.states[rank] === OUT) return;
    this.cut[rank] = this.states[rank] === IN ? cut : BY_SOME;  // a filter before may have cut it
    this.states[rank] = OUT;
  }

  applyTopK(wanted) {
    this.hiddenLow = 0;
    if (wanted > this.sure) {
      for (let rank = this.sure; rank < this.count; rank++) this.states[rank] = MAYBE;
      return;
    }
    const last = wanted - 1;
    for (let rank = wanted; rank < this.count; rank++) {
      if (!this.mayTie(rank, last)) this.ruleOut(rank, BY_TOP_K);
      else if (this.off[rank] + this.off[last] > 0) this.states[rank] = MAYBE;
    }
    this.loosen();
    if (this.cap < this.ranked[last] - this.off[last]) this.hiddenHigh = 0;
  }

  applyTopP(part) {
    this.weigh();
    const {count, sure, states, low: lows, high: highs} = this;
    const least = part * this.lightest, most = part * this.heaviest;
    let low = 0, high = 0;  // of the tokens before
    let last = this.hiddenHigh ? this.hiddenEach : 0;  // what the last that is kept may weigh
    for (let rank = 0; rank < count; rank++) {
      const state = states[rank];
      if (state === OUT) continue;
      if (rank > 0 && low >= most) this.ruleOut(rank, BY_TOP_P);
      else if (rank > 0 && (high >= least || rank >= sure)) states[rank] = MAYBE;
      const now = states[rank];
      if (now !== OUT && (rank >= sure || now === MAYBE)) last = Math.max(last, highs[rank]);
      if (state === IN && rank < sure) low += lows[rank];
      high += highs[rank];
    }
    this.loosen();
    if (low >= most) this.hiddenLow = this.hiddenHigh = 0;
    let certain = 0, isOpen = this.hiddenHigh > 0;
    for (let rank = 0; rank < count; rank++) {
      if (states[rank] === IN) certain += highs[rank];
      if (states[rank] === MAYBE) isOpen = true;
    }
    if (isOpen) {
      this.hiddenLow = 0;
      this.least = least;
      this.most = Math.max(most + last, certain);
    }
  }

  applyMinP(part) {
    const {count, states, low: lows, high: highs} = this;
    let least = 0, most = 0;
    for (let rank = 0; rank < count; rank++) {
      least = Math.max(least, part * lows[rank]);
      most = Math.max(most, part * highs[rank]);
    }
    for (let rank = 0; rank < count; rank++) {
      if (highs[rank] < least) this.ruleOut(rank, BY_MIN_P);
      else if (lows[rank] < most && states[rank] === IN) states[rank] = MAYBE;
    }
    this.least = this.hiddenLow = 0;
    if (this.hiddenEach < least) this.hiddenHigh = 0;
  }

  /** Where rounded scores may stand the other way round, it is not known which of them a filter cut. */
  loosen() {
    if (!this.maySwap) return;
    const {count, ranked, off, states} = this;
    let kept = 0, left = 0, reach = -Infinity, floor = Infinity;
    while (kept < count && states[kept] === IN) kept++;
    while (left < count && states[left] !== OUT) left++;
    for (let rank = kept; rank < count; rank++) reach = Math.max(reach, ranked[rank] + off[rank]);
    for (let rank = 0; rank < left; rank++) floor = Math.min(floor, ranked[rank] - off[rank]);
    for (let rank = 0; rank < count; rank++) {
      if (rank < kept ? ranked[rank] - off[rank] <= reach : ranked[rank] + off[rank] >= floor) states[rank] = MAYBE;
    }
  }
}

function isFiltered({top_k, top_p, min_p}, vocabulary) {
  return (top_k > 0 && top_k < vocabulary) || top_p < 1 || min_p > 0;
}

/** The logarithm of what the unknown tokens weigh together at temperature 1, but for `slack`. */
function others({count, isExtra, rest}, scores, slack) {
  return isExtra ? less(rest + slack, scores[count - 1]) : rest + slack;
}

function raised(cap, settings, mostOften) {
  if (cap === -Infinity) return cap;
  const repetition = Math.min(1, settings.repetition_penalty);
  let added = 0;
  for (const often of [1, mostOften]) {
    if (often) added = Math.max(added, -(settings.presence_penalty + settings.frequency_penalty * often));
  }
  const most = Math.max(cap, Math.max(cap, 0) / repetition + Math.min(cap, 0) * repetition) + added;
  return most + ROUNDING * Math.max(1, Math.abs(most));
}

const spread = (logSum, count, power) => Math.log(count) + power * (logSum - Math.log(count));
const peaked = (logSum, cap, power) => power * cap + (logSum - cap);
const less = (logSum, score) => (logSum > score ? score + Math.log(Math.expm1(logSum - score)) : -Infinity);
const exp = (value) => Math.exp(Math.min(value, 700));
