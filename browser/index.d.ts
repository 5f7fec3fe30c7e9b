/**
 * 68 facial landmarks in video, in the browser.
 *
 * Coordinates are px of the image with pixel centres at integers: the middle of the top-left pixel is (0, 0).
 * Points are flat, x₀, y₀, x₁, …, in the iBUG order. Times are seconds of the stream. Regions turn clockwise on
 * screen, in radians.
 */

import type * as Ort from "onnxruntime-web";

/** The module `onnxruntime-web`. Its smaller build `onnxruntime-web/webgpu` lacks a kernel that the networks need. */
export type Runtime = typeof Ort;

/** Execution provider of ONNX Runtime. */
export type Provider = "webgpu" | "wasm";

/** RGBA with eight bits a channel, row after row, as of `ImageData`; alpha is ignored. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** x0, y0, x1, y1 in px. */
export type Box = readonly [number, number, number, number];

/** Square of an image around (x, y), px, whose own x axis is turned by `roll`. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly side: number;
  readonly roll: number;
}

/** Points of one face. */
export interface Landmarks {
  /** 68 × 2, px of the image. */
  readonly points: Float64Array;
  /** 68 in [0, 1]: the network's own probability that the point is right. */
  readonly scores: Float32Array;
  /** 68 × 2 × 2, px² of the image: of each point's error. */
  readonly covariances: Float64Array;
  /** 68 in [0, 1]: probability that nothing hides the point; null if the network does not tell. */
  readonly visible: Float32Array | null;
}

/** One face in one frame. */
export interface TrackedFace extends Landmarks {
  /** Number of the face, from 0; a face that returns within `memorySeconds` keeps it. */
  readonly id: number;
  /** 68 × 2, px of the image; stabilised. */
  readonly points: Float64Array;
  /** 68 × 2, px of the image; as the network predicted them. */
  readonly rawPoints: Float64Array;
  /** Around the stabilised points. */
  readonly box: Box;
  /** Whether the face is lost and shown in its last shape; `scores` and `visible` fall until it is dropped. */
  readonly held: boolean;
}

/** Place from which the package's networks and parameters are loaded, and providers that are tried in order. */
export interface LoadOptions {
  /** URL of the folder; by default the package's own, beside its modules. */
  weights?: string | URL;
  /** By default `["webgpu", "wasm"]` for landmarks and `["wasm"]` for the finder, which runs seldom. */
  providers?: readonly Provider[];
}

/** Finds all faces of an image, frontal or turned, upright or tilted. */
export class FaceFinder {
  /** @throws Error if the weights are not there or no provider can run them; RangeError for a setting. */
  static load(ort: Runtime, options?: LoadOptions & FinderSettings): Promise<FaceFinder>;
  private constructor();
  /** Execution provider in use. */
  readonly provider: Provider;
  /** Faces, best first: boxes tight around the 68 landmarks, beyond the border if the face is. */
  find(image: Picture): Promise<{ box: number[]; score: number }[]>;
  /** Score in [0, 1] of a face at 68 known points (px): the finder sees a small crop; 0 if it finds none. */
  confidence(image: Picture, points: ArrayLike<number>): Promise<number>;
}

export interface FinderSettings {
  /** Longer side of the image that is searched, px (320). Increasing it finds smaller faces, but costs time. */
  side?: number;
  /** Larger side of the smallest box, px of the image, at least 16: below what `side` shows, larger images are searched too. */
  minFace?: number | null;
  /** Lowest score of a face (0.5). Increasing it gives fewer false faces, but misses more. */
  threshold?: number;
}

/** Predicts the 68 points of faces whose place is known. */
export class Landmarker {
  /**
   * @param model "nano", "tiny" (the default) or "compact"; or URL or bytes of a file of `steadyface export`.
   * @throws Error if the file is not there or no provider can run it.
   */
  static load(ort: Runtime, model?: string | URL | Uint8Array, options?: LoadOptions): Promise<Landmarker>;
  private constructor();
  /** Execution provider in use; "wasm" also where the GPU's points of a drawn face differ from WebAssembly's. */
  readonly provider: Provider;
  /** Name of a network of the package; null of a file. */
  readonly name: string | null;
  /** Side of the network's crop, px. */
  readonly inputSize: number;
  /**
   * Points of one face.
   *
   * @param box around its landmarks, brows to chin and ear to ear.
   * @throws RangeError if the box is empty.
   */
  predict(image: Picture, box: Box | readonly number[]): Promise<Landmarks>;
  /** Points of several faces, one square each, in one run of the network. */
  predictRegions(image: Picture, regions: readonly Region[]): Promise<Landmarks[]>;
}

/** Parameters of a bundled stabiliser, such as `sta.json`, or of one that `steadyface fit-stabilizer` wrote. */
export interface StabilizerParameters {
  readonly kind: string;
  readonly version: number;
  readonly fps: number;
  readonly [name: string]: unknown;
}

/** Memory of the filter after a frame of one face. */
export interface StabilizerState {
  /** 68 × 2 stabilised points, px of the image. */
  readonly points: Float64Array;
}

/**
 * The default filter of points, frame by frame, without measured motion: equal to Python's to 1e-6 px
 * from the first complete frame on.
 */
export class Stabilizer {
  /** Load the parameters for the points of a network, for any by default; `weights` is the URL of the folder. */
  static load(options?: { network?: string | null; weights?: string | URL }): Promise<Stabilizer>;
  /** @throws Error if the parameters are of another kind or version. */
  constructor(parameters: StabilizerParameters);
  /**
   * One frame of one face. Landmarks that are missing (NaN) or thrown off move with the others, an unusable
   * frame repeats the last points, and a cut starts anew.
   *
   * @param state of the last frame; null at the start.
   * @param points 68 × 2 raw, px of the image.
   * @param dt seconds since the last frame; undefined takes one frame at `fps`.
   * @param scores 68 in [0, 1], or null.
   * @returns the new state; null while no complete frame has been seen.
   * @throws RangeError another number of points or scores, or a time that is no finite number.
   */
  step(
    state: StabilizerState | null,
    points: ArrayLike<number>,
    dt?: number,
    scores?: ArrayLike<number> | null,
  ): StabilizerState | null;
}

/** Settings of a tracker. */
export interface TrackerConfig {
  /** Most faces at a time (4). Increasing it tracks more people, but costs time for each, and for searching. */
  maxFaces: number;
  /** Least score of a new face (0.88): the mean of the better half of its points. Increasing it misses hard ones. */
  accept: number;
  /** Least score of a tracked face (0.8). Increasing it also loses turned and covered faces. */
  keep: number;
  /** Least confidence of the finder in a tracked face (0.35), asked now and then; 0 does not ask. */
  confirm: number;
  /** Seconds between two searches while there is room for a face (0.5). Increasing it saves time. */
  redetectSeconds: number;
  /** The same while a face was lost less than `memorySeconds` ago (0.1). */
  retrySeconds: number;
  /** Seconds for which a lost face is shown in its last shape (0.3). */
  graceSeconds: number;
  /** Seconds for which a lost face's id is kept for its return (3). */
  memorySeconds: number;
}

/** The defaults, those of Python. */
export const DEFAULTS: Readonly<TrackerConfig>;

/**
 * Tracks faces through a video, one frame at a time.
 *
 * The finder runs at the start, after a loss, and every `redetectSeconds` while there is room for another face.
 */
export class Tracker {
  /** Open the package's finder, landmarker and stabiliser; `providers` are the landmarker's. */
  static load(
    ort: Runtime,
    options?: LoadOptions & { model?: string | URL | Uint8Array; config?: Partial<TrackerConfig> },
  ): Promise<Tracker>;
  /** @throws RangeError for a setting that is unknown or out of range. */
  constructor(
    landmarker: Landmarker,
    finder: FaceFinder,
    stabilizer?: Stabilizer | null,
    config?: Partial<TrackerConfig>,
  );
  readonly landmarker: Landmarker;
  readonly finder: FaceFinder;
  readonly stabilizer: Stabilizer | null;
  readonly config: Readonly<TrackerConfig>;
  /**
   * Track the faces of the next frame.
   *
   * @param image of any size; it may change.
   * @param seconds time of the frame.
   * @returns the faces in order of id, those just lost among them, marked `held`.
   * @throws RangeError if time does not move forward; Error while the last step has not ended.
   */
  step(image: Picture, seconds: number): Promise<TrackedFace[]>;
  /** Forget all faces and the time; ids start from 0 again. Throws an Error while a step has not ended. */
  reset(): void;
}

/** Cut a region out of an image as the network sees it: RGB, `size` × `size` × 3, black outside of the image. */
export function cropRegion(image: Picture, region: Region, size: number): Uint8Array;

/** Square around a face's 68 points, turned with its eyes; its side is `margin` (1.3) sizes of the turned box. */
export function faceRegion(points: ArrayLike<number>, margin?: number): Region;

/** Upright square around a landmark box; its side is `margin` (1.3) times the box's larger one. */
export function regionAroundBox(box: Box | readonly number[], margin?: number): Region;
