/* The tests of `ragcun eval compare`, for pairs and slices that are chosen here. `values` are differences of queries. */

const PATTERNS = 9999, RESAMPLES = 1999;

/* Numbers in [0, 1) that are the same every time: mulberry32. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/* The two-sided p-value of the paired randomisation test (Smucker, Allan and Carterette, CIKM 2007). */
function randomisation(values, seed = 0) {
  const moved = values.filter((value) => value !== 0), random = generator(seed);
  const found = Math.abs(moved.reduce((sum, value) => sum + value, 0)) * (1 - 1e-12);
  if (!moved.length) return 1;
  const every = moved.length < 13, patterns = every ? 2 ** moved.length : PATTERNS;
  let extreme = 0;
  for (let pattern = 0; pattern < patterns; pattern += 1) {
    let sum = 0, bits = pattern;
    for (let at = 0; at < moved.length; at += 1) {
      if (!every && at % 30 === 0) bits = Math.floor(random() * 1073741824);
      sum += bits & 1 ? moved[at] : -moved[at];
      bits >>>= 1;
    }
    if (Math.abs(sum) >= found) extreme += 1;
  }
  return every ? extreme / patterns : (extreme + 1) / (patterns + 1);
}

/* The 95 percent interval of the mean: the symmetric studentised bootstrap (Hall, Annals of Statistics, 1988). */
function interval(values, seed = 0) {
  const count = values.length, centre = mean(values);
  if (count < 2) return [-1, 1];
  const centred = values.map((value) => value - centre), random = generator(seed);
  const spread = Math.sqrt(centred.reduce((sum, value) => sum + value * value, 0) / (count - 1) / count);
  if (!spread) return [centre, centre];
  const far = [];
  for (let sample = 0; sample < RESAMPLES; sample += 1) {
    let sum = 0, squares = 0;
    for (let at = 0; at < count; at += 1) {
      const drawn = centred[Math.floor(random() * count)];
      sum += drawn;
      squares += drawn * drawn;
    }
    const moved = sum / count, variance = Math.max(0, squares - count * moved * moved) / (count - 1) / count;
    far.push(variance > 0 ? Math.abs(moved) / Math.sqrt(variance) : Math.abs(moved) > 1e-12 ? Infinity : 0);
  }
  far.sort((a, b) => a - b);
  const half = far[Math.ceil(0.95 * (RESAMPLES - 1))] * spread;
  return [Math.max(-1, centre - half), Math.min(1, centre + half)];
}

/* Holm (Scandinavian Journal of Statistics, 1979). */
function holm(pValues) {
  const order = pValues.map((_, at) => at).sort((x, y) => pValues[x] - pValues[y]), adjusted = [];
  let highest = 0;
  order.forEach((at, rank) => {
    highest = Math.max(highest, Math.min(1, (pValues.length - rank) * pValues[at]));
    adjusted[at] = highest;
  });
  return adjusted;
}

function ranksOf(values) {
  const order = values.map((_, at) => at).sort((x, y) => values[x] - values[y]), ranks = [];
  for (let start = 0; start < order.length;) {
    let stop = start;
    while (stop < order.length && values[order[stop]] === values[order[start]]) stop += 1;
    for (let at = start; at < stop; at += 1) ranks[order[at]] = (start + stop - 1) / 2;
    start = stop;
  }
  return ranks;
}

/* Spearman's rank correlation of two lists, and its p-value over random permutations. */
function spearman(x, y, seed = 0) {
  const centred = (values) => { const middle = mean(values); return values.map((value) => value - middle); };
  const a = centred(ranksOf(x)), b = centred(ranksOf(y)), random = generator(seed);
  const norm = Math.sqrt(a.reduce((sum, value) => sum + value * value, 0) * b.reduce((sum, value) => sum + value * value, 0));
  if (!norm) return null;
  const product = () => a.reduce((sum, value, at) => sum + value * b[at], 0) / norm;
  const found = product();
  let extreme = 0;
  const permutations = 1999;
  for (let sample = 0; sample < permutations; sample += 1) {
    for (let at = b.length - 1; at > 0; at -= 1) {
      const other = Math.floor(random() * (at + 1));
      [b[at], b[other]] = [b[other], b[at]];
    }
    if (Math.abs(product()) >= Math.abs(found) - 1e-12) extreme += 1;
  }
  return { rho: found, p: (extreme + 1) / (permutations + 1) };
}

/* A comparison of two lists of scores, each a whole number of UNITS. */
function compared(a, b) {
  const values = a.map((score, at) => (score - b[at]) / UNITS);
  const count = (test) => values.filter(test).length;
  const [low, high] = interval(values);
  return {
    values, count: values.length, a: mean(a) / UNITS, b: mean(b) / UNITS, difference: mean(values), low, high,
    p: randomisation(values), won: count((v) => v > 0), tied: count((v) => v === 0), lost: count((v) => v < 0),
  };
}
