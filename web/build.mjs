// Bundles the image viewer (neuroglancer, with the Zarr data source only) into the folder that the command line names.
// Run by hatch_build.py after `npm ci`; needs no network.
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const lib = path.join(here, "node_modules", "neuroglancer", "lib");
// The viewer's icon package is no npm release and brings a hundred others; package.json puts a package in its place that the viewer
// needs anyway, and these characters stand for the icons.
const ICONS = {
  "arrow-left": "←", "arrow-right": "→", "arrow-up": "↑", bin: "⌫", camera: "◉", close: "×", "code-alt": "{}", "controls-alt": "≡", copy: "⧉",
  cursor: "↖", eye: "◉", "eye-crossed": "◌", filter: "▽", help: "?", layers: "≣", list: "☰", maximise: "⤢", pause: "‖", play: "▷", plus: "+",
  rotate: "↻", search: "⌕", settings: "⚙", star: "★", tool: "⚒", video: "▣",
};
const drawn = (text) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="currentColor"><text x="12" y="18" font-size="18" text-anchor="middle">${text}</text></svg>`;

const icons = {
  name: "icons",
  setup(pass) {
    pass.onResolve({ filter: /\?raw$/ }, ({ path: wanted, resolveDir }) => {
      const place = wanted.slice(0, -"?raw".length);
      return { path: place.startsWith(".") ? path.resolve(resolveDir, place) : place, namespace: "raw" };
    });
    pass.onLoad({ filter: /.*/, namespace: "raw" }, async ({ path: file }) => {
      if (!file.startsWith("ikonate/icons/")) return { contents: await readFile(file, "utf8"), loader: "text" };
      return { contents: drawn(ICONS[path.basename(file, ".svg")] ?? "•"), loader: "text" };
    });
  },
};

await build({
  entryPoints: {
    // Where each looks for the next, seen from its own file.
    "code/viewer": path.join(here, "viewer.mjs"),
    "code/chunk_worker.bundle": path.join(lib, "chunk_worker.bundle.js"),
    "async_computation.bundle": path.join(lib, "async_computation.bundle.js"),
  },
  outdir: process.argv[2],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  logLevel: "error",
  conditions: [
    "neuroglancer/datasource:none_by_default",
    "neuroglancer/datasource/zarr:enabled",
    "neuroglancer/kvstore:none_by_default",
    "neuroglancer/kvstore/http:enabled",
    "neuroglancer/layer:none_by_default",
    "neuroglancer/layer/image:enabled",
    "neuroglancer/layer/segmentation:enabled",
  ],
  loader: { ".wasm": "file", ".svg": "text", ".html": "text", ".dat": "text" },
  plugins: [icons],
});
