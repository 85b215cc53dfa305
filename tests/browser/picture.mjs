// Takes the picture of the page for the README:  node picture.mjs SERVER_BINARY FILE.png
// Four people with drawn cameras, since the fake camera of the tests is no pleasure to look at.

import { launch, openTab } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const [binary, file] = process.argv.slice(2);
process.env.SANSFU_BIN = binary;
const PEOPLE = [
  { name: 'Amara Diallo', wall: ['#35507a', '#1c2940'], skin: '#8d5a3b', shirt: '#e0a43a', hair: '#1d1512' },
  { name: 'Jonas Berg', wall: ['#58707a', '#27353c'], skin: '#e7b793', shirt: '#3f7d6b', hair: '#7a4a24' },
  { name: 'Mei Tanaka', wall: ['#7a5566', '#352530'], skin: '#efc7a3', shirt: '#d8dbe6', hair: '#17161c' },
  { name: 'Luis Ortega', wall: ['#4b5c46', '#20291e'], skin: '#c98e63', shirt: '#8a3f46', hair: '#2b1d14', cameraOff: true },
];

const server = await Server.start();
const browser = await launch();
const pages = [];
for (const person of PEOPLE) pages.push(await join(person));
const [first] = pages;
await until('everybody has a picture, Luis initials', () => first.evaluate((names) => {
  const shown = window.sansfu.tiles;
  return shown.length === names.length && shown.filter((tile) => tile.hasPicture && tile.stats?.width !== 0).length === names.length - 1;
}, PEOPLE.map(({ name }) => name)), { timeoutMs: 60_000 });
await until('Jonas comes in at a good size', () => first.evaluate(() => window.sansfu.tiles[1].stats.width >= 640), { timeoutMs: 60_000 });
await first.locator(`[data-peer] .tool[aria-label="Connection details"]`).nth(1).click({ force: true });
await first.mouse.move(640, 30);
await until('numbers in the panel', async () => /[1-9]\d* fps/.test(await first.locator('.panel:visible').innerText()), { timeoutMs: 30_000 });
await until('no toast is left', async () => (await first.locator('.toast').count()) === 0);
await first.screenshot({ path: file });
console.log(`picture: ${file}`);
await browser.close();
await server.stop();

async function join(person) {
  const page = await openTab(browser, `${server.origin}/health`, { width: 1280, height: 780 });
  await page.addInitScript(drawnCamera, person);
  await page.goto(`${server.origin}/?${new URLSearchParams({ room: 'design-review', name: person.name, autojoin: '1' })}`);
  await until(`${person.name} has joined`, () => page.evaluate(() => window.sansfu.phase === 'joined'));
  if (person.cameraOff) {
    await page.click('#cam');
    await page.click('#mic');
  }
  return page;
}

/** Runs in the page: the camera becomes a canvas with a person that nods a little. */
function drawnCamera({ wall, skin, shirt, hair }) {
  const devices = navigator.mediaDevices;
  const real = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (constraints) => {
    if (!constraints.video) return real(constraints);
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const context = canvas.getContext('2d');
    const blob = (color, x, y, rx, ry) => {
      context.fillStyle = color;
      context.beginPath();
      context.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
      context.fill();
    };
    const draw = () => {
      const sway = Math.sin(performance.now() / 900) * 8;
      const gradient = context.createLinearGradient(0, 0, 1280, 720);
      gradient.addColorStop(0, wall[0]);
      gradient.addColorStop(1, wall[1]);
      context.fillStyle = gradient;
      context.fillRect(0, 0, 1280, 720);
      context.fillStyle = '#ffffff12';
      context.fillRect(880, 90, 250, 330);
      blob(shirt, 640, 800, 330, 270);
      context.fillStyle = skin;
      context.fillRect(590 + sway / 2, 470, 100, 110);
      blob(hair, 640 + sway, 300, 158, 180);
      blob(skin, 640 + sway, 335, 132, 165);
      blob(hair, 640 + sway, 205, 128, 62);
      for (const side of [-52, 52]) blob('#20242c', 640 + sway + side, 330, 10, 12);
      context.strokeStyle = '#20242c99';
      context.lineWidth = 6;
      context.beginPath();
      context.arc(640 + sway, 395, 42, 0.25, Math.PI - 0.25);
      context.stroke();
    };
    draw();
    setInterval(draw, 80);
    return canvas.captureStream(12);
  };
}
