// The page that the server serves: people meet, mute, share a screen, leave, and are told what is wrong.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openTab, screenshot, uncaught } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { until, untilRises } from './lib/until.mjs';

const LIMIT = { timeout: 120_000 };
let browser;

before(async () => (browser = await launch()), LIMIT);
after(() => browser?.close(), LIMIT);

/** One person in the room, by the page. */
class Person {
  static async join(server, room, name, options = {}) {
    const { browser: inBrowser = browser, ...tab } = options;
    const person = new Person();
    person.name = name;
    const parameters = new URLSearchParams({ room, name, autojoin: '1' });
    person.page = await openTab(inBrowser, `${server.origin}/?${parameters}`, tab);
    await until(`${name} has joined`, () => person.evaluate(() => window.sansfu.phase === 'joined'));
    person.id = await person.evaluate(() => window.sansfu.peerId);
    return person;
  }

  evaluate(what, argument) {
    return this.page.evaluate(what, argument);
  }

  click(id) {
    return this.page.click(`#${id}`);
  }

  /** What this person's page shows of another: the entry of `sansfu.tiles`. */
  tileOf(id) {
    return this.evaluate((id) => window.sansfu.tiles.find((tile) => tile.id === id), id);
  }

  /** The notices above the tiles, as the DOM has them. */
  troubles() {
    return this.page.locator('.trouble').allInnerTexts();
  }

  /** Counts the pictures that another's <video> puts on the screen, independently of getStats. */
  async countPictures(id) {
    await this.evaluate((id) => {
      const video = document.querySelector(`[data-peer="${id}"] video`);
      window.pictures ??= {};
      window.pictures[id] = 0;
      const count = () => {
        window.pictures[id] += 1;
        video.requestVideoFrameCallback(count);
      };
      video.requestVideoFrameCallback(count);
    }, id);
  }

  shownPictures(id) {
    return this.evaluate((id) => window.pictures[id], id);
  }

  /** Whether the picture of another has any light in it: a black frame would pass for a picture otherwise. */
  brightness(id) {
    return this.evaluate((id) => {
      const video = document.querySelector(`[data-peer="${id}"] video`);
      const canvas = new OffscreenCanvas(32, 18);
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0, 32, 18);
      const { data } = context.getImageData(0, 0, 32, 18);
      return data.filter((_, index) => index % 4 !== 3).reduce((most, value) => Math.max(most, value), 0);
    }, id);
  }

  async seesAndHears(other) {
    await until(`${this.name} has ${other.name}'s picture`, async () => (await this.tileOf(other.id))?.hasPicture, { timeoutMs: 30_000 });
    await this.countPictures(other.id);
    await untilRises(`${this.name}: pictures of ${other.name} shown`, () => this.shownPictures(other.id));
    // A tile that has just been made anew has none before the page has looked for the first time.
    await until(`${this.name} has statistics of ${other.name}`, async () => (await this.tileOf(other.id))?.stats);
    await untilRises(`${this.name}: pictures of ${other.name} decoded`, async () => (await this.tileOf(other.id)).stats.framesDecoded);
    const energy = async () => (await this.tileOf(other.id)).stats.totalAudioEnergy;
    await untilRises(`${this.name}: sound energy of ${other.name}`, energy, { by: 0.0005, timeoutMs: 30_000 });
    assert.ok((await this.brightness(other.id)) > 60, `${other.name}'s picture is black`);
  }

  close() {
    return this.page.context().close();
  }
}

describe('three people in a room', () => {
  let server;
  let ann;
  let ben;
  let cat;

  before(async () => {
    server = await Server.start({ workers: 2 });
    ann = await Person.join(server, 'blue-harbor', 'Ann Lee');
    ben = await Person.join(server, 'blue-harbor', 'Ben Okafor');
    cat = await Person.join(server, 'blue-harbor', 'Cat Møller');
  }, LIMIT);

  after(async () => {
    await Promise.all([ann, ben, cat].map((person) => person?.close()));
    await server?.stop();
  }, LIMIT);

  test('everybody sees and hears everybody else', LIMIT, async () => {
    const people = [ann, ben, cat];
    for (const one of people) {
      for (const other of people) if (one !== other) await one.seesAndHears(other);
      assert.deepEqual(await one.troubles(), []);
    }
    await screenshot(ann.page, 'three-people');
  });

  test('the panel of a tile says codec, picture, bitrate, loss and round trip', LIMIT, async () => {
    await ann.page.keyboard.press('i');
    const panel = ann.page.locator(`[data-peer="${ben.id}"] .panel`);
    const shown = await until('numbers in the panel', async () => {
      const text = (await panel.innerText()).replace(/\s+/g, ' ');
      return /Codec VP8 · opus Picture \d+×\d+ · [1-9]\d* fps Bitrate .*bit\/s Loss [\d.]+ % Round trip [\d.]+ ms/.test(text) && text;
    });
    console.log(`panel: ${shown}`);
    await screenshot(ann.page, 'panels');
    await ann.page.keyboard.press('i');
    assert.equal(await panel.isVisible(), false);
  });

  test('a muted microphone and a camera that is off show at the others, and come back', LIMIT, async () => {
    await ben.click('mic');
    await ben.click('cam');
    const tile = ann.page.locator(`[data-peer="${ben.id}"]`);
    await until('initials and the muted sign', async () => {
      const classes = await tile.getAttribute('class');
      return classes.includes('no-picture') && classes.includes('silent');
    });
    assert.equal(await tile.locator('.avatar').innerText(), 'BO');
    await ben.click('mic');
    await ben.click('cam');
    await until('the muted sign is gone', async () => !(await tile.getAttribute('class')).includes('silent'));
    await ann.seesAndHears(ben);
  });

  test('whoever joins while a camera is off sees initials, not a frozen picture', LIMIT, async () => {
    await ben.click('cam');
    const late = await Person.join(server, 'blue-harbor', 'Dora');
    await late.seesAndHears(ann);
    const tile = await late.tileOf(ben.id);
    assert.equal(tile.hasPicture, false);
    await ben.click('cam');
    await late.seesAndHears(ben);
    await late.close();
    await until('Dora is gone', async () => !(await ann.tileOf(late.id)), { timeoutMs: 10_000 });
  });

  test('a shared screen becomes a large tile of its own, and goes again', LIMIT, async () => {
    await fakeScreen(ben);
    await ben.click('share');
    const screenId = `${ben.id}-screen`;
    await until('the screen shows at Ann', async () => (await ann.tileOf(screenId))?.hasPicture, { timeoutMs: 30_000 });
    const width = (id) => ann.page.locator(`[data-peer="${id}"]`).evaluate((element) => element.offsetWidth);
    await until('it is the large tile', async () => (await width(screenId)) > 2 * (await width(cat.id)));
    assert.equal(await ann.page.locator('#count').innerText(), '3');
    await screenshot(ann.page, 'shared-screen');
    await ben.click('share');
    await until('the screen is gone', async () => !(await ann.tileOf(screenId)), { timeoutMs: 10_000 });
  });

  test('on a narrow telephone everything fits', LIMIT, async () => {
    await ann.page.setViewportSize({ width: 360, height: 740 });
    const overflow = () => ann.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await until('no sideways scrolling', async () => (await overflow()) <= 0);
    const boxes = () =>
      ann.evaluate(() => [...document.querySelectorAll('.tile, .bar button')].map((element) => element.getBoundingClientRect().toJSON()));
    await until('tiles and buttons are inside the window', async () =>
      (await boxes()).every(({ left, right, top, bottom }) => left >= 0 && top >= 0 && right <= 360 && bottom <= 740),
    );
    await screenshot(ann.page, 'narrow');
    await ann.page.setViewportSize({ width: 1280, height: 760 });
  });

  test('whoever leaves disappears from the others', LIMIT, async () => {
    await cat.click('leave');
    for (const person of [ann, ben]) {
      await until(`Cat is gone at ${person.name}`, async () => !(await person.tileOf(cat.id)), { timeoutMs: 5_000 });
    }
    assert.match(await cat.page.innerText('#ended'), /You left the room/);
    await ann.seesAndHears(ben);
  });

  test('a tab that is closed disappears from the others', LIMIT, async () => {
    await ben.close();
    await until('Ben is gone', async () => !(await ann.tileOf(ben.id)), { timeoutMs: 10_000 });
    assert.equal(await ann.page.locator('#count').innerText(), '1');
    assert.equal(await ann.page.locator('#alone').isVisible(), true);
    assert.match(await ann.page.inputValue('#invite-link'), /\?room=blue-harbor$/);
  });

  test('no script error in any tab', () => {
    assert.deepEqual([ann, ben, cat].flatMap(({ page }) => uncaught(page)), []);
  });
});

/** Headless Chromium has no screen to share: a drawn one stands in for it. */
function fakeScreen(person) {
  return person.evaluate(() => {
    navigator.mediaDevices.getDisplayMedia = async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 800 });
      const context = canvas.getContext('2d');
      setInterval(() => {
        context.fillStyle = '#f6f7f9';
        context.fillRect(0, 0, 1280, 800);
        context.fillStyle = '#20242c';
        context.font = '56px sans-serif';
        context.fillText(`Quarterly numbers ${Math.floor(performance.now() / 100)}`, 90, 160);
      }, 100);
      return canvas.captureStream(10);
    };
  });
}

describe('the lobby', () => {
  let server;
  before(async () => (server = await Server.start()), LIMIT);
  after(() => server?.stop(), LIMIT);

  test('name and room, then into the meeting, by the keyboard alone', LIMIT, async () => {
    const page = await openTab(browser, `${server.origin}/?room=tea`);
    await until('the camera preview', () => page.evaluate(() => document.getElementById('preview-video').videoWidth > 0));
    await page.focus('#name');
    await page.keyboard.type('Eva');
    await screenshot(page, 'lobby');
    await page.keyboard.press('Enter');
    await until('joined', () => page.evaluate(() => window.sansfu.phase === 'joined'));
    assert.match(page.url(), /\?room=tea$/);
    await page.context().close();
  });

  test('says so when camera and microphone are refused, and lets one in all the same', LIMIT, async () => {
    const refusing = await launch({ allowed: false });
    try {
      const page = await openTab(refusing, `${server.origin}/?room=tea&name=Finn`);
      const problem = page.locator('#device-problem');
      const text = await until('a text about the refusal', async () =>
        /camera/.test(await problem.innerText()) && (await problem.isVisible()) && problem.innerText(),
      );
      assert.match(text, /Access to the camera is blocked\. Allow it/);
      assert.match(text, /Access to the microphone is blocked\. Allow it/);
      await screenshot(page, 'refused');
      await page.click('#join');
      await until('joined', () => page.evaluate(() => window.sansfu.phase === 'joined'));
      const gwen = await Person.join(server, 'tea', 'Gwen');
      const gwensId = gwen.id;
      const frames = () => page.evaluate((id) => window.sansfu.tiles.find((tile) => tile.id === id)?.stats?.framesDecoded, gwensId);
      await untilRises('pictures of Gwen at Finn, who sends nothing', frames, { timeoutMs: 30_000 });
      await page.click('#cam');
      await until('the text in the meeting', async () => /camera is blocked/.test(await page.innerText('#troubles')));
      await gwen.close();
    } finally {
      await refusing.close();
    }
  });
});

describe('a server that goes away', () => {
  test('is said plainly, and the call is repaired when it is back', { timeout: 180_000 }, async () => {
    const first = await Server.start();
    const ann = await Person.join(first, 'storm', 'Ann');
    const ben = await Person.join(first, 'storm', 'Ben');
    await ann.seesAndHears(ben);
    await first.stop();
    await until('the text about the server', async () => /connection to the server is lost/i.test((await ann.troubles()).join()));
    await screenshot(ann.page, 'server-gone');
    const second = await Server.start({ httpPort: first.httpPort, rtcPort: first.rtcPort });
    await until('the text is gone', async () => (await ann.troubles()).length === 0, { timeoutMs: 60_000 });
    await ann.seesAndHears(ben);
    await ben.seesAndHears(ann);
    await Promise.all([ann.close(), ben.close()]);
    await second.stop();
  });

  test('before joining: the lobby says that it cannot be reached', LIMIT, async () => {
    const server = await Server.start();
    const page = await openTab(browser, `${server.origin}/?room=tea&name=Hal`);
    await until('the camera preview', () => page.evaluate(() => document.getElementById('preview-video').videoWidth > 0));
    await server.stop();
    await page.click('#join');
    await until('the text', async () => /could not join: the server cannot be reached/i.test(await page.innerText('#join-problem')));
    await page.context().close();
  });
});
