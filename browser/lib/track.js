/** State of one face, tracked or lost, and rules about shapes; see `tracking/track.py` and `matching.py`. */

import { MATCHING, MOTION, ROI } from "./config.js";
import { areaOf, boxOf, faceRegion, faceSize, fractionInside, iou, meanDisplacement, middleOf } from "./geometry.js";
import { predictRegion, smoothRegion } from "./region.js";

const SHORTEST = 1e-3; // s: over less, noise would be taken for speed

/**
 * Start the track of a face.
 *
 * @param id from 0.
 * @param landmarks of its first frame, image px.
 * @param seconds time of that frame.
 */
export function startTrack(id, { points }, seconds) {
  return {
    id,
    centre: middleOf(boxOf(points)), // these four only while no other face can hide it
    size: faceSize(points),
    centreVelocity: [0, 0], // px/s
    locatedSeconds: seconds,
    region: faceRegion(points), // smoothed; of the last frame, as are the rest
    last: null, // as `step` of the tracker returned it
    lastSeconds: -Infinity,
    velocity: [0, 0], // of its points, px/s
    stabilizerState: null,
    verifiedSeconds: -Infinity,
    missCount: 0, // failed checks in successive frames
  };
}

/** Region in which a track's face is expected at a time. */
export function predictedRegion(track, seconds) {
  const elapsed = Math.min(seconds - track.lastSeconds, MOTION.predictionSeconds);
  const shift = track.last ? track.velocity.map((value) => value * elapsed) : [0, 0];
  return predictRegion(track.region, shift, ROI);
}

/** Whether points are further from where a track's face was expected than a head can move. */
export function hasJumped({ last, lastSeconds, velocity }, points, seconds) {
  if (last === null) return false;
  const elapsed = seconds - lastSeconds;
  const expected = velocity.map((value) => value * Math.min(elapsed, MOTION.predictionSeconds));
  const [x, y] = meanDisplacement(last.rawPoints, points);
  const deviation = Math.hypot(x - expected[0], y - expected[1]);
  return deviation > faceSize(last.rawPoints) * (MOTION.maxJump + MOTION.maxJumpSpeed * elapsed);
}

/** Deviation of points from a track's path and size, each 1 at its tolerance, which grows with time. */
export function motionCost(track, points, seconds) {
  const elapsed = Math.max(seconds - track.locatedSeconds, 0);
  const uncertain = Math.min(elapsed, MOTION.maxNoiseSeconds);
  const size = faceSize(points);
  const noise = Math.max(track.size, size) * (MOTION.positionNoise + MOTION.processNoise * uncertain);
  const growth = Math.abs(Math.log(Math.max(size, SHORTEST) / Math.max(track.size, SHORTEST)));
  const deviation = distanceFromPath(track, middleOf(boxOf(points)), elapsed) / noise;
  return deviation + growth / (MOTION.logSizeNoise + MOTION.logSizeProcessNoise * uncertain);
}

/** Distance from the straight path since the face was located; it may have stopped anywhere on it. */
function distanceFromPath({ centre, centreVelocity }, [x, y], elapsed) {
  const duration = MOTION.stoppingSeconds;
  const path = centreVelocity.map((value) => value * duration * (1 - Math.exp(-elapsed / duration)));
  const [u, v] = [x - centre[0], y - centre[1]];
  const along = (u * path[0] + v * path[1]) / Math.max(path[0] ** 2 + path[1] ** 2, 1e-9);
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(u - share * path[0], v - share * path[1]);
}

/** Update centre, size and velocity of a track that no other face can hide. */
export function locateTrack(track, { points }, seconds) {
  const centre = middleOf(boxOf(points));
  const elapsed = Math.max(seconds - track.locatedSeconds, SHORTEST);
  const measured = centre.map((value, axis) => (value - track.centre[axis]) / elapsed);
  const centreVelocity = approach(track.centreVelocity, measured);
  return { ...track, centre, size: faceSize(points), centreVelocity, locatedSeconds: seconds };
}

/**
 * Update a track with the face that a frame shows.
 *
 * @param face as `step` of the tracker returns it.
 * @param stabilizerState after the frame.
 */
export function updateTrack(track, face, stabilizerState, seconds) {
  let { velocity } = track;
  if (track.last) {
    const elapsed = Math.max(seconds - track.lastSeconds, SHORTEST);
    const moved = meanDisplacement(track.last.rawPoints, face.rawPoints);
    velocity = approach(velocity, moved.map((value) => value / elapsed));
  }
  const region = smoothRegion(track.region, faceRegion(face.rawPoints), ROI);
  return { ...track, region, last: face, lastSeconds: seconds, velocity, stabilizerState };
}

/** Running mean of a velocity. */
function approach(velocity, measured) {
  return velocity.map((value, axis) => value + MOTION.velocityGain * (measured[axis] - value));
}

/** Mean score of the better half of a face's points: from the side the other half cannot be seen. */
export function faceScore(scores) {
  const better = Float64Array.from(scores).sort().subarray(scores.length >> 1);
  return better.reduce((sum, score) => sum + score, 0) / better.length;
}

/** Whether two shapes lie on the same face, by the IoU of their boxes or the distance of their points. */
export function sameFace(points, other) {
  if (iou(boxOf(points), boxOf(other)) > MATCHING.sameFaceIou) return true;
  let distance = 0;
  for (let i = 0; i < points.length; i += 2) {
    distance += Math.hypot(points[i] - other[i], points[i + 1] - other[i + 1]);
  }
  const size = Math.sqrt(faceSize(points) * faceSize(other));
  return (2 * distance) / points.length < MATCHING.sameFaceDistance * size;
}

/** Whether two shapes overlap, so that either face may hide the other. */
export function mayHide(points, other) {
  const [box, second] = [boxOf(points), boxOf(other)];
  return Math.max(fractionInside(box, second), fractionInside(second, box)) > MATCHING.minFraction;
}

/** Order boxes by area, the largest first. */
export function byArea(box, other) {
  return areaOf(other) - areaOf(box);
}
