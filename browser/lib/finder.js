/** An image → boxes of faces, by the finder's network; see `steadyface.detector`. */

import { sampleRegion, shrink } from "./crop.js";
import { boxOf, faceRegion, fractionInside, iou, mapPoints, mapToCrop } from "./geometry.js";
import { WEIGHTS, inFolder, openSession } from "./runtime.js";

const SIDE = 320;
const THRESHOLD = 0.5;

const SURE = 16; // px of a face in the shrunk image above which a larger one is not found more reliably
const FINER = 3; // largest ratio between levels of the pyramid
const SAME_FACE = 0.45; // IoU above which boxes of two levels are one face
const PART_OF = 0.7; // fraction of a finer box inside a coarser one above which it is part of that face
const LEAST_INSIDE = 0.4; // fraction of a box inside the image; training has no faces below
const AT_PLACE = 0.3; // IoU with a known box above which a found box confirms it
const ANY = 0.05; // lowest score that `confidence` considers

const CONFIDENCE_CROP = { margin: 1.6, side: 48, samples: 3 }; // the square that `confidence` sees: face sizes, px, px

export class FaceFinder {
  /**
   * Open the finder.
   *
   * @param ort the module `onnxruntime-web`.
   * @param options {weights, providers, side, minFace, threshold}: see `index.d.ts`.
   */
  static async load(ort, { weights = WEIGHTS, providers = ["wasm"], ...rest } = {}) {
    const { session, provider } = await openSession(ort, inFolder(weights, "finder.onnx"), providers);
    return new FaceFinder(ort, session, provider, rest);
  }

  constructor(ort, session, provider, { side = SIDE, minFace = null, threshold = THRESHOLD } = {}) {
    if (!(side >= 1)) throw new RangeError(`side must be at least 1 px, got ${side}`);
    if (minFace !== null && !(minFace >= SURE)) {
      throw new RangeError(`minFace must be at least ${SURE} px, got ${minFace}`);
    }
    if (!(threshold > 0 && threshold < 1)) {
      throw new RangeError(`threshold must lie between 0 and 1, got ${threshold}`);
    }
    Object.assign(this, { ort, session, provider, side, minFace, threshold });
  }

  /**
   * Find the faces of an image, best first.
   *
   * @param image {width, height, data}: RGBA as of `ImageData`.
   * @returns [{box, score}]: boxes tight around the 68 landmarks, image px.
   */
  async find(image) {
    const found = [];
    const sides = this.#levels(Math.max(image.width, image.height));
    for (const side of sides) {
      const least = side < sides.at(-1) ? SURE : 0; // smaller faces are found at the next level
      const finer = await this.#search(image, side, least);
      const isNew = ({ box }) =>
        !found.some((known) => iou(box, known.box) > SAME_FACE || fractionInside(box, known.box) > PART_OF);
      found.push(...finer.filter(isNew));
    }
    return found.sort((one, other) => other.score - one.score);
  }

  /**
   * Score of a face at known points, in [0, 1]: the best of the faces that are found there in a small crop.
   *
   * @param image {width, height, data}.
   * @param points 68, image px.
   */
  async confidence(image, points) {
    const { margin, side, samples } = CONFIDENCE_CROP;
    const region = faceRegion(points, margin);
    const crop = { width: side, height: side, data: sampleRegion(image, region, side, samples) };
    const box = boxOf(mapPoints(mapToCrop(region, side), points));
    const faces = await this.#run(crop, ANY);
    return Math.max(0, ...faces.filter((face) => iou(box, face.box) > AT_PLACE).map((face) => face.score));
  }

  /** Longer side of the image at each level of the pyramid, coarsest first. */
  #levels(longer) {
    const sides = [Math.min(this.side, longer)];
    const needed = this.minFace === null ? 0 : (longer * SURE) / this.minFace;
    while (sides.at(-1) < needed) sides.push(Math.min(needed, sides.at(-1) * FINER));
    return sides.map((side) => Math.max(1, Math.round(side)));
  }

  /** Faces of one level whose larger side is at least `least` px there, image px. */
  async #search(image, side, least) {
    const small = shrink(image, side);
    const frame = [-0.5, -0.5, small.width - 0.5, small.height - 0.5];
    const faces = await this.#run(small, this.threshold);
    return faces
      .filter(({ box }) => fractionInside(box, frame) >= LEAST_INSIDE)
      .filter(({ box: [x0, y0, x1, y1] }) => Math.max(x1 - x0, y1 - y0) >= least)
      .map(({ box, score }) => ({ box: Array.from(mapPoints(small.back, box)), score }));
  }

  /** Faces of an RGB image as the network finds them, best first, px of it. */
  async #run({ width, height, data }, threshold) {
    const { boxes, scores } = await this.session.run({
      image: new this.ort.Tensor("uint8", data, [height, width, 3]),
      threshold: new this.ort.Tensor("float32", [threshold], []),
    });
    return Array.from(scores.data, (score, i) => ({ box: Array.from(boxes.data.subarray(4 * i, 4 * i + 4)), score }));
  }
}
