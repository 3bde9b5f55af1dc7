# SPDX-License-Identifier: MIT
"""Seeds for virtio-video: streams that decode in order (see enum record of fuzz_video.c)."""
import struct

(QUERY, CREATE, DESTROY, DRAIN, RESOURCE, QUEUE, FORGET, CLEAR, GET_PARAMS, SET_PARAMS, *_) = range(13)
INPUT, OUTPUT = range(2)
CANCELED, LAST, BROKEN = 2, 1, 4


def u8(*values):
    return bytes(v & 255 for v in values)


def words(*values):
    return b''.join(struct.pack('<I', v & 0xffffffff) for v in values)


def command(data, room=600, cut=127):
    return u8(0, cut) + struct.pack('<HH', room, len(data)) + data


def request(what, stream=0, more=0, size=0):
    return u8(1, what * 4 + stream, more, size)


def resource(queue, number, stream=0, size=100, per_plane=0):
    return request(RESOURCE, stream, queue + number * 2 + per_plane * 8, size)


def queue(of, number, stream=0, size=60):
    return request(QUEUE, stream, of + number * 2, size)


def events(n=1, room=8):
    return (u8(2, 0) + struct.pack('<HH', room, 0)) * n


def done(codec=0, n=1):
    return u8(4, codec) * n


def returned(codec=0, which=0, flags=0):
    return u8(5, codec, which, flags)


def form(codec=0, size=15, crop=2, serial=1):
    return u8(6, codec, size, crop, serial)


TURN, MEMORY, PAUSE, RESET = u8(3, 2), u8(10), u8(11), u8(12)


def begin(stream=0, codec=2):
    return request(CREATE, stream, codec) + resource(INPUT, 0, stream) + resource(INPUT, 1, stream)


def outputs(stream=0):
    return (request(CLEAR, stream, OUTPUT) + request(FORGET, stream, OUTPUT) + done(stream, 8)
            + resource(OUTPUT, 0, stream) + resource(OUTPUT, 1, stream)
            + queue(OUTPUT, 0, stream) + queue(OUTPUT, 1, stream))


def play(stream=0):
    return (begin(stream) + queue(INPUT, 0, stream) + done(stream, 3) + returned(stream) + form(stream)
            + outputs(stream) + (queue(INPUT, 1, stream) + returned(stream) + returned(stream, 1)) * 3)


def requests():
    out = b''
    for code in range(0x100, 0x110):
        out += command(words(code, 0, 0x100, 0, *range(30)))
        out += command(words(code, 1)) + command(words(code, 0, 0x101)[:11], 3)
    return out


def write(save):
    conversations = {
        'nothing': b'',
        'requests': requests() + begin() + requests(),
        'play': events(4) + play(),
        'drain': events(4) + play() + request(DRAIN) + returned(0, 0, LAST) + done(0, 9) + request(DRAIN),
        'seek': events(2) + play() + request(CLEAR, 0, INPUT) + done(0, 9) + returned(0, 0, CANCELED)
            + queue(INPUT, 0) + returned(),
        'sizes': events(4) + play() + form(0, 31, 0, 2) + outputs() + queue(INPUT, 0) + returned(0, 0)
            + form(0, 7, 7, 3) + queue(OUTPUT, 0) + form(0, 200, 3, 4) + outputs(),
        'no-events': play() + form(0, 31, 0, 2) + events(3) + events(1, 7) + events(1, 0),
        'twice': begin() + queue(OUTPUT, 0) * 3 + resource(INPUT, 0) + request(DRAIN) * 2
            + request(CLEAR, 0, 1) * 2 + request(FORGET, 0, 1) * 2 + request(DESTROY) * 2 + done(0, 20),
        'destroy': events(2) + play() + request(DRAIN) + request(DESTROY) + done(0, 20) + begin(),
        'lost': events(2) + play() + request(DRAIN) + request(CLEAR, 0, 1) + u8(8, 0) + queue(INPUT, 0)
            + request(CLEAR, 0, 1) + request(DESTROY) + play(),
        'error': events(2) + play() + u8(7, 0, 4, 0, 0, 0, 250) + request(FORGET, 0, 1) + request(DESTROY),
        'pause': events(2) + play() + PAUSE + queue(OUTPUT, 0) + returned(0, 0) + queue(INPUT, 0) + PAUSE
            + returned(0, 0) + queue(INPUT, 0) + queue(INPUT, 0) + request(DRAIN) + PAUSE
            + returned(0, 0, LAST) + done(0, 9) + PAUSE,
        'pause-of-ends': play() + request(CLEAR, 0, 1) + PAUSE + done(0, 9) + request(FORGET, 0, 1) + PAUSE
            + done(0, 9) + request(DESTROY) + PAUSE + done(0, 30) + request(DESTROY),
        'memory': events(2) + play() + MEMORY + done(0, 9) + MEMORY + done(0, 9) + request(DESTROY) + done(0, 9)
            + play() + MEMORY + MEMORY + returned(0, 0, CANCELED) + queue(INPUT, 0) + done(0, 9) + returned()
            + MEMORY + MEMORY + request(CLEAR, 0, 1) + returned(0, 0, CANCELED) + done(0, 20),
        'reset': play() + RESET + play() + request(DRAIN) + RESET + begin(),
        'no-engine': request(CREATE) + u8(9, 1) + resource(INPUT, 0) + request(DRAIN) + u8(9, 0) + play()
            + u8(9, 1) + queue(INPUT, 0) + request(CLEAR, 0, 0) + request(FORGET, 0, 0) + request(DESTROY),
        'params': request(CREATE, 0, 2) + b''.join(request(SET_PARAMS, 0, m, 77) + request(GET_PARAMS, 0, m)
            for m in range(32)) + begin(1) + request(SET_PARAMS, 1, 4, 3) + request(SET_PARAMS, 1, 3, 3),
        'planes': begin() + form() + b''.join(resource(OUTPUT, n, 0, 100, n % 2) + queue(OUTPUT, n)
            for n in range(4)) + done(0, 20) + returned() * 3,
        'four-streams': events(4) + b''.join(play(s) for s in range(4)) + b''.join(request(DESTROY, s)
            for s in range(4)) + b''.join(done(s, 20) for s in range(4)) + TURN,
    }
    for name, data in conversations.items():
        for flags in (0, 1, 2):
            save('video', '%s-%d' % (name, flags), u8(flags) + data)
    for code in (*range(0x100, 0x10d), 0, 0x10d, 0x200):
        save('video_dialect', 'request-%x' % code, words(code, 1, 0x100, 2, 1, 1, *range(40)))
        save('video_dialect', 'short-%x' % code, words(code, 1, 0x101)[:11])
    save('video_dialect', 'planes', words(0x104, 1, 0x101, 3, 2, 2, *[0] * 8, 1, 2, *[0] * 6,
        0x1000, 0, 256, 0, 0x2000, 0, 64, 0, 0x3000, 1, 300, 0))
    save('video_dialect', 'offsets', words(0x104, 1, 0x101, 3, 1, 3, 0, 256, 320, *[0] * 5, 1, *[0] * 7,
        0x1000, 0, 1000, 0))
