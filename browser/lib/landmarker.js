/** An image and faces' places in it → 68 points each, by an exported network; see `steadyface.landmarker`. */

import { cropRegion } from "./crop.js";
import { invert, mapPoints, mapToCrop, regionAroundBox } from "./geometry.js";
import { WEIGHTS, inFolder, openSession, readBytes } from "./runtime.js";

const NAME = /^[a-z]+$/; // of a network of the package; anything else is a URL

export class Landmarker {
  /**
   * Open a network. A GPU whose points differ from WebAssembly's is not used: some kernels are wrong.
   *
   * @param ort the module `onnxruntime-web`.
   * @param model "nano", "tiny" or "compact"; or URL or bytes of a file written by `steadyface export`.
   * @param options {weights, providers}: folder of the former, and what is tried in this order.
   */
  static async load(ort, model = "tiny", { weights = WEIGHTS, providers = ["webgpu", "wasm"] } = {}) {
    const named = typeof model === "string" && NAME.test(model);
    const file = named ? inFolder(weights, `${model}.onnx`) : model;
    const bytes = await readBytes(file);
    const open = async (allowed) => {
      const { session, provider } = await openSession(ort, bytes, allowed);
      return new Landmarker(ort, session, provider, named ? model : null);
    };
    const landmarker = await open(providers);
    if (landmarker.provider === "wasm" || !providers.includes("wasm")) return landmarker;
    const reference = await open(["wasm"]);
    const unused = (await agree(landmarker, reference)) ? reference : landmarker;
    await unused.session.release();
    return unused === reference ? landmarker : reference;
  }

  constructor(ort, session, provider, name) {
    Object.assign(this, { ort, session, provider, name });
    this.inputSize = session.inputMetadata[0].shape[1];
    this.outputs = ["points", "scores", "covariances", "visible"].filter((name) =>
      session.outputNames.includes(name),
    );
  }

  /**
   * Predict the points of one face.
   *
   * @param image {width, height, data}: RGBA as of `ImageData`.
   * @param box [x0, y0, x1, y1] around the face's landmarks (brows to chin, ear to ear), image px.
   * @returns {points, scores, covariances, visible}: see `index.d.ts`.
   */
  async predict(image, box) {
    const [x0, y0, x1, y1] = box;
    if (!(x0 < x1 && y0 < y1)) throw new RangeError(`box must be x0, y0, x1, y1 with x0 < x1, y0 < y1, got ${box}`);
    return (await this.predictRegions(image, [regionAroundBox(box)]))[0];
  }

  /**
   * Predict the points of several faces in one run of the network.
   *
   * @param image {width, height, data}.
   * @param regions a square {x, y, side, roll} per face, image px, turned with the head.
   */
  async predictRegions(image, regions) {
    if (!regions.length) return [];
    const size = this.inputSize;
    const crops = new Uint8Array(regions.length * 3 * size * size);
    regions.forEach((region, face) => crops.set(cropRegion(image, region, size), face * 3 * size * size));
    const tensor = new this.ort.Tensor("uint8", crops, [regions.length, size, size, 3]);
    const told = await this.session.run({ crops: tensor }, this.outputs);
    return regions.map((region, face) => toImage(told, face, invert(mapToCrop(region, size))));
  }
}

/** Whether two networks give the same points of a drawn face, nine in ten of them to a tenth of a px of the crop. */
async function agree(one, other) {
  const image = drawnFace();
  const region = { x: 31.5, y: 31.5, side: 70, roll: 0 };
  const [[first], [second]] = [await one.predictRegions(image, [region]), await other.predictRegions(image, [region])];
  const distances = first.points.map((value, i) => Math.abs(value - second.points[i])).sort();
  return (distances[Math.floor(0.9 * distances.length)] * one.inputSize) / region.side < 0.1;
}

/** Two eyes and a mouth in an ellipse, 64 × 64 px. */
function drawnFace() {
  const data = new Uint8ClampedArray(4 * 64 * 64);
  for (let pixel = 0; pixel < 64 * 64; pixel++) {
    const [u, v] = [((pixel % 64) - 31.5) / 24, ((pixel >> 6) - 31.5) / 30];
    const isEye = Math.abs(Math.abs(u) - 0.4) < 0.18 && Math.abs(v + 0.2) < 0.07;
    const isMouth = Math.abs(u) < 0.35 && Math.abs(v - 0.5) < 0.06;
    data.fill(isEye || isMouth ? 60 : u * u + v * v < 1 ? 190 : 110, 4 * pixel, 4 * pixel + 4);
  }
  return { width: 64, height: 64, data };
}

/** Landmarks of one face of a batch, moved from its crop to the image. */
function toImage({ points, scores, covariances, visible }, face, back) {
  const ofFace = ({ data }) => data.subarray((data.length / count) * face, (data.length / count) * (face + 1));
  const count = points.dims[0];
  return {
    points: mapPoints(back, ofFace(points)),
    scores: Float32Array.from(ofFace(scores)),
    covariances: turnCovariances(back, ofFace(covariances)),
    visible: visible ? Float32Array.from(ofFace(visible)) : null,
  };
}

/** A·C·Aᵀ of each 2 × 2 matrix C in xx, xy, yx, yy, A the linear part of a map. */
function turnCovariances([a, b, , c, d], covariances) {
  const turned = new Float64Array(covariances.length);
  for (let i = 0; i < covariances.length; i += 4) {
    const [xx, xy, , yy] = covariances.subarray(i, i + 4);
    turned[i] = a * a * xx + 2 * a * b * xy + b * b * yy;
    turned[i + 1] = turned[i + 2] = a * c * xx + (a * d + b * c) * xy + b * d * yy;
    turned[i + 3] = c * c * xx + 2 * c * d * xy + d * d * yy;
  }
  return turned;
}
