// Runs the page's module on cases from standard input, one JSON list, and writes what it finds.

import {readFileSync} from "node:fs";

import {Lens} from "../../components/ui/components/token_view/sampling.js";

const lens = new Lens(64);
const found = JSON.parse(readFileSync(0, "utf8")).map(({step, settings, ...tokens}) => {
  for (const [name, values] of Object.entries(tokens)) lens[name].set(values);
  lens.look({...step, rest: step.rest ?? -Infinity}, settings);
  const {count} = step;
  return {
    ids: [...lens.order.subarray(0, count)].map((place) => lens.ids[place]),
    odds: [...lens.odds.subarray(0, count)],
    doubts: [...lens.doubts.subarray(0, count)],
    cut: [...lens.cut.subarray(0, count)],
    error: lens.error,
  };
});
process.stdout.write(JSON.stringify(found));
