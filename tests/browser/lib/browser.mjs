// Headless Chromium with a fake camera (a moving picture) and a fake microphone (a beep each second).

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  // Every tab is on show for the test, whichever has the focus.
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling',
];
const FAKE_MEDIA = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream=fps=12'];

/**
 * `allowed: false`: camera and microphone exist, but every question for them is answered with no. `executable`: another one,
 * such as one that runs in a network of its own. `trusted`: an origin that is as good as one by HTTPS, although not on loopback.
 */
export function launch({ allowed = true, executable = EXECUTABLE, trusted } = {}) {
  const media = allowed ? FAKE_MEDIA : ['--use-fake-device-for-media-stream', '--deny-permission-prompts'];
  const trust = trusted ? [`--unsafely-treat-insecure-origin-as-secure=${trusted}`] : [];
  return chromium.launch({ executablePath: executable, args: [...FLAGS, ...media, ...trust] });
}

/** A tab in a window of its own. What it logs and throws is kept in `page.said`. */
export async function openTab(browser, url, { width = 1280, height = 760 } = {}) {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  page.said = [];
  page.on('console', (message) => page.said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => page.said.push(`threw: ${error.stack}`));
  await page.goto(url);
  return page;
}

/** The errors that a tab's scripts did not catch. */
export function uncaught(page) {
  return page.said.filter((line) => line.startsWith('threw:'));
}

/** Saves a picture of the tab below `output/<server binary>/` and prints where. */
export async function screenshot(page, name) {
  const server = path.basename(process.env.SANSFU_BIN ?? 'none');
  const folder = fileURLToPath(new URL(`../output/${server}/`, import.meta.url));
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${name}.png`);
  await page.screenshot({ path: file });
  console.log(`screenshot: ${file}`);
}
