/**
 * The default stabiliser, frame by frame: `outliers` and `sta` of `steadyface.stabilizer` in one module.
 *
 *     const stabilizer = await Stabilizer.load();
 *     let state = null;
 *     for each frame: state = stabilizer.step(state, points, secondsSinceTheLast, scores);
 *
 * Points are x₀, y₀, x₁, … in image px, NaN where a landmark is missing. Source: Tai et al. 2019, Eq. (5)-(10),
 * with the changes that `sta.py` names; its docstrings hold the equations.
 */

import { WEIGHTS, inFolder, load } from "./runtime.js";

const VERSION = 2;
const FITTED = new Set(["tiny", "nano"]); // networks with parameters of their own: each errs in its own way

// Of face size, unless said otherwise; `OutlierConfig` in outliers.py explains each.
const CUT = 0.25;
const OUTLIER = 0.15;
const OUTLIER_ALONG = 0.25;
const PACE = 0.04;
const ALIKE = 0.02;
const NEIGHBOURS = 4; // landmarks
const SETTLED = 0.05;
const PATIENCE = 5; // frames
const UNEXPLAINED = 0.8; // of the landmarks beyond PACE
const MIN_PRESENT = 0.2; // of the landmarks
const MAX_OUTLIERS = 1 / 3; // of the present landmarks, as the next three
const MAX_CUT_OUTLIERS = 0.2;
const MAX_GUESSES = 0.2;
const MIN_AGREEING = 0.8;
const AGREEMENT = 2; // frames
const LONGEST = 3; // frames
const SURER = 0.25; // of the doubt before
const LEAST_OUTLIER_DOUBT = 0.01; // added to 1 - score
const OWN = 0.004; // off the common motion, at which a landmark's weight is halved
const ROUNDS = 2; // of reweighting

const LEAST_DOUBT = 1e-3; // added to 1 - score
const FIRST_FRAMES = 4; // frames' worth of pushes: the variance of the first velocity
const SLOW = 5e-3; // a decay below which the growth is a series

export class Stabilizer {
  /**
   * Load the package's parameters.
   *
   * @param options {network, weights}: name of the network whose points are filtered, and the folder.
   */
  static async load({ network = null, weights = WEIGHTS } = {}) {
    const name = FITTED.has(network) ? `sta-${network}` : "sta";
    return new Stabilizer(await (await load(inFolder(weights, `${name}.json`))).json());
  }

  /** @param parameters the content of a file of kind `sta`, such as the bundled `sta.json`. */
  constructor(parameters) {
    if (parameters.kind !== "sta" || parameters.version !== VERSION) {
      const { kind, version } = parameters;
      throw new Error(`a stabiliser of kind sta, version ${VERSION}, is needed; got ${kind}, ${version}`);
    }
    Object.assign(this, parameters);
    this.back = inverse(this.basis);
    this.noiseOfLandmarks = shareNoise(this);
  }

  /**
   * One frame of one face.
   *
   * @param state of the last frame; null at the start.
   * @param points raw, image px.
   * @param dt seconds since the last frame; left out, one frame at `fps`.
   * @param scores (68) in [0, 1], or null.
   * @returns the new state; its `points` are the stabilised ones. Null while no complete frame has been seen.
   * @throws RangeError another number of points or scores, or a time that is no finite number.
   */
  step(state, points, dt = 1 / this.fps, scores = null) {
    this.check(points, dt, scores);
    if (state === null) {
      const screened = screen(null, points, 1, scores);
      return screened && this.begin(screened);
    }
    const waited = state.waited + Math.max(0, dt);
    const screened = screen(state.screened, points, waited * this.fps, scores);
    if (screened.rejected) return { ...state, screened, waited };
    if (screened.restarts) return this.begin(screened);
    const frames = Math.round(waited * this.fps * 1e6) / 1e6; // as Python, which keeps passages of equal times
    const memory = this.advance(state.memory, screened, frames, scores);
    return { points: multiply(memory.position, this.back), memory, screened, waited: 0 };
  }

  check(points, dt, scores) {
    const count = this.noise.length;
    const flat = points?.length === count && typeof points[0] === "number";
    if (!flat) throw new RangeError(`points must be ${count} numbers x₀, y₀, x₁, …, got ${points?.length}`);
    if (!Number.isFinite(dt)) throw new RangeError(`dt must be a number of seconds, got ${dt}`);
    if (scores && 2 * scores.length !== count) {
      throw new RangeError(`scores must be ${count / 2} numbers, got ${scores.length}`);
    }
  }

  /** The state after the first frame of a face, whose output is its input. */
  begin(screened) {
    const position = multiply(screened.points, this.basis);
    const most = position.map((_, d) => Math.max(...this.pushes.map((push) => push[d])));
    const memory = {
      position,
      velocity: new Float64Array(position.length),
      spread: [
        Float64Array.from(this.noise),
        new Float64Array(position.length),
        most.map((push) => FIRST_FRAMES * push),
      ],
    };
    return { points: screened.points, memory, screened, waited: 0 };
  }

  /** The belief after the next frame: predict and condition along each direction alone. */
  advance(memory, screened, frames, scores) {
    const observed = multiply(screened.points, this.basis);
    const noise = this.noiseFor(scores);
    const next = { position: observed.slice(), velocity: observed.slice(), spread: [] };
    for (let i = 0; i < 3; i++) next.spread.push(observed.slice());
    for (let d = 0; d < observed.length; d++) {
      const { h, kept, growth } = passage(this.damping[d], frames);
      const [xx, xv, vv] = memory.spread.map((part) => part[d]);
      const carried = [xx + 2 * h * xv + h * h * vv, kept * xv + h * kept * vv, kept * kept * vv];
      const position = memory.position[d] + h * memory.velocity[d];
      const surprise = observed[d] - position;
      const squared = (surprise / (screened.size / 100)) ** 2;
      const priors = this.pushes.map((push) => carried.map((part, i) => part + push[d] * growth[i]));
      const posterior = condition(priors, this.alphas, noise[d], squared);
      next.position[d] = position + posterior.gain[0] * surprise;
      next.velocity[d] = kept * memory.velocity[d] + posterior.gain[1] * surprise;
      posterior.spread.forEach((part, i) => (next.spread[i][d] = part));
    }
    return next;
  }

  /** Γ along each direction for landmarks of these scores. */
  noiseFor(scores) {
    if (scores === null || this.trust === 0) return this.noise;
    const factors = this.doubts.map((usual, l) => ((1 + LEAST_DOUBT - scores[l]) / usual) ** this.trust);
    return multiply(factors, this.noiseOfLandmarks);
  }
}

/** Prediction over `frames` frames: see motion_model.py. */
function passage(damping, frames) {
  const rate = -Math.log(damping);
  const decay = rate * frames;
  const lost = -Math.expm1(-decay);
  const h = lost / rate;
  const series = h ** 3 * (1 / 3 + lost * (1 / 4 + lost * (1 / 5 + lost * (1 / 6 + lost / 7))));
  const swing = decay < SLOW ? series : (decay - lost - lost ** 2 / 2) / rate ** 3;
  return { h, kept: 1 - lost, growth: [swing, h ** 2 / 2, h * (1 - lost / 2)] };
}

/** The mixture's gain and spread once a position has been observed `squared` (percent of face size)² away. */
function condition(priors, alphas, noise, squared) {
  const totals = priors.map(([xx]) => xx + noise);
  const logs = totals.map((total, k) => Math.log(alphas[k]) - 0.5 * (Math.log(total) + squared / total));
  const top = Math.max(...logs);
  const weights = logs.map((log) => Math.exp(log - top));
  const mass = weights.reduce((sum, weight) => sum + weight);
  const gain = [0, 0];
  const spread = [0, 0, 0];
  priors.forEach(([xx, xv, vv], k) => {
    const share = weights[k] / mass;
    const [g, s] = [xx / totals[k], xv / totals[k]];
    gain[0] += share * g;
    gain[1] += share * s;
    const scatter = share * (squared - totals[k]);
    spread[0] += share * xx + scatter * g * g;
    spread[1] += share * xv + scatter * g * s;
    spread[2] += share * vv + scatter * s * s;
  });
  spread[0] -= squared * gain[0] * gain[0];
  spread[1] -= squared * gain[0] * gain[1];
  spread[2] -= squared * gain[1] * gain[1];
  return { gain, spread };
}

// --------------------------------------------------------------------------------------- outlier rejection

/** A frame after outlier rejection; null before the first complete frame. See `outliers.screen_frame`. */
function screen(last, points, frames, scores) {
  if (last === null) return points.every(Number.isFinite) ? plain(points, { scores, restarts: true }) : null;
  const count = points.length / 2;
  const limit = last.size * Math.sqrt(Math.min(Math.max(frames, 1), LONGEST));
  const missing = perLandmark(count, (l) => !(isFinite(points[2 * l]) && isFinite(points[2 * l + 1])));
  const present = missing.filter((gone) => !gone).length;
  if (present <= MIN_PRESENT * count) return { ...last, restarts: false, rejected: true };
  const share = (flags) => flags.filter((flag, l) => flag && !missing[l]).length / present;
  const away = subtract(points, last.points);
  const common = commonMotion(last.points, points, missing, limit);
  const alone = away.map((value, i) => (missing[i >> 1] ? 0 : value - common[i]));
  const distance = lengths(alone);
  const jumped = Math.hypot(...middle(common, new Array(count).fill(false))) > CUT * limit;
  const whole = present === count;
  if (!last.outlierFrames && !jumped && whole && Math.max(...distance) <= PACE * limit) {
    return plain(points, { scores });
  }
  const before = last.outlierFrames ?? new Array(count).fill(0);
  const along = goAlong(last.points, alone, ALIKE * limit);
  const most = (l) => (before[l] > PATIENCE ? SETTLED : along[l] ? OUTLIER_ALONG : OUTLIER);
  const off = distance.map((d, l) => missing[l] || d > most(l) * limit);
  const raw = Float64Array.from(points, (value, i) =>
    missing[i >> 1] ? last.points[i] + common[i] : value,
  );
  const surer = isSurer(scores, last.scores);
  const guessed = off.map((isOff, l) => isOff && !missing[l] && surer(l));
  if (share(guessed) > MAX_GUESSES || (jumped && share(off) <= MAX_CUT_OUTLIERS)) {
    return plain(raw, { scores, restarts: true });
  }
  const outlierFrames = countFrames(off, before, stays(raw, last.raw, missing, limit));
  if (share(off) > MAX_OUTLIERS) {
    const agreeing = share(outlierFrames.map((frames) => frames === 0 || frames > AGREEMENT));
    if (agreeing >= MIN_AGREEING) return plain(raw, { scores, restarts: true });
    return { ...last, raw, outlierFrames, restarts: false, rejected: true };
  }
  const held = off.map((isOff, l) => isOff && !guessed[l] && outlierFrames[l] <= PATIENCE);
  const plausible = raw.map((_, i) => {
    const l = i >> 1;
    const paced = along[l] || guessed[l] ? 1 : Math.min(1, (PACE * limit) / Math.max(distance[l], 1e-12));
    const allowed = held[l] ? 0 : paced;
    return last.points[i] + common[i] + allowed * alone[i];
  });
  const counts = outlierFrames.some(Boolean) ? outlierFrames : null;
  const kept = scores && last.scores ? held.map((waits, l) => (waits ? last.scores : scores)[l]) : scores;
  return plain(plausible, { raw, outlierFrames: counts, scores: kept });
}

/** Whether one of each landmark's neighbours moves as it does, beside the others; see `outliers.py`. */
function goAlong(before, alone, alike) {
  const apart = (of, k, l) => Math.hypot(of[2 * k] - of[2 * l], of[2 * k + 1] - of[2 * l + 1]);
  const all = perLandmark(before.length / 2, (l) => l);
  return all.map((l) => {
    const others = all.filter((k) => k !== l).sort((j, k) => apart(before, j, l) - apart(before, k, l));
    return others.slice(0, NEIGHBOURS).some((k) => apart(alone, k, l) <= alike);
  });
}

function plain(points, rest = {}) {
  const copy = Float64Array.from(points);
  const usual = { outlierFrames: null, scores: null, restarts: false, rejected: false };
  return { points: copy, size: faceSize(copy), raw: copy, ...usual, ...rest };
}

/** Whether the network is much surer of a landmark than it was before. */
function isSurer(scores, before) {
  const doubt = (score) => 1 + LEAST_OUTLIER_DOUBT - score;
  return (l) => Boolean(scores && before) && doubt(scores[l]) < SURER * doubt(before[l]);
}

/** Whether each raw landmark has moved no more than `SETTLED` beside the others. */
function stays(raw, lastRaw, missing, limit) {
  const beside = lengths(subtract(subtract(raw, lastRaw), commonMotion(lastRaw, raw, missing, limit)));
  return missing.map((gone, l) => !gone && beside[l] <= SETTLED * limit);
}

/**
 * Displacement of each landmark if it moves with the others: the median one, unless a similarity leaves fewer
 * landmarks beyond `PACE`, by `UNEXPLAINED`.
 */
function commonMotion(before, after, missing, limit) {
  const away = subtract(after, before);
  const median = middle(away, missing);
  const shift = away.map((_, i) => median[i % 2]);
  const count = (motion) =>
    lengths(subtract(away, motion)).filter((d, l) => !missing[l] && d > PACE * limit).length;
  const beyond = count(shift);
  const there = (points) => points.filter((_, i) => !missing[i >> 1]);
  if (!beyond || !(squareSide(there(before)) > 0)) return shift;
  const turned = subtract(robustSimilarity(there(before), there(after))(before), before);
  if (Math.max(...lengths(subtract(turned, shift))) > CUT * limit) return shift;
  return count(turned) < UNEXPLAINED * beyond ? turned : shift;
}

/** Similarity by which most of the landmarks moved; see `motion.robust_similarity`. */
function robustSimilarity(before, after) {
  const variance = (OWN * squareSide(before)) ** 2;
  let motion = null;
  for (let round = 0; round <= ROUNDS; round++) {
    const off = motion === null ? null : lengths(subtract(motion(before), after));
    motion = similarity(before, after, (l) => (off === null ? 1 : 1 / (variance + off[l] ** 2)));
  }
  return motion;
}

/** The similarity of least weighted squares, as a function of points; Umeyama 1991. */
function similarity(before, after, weight) {
  let [total, x, y, u, v] = [0, 0, 0, 0, 0];
  for (let l = 0; 2 * l < before.length; l++) {
    const w = weight(l);
    total += w;
    x += w * before[2 * l];
    y += w * before[2 * l + 1];
    u += w * after[2 * l];
    v += w * after[2 * l + 1];
  }
  [x, y, u, v] = [x / total, y / total, u / total, v / total];
  let [real, imaginary, square] = [0, 0, 0];
  for (let l = 0; 2 * l < before.length; l++) {
    const [w, dx, dy] = [weight(l), before[2 * l] - x, before[2 * l + 1] - y];
    const [du, dv] = [after[2 * l] - u, after[2 * l + 1] - v];
    real += w * (dx * du + dy * dv);
    imaginary += w * (dx * dv - dy * du);
    square += w * (dx * dx + dy * dy);
  }
  const [a, b] = [real / square, imaginary / square];
  return (points) =>
    points.map((_, i) => {
      const [dx, dy] = [points[i & ~1] - x, points[i | 1] - y];
      return i % 2 ? v + b * dx + a * dy : u + a * dx - b * dy;
    });
}

function lengths(vectors) {
  return perLandmark(vectors.length / 2, (l) => Math.hypot(vectors[2 * l], vectors[2 * l + 1]));
}

/** For how many frames each landmark has been an outlier that stays where it is. */
function countFrames(off, before, staying) {
  return off.map((isOff, l) => (isOff ? (staying[l] ? before[l] + 1 : 1) : 0));
}

/** The median x and y of the landmarks that are not left out. */
function middle(points, leftOut) {
  return [0, 1].map((axis) => {
    const values = points.filter((_, i) => i % 2 === axis && !leftOut[i >> 1]).sort();
    const last = values.length - 1;
    return (values[last >> 1] + values[(last + 1) >> 1]) / 2;
  });
}

/** √(width · height) of the points' box, px, at least 1. */
function faceSize(points) {
  return Math.max(squareSide(points), 1);
}

/** √(width · height) of the points' box, px. */
function squareSide(points) {
  const [width, height] = [0, 1].map((axis) => {
    const values = points.filter((_, i) => i % 2 === axis);
    return Math.max(...values) - Math.min(...values);
  });
  return Math.sqrt(width * height);
}

function perLandmark(count, of) {
  return Array.from({ length: count }, (_, l) => of(l));
}

function subtract(points, others) {
  return Float64Array.from(points, (value, i) => value - others[i]);
}

// ---------------------------------------------------------------------------------------- linear algebra

/** A row vector times a matrix. */
function multiply(row, matrix) {
  const result = new Float64Array(matrix[0].length);
  for (let i = 0; i < row.length; i++) {
    for (let j = 0; j < result.length; j++) result[j] += row[i] * matrix[i][j];
  }
  return result;
}

/** By Gauss's and Jordan's elimination with the largest pivot of each column. */
function inverse(matrix) {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...perLandmark(size, (j) => Number(i === j))]);
  for (let i = 0; i < size; i++) {
    let pivot = i;
    for (let j = i; j < size; j++) if (Math.abs(rows[j][i]) > Math.abs(rows[pivot][i])) pivot = j;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    const scale = 1 / rows[i][i];
    rows[i] = rows[i].map((value) => value * scale);
    for (let j = 0; j < size; j++) {
      const factor = rows[j][i];
      if (j === i || factor === 0) continue;
      for (let k = i; k < 2 * size; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  return rows.map((row) => row.slice(size));
}

/** Contribution of each landmark to the noise along each direction. */
function shareNoise({ basis, back, noise, doubts }) {
  const own = noise.map((_, i) => back.reduce((sum, row) => sum + row[i] ** 2, 0));
  const part = (l, d) => basis[2 * l][d] ** 2 * own[2 * l] + basis[2 * l + 1][d] ** 2 * own[2 * l + 1];
  const parts = doubts.map((_, l) => noise.map((_, d) => part(l, d)));
  const totals = noise.map((_, d) => parts.reduce((sum, row) => sum + row[d], 0));
  return parts.map((row) => row.map((value, d) => (noise[d] * value) / totals[d]));
}
