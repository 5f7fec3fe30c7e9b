/** 68 facial landmarks in video, in the browser; `index.d.ts` describes all of it. */

export { DEFAULTS } from "./lib/config.js";
export { cropRegion } from "./lib/crop.js";
export { FaceFinder } from "./lib/finder.js";
export { faceRegion, regionAroundBox } from "./lib/geometry.js";
export { Landmarker } from "./lib/landmarker.js";
export { Stabilizer } from "./lib/stabilizer.js";
export { Tracker } from "./lib/tracker.js";
