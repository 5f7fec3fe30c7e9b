/** Serve the example on this machine alone: node example/serve.js [PORT], then open the address it prints. */

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const RUNTIME = runtimeFolder();
const RUNTIME_PATH = "/node_modules/onnxruntime-web/dist/";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** End with one line that says what is wrong. */
function refuse(problem) {
  console.error(problem);
  process.exit(1);
}

function runtimeFolder() {
  try {
    return dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));
  } catch {
    return refuse("onnxruntime-web is not installed: npm install onnxruntime-web@1.30.0");
  }
}

/** File that a path names; the runtime may lie in a folder above the package's. */
function fileOf(path) {
  if (path.startsWith(RUNTIME_PATH)) return join(RUNTIME, path.slice(RUNTIME_PATH.length));
  return join(PACKAGE, path);
}

const server = createServer((request, response) => {
  const path = normalize(`/${request.url.split("?")[0]}`);
  if (path === "/") return response.writeHead(302, { location: "/example/index.html" }).end();
  const file = fileOf(path);
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) return response.writeHead(404).end();
  response.writeHead(200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": found.size,
    // Only pages that are isolated from others may compute in several threads.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
  });
  createReadStream(file).pipe(response);
});

const port = process.argv[2] ?? "8000";
if (!/^\d+$/.test(port) || Number(port) > 65535) refuse(`a port is a number from 0 to 65535, got ${port}`);
server.on("error", (error) => refuse(`port ${port} of 127.0.0.1 cannot be used: ${error.code}`));
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
