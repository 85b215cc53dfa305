"""A WHIP publisher that is not a browser: aiortc, with a moving picture and a tone.

Usage: whip_publisher.py URL. Prints one JSON line when it is connected, goes on until standard input ends, then deletes its
resource and prints how many pictures it has made.
"""

import asyncio
import fractions
import json
import math
import sys
import urllib.parse
import urllib.request

import av
import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

WIDTH, HEIGHT = 320, 240
SAMPLE_RATE = 48_000
SAMPLES = SAMPLE_RATE // 50


class Picture(VideoStreamTrack):
    """A bar that moves over a grey field."""

    made = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.full((HEIGHT, WIDTH, 3), 96, dtype=numpy.uint8)
        left = (self.made * 4) % (WIDTH - 40)
        picture[:, left : left + 40] = (200, 60, 40)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = pts, time_base
        self.made += 1
        return frame


class Tone(MediaStreamTrack):
    """440 Hz, loud enough to be told from silence."""

    kind = "audio"
    begun = None
    position = 0

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.begun = self.begun or loop.time()
        await asyncio.sleep(max(0, self.begun + self.position / SAMPLE_RATE - loop.time()))
        steps = numpy.arange(self.position, self.position + SAMPLES)
        wave = (8_000 * numpy.sin(2 * math.pi * 440 * steps / SAMPLE_RATE)).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self.position, fractions.Fraction(1, SAMPLE_RATE)
        self.position += SAMPLES
        return frame


def request(url, method, body=None):
    headers = {"content-type": "application/sdp"} if body else {}
    data = body.encode() if body else None
    return urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=10)


async def main(url):
    connection = RTCPeerConnection()
    picture = Picture()
    for track in (Tone(), picture):
        connection.addTransceiver(track, direction="sendonly")
    connected = asyncio.get_running_loop().create_future()

    @connection.on("connectionstatechange")
    def changed():
        if connection.connectionState in ("connected", "failed") and not connected.done():
            connected.set_result(connection.connectionState)

    await connection.setLocalDescription(await connection.createOffer())
    response = request(url, "POST", connection.localDescription.sdp)
    resource = urllib.parse.urljoin(url, response.headers["location"])
    await connection.setRemoteDescription(RTCSessionDescription(response.read().decode(), "answer"))
    state = await asyncio.wait_for(connected, 20)
    print(json.dumps({"state": state, "resource": resource}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    request(resource, "DELETE")
    await connection.close()
    print(json.dumps({"pictures": picture.made}), flush=True)


asyncio.run(main(sys.argv[1]))
