/**
 * Regions of an image and crops of them, as `steadyface.geometry` and `steadyface.images` have them.
 *
 * Coordinates are px with pixel centres at integers. A map is [a, b, tx, c, d, ty]:
 * x' = a·x + b·y + tx, y' = c·x + d·y + ty. Crops are equal to Python's in every pixel.
 */

const MARGIN = 1.3; // side of a crop over the larger side of the face's landmark box

/** The upright square around a landmark box [x0, y0, x1, y1], image px. */
export function regionAroundBox([x0, y0, x1, y1]) {
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, side: MARGIN * Math.max(x1 - x0, y1 - y0, 1), roll: 0 };
}

/** The map from image px to px of a `size` × `size` crop of the region. */
export function mapToCrop(region, size) {
  const scale = size / region.side;
  const cos = scale * Math.cos(region.roll);
  const sin = scale * Math.sin(region.roll);
  const middle = (size - 1) / 2;
  return [
    cos, sin, middle - (cos * region.x + sin * region.y),
    -sin, cos, middle - (-sin * region.x + cos * region.y),
  ];
}

export function invert([a, b, tx, c, d, ty]) {
  const scale = 1 / (a * d - b * c);
  const [A, B, C, D] = [d * scale, -b * scale, -c * scale, a * scale];
  return [A, B, -A * tx - B * ty, C, D, -C * tx - D * ty];
}

/** Map points x₀, y₀, x₁, … */
export function mapPoints([a, b, tx, c, d, ty], points) {
  const mapped = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    mapped[i] = a * points[i] + b * points[i + 1] + tx;
    mapped[i + 1] = c * points[i] + d * points[i + 1] + ty;
  }
  return mapped;
}

/**
 * Cut a region out of an image at sub-pixel precision, first averaged over whole blocks if it is much larger
 * than the crop.
 *
 * @param image {width, height, data}: RGBA as of `ImageData`.
 * @param region {x, y, side, roll}: image px.
 * @param size side of the crop, px.
 * @returns RGB, (size, size, 3).
 */
export function cropRegion(image, region, size) {
  const toCrop = mapToCrop(region, size);
  const block = Math.trunc(region.side / size);
  if (block < 2) return warp(image, invert(toCrop), size);
  const { small, x, y } = averageBlocks(image, region, block);
  const [a, b, tx, c, d, ty] = toCrop;
  const half = 0.5 * block - 0.5; // from px of the small image: p → block·p + half, then the window's corner
  const [X, Y] = [half + x, half + y];
  const fromSmall = [a * block, b * block, a * X + b * Y + tx, c * block, d * block, c * X + d * Y + ty];
  return warp(small, invert(fromSmall), size);
}

/** The part of an image under a region, averaged over block × block px, and its corner's place. */
function averageBlocks(image, region, block) {
  const [low, high] = spanOf(region);
  const start = (from, length) => clamp(Math.floor(from) - 2 * block, 0, Math.max(length - block, 0));
  const [x, y] = [start(low[0], image.width), start(low[1], image.height)];
  const count = (to, first, length) =>
    Math.max(1, Math.ceil((Math.min(Math.ceil(to) + 2 * block, length) - first) / block));
  const width = count(high[0], x, image.width);
  const height = count(high[1], y, image.height);
  const data = new Uint8ClampedArray(4 * width * height);
  const round = block === 2 ? (value) => Math.floor(value + 0.5) : roundToEven; // as OpenCV's INTER_AREA
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let j = y + row * block; j < Math.min(y + (row + 1) * block, image.height); j++) {
          for (let i = x + column * block; i < Math.min(x + (column + 1) * block, image.width); i++) {
            sum += image.data[4 * (j * image.width + i) + channel];
          }
        }
        data[4 * (row * width + column) + channel] = round(sum / (block * block));
      }
    }
  }
  return { small: { width, height, data }, x, y };
}

/** The least and greatest x, y of a region's corners, image px. */
function spanOf({ x, y, side, roll }) {
  const reach = (side / 2) * (Math.abs(Math.cos(roll)) + Math.abs(Math.sin(roll)));
  return [[x - reach, y - reach], [x + reach, y + reach]];
}

/**
 * Bilinear, black outside of the image. Places are rounded to 1/32 px, as OpenCV's `warpAffine` does.
 *
 * @param toImage the map from crop px to image px.
 */
function warp(image, [a, b, tx, c, d, ty], size) {
  const crop = new Uint8Array(3 * size * size);
  const fixed = (value) => roundToEven(value * 1024);
  for (let row = 0; row < size; row++) {
    const [startX, startY] = [fixed(b * row + tx) + 16, fixed(d * row + ty) + 16];
    for (let column = 0; column < size; column++) {
      const x = (startX + fixed(a * column)) >> 5;
      const y = (startY + fixed(c * column)) >> 5;
      blend(image, x >> 5, y >> 5, x & 31, y & 31, crop, 3 * (row * size + column));
    }
  }
  return crop;
}

/** The mean of the four px right and below of (x, y), at a distance of right/32 and below/32 px from it. */
function blend({ width, height, data }, x, y, right, below, crop, place) {
  for (let channel = 0; channel < 3; channel++) {
    let sum = 512;
    for (let j = 0; j < 2; j++) {
      for (let i = 0; i < 2; i++) {
        if (x + i < 0 || x + i >= width || y + j < 0 || y + j >= height) continue;
        const weight = (i ? right : 32 - right) * (j ? below : 32 - below);
        sum += weight * data[4 * ((y + j) * width + x + i) + channel];
      }
    }
    crop[place + channel] = sum >> 10;
  }
}

function roundToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
