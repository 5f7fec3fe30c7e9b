/** Sessions of ONNX Runtime, on the first execution provider that works. */

/** Folder of the networks and parameters that come with the package. */
export const WEIGHTS = new URL("../weights/", import.meta.url);

/** URL of a file in a folder, given with or without its last slash, absolute or relative to the page. */
export function inFolder(folder, name) {
  const base = new URL(folder, globalThis.location?.href);
  return new URL(name, base.href.endsWith("/") ? base : `${base}/`);
}

/**
 * Open a network.
 *
 * @param ort the module `onnxruntime-web`.
 * @param model URL or bytes of an `.onnx` file.
 * @param providers "webgpu" and "wasm", in the order in which they are tried.
 * @returns {session, provider}: the latter is the name of the one in use.
 * @throws Error if the file is not there, or no provider can run it.
 */
export async function openSession(ort, model, providers) {
  const bytes = await readBytes(model);
  const refused = [];
  for (const provider of providers) {
    if (provider === "webgpu" && !(await hasWebGpu())) {
      refused.push("webgpu: this browser has no adapter");
      continue;
    }
    try {
      const session = await ort.InferenceSession.create(bytes, { executionProviders: [provider] });
      return { session, provider };
    } catch (error) {
      refused.push(`${provider}: ${error.message}`);
    }
  }
  throw new Error(`no execution provider can run the network; ${refused.join("; ")}`);
}

/** Bytes of a file that is given by its URL, or as such. */
export async function readBytes(model) {
  return model instanceof Uint8Array ? model : new Uint8Array(await (await load(model)).arrayBuffer());
}

/** Fetch a file, and throw an Error if it is not there. */
export async function load(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be loaded: ${response.status}`);
  return response;
}

/** Whether this browser can compute on a GPU. */
async function hasWebGpu() {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  return Boolean(adapter);
}
