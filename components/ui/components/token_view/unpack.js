// Takes apart what packing.py sends: the kept scores of a reply, with the texts of its tokens.

const FINE_STEP = 1e-4, COARSE_STEP = 2e-3, FINE_CODES = 49152, LAST_CODE = 65535;
const FINE_ERROR = 6e-5, COARSE_ERROR = 1.1e-3;  // half a step, and what single precision rounds
const FAR = 50;  // the last code stands for everything that far behind

/**
 * @param bytes what came.
 * @returns the header, and by place in the reply: `starts` of its kept tokens in `ids`, `scores` and `errors`; `chosen`,
 *   `chosenScores` (NaN where nobody told) and `chosenAt` (its place among the kept ones, -1: none of them); `rests`.
 *   Tokens are named by their place in `flags` and `pieces`, which stand in the order of their ids.
 */
export function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const found = {};
  let at = 4 + length;
  for (const [name, size, kind, count] of header.arrays) {
    found[name] = whole(bytes.subarray(at, at + size * count), size, kind, count);
    at += size * count;
  }
  const {lengths, ids, chosen, textLengths, texts} = found, steps = lengths.length;
  const starts = running(lengths);
  const chosenAt = new Int32Array(steps);
  for (let place = 0; place < steps; place++) {
    const kept = ids.subarray(starts[place], starts[place + 1]);
    chosenAt[place] = kept.indexOf(chosen[place]);
  }
  const ends = running(textLengths);
  const pieces = Array.from(textLengths, (_, token) => texts.subarray(ends[token], ends[token + 1]));
  return {
    header, steps, starts, ids, chosen, chosenAt, pieces,
    rests: found.rests, chosenScores: found.chosenScores, flags: found.flags,
    ...scoresOf(found.codes, found.tops, starts, header.isExact),
  };
}

/** Arrays are sent as all first bytes, then all second ones, and so on. */
function whole(planes, size, kind, count) {
  const bytes = new Uint8Array(size * count);
  for (let plane = 0; plane < size; plane++) {
    for (let i = 0, from = plane * count; i < count; i++) bytes[i * size + plane] = planes[from + i];
  }
  if (kind === "f") return new Float32Array(bytes.buffer);
  return size === 1 ? bytes : size === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}

function running(lengths) {
  const sums = new Int32Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) sums[i + 1] = sums[i] + lengths[i];
  return sums;
}

function scoresOf(differences, tops, starts, isExact) {
  const count = differences.length, scores = new Float64Array(count), errors = new Float64Array(count);
  const bits = new Uint32Array(1), float = new Float32Array(bits.buffer);
  let code = 0;
  for (let place = 0; place < tops.length; place++) {
    for (let i = starts[place]; i < starts[place + 1]; i++) {
      code = (code + differences[i]) & 0xffff;
      if (isExact) {
        bits[0] = code << 16;
        scores[i] = float[0];
      } else if (i === starts[place]) {
        scores[i] = tops[place];
      } else if (code < FINE_CODES) {
        scores[i] = tops[place] - code * FINE_STEP;
        errors[i] = FINE_ERROR;
      } else {
        const isFar = code === LAST_CODE, gap = FINE_CODES * FINE_STEP + (code - FINE_CODES + 0.5) * COARSE_STEP;
        scores[i] = tops[place] - gap - (isFar ? FAR : 0);
        errors[i] = COARSE_ERROR + (isFar ? FAR : 0);
      }
    }
  }
  return {scores, errors};
}

const decoder = new TextDecoder("utf-8", {fatal: true});

/** A token's text; bytes that are no character are written out, as <E4>. */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => `<${byte.toString(16).toUpperCase().padStart(2, "0")}>`).join("");
  }
}

/** The reply in pieces that can be shown: [first place, how many tokens, text]; tokens of one character are together. */
export function cellsOf(reply) {
  const cells = [];
  for (let place = 0; place < reply.steps;) {
    const bytes = [...reply.pieces[reply.chosen[place]]];
    let end = place + 1;
    for (let missing = missingBytes(bytes); missing > 0 && end < reply.steps; missing = missingBytes(bytes)) {
      const next = reply.pieces[reply.chosen[end]];
      if (!next.length || next[0] >> 6 !== 0b10) break;
      bytes.push(...next);
      end++;
    }
    cells.push([place, end - place, textOf(Uint8Array.from(bytes))]);
    place = end;
  }
  return cells;
}

/** How many bytes the last character lacks. */
function missingBytes(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte >> 6 === 0b10) continue;
    const length = byte >= 0xf8 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return Math.max(0, length - back);
  }
  return 0;
}
