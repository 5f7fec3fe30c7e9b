/**
 * The default stabiliser, frame by frame: `steadyface.stabilizer`'s `guard` and `velocity` in one module.
 *
 *     const stabilizer = new Stabilizer(await (await fetch("stabilizer.json")).json());
 *     let state = null;
 *     for each frame: state = stabilizer.step(state, points, secondsSinceTheLast, scores);
 *
 * Points are x₀, y₀, x₁, … in image px, NaN where a landmark is missing. Source: Tai et al. 2019, Eq. (5)-(10),
 * with the changes that `velocity.py` names; its docstrings hold the equations.
 */

const VERSION = 2;

// Of face size, unless said otherwise; what each means stands in guard.py.
const JUMP = 0.25;
const OFF = 0.15;
const PACE = 0.04;
const SAME = 0.05;
const PATIENCE = 5; // frames
const FEW = 0.2; // of the landmarks
const MANY = 1 / 3; // of the landmarks
const WIDEST = 3; // frames
const AGREE = 2; // frames

const DOUBT = 1e-3; // added to 1 - score
const UNKNOWN = 4; // frames' worth of pushes
const SLOW = 5e-3; // a decay below which the growth is a series

export class Stabilizer {
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
   */
  step(state, points, dt = 1 / this.fps, scores = null) {
    if (state === null) {
      const seen = look(null, points);
      return seen && this.begin(seen);
    }
    const waited = state.waited + Math.max(0, dt);
    const seen = look(state.seen, points, waited * this.fps);
    if (seen.skipped) return { ...state, seen, waited };
    if (seen.fresh) return this.begin(seen);
    const frames = Math.round(waited * this.fps * 1e6) / 1e6; // as Python, which keeps passages of equal times
    const memory = this.advance(state.memory, seen, frames, scores);
    return { points: multiply(memory.place, this.back), memory, seen, waited: 0 };
  }

  /** The state after the first frame of a face, whose output is its input. */
  begin(seen) {
    const place = multiply(seen.points, this.basis);
    const most = place.map((_, d) => Math.max(...this.pushes.map((push) => push[d])));
    const memory = {
      place,
      velocity: new Float64Array(place.length),
      spread: [Float64Array.from(this.noise), new Float64Array(place.length), most.map((push) => UNKNOWN * push)],
    };
    return { points: seen.points, memory, seen, waited: 0 };
  }

  /** What is believed after the next frame: the closed-form step along each direction alone. */
  advance(memory, seen, frames, scores) {
    const observed = multiply(seen.points, this.basis);
    const noise = this.noiseFor(scores);
    const next = { place: observed.slice(), velocity: observed.slice(), spread: [0, 1, 2].map(() => observed.slice()) };
    for (let d = 0; d < observed.length; d++) {
      const { h, kept, growth } = passage(this.damping[d], frames);
      const [xx, xv, vv] = memory.spread.map((part) => part[d]);
      const carried = [xx + 2 * h * xv + h * h * vv, kept * xv + h * kept * vv, kept * kept * vv];
      const place = memory.place[d] + h * memory.velocity[d];
      const surprise = observed[d] - place;
      const squared = (surprise / (seen.size / 100)) ** 2;
      const priors = this.pushes.map((push) => carried.map((part, i) => part + push[d] * growth[i]));
      const posterior = condition(priors, this.alphas, noise[d], squared);
      next.place[d] = place + posterior.gain[0] * surprise;
      next.velocity[d] = kept * memory.velocity[d] + posterior.gain[1] * surprise;
      posterior.spread.forEach((part, i) => (next.spread[i][d] = part));
    }
    return next;
  }

  /** Γ along each direction for landmarks of these scores. */
  noiseFor(scores) {
    if (scores === null || this.trust === 0) return this.noise;
    const factors = this.doubts.map((usual, l) => ((1 + DOUBT - scores[l]) / usual) ** this.trust);
    return multiply(factors, this.noiseOfLandmarks);
  }
}

/** What `frames` frames do to a velocity that decays, and by how much covariances grow per unit of push. */
function passage(damping, frames) {
  const rate = -Math.log(damping);
  const decay = rate * frames;
  const lost = -Math.expm1(-decay);
  const h = lost / rate;
  const series = h ** 3 * (1 / 3 + lost * (1 / 4 + lost * (1 / 5 + lost * (1 / 6 + lost / 7))));
  const swing = decay < SLOW ? series : (decay - lost - lost ** 2 / 2) / rate ** 3;
  return { h, kept: 1 - lost, growth: [swing, h ** 2 / 2, h * (1 - lost / 2)] };
}

/** The mixture's gain and spread once a place has been observed `squared` (percent of face size)² away. */
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

// ------------------------------------------------------------------------------------------- the guard

/** What a frame comes to once it has been looked at; null before the first complete frame. See `guard.look`. */
function look(last, points, frames = 1) {
  if (last === null) return points.every(Number.isFinite) ? plain(points, { fresh: true }) : null;
  const count = points.length / 2;
  const limit = last.size * Math.sqrt(Math.min(Math.max(frames, 1), WIDEST));
  const missing = perLandmark(count, (l) => !(isFinite(points[2 * l]) && isFinite(points[2 * l + 1])));
  if (missing.every(Boolean)) return { ...last, fresh: false, skipped: true };
  const away = subtract(points, last.points);
  const together = middle(away, missing);
  const alone = away.map((value, i) => (missing[i >> 1] ? 0 : value - together[i % 2]));
  const distance = perLandmark(count, (l) => Math.hypot(alone[2 * l], alone[2 * l + 1]));
  const jumped = Math.hypot(...together) > JUMP * limit;
  const whole = !missing.some(Boolean);
  if (!last.doubt && !jumped && whole && Math.max(...distance) <= PACE * limit) return plain(points);
  const before = last.doubt ?? new Array(count).fill(0);
  const off = distance.map((d, l) => missing[l] || d > (before[l] > PATIENCE ? SAME : OFF) * limit);
  const raw = Float64Array.from(points, (value, i) =>
    missing[i >> 1] ? last.points[i] + together[i % 2] : value,
  );
  if (jumped && share(off) <= FEW) return plain(raw, { fresh: true });
  const doubt = doubts(off, before, stays(raw, last.raw, missing, SAME * limit));
  if (share(off) > MANY) {
    const agreed = share(doubt.map((d) => d === 0 || d > AGREE)) >= 1 - FEW;
    if (agreed) return plain(raw, { fresh: true });
    return { ...last, raw, doubt, fresh: false, skipped: true };
  }
  const plausible = raw.map((_, i) => {
    const l = i >> 1;
    const held = off[l] && doubt[l] <= PATIENCE;
    const allowed = held ? 0 : Math.min(1, (PACE * limit) / Math.max(distance[l], 1e-12));
    return last.points[i] + together[i % 2] + allowed * alone[i];
  });
  return plain(plausible, { raw, doubt: doubt.some(Boolean) ? doubt : null });
}

function plain(points, rest = {}) {
  const copy = Float64Array.from(points);
  return { points: copy, size: faceSize(copy), raw: copy, doubt: null, fresh: false, skipped: false, ...rest };
}

/** Whether each landmark, as it came, has moved no more than `most` beside the others. */
function stays(raw, lastRaw, missing, most) {
  const stepped = subtract(raw, lastRaw);
  const together = middle(stepped, missing.map(() => false));
  const beside = (l) => Math.hypot(stepped[2 * l] - together[0], stepped[2 * l + 1] - together[1]);
  return missing.map((gone, l) => !gone && beside(l) <= most);
}

/** For how many frames each landmark has been off and stayed where it is. */
function doubts(off, before, staying) {
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
  const [width, height] = [0, 1].map((axis) => {
    const values = points.filter((_, i) => i % 2 === axis);
    return Math.max(...values) - Math.min(...values);
  });
  return Math.max(Math.sqrt(width * height), 1);
}

function perLandmark(count, of) {
  return Array.from({ length: count }, (_, l) => of(l));
}

function share(flags) {
  return flags.filter(Boolean).length / flags.length;
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

/** What each landmark adds to the noise along each direction. */
function shareNoise({ basis, back, noise, doubts }) {
  const own = noise.map((_, i) => back.reduce((sum, row) => sum + row[i] ** 2, 0));
  const part = (l, d) => basis[2 * l][d] ** 2 * own[2 * l] + basis[2 * l + 1][d] ** 2 * own[2 * l + 1];
  const parts = doubts.map((_, l) => noise.map((_, d) => part(l, d)));
  const totals = noise.map((_, d) => parts.reduce((sum, row) => sum + row[d], 0));
  return parts.map((row) => row.map((value, d) => (noise[d] * value) / totals[d]));
}
