/** Settings of the tracker; `index.d.ts` says what each does. The values are those of `tracking/config.py`. */

export const DEFAULTS = Object.freeze({
  maxFaces: 4,
  accept: 0.88,
  keep: 0.8,
  confirm: 0.35,
  redetectSeconds: 0.5,
  retrySeconds: 0.1,
  graceSeconds: 0.3,
  memorySeconds: 3,
});

/** Motion model: a velocity that dies out while a face is not seen, with a tolerance that grows. */
export const MOTION = Object.freeze({
  velocityGain: 0.5,
  predictionSeconds: 0.2,
  stoppingSeconds: 1,
  positionNoise: 0.25,
  processNoise: 1,
  logSizeNoise: 0.3,
  logSizeProcessNoise: 0.5,
  maxNoiseSeconds: 2,
  maxJump: 0.25,
  maxJumpSpeed: 1.5,
});

/** Region that the landmark network sees. */
export const ROI = Object.freeze({
  minGain: 0.15,
  hold: 0.01,
  fullChange: 0.1,
  deadZone: 0.04,
  prefetchTolerance: 0.1,
});

/** Duplicates, and faces that hide each other. */
export const MATCHING = Object.freeze({
  sameFaceIou: 0.5,
  sameFaceDistance: 0.2,
  detectionIou: 0.35,
  minFraction: 0.05,
});

/** Check that a tracked region still shows a face. */
export const VERIFIER = Object.freeze({ intervalSeconds: 0.2, maxMisses: 3, minSize: 8 });

/**
 * Settings of a tracker.
 *
 * @param changes some of `DEFAULTS` with other values.
 * @throws RangeError for an unknown name or a value out of range.
 */
export function settings(changes = {}) {
  const unknown = Object.keys(changes).find((name) => !(name in DEFAULTS));
  if (unknown) throw new RangeError(`no setting ${unknown}; there are ${Object.keys(DEFAULTS).join(", ")}`);
  const config = { ...DEFAULTS, ...changes };
  if (!(config.maxFaces >= 1)) throw new RangeError(`maxFaces must be at least 1, got ${config.maxFaces}`);
  for (const [name, value] of Object.entries(config)) {
    if (typeof value !== "number" || !(value >= 0)) throw new RangeError(`${name} must be at least 0, got ${value}`);
  }
  return Object.freeze(config);
}
