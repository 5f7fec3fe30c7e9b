/** Region that the landmark network sees: a square that moves and turns with the face; see `tracking/roi.py`. */

/**
 * Move a region towards a new one: slowly by small changes, which are noise, at once by large ones. Below
 * `hold` it stays as it is, so that the points of a still picture come to rest.
 *
 * @param config {hold, minGain, fullChange}.
 */
export function smoothRegion(old, fresh, config) {
  const change = regionChange(old, fresh);
  if (change < config.hold) return old;
  const gain = Math.min(1, config.minGain + change / config.fullChange);
  return {
    x: old.x + gain * (fresh.x - old.x),
    y: old.y + gain * (fresh.y - old.y),
    side: old.side * (fresh.side / old.side) ** gain,
    roll: old.roll + gain * turnBetween(old, fresh),
  };
}

/** Sum of the shift in sides, the change of ln(side) and the turn in radians. */
export function regionChange(old, fresh) {
  const shift = Math.hypot(fresh.x - old.x, fresh.y - old.y) / fresh.side;
  return shift + Math.abs(Math.log(fresh.side / old.side)) + Math.abs(turnBetween(old, fresh));
}

/**
 * Move a region ahead with a fast face; that of a slow face stays, since half of its motion is noise.
 *
 * @param shift [x, y] that is expected, px.
 * @param config {deadZone}, which is subtracted from the shift.
 */
export function predictRegion(region, [x, y], { deadZone }) {
  const gain = Math.max(0, 1 - deadZone / Math.max(Math.hypot(x, y) / region.side, deadZone));
  return { ...region, x: region.x + gain * x, y: region.y + gain * y };
}

/** Difference of the rolls in radians, from -π to π. */
function turnBetween(old, fresh) {
  const turn = fresh.roll - old.roll;
  return turn - 2 * Math.PI * Math.round(turn / (2 * Math.PI));
}
