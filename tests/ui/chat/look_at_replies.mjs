// Runs the page's modules on replies from standard input, one JSON list, and writes what they find.

import {readFileSync} from "node:fs";

import {Reply} from "../../../components/ui/components/token_view/looking.js";
import {addUp} from "../../../components/ui/components/token_view/stages.js";
import {cellsOf, unpack} from "../../../components/ui/components/token_view/unpack.js";

const found = JSON.parse(readFileSync(0, "utf8")).map(({packed, looks}) => {
  const unpacked = unpack(new Uint8Array(Buffer.from(packed, "base64"))), reply = new Reply(unpacked);
  const {steps, starts, scores, errors} = unpacked;
  const looked = looks.map(({settings, answers, pieces}) => {
    if (answers) reply.takeExact(settings, answers);
    for (const [from, to] of pieces) reply.look(settings, from, to);
    const places = [];
    for (let place = 0; place < steps; place++) {
      const stages = reply.lookAt(place, settings), {lens} = reply, {odds, cuts} = stages.at(-1);
      places.push({
        odds: reply.odds[place],
        suffices: reply.suffices[place],
        all: Array.from(odds, (one, rank) => [lens.ids[lens.order[rank]], one, cuts[rank]]),
        error: lens.error,
        stages: stages.map((stage) => ({...stage, odds: [...stage.odds], doubts: [...stage.doubts], cuts: [...stage.cuts]})),
        sum: (({cut, sums, doubts}) => ({cut, sums: [...sums], doubts: [...doubts]}))(addUp(stages)),
      });
    }
    return {places, told: reply.told(), unknown: reply.unknown(), hasExact: reply.hasExact(settings)};
  });
  return {cells: cellsOf(unpacked), starts: [...starts], scores: [...scores], errors: [...errors], looked};
});
process.stdout.write(JSON.stringify(found));
