/**
 * Parts of an image as networks take them: RGB, equal to what Python cuts out with OpenCV.
 *
 * An image is {width, height, data}: RGBA as of `ImageData`. Coordinates are as in `geometry.js`.
 */

import { invert, mapToCrop } from "./geometry.js";

const EXACT = 1e-9; // of a block: rounding errors of a scale that is exact
const SLIVER = 1e-3; // px: OpenCV leaves a narrower part of a pixel out of a mean over areas
const ROWS = 3; // rows that are read for each row of a much smaller image

/**
 * Cut a region out of an image at sub-pixel precision: bilinear, black outside of the image. One much larger
 * than the crop is first averaged over whole blocks, so that no detail aliases.
 *
 * @param image {width, height, data}.
 * @param region {x, y, side, roll}, image px.
 * @param size side of the crop, px.
 * @returns RGB, (size, size, 3).
 */
export function cropRegion(image, region, size) {
  const toCrop = mapToCrop(region, size);
  const whole = Math.trunc(region.side / size + EXACT);
  const block = whole > 3 ? whole - (whole % 2) : whole;
  if (block < 2) return warp(image, invert(toCrop), size);
  const { small, x, y } = averageBlocks(image, region, block);
  const [a, b, tx, c, d, ty] = toCrop;
  const half = 0.5 * block - 0.5; // from px of the small image: p → block·p + half, then the window's corner
  const [X, Y] = [half + x, half + y];
  const fromSmall = [a * block, b * block, a * X + b * Y + tx, c * block, d * block, c * X + d * Y + ty];
  return warp(small, invert(fromSmall), size);
}

/**
 * Read a region with `samples` × `samples` points a pixel and average them: the cost does not grow with the
 * region's size.
 *
 * @returns RGB, (size, size, 3).
 */
export function sampleRegion(image, region, size, samples) {
  const side = size * samples;
  const points = warp(image, invert(mapToCrop(region, side)), side);
  const mean = new Uint8Array(3 * size * size);
  const round = rounding(samples, samples);
  for (let place = 0; place < mean.length; place++) {
    const [row, column] = [Math.trunc(place / (3 * size)), Math.trunc(place / 3) % size];
    let sum = 0;
    for (let j = row * samples; j < (row + 1) * samples; j++) {
      for (let i = column * samples; i < (column + 1) * samples; i++) {
        sum += points[3 * (j * side + i) + (place % 3)];
      }
    }
    mean[place] = round(sum / (samples * samples));
  }
  return mean;
}

/**
 * Shrink an image so that its longer side has `side` px, by the mean over areas. Of a much larger image every
 * k-th row is read only.
 *
 * @returns {width, height, data, back}: RGB, and the map from its px to px of the image.
 */
export function shrink(image, side) {
  const scale = side / Math.max(image.width, image.height);
  if (scale > 1) throw new Error(`an image of ${image.width} × ${image.height} px cannot shrink to ${side} px`);
  const width = Math.max(1, roundToEven(image.width * scale));
  const height = Math.max(1, roundToEven(image.height * scale));
  const step = Math.max(1, Math.trunc(image.height / height / ROWS));
  const first = (step - 1) >> 1;
  const rows = Math.ceil((image.height - first) / step);
  const across = areasOf(image.width, width);
  const down = areasOf(rows, height);
  const round = rounding(image.width / width, rows / height);
  const data = new Uint8Array(3 * width * height);
  down.forEach(([top, shares], row) => {
    const line = new Float64Array(3 * width);
    shares.forEach((share, j) => addLine(image, first + step * (top + j), across, share, line));
    data.set(line.map(round), 3 * width * row);
  });
  const back = [image.width / width, 0, (image.width / width - 1) / 2, 0, 0, 0];
  back[4] = (step * rows) / height;
  back[5] = first + step * ((rows / height - 1) / 2);
  return { width, height, data, back };
}

/** Add a row of an image, averaged over areas and times a share, to a line of RGB. */
function addLine({ width, data }, row, areas, share, line) {
  const start = 4 * width * row;
  for (let column = 0; column < areas.length; column++) {
    const [left, shares] = areas[column];
    let [red, green, blue] = [0, 0, 0];
    for (let i = 0; i < shares.length; i++) {
      const place = start + 4 * (left + i);
      red += shares[i] * data[place];
      green += shares[i] * data[place + 1];
      blue += shares[i] * data[place + 2];
    }
    line[3 * column] += share * red;
    line[3 * column + 1] += share * green;
    line[3 * column + 2] += share * blue;
  }
}

/** First pixel, and the share of each pixel, of every one of `count` equal parts of `length` px. */
function areasOf(length, count) {
  const scale = length / count;
  return Array.from({ length: count }, (_, part) => {
    const [from, to] = [part * scale, Math.min((part + 1) * scale, length)];
    const first = Math.floor(from + SLIVER);
    const last = Math.ceil(to - SLIVER);
    const shares = Array.from(
      { length: last - first },
      (_, i) => (Math.min(first + i + 1, to) - Math.max(first + i, from)) / (to - from),
    );
    return [first, shares];
  });
}

/** Rounding of a mean over areas of so many px, as OpenCV's INTER_AREA does it: of whole px in single precision. */
function rounding(across, down) {
  if (across === 2 && down === 2) return (mean) => Math.floor(mean + 0.5);
  const area = across * down;
  if (!Number.isInteger(across) || !Number.isInteger(down)) return roundToEven;
  const part = Math.fround(1 / area);
  return (mean) => roundToEven(Math.fround(Math.round(mean * area) * part));
}

/** Average the part of an image under a region over block × block px; also its corner, image px. */
function averageBlocks(image, region, block) {
  const [low, high] = spanOf(region);
  const start = (from, length) => clamp(Math.floor(from) - 2 * block, 0, Math.max(length - block, 0));
  const [x, y] = [start(low[0], image.width), start(low[1], image.height)];
  const count = (to, first, length) =>
    Math.max(1, Math.ceil((Math.min(Math.ceil(to) + 2 * block, length) - first) / block));
  const width = count(high[0], x, image.width);
  const height = count(high[1], y, image.height);
  let [small, corner, left] = [image, [x, y], block];
  for (const factor of factorsOf(block)) {
    left /= factor;
    small = averaged(small, corner, width * left, height * left, factor);
    corner = [0, 0];
  }
  return { small, x, y };
}

/** Factors of a block's side, twos first, and what is left of it last. */
function factorsOf(block) {
  return block % 2 || block === 2 ? [block] : [2, ...factorsOf(block / 2)];
}

/** Average an image from a corner on over blocks of `side` px, black outside; width and height of the result. */
function averaged(image, [x, y], width, height, side) {
  const data = new Uint8ClampedArray(4 * width * height);
  const round = rounding(side, side);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const sums = [0, 0, 0];
      for (let j = y + row * side; j < Math.min(y + (row + 1) * side, image.height); j++) {
        for (let i = x + column * side; i < Math.min(x + (column + 1) * side, image.width); i++) {
          const place = 4 * (j * image.width + i);
          for (let channel = 0; channel < 3; channel++) sums[channel] += image.data[place + channel];
        }
      }
      data.set(sums.map((sum) => round(sum / (side * side))), 4 * (row * width + column));
    }
  }
  return { width, height, data };
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
  let [red, green, blue] = [512, 512, 512];
  for (let corner = 0; corner < 4; corner++) {
    const [i, j] = [x + (corner & 1), y + (corner >> 1)];
    if (i < 0 || i >= width || j < 0 || j >= height) continue;
    const weight = (corner & 1 ? right : 32 - right) * (corner >> 1 ? below : 32 - below);
    const pixel = 4 * (j * width + i);
    red += weight * data[pixel];
    green += weight * data[pixel + 1];
    blue += weight * data[pixel + 2];
  }
  crop[place] = red >> 10;
  crop[place + 1] = green >> 10;
  crop[place + 2] = blue >> 10;
}

function roundToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
