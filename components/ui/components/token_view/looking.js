// A reply's tokens under settings: how likely each was, what rules it out, and whether the kept scores suffice to say.

import {Lens, SUFFICIENT, changes} from "./sampling.js";
import {byAnswer, lookThrough, readAnswer, stagesOf} from "./stages.js";

const SAME = -1, STRANGE = -2;  // instead of a token: the one that came; one that was not kept
const REMEMBERED = 8;  // settings whose answers are kept

export class Reply {
  constructor(unpacked) {
    Object.assign(this, unpacked);
    let most = 1;
    for (let place = 0; place < this.steps; place++) most = Math.max(most, this.starts[place + 1] - this.starts[place]);
    this.lens = new Lens(most + 1);
    this.odds = new Float64Array(this.steps);
    this.suffices = new Uint8Array(this.steps);
    this.likeliest = new Int32Array(this.steps);
    this.isSure = new Uint8Array(this.steps);
    this.counts = new Int32Array(this.flags.length);
    this.exact = new Map();
    this.answers = undefined;  // to the settings that were looked at last
    this.inPrompt = this.header.hiddenInPrompt;
    for (const flag of this.flags) this.inPrompt += flag & 1;
    this.step = {vocabulary: this.header.vocabulary};
  }

  /** Answers of the model's for some places, which hold for these settings. */
  takeExact(settings, answers) {
    const key = JSON.stringify(settings);
    this.exact.delete(key);  // the newest stands last
    this.exact.set(key, new Map(answers.map((one) => [one.place, readAnswer(one)])));
    if (this.exact.size > REMEMBERED) this.exact.delete(this.exact.keys().next().value);
  }

  hasExact(settings) {
    return this.exact.has(JSON.stringify(settings));
  }

  /**
   * Fills in the odds of the tokens that came in these places, NaN where nobody told how likely one was, and which token
   * was the likeliest.
   */
  look(settings, from, to) {
    const {lens, counts, chosen} = this, last = stagesOf(settings).at(-1).cut;
    this.begin(settings);
    for (let before = 0; before < from; before++) this.note(chosen[before]);
    for (let place = from; place < to; place++) {
      this.fill(place);
      lens.look(this.step, settings);
      const answer = this.answers?.get(place);
      if (this.isTold(place)) {
        this.tell(place, answer, settings, last);
      } else {
        this.odds[place] = NaN;
        this.suffices[place] = 0;
      }
      const isSure = lens.sure > 0 && !(lens.maySwap && lens.count > 1 && lens.mayTie(0, 1));
      const first = lens.count ? lens.ids[lens.order[0]] : chosen[place];
      const likeliest = isSure || !answer ? first : answer.likeliest < 0 ? STRANGE : answer.likeliest;
      this.isSure[place] = isSure || answer ? 1 : 0;
      this.likeliest[place] = this.isSure[place] && likeliest === chosen[place] ? SAME : likeliest;
      this.note(chosen[place]);
    }
    counts.fill(0);
  }

  /** Whether it is known how likely the token was that came. */
  isTold(place) {
    return this.chosenAt[place] >= 0 || !Number.isNaN(this.chosenScores[place]);
  }

  /** Whether it is known which other tokens were likely in a place. */
  hasOthers(place) {
    return this.starts[place + 1] > this.starts[place];
  }

  /** Fills in the odds of the token that came, from the lens, or where that does not suffice from an answer. */
  tell(place, answer, settings, last) {
    const {lens} = this, at = this.chosenAt[place] < 0 ? this.step.count - 1 : this.chosenAt[place];
    let rank = 0;
    while (lens.order[rank] !== at) rank++;
    this.odds[place] = answer ? byAnswer(answer, lens, rank, settings, last).odds : lens.odds[rank];
    this.suffices[place] = answer || lens.error <= SUFFICIENT ? 1 : 0;
  }

  /**
   * What ``look`` found in all places: of how many tokens nobody told how likely they were, how many do not suffice, how
   * many are ruled out, and where greedy differs.
   */
  told() {
    const told = {untold: 0, lacking: 0, forbidden: 0, greedy: -1, greedyPiece: null, isGreedySure: true};
    for (let place = 0; place < this.steps; place++) {
      if (!this.isTold(place)) told.untold++;
      else if (!this.suffices[place]) told.lacking++;
      else if (this.odds[place] === 0) told.forbidden++;
      const likeliest = this.likeliest[place];
      if (told.greedy >= 0 || likeliest === SAME) continue;
      told.greedy = place;
      told.greedyPiece = likeliest === STRANGE ? this.answers?.get(place)?.text : this.pieces[likeliest];
      told.isGreedySure = this.isSure[place] === 1 && told.greedyPiece !== undefined;
    }
    return told;
  }

  /** Of which places the kept scores do not tell the odds, or, as far as it matters, which token was the likeliest. */
  unknown() {
    const places = [];
    let differs = false;
    for (let place = 0; place < this.steps; place++) {
      if (!this.suffices[place] || (!differs && !this.isSure[place])) places.push(place);
      differs ||= this.isSure[place] === 1 && this.likeliest[place] !== SAME;
    }
    return places;
  }

  /** What could have come at one place, stage by stage: see `lookThrough`. */
  lookAt(place, settings) {
    this.begin(settings);
    for (let before = 0; before < place; before++) this.note(this.chosen[before]);
    this.fill(place);
    const stages = lookThrough(this.lens, this.step, settings, this.answers?.get(place));
    this.counts.fill(0);
    return stages;
  }

  begin(settings) {
    this.counts.fill(0);
    this.answers = this.exact.get(JSON.stringify(settings));
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
    step.isExtra = this.chosenAt[place] < 0 && this.isTold(place);
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
