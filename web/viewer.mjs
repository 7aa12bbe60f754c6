// The image viewer: `viewer.html?source=ADDRESS` shows one OME-Zarr 0.5 image, with the window, colours and labels that the store states.
// ADDRESS may be relative; `&layout=xy|xz|yz|4panel|xy-3d` chooses the planes; `&labels=no` does not look for labels, which costs a
// request that fails where there are none. Nothing is loaded from elsewhere than ADDRESS.
import "neuroglancer";
import { setDefaultInputEventBindings } from "neuroglancer/unstable/ui/default_input_event_bindings.js";
import { makeDefaultViewer } from "neuroglancer/unstable/ui/default_viewer.js";

const METERS = { angstrom: 1e-10, nanometer: 1e-9, micrometer: 1e-6, millimeter: 1e-3, centimeter: 1e-2, meter: 1 };
const SECONDS = { microsecond: 1e-6, millisecond: 1e-3, second: 1, minute: 60, hour: 3600 };
const SHADER = "#uicontrol invlerp normalized\n#uicontrol vec3 color color\nvoid main() { emitRGB(color * normalized()); }\n";
const LAYOUTS = ["xy", "xz", "yz", "4panel", "xy-3d"];
const MOST_CHANNELS = 8;

class CannotShow extends Error {}

function address() {
  const given = new URLSearchParams(location.search).get("source");
  if (!given) throw new CannotShow("No image was named.");
  const found = new URL(given.endsWith("/") ? given : `${given}/`, location.href);
  if (!["http:", "https:"].includes(found.protocol)) throw new CannotShow("An image has an address that begins with http: or https:.");
  return found;
}

async function metadata(place) {
  const answer = await fetch(new URL("zarr.json", place)).catch(() => undefined);
  if (!answer?.ok) throw new CannotShow("The image cannot be reached.");
  return answer.json().catch(() => { throw new CannotShow("The image's metadata cannot be read."); });
}

function dimension(axis, step) {
  if (axis.unit in METERS) return [step * METERS[axis.unit], "m"];
  if (axis.unit in SECONDS) return [step * SECONDS[axis.unit], "s"];
  return [step, ""];
}

const scaleOf = (dataset) => dataset.coordinateTransformations.find(({ type }) => type === "scale").scale;
const colour = (channel) => (/^[0-9a-f]{6}$/i.test(channel?.color ?? "") ? `#${channel.color}` : "#ffffff");

function imageLayer(place, channel, number, many) {
  const { start, end, min, max } = channel?.window ?? {};
  const range = channel?.inverted ? [end, start] : [start, end];
  const controls = { color: colour(channel), ...(start === undefined ? {} : { normalized: { range, window: [min, max] } }) };
  return {
    type: "image", name: channel?.label || (many ? `channel ${number + 1}` : "image"), source: `zarr3://${place.href}`, blend: "additive",
    opacity: 1, visible: channel?.active !== false, shader: SHADER, shaderControls: controls, ...(many ? { localPosition: [number] } : {}),
  };
}

async function labelLayers(place) {
  if (new URLSearchParams(location.search).get("labels") === "no") return [];
  const group = await fetch(new URL("labels/zarr.json", place)).then((answer) => (answer.ok ? answer.json() : undefined), () => undefined);
  const names = group?.attributes?.ome?.labels ?? [];
  return Promise.all(names.map(async (name) => {
    const inner = new URL(`labels/${name}/`, place);
    const colours = (await metadata(inner)).attributes?.ome?.["image-label"]?.colors ?? [];
    const hex = ([r, g, b]) => `#${[r, g, b].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    const stated = Object.fromEntries(colours.filter(({ rgba }) => rgba).map((item) => [item["label-value"], hex(item.rgba)]));
    return { type: "segmentation", name: `labels: ${name}`, source: `zarr3://${inner.href}`, segmentColors: stated, tab: "segments" };
  }));
}

async function state(place) {
  const ome = (await metadata(place)).attributes?.ome;
  if (!ome?.multiscales) throw new CannotShow("There is no single image at this address.");
  if (ome.version !== "0.5") throw new CannotShow(`This viewer shows OME-Zarr 0.5; the image is version ${ome.version}.`);
  const { axes, datasets } = ome.multiscales[0];
  const steps = scaleOf(datasets[0]);
  const { shape } = await metadata(new URL(`${datasets[0].path}/`, place));
  const sizes = Object.fromEntries(axes.map(({ name }, number) => [name, shape[number]]));
  const all = Object.fromEntries(axes.map((axis, number) => [axis.name, dimension(axis, steps[number])]));
  const shown = ["x", "y", "z"].filter((name) => (sizes[name] ?? 0) > 0);
  const order = [...shown, ...("t" in all ? ["t"] : [])];
  const count = Math.min(sizes.c ?? 1, MOST_CHANNELS);
  const channels = Array.from({ length: count }, (_, number) => imageLayer(place, ome.omero?.channels?.[number], number, "c" in sizes));
  const asked = new URLSearchParams(location.search).get("layout");
  const layout = LAYOUTS.includes(asked) ? asked : "xy";
  return {
    dimensions: Object.fromEntries(order.map((name) => [name, all[name]])),
    displayDimensions: shown,
    layers: [...distinct(channels), ...(await labelLayers(place))],
    layout,
    crossSectionScale: fitting(shown, sizes, all, layout),
    showDefaultAnnotations: false, showAxisLines: false, showScaleBar: true, selectedLayer: { visible: false },
  };
}

function distinct(layers) {
  const seen = new Map();
  return layers.map((layer) => {
    const times = (seen.get(layer.name) ?? 0) + 1;
    seen.set(layer.name, times);
    return times === 1 ? layer : { ...layer, name: `${layer.name} (${times})` };
  });
}

// How many of the smallest voxel steps one pixel of the window has to cover for everything to be seen.
function fitting(shown, sizes, all, layout) {
  const unit = Math.min(...shown.map((name) => all[name][0]));
  const length = (name) => (name in sizes ? (sizes[name] * all[name][0]) / unit : 0);
  const share = layout === "4panel" ? 2 : 1;
  const [across, down] = layout === "xz" ? ["x", "z"] : layout === "yz" ? ["z", "y"] : ["x", "y"];
  return 1.1 * share * Math.max(length(across) / window.innerWidth, length(down) / (window.innerHeight - 80));
}

async function show() {
  const place = address();
  const wanted = await state(place);
  const viewer = makeDefaultViewer({ showLayerDialog: false, resetStateWhenEmpty: false });
  for (const part of ["showHelpButton", "showEditStateButton", "showScreenshotButton", "showToolPaletteButton", "showSelectionPanelButton"]) {
    viewer.uiConfiguration[part].value = false;
  }
  setDefaultInputEventBindings(viewer.inputEventBindings);
  viewer.state.restoreState(wanted);
  window.viewer = viewer;
}

show().catch((error) => {
  const message = document.getElementById("message");
  message.textContent = error instanceof CannotShow ? error.message : "The image cannot be shown here: the browser needs WebGL 2.";
  message.hidden = false;
  document.getElementById("neuroglancer-container").remove();
});
