// Runs the page's modules on replies from standard input, one JSON list, and writes what they find.

import {readFileSync} from "node:fs";

import {Reply} from "../../../components/ui/components/token_view/looking.js";
import {cellsOf, unpack} from "../../../components/ui/components/token_view/unpack.js";

const found = JSON.parse(readFileSync(0, "utf8")).map(({packed, looks}) => {
  const unpacked = unpack(new Uint8Array(Buffer.from(packed, "base64"))), reply = new Reply(unpacked);
  const {steps, starts, scores, errors} = unpacked;
  const looked = looks.map(({settings, answers, pieces}) => {
    if (answers) reply.takeExact(settings, answers);
    for (const [from, to] of pieces) reply.look(settings, from, to);
    const places = [];
    for (let place = 0; place < steps; place++) {
      reply.lookAt(place, settings);
      const {lens} = reply, {count} = lens;
      places.push({
        odds: reply.odds[place],
        suffices: reply.suffices[place],
        all: [...lens.order.subarray(0, count)].map((at, rank) => [lens.ids[at], lens.odds[rank], lens.cut[rank]]),
        error: lens.error,
      });
    }
    return {places, told: reply.told(), hasExact: reply.hasExact(settings)};
  });
  return {cells: cellsOf(unpacked), starts: [...starts], scores: [...scores], errors: [...errors], looked};
});
process.stdout.write(JSON.stringify(found));
