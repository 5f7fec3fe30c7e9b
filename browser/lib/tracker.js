/** Frames → tracked faces, one frame at a time; see `tracking/tracker.py`, of which this is the shorter form. */

import { MATCHING, ROI, VERIFIER, settings } from "./config.js";
import { FaceFinder } from "./finder.js";
import { boxOf, faceRegion, iou, regionAroundBox } from "./geometry.js";
import { Landmarker } from "./landmarker.js";
import { regionChange } from "./region.js";
import { Stabilizer } from "./stabilizer.js";
import {
  byArea, faceScore, hasJumped, locateTrack, mayHide, motionCost, predictedRegion, sameFace, startTrack, updateTrack,
} from "./track.js";

const MAX_COST = 2; // of motion alone, from which on a found face is not a lost one
const UPRIGHT = 0.9; // mean score of an upright face; that of one on its side stays below
const ROLLS = [Math.PI / 2, Math.PI, -Math.PI / 2];
const BUSY = "the last step has not ended: await it first";

export class Tracker {
  #tracks; // sorted by id
  #earlier; // the tracks before the last frame
  #lost;
  #seconds;
  #detectedSeconds;
  #nextId;
  #busy = false;

  /**
   * Open finder, landmarker and stabiliser of the package.
   *
   * @param ort the module `onnxruntime-web`.
   * @param options {model, weights, providers, config}: as of `Landmarker.load` and the constructor.
   */
  static async load(ort, { model, weights, providers, config } = {}) {
    const landmarker = await Landmarker.load(ort, model, { weights, providers });
    const finder = await FaceFinder.load(ort, { weights });
    const stabilizer = await Stabilizer.load({ network: landmarker.name, weights });
    return new Tracker(landmarker, finder, stabilizer, config);
  }

  /**
   * @param landmarker `Landmarker`.
   * @param finder `FaceFinder`.
   * @param stabilizer `Stabilizer`, or null for raw points.
   * @param config changes to the defaults; see `index.d.ts`.
   */
  constructor(landmarker, finder, stabilizer = null, config = {}) {
    Object.assign(this, { landmarker, finder, stabilizer, config: settings(config) });
    this.reset();
  }

  /** Forget all faces and the time; ids start from 0 again. */
  reset() {
    if (this.#busy) throw new Error(BUSY);
    this.#tracks = [];
    this.#earlier = [];
    this.#lost = [];
    this.#seconds = -Infinity;
    this.#detectedSeconds = -Infinity;
    this.#nextId = 0;
  }

  /**
   * Track the faces of the next frame: predict the region of every track and the landmarks there, match and
   * verify them, search for new faces if it is time, stabilise.
   *
   * @param image {width, height, data}: RGBA as of `ImageData`, of any size.
   * @param seconds time of the frame.
   * @returns the faces in order of id: see `TrackedFace` in `index.d.ts`.
   * @throws RangeError if time does not move forward; Error while the last call has not ended.
   */
  async step(image, seconds) {
    if (this.#busy) throw new Error(BUSY);
    if (!(seconds > this.#seconds && seconds < Infinity)) {
      throw new RangeError(`seconds must grow from frame to frame, got ${seconds} after ${this.#seconds}`);
    }
    this.#busy = true;
    try {
      return await this.#step(image, seconds);
    } finally {
      this.#busy = false;
    }
  }

  async #step(image, seconds) {
    this.#seconds = seconds;
    this.#lost = this.#lost.filter((track) => seconds - track.lastSeconds <= this.config.memorySeconds);
    const seen = await this.landmarker.predictRegions(image, this.#regions(seconds));
    let matches = this.#match(seen, seconds);
    matches = await this.#verify(image, matches, seconds);
    if (this.#detectionDue(matches, seconds)) matches = await this.#detect(image, matches, seconds);
    const faces = this.#update(matches, seconds);
    const coasting = this.#coast(seconds).slice(0, this.config.maxFaces - faces.length);
    return [...faces, ...coasting].sort((one, other) => one.id - other.id);
  }

  /**
   * Regions of the tracks, as they were known before the last frame if that is near enough: so Python can
   * begin with a frame before it is done with the last one, and points are equal to Python's.
   */
  #regions(seconds) {
    const [now, earlier] = [this.#tracks, this.#earlier];
    this.#earlier = now;
    const regions = now.map((track) => predictedRegion(track, seconds));
    const before = earlier.map((track) => predictedRegion(track, seconds));
    const same =
      now.length === earlier.length &&
      now.every((track, i) => track.id === earlier[i].id) &&
      regions.every((region, i) => regionChange(before[i], region) < ROI.prefetchTolerance);
    return same ? before : regions;
  }

  /** Pair tracks with the landmarks in their regions; of two on one face, the one whose path fits better. */
  #match(seen, seconds) {
    const pairs = this.#tracks.map((track, i) => [track, seen[i]]);
    const cost = ([track, { points }]) => motionCost(track, points, seconds);
    const kept = [];
    for (const pair of pairs.toSorted((one, other) => cost(one) - cost(other))) {
      if (kept.some(([, other]) => sameFace(pair[1].points, other.points))) this.#lost.push(pair[0]);
      else kept.push(pair);
    }
    return kept;
  }

  /** Keep the matches that still show a face; the other tracks are lost. */
  async #verify(image, matches, seconds) {
    const due = this.#tracks.reduce((one, other) => (other.verifiedSeconds < one.verifiedSeconds ? other : one), {
      verifiedSeconds: Infinity,
    });
    const kept = [];
    for (const [before, landmarks] of matches) {
      const track = await this.#check(image, before, landmarks, seconds, before === due);
      const sure = isFace(image, landmarks, this.config.keep);
      if (sure && track.missCount < VERIFIER.maxMisses) kept.push([track, landmarks]);
      else this.#lost.push(track);
    }
    return kept;
  }

  /** Update a track's `missCount`: a jump ends it at once; now and then, and after a miss, the finder is asked. */
  async #check(image, track, { points }, seconds, due) {
    if (this.config.confirm <= 0) return track;
    const ask = track.missCount > 0 || (due && seconds - track.verifiedSeconds >= VERIFIER.intervalSeconds);
    const verifiedSeconds = ask ? seconds : track.verifiedSeconds;
    if (hasJumped(track, points, seconds)) return { ...track, verifiedSeconds, missCount: VERIFIER.maxMisses };
    const missed = ask && (await this.finder.confidence(image, points)) < this.config.confirm;
    return { ...track, verifiedSeconds, missCount: missed ? track.missCount + 1 : 0 };
  }

  /** Whether to search for faces: none is left, one was just lost, or there is room and it is time. */
  #detectionDue(matches, seconds) {
    const { maxFaces, redetectSeconds, retrySeconds } = this.config;
    if (!matches.length) return true;
    if (matches.length >= maxFaces) return false;
    const interval = this.#lost.length ? Math.min(redetectSeconds, retrySeconds) : redetectSeconds;
    return matches.length < this.#tracks.length || seconds - this.#detectedSeconds >= interval;
  }

  /** Landmarks in upright regions; where the network is not sure of a face there, of the best of four rolls. */
  async #predictAtAnyRoll(image, upright) {
    const faces = await this.landmarker.predictRegions(image, upright);
    const unsure = upright.map((_, i) => i).filter((i) => meanScore(faces[i]) < UPRIGHT);
    const turned = unsure.flatMap((i) => ROLLS.map((roll) => ({ ...upright[i], roll })));
    const others = turned.length ? await this.landmarker.predictRegions(image, turned) : [];
    others.forEach((face, j) => {
      const i = unsure[Math.floor(j / ROLLS.length)];
      if (meanScore(face) > meanScore(faces[i])) faces[i] = face;
    });
    return faces;
  }

  /** Add the faces that the finder finds and the landmark network confirms, as lost or new tracks. */
  async #detect(image, matches, seconds) {
    this.#detectedSeconds = seconds;
    const known = matches.map(([, { points }]) => points);
    const boxes = (await this.finder.find(image))
      .map(({ box }) => box)
      .sort(byArea)
      .filter((box) => !known.some((points) => iou(box, boxOf(points)) > MATCHING.detectionIou));
    const found = [];
    while (boxes.length && known.length < this.config.maxFaces) {
      const regions = boxes.splice(0, this.config.maxFaces - known.length).map((box) => regionAroundBox(box));
      const turned = (await this.#predictAtAnyRoll(image, regions)).map(({ points }) => faceRegion(points));
      for (const landmarks of await this.landmarker.predictRegions(image, turned)) {
        if (!isFace(image, landmarks, this.config.accept)) continue;
        if (known.some((points) => sameFace(landmarks.points, points))) continue;
        found.push(landmarks);
        known.push(landmarks.points);
      }
    }
    return [...matches, ...this.#identify(found, seconds)];
  }

  /** Give found faces the ids of lost tracks whose path and size fit best, or new ones. */
  #identify(found, seconds) {
    const costs = found.flatMap((landmarks) =>
      this.#lost.map((track) => ({ landmarks, track, cost: motionCost(track, landmarks.points, seconds) })),
    );
    const matched = new Map();
    for (const { landmarks, track, cost } of costs.sort((one, other) => one.cost - other.cost)) {
      if (cost >= MAX_COST || matched.has(landmarks) || !this.#lost.includes(track)) continue;
      matched.set(landmarks, track.id);
      this.#lost = this.#lost.filter((other) => other !== track);
    }
    return found.map((landmarks) => {
      const id = matched.get(landmarks) ?? this.#nextId++;
      return [startTrack(id, landmarks, seconds), landmarks];
    });
  }

  /** Update the tracks and stabilise their points; the faces of the frame. */
  #update(matches, seconds) {
    const shapes = matches.map(([, { points }]) => points);
    const tracks = matches.map(([before, landmarks], i) => {
      const alone = shapes.every((points, j) => i === j || !mayHide(shapes[i], points));
      const track = alone ? locateTrack(before, landmarks, seconds) : before;
      const state = this.#stabilise(track, landmarks, seconds);
      return updateTrack(track, toFace(track.id, landmarks, state), state, seconds);
    });
    this.#tracks = tracks.sort((one, other) => one.id - other.id);
    return this.#tracks.map(({ last }) => last);
  }

  #stabilise({ stabilizerState, lastSeconds }, { points, scores, visible }, seconds) {
    const elapsed = stabilizerState ? seconds - lastSeconds : undefined;
    return this.stabilizer?.step(stabilizerState, points, elapsed, lowered(scores, visible)) ?? null;
  }

  /** The last shapes of the faces that were just lost, latest first; their scores fade. */
  #coast(seconds) {
    const coasting = [];
    for (const { last, lastSeconds } of this.#lost.toSorted((one, other) => other.lastSeconds - one.lastSeconds)) {
      const left = 1 - (seconds - lastSeconds) / Math.max(this.config.graceSeconds, 1e-9);
      if (!last || left <= 1e-6) continue;
      const fade = (values) => values && values.map((value) => left * value);
      coasting.push({ ...last, scores: fade(last.scores), visible: fade(last.visible), held: true });
    }
    return coasting;
  }
}

function toFace(id, { points, scores, visible, covariances }, state) {
  const steady = state?.points ?? points;
  return { id, points: steady, rawPoints: points, scores, visible, covariances, box: boxOf(steady), held: false };
}

/** Whether the network is sure of a face that is large enough and has half of its points in the image. */
function isFace({ width, height }, { points, scores }, least) {
  const [x0, y0, x1, y1] = boxOf(points);
  let inside = 0;
  for (let i = 0; i < points.length; i += 2) {
    if (points[i] >= 0 && points[i] < width && points[i + 1] >= 0 && points[i + 1] < height) inside++;
  }
  return 4 * inside >= points.length && Math.min(x1 - x0, y1 - y0) > VERIFIER.minSize && faceScore(scores) >= least;
}

function meanScore({ scores }) {
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/** Scores, lowered where a point is more likely hidden than not: the network guesses it, at times boldly. */
function lowered(scores, visible) {
  return visible ? scores.map((score, l) => score * Math.min(2 * visible[l], 1)) : scores;
}
