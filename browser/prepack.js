/**
 * Copy the networks, the stabiliser's parameters and the licences into the package: node prepack.js.
 *
 * They are committed once, with the Python package beside this folder. The networks are those in float32: in
 * WebAssembly 8 bits are no faster, and round otherwise than on a CPU of its own.
 */

import { copyFileSync, mkdirSync } from "node:fs";

const here = (path) => new URL(path, import.meta.url);
const SOURCE = "../src/steadyface/weights/";

mkdirSync(here("weights"), { recursive: true });
for (const name of ["nano", "tiny", "compact"]) {
  copyFileSync(here(`${SOURCE}${name}-float32.onnx`), here(`weights/${name}.onnx`));
}
copyFileSync(here(`${SOURCE}finder.onnx`), here("weights/finder.onnx"));
for (const name of ["sta", "sta-tiny", "sta-nano"]) {
  copyFileSync(here(`${SOURCE}stabilizers/${name}.json`), here(`weights/${name}.json`));
}
copyFileSync(here("../MODEL_CARD.md"), here("weights/MODEL_CARD.md"));
copyFileSync(here("../LICENSE"), here("LICENSE"));
