// A reply's tokens under settings: how likely each was, what rules it out, and whether the kept scores suffice to say.

import {Lens, MIN_TEMPERATURE, NO_CUT, SUFFICIENT, changes} from "./sampling.js";

export class Reply {
  constructor(unpacked) {
    Object.assign(this, unpacked);
    let most = 1;
    for (let place = 0; place < this.steps; place++) most = Math.max(most, this.starts[place + 1] - this.starts[place]);
    this.lens = new Lens(most + 1);
    this.odds = new Float64Array(this.steps);
    this.cuts = new Uint8Array(this.steps);
    this.suffices = new Uint8Array(this.steps);
    this.likeliest = new Int32Array(this.steps);  // -1 where it came
    this.isSure = new Uint8Array(this.steps);
    this.counts = new Int32Array(this.flags.length);
    this.exact = null;
    this.inPrompt = this.header.hiddenInPrompt;
    for (const flag of this.flags) this.inPrompt += flag & 1;
    this.step = {vocabulary: this.header.vocabulary};
  }

  /** Answers of the model's for some places, which hold for these settings. */
  takeExact(settings, answers) {
    this.exact = {settings: JSON.stringify(settings), places: new Map(answers.map((one) => [one.place, one]))};
  }

  hasExact(settings) {
    return this.exact !== null && this.exact.settings === JSON.stringify(settings);
  }

  /** Fills in the odds and cuts of the tokens that came in these places. */
  look(settings, from, to) {
    const {lens, counts, chosen} = this, exact = this.hasExact(settings) ? this.exact.places : null;
    this.begin(settings);
    for (let before = 0; before < from; before++) this.note(chosen[before]);
    for (let place = from; place < to; place++) {
      this.fill(place);
      lens.look(this.step, settings);
      const at = this.chosenAt[place] < 0 ? this.step.count - 1 : this.chosenAt[place];
      let rank = 0;
      while (lens.order[rank] !== at) rank++;
      let odds = lens.odds[rank], cut = lens.cut[rank], suffices = lens.error <= SUFFICIENT;
      const answer = exact?.get(place);
      if (!suffices && answer) {
        odds = oddsBy(answer, lens.ranked[rank], settings);
        cut = odds ? NO_CUT : cut || 1;
        suffices = true;
      }
      this.odds[place] = odds;
      this.cuts[place] = suffices ? cut : NO_CUT;
      this.suffices[place] = suffices ? 1 : 0;
      const isSure = lens.sure > 0 && !(lens.maySwap && lens.count > 1 && lens.mayTie(0, 1));
      this.likeliest[place] = isSure && lens.order[0] === at ? -1 : lens.ids[lens.order[0]];
      this.isSure[place] = isSure ? 1 : 0;
      this.note(chosen[place]);
    }
    counts.fill(0);
  }

  /** What ``look`` found in all places: how many do not suffice, how many are ruled out, and where greedy differs. */
  told() {
    const told = {lacking: 0, forbidden: 0, greedy: -1, greedyToken: -1, isGreedySure: true};
    for (let place = 0; place < this.steps; place++) {
      if (!this.suffices[place]) told.lacking++;
      else if (this.odds[place] === 0) told.forbidden++;
      if (told.greedy < 0 && this.likeliest[place] >= 0) {
        told.greedy = place;
        told.greedyToken = this.likeliest[place];
        told.isGreedySure = this.isSure[place] === 1;
      }
    }
    return told;
  }

  /** Leaves in the lens what could have come at one place. */
  lookAt(place, settings) {
    this.begin(settings);
    for (let before = 0; before < place; before++) this.note(this.chosen[before]);
    this.fill(place);
    this.lens.look(this.step, settings);
    this.counts.fill(0);
    const answer = this.hasExact(settings) && this.lens.error > SUFFICIENT ? this.exact.places.get(place) : undefined;
    if (!answer) return;
    const {lens} = this;
    for (let rank = 0; rank < lens.count; rank++) {
      lens.odds[rank] = oddsBy(answer, lens.ranked[rank], settings);
      lens.cut[rank] = lens.odds[rank] ? NO_CUT : lens.cut[rank] || 1;
    }
    lens.error = 0;
  }

  begin(settings) {
    this.counts.fill(0);
    this.isChanged = changes(settings);
    Object.assign(this.step, {distinct: this.inPrompt, inReply: 0, mostOften: 0});
  }

  note(token) {
    const {step} = this, often = ++this.counts[token];
    if (often === 1) {
      step.inReply++;
      if (!(this.flags[token] & 1)) step.distinct++;
    }
    step.mostOften = Math.max(step.mostOften, often);
  }

  fill(place) {
    const {lens, ids, scores, errors, counts, flags, step, isChanged} = this, begin = this.starts[place];
    const kept = this.starts[place + 1] - begin;
    for (let i = 0; i < kept; i++) {
      const token = ids[begin + i];
      lens.ids[i] = token;
      lens.scores[i] = scores[begin + i];
      lens.errors[i] = errors[begin + i];
      if (isChanged) {
        lens.counts[i] = counts[token];
        lens.prompt[i] = flags[token] & 1;
      }
    }
    step.isExtra = this.chosenAt[place] < 0;
    step.count = kept;
    step.rest = this.rests[place];
    if (!step.isExtra) return;
    const token = this.chosen[place];
    lens.ids[kept] = token;
    lens.scores[kept] = this.chosenScores[place];
    lens.errors[kept] = 0;
    lens.counts[kept] = counts[token];
    lens.prompt[kept] = flags[token] & 1;
    step.count++;
  }
}

function oddsBy(answer, score, settings) {
  if (score < answer.lowest - 1e-4) return 0;
  if (settings.temperature < MIN_TEMPERATURE) return 1 / answer.kept;
  return Math.min(1, Math.exp(score / settings.temperature - answer.log_total));
}
