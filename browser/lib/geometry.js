/**
 * Boxes, regions and maps, as `steadyface.geometry` has them.
 *
 * Coordinates are px with pixel centres at integers: the top-left pixel covers [-½, ½] × [-½, ½]. Points are
 * flat: x₀, y₀, x₁, … A box is [x0, y0, x1, y1]. A region is a square {x, y, side, roll} around (x, y), turned
 * by `roll` radians, clockwise on screen. A map is [a, b, tx, c, d, ty]: x' = a·x + b·y + tx,
 * y' = c·x + d·y + ty.
 */

/** Side of a crop over the larger side of the face's landmark box. */
export const MARGIN = 1.3;

const RIGHT_EYE = 36; // outer corners
const LEFT_EYE = 45;

/** Tight box around points. */
export function boxOf(points) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i++) {
    box[i % 2] = Math.min(box[i % 2], points[i]);
    box[2 + (i % 2)] = Math.max(box[2 + (i % 2)], points[i]);
  }
  return box;
}

/** Middle [x, y] of a box. */
export function middleOf([x0, y0, x1, y1]) {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

/** Size of a face: √(width · height) of its points' box. */
export function faceSize(points) {
  return Math.sqrt(areaOf(boxOf(points)));
}

/** Displacement [x, y] from some points to others, in the mean. */
export function meanDisplacement(from, to) {
  const sum = [0, 0];
  for (let i = 0; i < from.length; i++) sum[i % 2] += to[i] - from[i];
  return sum.map((value) => (2 * value) / from.length);
}

/** Intersection over union of two boxes, in [0, 1]. */
export function iou(box, other) {
  const shared = sharedArea(box, other);
  const union = areaOf(box) + areaOf(other) - shared;
  return union > 0 ? shared / union : 0;
}

/** Fraction of a box that lies inside another, in [0, 1]. */
export function fractionInside(box, other) {
  const area = areaOf(box);
  return area > 0 ? sharedArea(box, other) / area : 0;
}

/** Area of a box; 0 if its sides are negative. */
export function areaOf([x0, y0, x1, y1]) {
  return Math.max(0, x1 - x0) * Math.max(0, y1 - y0);
}

function sharedArea([x0, y0, x1, y1], [u0, v0, u1, v1]) {
  return areaOf([Math.max(x0, u0), Math.max(y0, v0), Math.min(x1, u1), Math.min(y1, v1)]);
}

/** Upright square around a landmark box. */
export function regionAroundBox([x0, y0, x1, y1], margin = MARGIN) {
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, side: margin * Math.max(x1 - x0, y1 - y0, 1), roll: 0 };
}

/** Square around a face's 68 points, turned with the line through its eyes. */
export function faceRegion(points, margin = MARGIN) {
  const roll = Math.atan2(
    points[2 * LEFT_EYE + 1] - points[2 * RIGHT_EYE + 1],
    points[2 * LEFT_EYE] - points[2 * RIGHT_EYE],
  );
  const [cos, sin] = [Math.cos(roll), Math.sin(roll)];
  const upright = regionAroundBox(boxOf(mapPoints([cos, sin, 0, -sin, cos, 0], points)), margin);
  const [x, y] = mapPoints([cos, -sin, 0, sin, cos, 0], [upright.x, upright.y]);
  return { x, y, side: upright.side, roll };
}

/** Map from image px to px of a `size` × `size` crop of a region. */
export function mapToCrop(region, size) {
  const scale = size / region.side;
  const cos = scale * Math.cos(region.roll);
  const sin = scale * Math.sin(region.roll);
  const middle = (size - 1) / 2;
  return [
    cos, sin, middle - cos * region.x - sin * region.y,
    -sin, cos, middle + sin * region.x - cos * region.y,
  ];
}

/** Inverse of a map. */
export function invert([a, b, tx, c, d, ty]) {
  const area = a * d - b * c;
  return [d / area, -b / area, (b * ty - d * tx) / area, -c / area, a / area, (c * tx - a * ty) / area];
}

/** Map points; the result is a `Float64Array`. */
export function mapPoints([a, b, tx, c, d, ty], points) {
  const mapped = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    mapped[i] = a * points[i] + b * points[i + 1] + tx;
    mapped[i + 1] = c * points[i] + d * points[i + 1] + ty;
  }
  return mapped;
}
