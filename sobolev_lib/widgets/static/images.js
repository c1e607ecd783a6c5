// An image panel: pixels, and signed numbers laid over them in two colours whose opacity is the number's size.
import { unpack8 } from "./base64.js";

const pictures = new WeakMap(); // packed panel -> its picture, so that a frame is decoded once

async function inflate(text) {
  const stream = new Blob([unpack8(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The colours are mixed here, not by the canvas: pixels that are only written look the same in every browser, while
// those that fight fingerprinting change what is read back from a canvas.
async function mix(panel, blobs) {
  const [width, height] = panel.size, count = width * height;
  const pixels = await inflate(blobs[panel.image]);
  const codes = panel.overlay === undefined ? null : await inflate(blobs[panel.overlay]);
  const colours = panel.colours?.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const channels = pixels.length / count; // 1 is grey, 3 is colour
  const image = new ImageData(width, height);
  for (let i = 0; i < count; i++) {
    const value = codes ? codes[i] / panel.steps - 1 : 0; // -1 to 1
    for (let k = 0; k < 3; k++) {
      const below = pixels[channels * i + (channels === 3 ? k : 0)];
      image.data[4 * i + k] = value ? below + Math.abs(value) * (colours[value < 0 ? 0 : 1][k] - below) : below;
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}

// Packed panel -> panel with a `picture`, whose `image` is there once `ready`: browsers decompress in the background.
export function decodeImage(panel, blobs) {
  if (!pictures.has(panel)) {
    const picture = { image: null };
    picture.ready = mix(panel, blobs).then((image) => { picture.image = image; });
    pictures.set(panel, picture);
  }
  return { ...panel, picture: pictures.get(panel) };
}

// One canvas pixel per pixel; CSS enlarges them with sharp edges.
export function drawImage(canvas, { size: [width, height], picture }) {
  if (!picture.image) return; // the last one stays until then: a blank one would flicker
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  canvas.getContext("2d").putImageData(picture.image, 0, 0);
}

export function overlayGradient([negative, positive]) {
  return `linear-gradient(90deg, ${negative}, transparent, ${positive})`;
}
