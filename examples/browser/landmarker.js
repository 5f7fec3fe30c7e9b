/** An image and a face's place in it → 68 points, by an exported network; see `steadyface.landmarker`. */

import { cropRegion, invert, mapPoints, mapToCrop, regionAroundBox } from "./crop.js";

export class Landmarker {
  /**
   * @param ort the module `onnxruntime-web`.
   * @param model URL or bytes of a file written by `steadyface export`.
   * @param options of `ort.InferenceSession.create`, such as {executionProviders: ["webgpu"]}.
   */
  static async load(ort, model, options = {}) {
    return new Landmarker(ort, await ort.InferenceSession.create(model, options));
  }

  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
    this.inputSize = session.inputMetadata[0].shape[1];
  }

  /**
   * @param image {width, height, data}: RGBA as of `ImageData`.
   * @param box [x0, y0, x1, y1] around the face's landmarks (brows to chin, ear to ear), image px.
   * @returns {points, scores}: x₀, y₀, x₁, … in image px (136), and the network's probability of each (68).
   */
  async predict(image, box) {
    return this.predictRegion(image, regionAroundBox(box));
  }

  /** The same for a square {x, y, side, roll} of the image, turned with the head. */
  async predictRegion(image, region) {
    const size = this.inputSize;
    const crops = new this.ort.Tensor("uint8", cropRegion(image, region, size), [1, size, size, 3]);
    const { points, scores } = await this.session.run({ crops }, ["points", "scores"]);
    return { points: mapPoints(invert(mapToCrop(region, size)), points.data), scores: scores.data };
  }
}
