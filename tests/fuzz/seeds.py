#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the fuzz targets, a folder for each: conversations that are in order, from
which a fuzzer departs. The records are those that the targets read (see their enum record)."""
import os
import struct
import sys

sys.dont_write_bytecode = True
import seeds_3d
import seeds_sound
import seeds_video

OUT = sys.argv[1]
UVA = 0x7f0000000000
HIGH = 0x100000000
MEMORY = 256 * 1024


def save(target, name, data):
    folder = os.path.join(OUT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(data)


def u8(*values):
    return bytes(v & 255 for v in values)


def u16(v):
    return struct.pack('<H', v & 0xffff)


# ---- messages ----

EVENT, LOW, HIGH_FD, KICK0, SHORT, READ_ONLY = 0, 1, 2, 3, 7, 8
SOCKET, DEAD_SOCKET, PIPE, FULL_PIPE, EPOLL, NULL = 9, 10, 11, 12, 13, 14
VQ_SIZE = 8
NEED_REPLY = 8


def msg(request, payload=b'', fds=(), flags=0, wrong=0):
    return u8(0, request, flags, wrong, len(fds), *fds) + u16(len(payload)) + payload


def u64msg(request, value, **kw):
    return msg(request, struct.pack('<Q', value), **kw)


def state(request, index, num, **kw):
    return msg(request, struct.pack('<II', index, num), **kw)


def raw(data, fd=None):
    return u8(1, len(data), 0 if fd is None else fd + 1) + data


def turn(n):
    return u8(2, n)


def kick(i):
    return u8(3, i)


def poke(at, data, memory=0):
    return u8(4, memory) + u16(at // 8) + u8(len(data)) + data


FINISH, CONFIG, RECONNECT = u8(5, 0), u8(6), u8(8)


def truncate(memory, pages):
    return u8(7, memory, pages)


def region(gpa, size, uva, off):
    return struct.pack('<QQQQ', gpa, size, uva, off)


def table(*regions):
    return struct.pack('<II', len(regions), 0) + b''.join(regions)


LOW_REGION = region(0, MEMORY, UVA, 0)
HIGH_REGION = region(HIGH, MEMORY, UVA + HIGH, 0)


def negotiate(features=1 << 30 | 1 << 32, protocol=(1 << 64) - 1 & ~(1 << 21)):
    queues = msg(17) if protocol & 1 else b''
    return msg(1) + msg(15) + u64msg(16, protocol) + queues + msg(3) + u64msg(2, features)


def mem_table(flags=0):
    return msg(5, table(LOW_REGION, HIGH_REGION), (LOW, HIGH_FD), flags)


def add_reg(r, fd, **kw):
    return msg(37, struct.pack('<Q', 0) + r, (fd,), **kw)


def rem_reg(r):
    return msg(38, struct.pack('<Q', 0) + r)


def ring_at(i):
    return 0x1000 * (i + 1)


def desc(addr, length, flags=0, nxt=0):
    return struct.pack('<QIHH', addr, length, flags, nxt)


def ring_memory(i, descs, heads):
    at = ring_at(i)
    avail = struct.pack('<HH', 0, len(heads)) + b''.join(map(u16, heads))
    return poke(at, b''.join(descs)) + poke(at + 0x400, avail)


def start_ring(i, size=VQ_SIZE, base=0, gpa=False, err=True):
    at = ring_at(i) + (0 if gpa else UVA)
    addr = struct.pack('<IIQQQQ', i, 0, at, at + 0x600, at + 0x400, 0)
    s = state(8, i, size) + state(10, i, base) + msg(9, addr) + u64msg(13, i, fds=(EVENT,))
    if err:
        s += u64msg(14, i, fds=(EVENT,))
    return s + u64msg(12, i, fds=(KICK0 + i,)) + state(18, i, 1)


def stop_ring(i):
    return state(18, i, 0) + state(11, i, 0)


def requests():
    """Four requests: answered at once, late, in place, late from an indirect table."""
    descs = [desc(0x8000, 16, 1, 1), desc(0x8100, 64, 2), desc(0x8020, 4, 1, 3),
        desc(0x8200, 64, 2),
             desc(0x8040, 4, 1, 5), desc(0x8300, 64, 2), desc(0x9000, 32, 4)]
    inner = [desc(0x8020, 8, 1, 1), desc(HIGH + 64, 128, 2)]
    return (poke(0x8000, u8(0)) + poke(0x8020, u8(1)) + poke(0x8040, u8(2))
            + poke(0x9000, b''.join(inner))
            + ring_memory(0, descs, [0, 2, 4, 6]))


def five_pieces(first):
    return b''.join(
        desc(0x8000 + i * 8, 8, 1 if i < 4 else 0, first + i + 1) for i in range(5))


def bring_up(**kw):
    return negotiate(**kw) + mem_table() + requests() + start_ring(0) + kick(0)


def every_message():
    """Each request number once, with a payload that fits most of them."""
    return negotiate() + b''.join(msg(n,
        struct.pack('<QQQQQ', 0, 1, 2, 3, 4)[:8 * (n % 6)]) for n in range(46))


def gpu_command_ring():
    """GET_DISPLAY_INFO, CREATE_2D, a cursor: on virtio-gpu's own rings."""
    info = gpu_hdr(0x100)
    create = gpu_hdr(0x101) + struct.pack('<IIII', 1, 2, 16, 16)
    descs = [desc(0x8000, len(info), 1, 1), desc(0x8800, 512, 2), desc(0x8100, len(create), 1, 3),
             desc(0x8c00, 24, 2)]
    return poke(0x8000, info) + poke(0x8100, create) + ring_memory(0, descs, [0, 2])


def messages():
    f = 'messages'
    conversations = {
        'bring-up': bring_up() + FINISH + FINISH + stop_ring(0),
        'event-idx': bring_up(features=1 << 30 | 1 << 32 | 1 << 29 | 1 << 28) + kick(0) + turn(2)
            + stop_ring(0),
        'legacy': negotiate(1 << 32, 0) + mem_table() + requests() + start_ring(0) + kick(0)
            + stop_ring(0)
            + start_ring(0),
        'gpa': negotiate(protocol=1 << 21 | 8) + mem_table() + requests() + start_ring(0, gpa=True)
            + kick(0),
        'reset-in-flight': bring_up() + msg(34) + start_ring(0) + kick(0),
        'status': bring_up() + u64msg(39, 1) + u64msg(39, 15) + msg(40) + u64msg(39, 0) + msg(40),
        'leave-in-flight': bring_up() + raw(b'\0' * 12) + turn(2) + RECONNECT + bring_up(),
        'base-in-flight': bring_up() + stop_ring(0) + start_ring(0, base=4) + kick(0),
        'two-rings': bring_up() + start_ring(1) + start_ring(2) + kick(1) + kick(2) + stop_ring(2),
        'memory-changes': bring_up() + mem_table() + kick(0) + rem_reg(HIGH_REGION)
            + add_reg(HIGH_REGION, HIGH_FD)
            + FINISH + kick(0),
        'ring-memory-goes': bring_up() + rem_reg(LOW_REGION) + kick(0) + FINISH + FINISH + msg(40)
            + stop_ring(0),
        'ring-memory-moves': bring_up() + msg(5, table(HIGH_REGION), (HIGH_FD,)) + FINISH
            + mem_table() + kick(0),
        'truncated': bring_up() + truncate(0, 0) + kick(0) + FINISH + FINISH + stop_ring(0),
        'truncated-before': negotiate() + mem_table() + truncate(0, 1) + start_ring(0) + kick(0),
        'slots': negotiate() + msg(36) + b''.join(
            add_reg(region(i << 20, 4096, UVA + (i << 20), i * 4096 % MEMORY),
                LOW) for i in range(20)),
        'overlap': negotiate() + add_reg(LOW_REGION, LOW, flags=NEED_REPLY) * 2
            + add_reg(region((1 << 64) - 4096, 4096, 0, 0), LOW, flags=NEED_REPLY)
            + add_reg(region(1 << 40, 1 << 40, 0, 0), LOW, flags=NEED_REPLY),
        'bad-fds': negotiate() + b''.join(
            add_reg(LOW_REGION, k, flags=NEED_REPLY) + u64msg(12, 0, fds=(k,), flags=NEED_REPLY)
            + u64msg(13, 0, fds=(k,), flags=NEED_REPLY) for k in range(15)),
        'call-kinds': b''.join(
            bring_up() + u64msg(13, 0, fds=(k,)) + u64msg(14, 0, fds=(k,)) + kick(0) + FINISH
            + turn(1)
            + RECONNECT for k in (DEAD_SOCKET, FULL_PIPE)),
        'no-call': bring_up() + u64msg(13, 0x100) + u64msg(14, 0x100) + kick(0) + FINISH,
        'many-fds': negotiate() + msg(1, fds=(EVENT,) * 8) + RECONNECT
            + msg(5, table(LOW_REGION), (LOW,) * 9),
        'indexes': b''.join(negotiate()
            + state(n, i, 8, flags=NEED_REPLY) for n in (8, 10, 18) for i in (3, 1000000)),
        'sizes': negotiate() + b''.join(state(8, 0, n, flags=NEED_REPLY) for n in (0, 1, 2, 3,
            32768, 65535, 65536)),
        'config': negotiate() + b''.join(
            msg(n, struct.pack('<III', off, size, 0) + bytes(size), flags=NEED_REPLY)
            for n in (24, 25) for off, size in ((0, 20), (0, 256), (250, 6), (250, 7),
                (1 << 31, 4), (256, 0))),
        'config-change': negotiate() + msg(21, fds=(SOCKET,)) + CONFIG + turn(1)
            + msg(21, fds=(DEAD_SOCKET,))
            + CONFIG + msg(21, fds=(EVENT,)) + CONFIG + msg(21, fds=(PIPE,)) + turn(1),
        'dead-backend': negotiate() + msg(21, fds=(DEAD_SOCKET,)) + turn(2) + CONFIG,
        'backend-fds': negotiate() + b''.join(msg(21, fds=(k,), flags=NEED_REPLY)
            + CONFIG for k in range(15)),
        'gpu-sockets': negotiate() + b''.join(msg(33, fds=(k,), flags=NEED_REPLY)
            + turn(1) for k in range(15)),
        'every': every_message(),
        'versions': b''.join(msg(1, flags=v) + RECONNECT for v in range(8)),
        'wrong-size': negotiate() + msg(16, bytes(8), wrong=1) + turn(1) + raw(bytes(64)),
        'huge-size': negotiate() + msg(16, bytes(8), wrong=255) + turn(1),
        'acks': negotiate() + b''.join(msg(n, bytes(8), flags=NEED_REPLY) for n in (2, 8, 10, 12,
            13, 18, 39, 44, 99)),
        'kick-changes': bring_up() + u64msg(12, 0, fds=(KICK0,)) + kick(0)
            + u64msg(12, 0, fds=(PIPE,)) + kick(0)
            + u64msg(12, 0, fds=(NULL,), flags=NEED_REPLY) + stop_ring(0),
        'full-ring': negotiate() + mem_table() + poke(0x8000, bytes(64))
            + ring_memory(0, [desc(0x8000, 8)] * 8, range(8)) + start_ring(0) + kick(0) + turn(3),
        'starved': negotiate() + mem_table() + poke(0x8000, u8(1))
            + ring_memory(0, [desc(0x8000 + i % 5 * 8, 8, 1 if i % 5 < 4 else 0, i + 1)
                              for i in range(15)], [])
            + b''.join(poke(ring_at(0) + 0xf0 + i * 80, five_pieces(15 + i * 5)) for i in range(3))
            + poke(ring_at(0) + 0x400, struct.pack('<HH', 0, 6) + b''.join(
                u16(5 * i) for i in range(6))) + start_ring(0, size=32) + kick(0)
            + (FINISH + turn(1)) * 3 + stop_ring(0),
        'truncated-table': negotiate() + mem_table() + requests() + truncate(0, 2) + start_ring(0)
            + kick(0) + msg(40) + stop_ring(0),
        'late-fd': negotiate() + raw(struct.pack('<III', 1, 1, 0)[:5]) + turn(1)
            + raw(struct.pack('<III', 1, 1, 0)[5:], EVENT) + turn(1),
        'raw-fd': negotiate() + raw(struct.pack('<IIIQ', 13, 1, 8, 0), EVENT) + turn(1),
        'no-kick-fd': negotiate() + mem_table() + u64msg(12, 0x100, flags=NEED_REPLY)
            + u64msg(12, 0x100),
        'pause-without-reset': negotiate(protocol=8) + mem_table() + requests() + start_ring(0)
            + kick(0) + stop_ring(0) + start_ring(0, base=4) + stop_ring(0) + start_ring(0)
            + kick(0),
        'remove-unknown': negotiate() + mem_table() + rem_reg(region(1, 2, 3, 4)) + RECONNECT,
        'loop': negotiate() + mem_table() + ring_memory(0, [desc(0x8000, 4, 1, 0)], [0])
            + start_ring(0) + msg(40)
            + stop_ring(0) + u64msg(39, 0) + requests() + start_ring(0) + kick(0),
        'avail-jump': negotiate() + mem_table()
            + poke(ring_at(0) + 0x400, struct.pack('<HH', 0, 9)) + start_ring(0)
            + kick(0),
        'gpu-commands': negotiate() + mem_table() + gpu_command_ring() + start_ring(0)
            + start_ring(1) + kick(0)
            + msg(33, fds=(SOCKET,)) + kick(0) + stop_ring(0),
    }
    for name, data in conversations.items():
        save(f, name, u8(0) + data)
        save(f, name + '-pieces', u8(2) + data)
        save(f, name + '-on-gpu', u8(1) + data)
    save(f, 'mute', u8(4) + negotiate() + b''.join(msg(1) for _ in range(180)))


# ---- vq ----

def vq(name, descs, heads, size=3, flags=2, base=0, avail_idx=None, tail=b'', tail_at=0x1000,
    iov=2, seed=7):
    image = bytearray(0x2000)
    table_bytes = b''.join(descs)
    image[0:len(table_bytes)] = table_bytes
    idx = len(heads) + base if avail_idx is None else avail_idx
    n = 1 << size % 16
    ring = [0] * n
    for i, h in enumerate(heads):
        ring[(base + i) % n] = h
    avail = u16(0) + u16(idx) + b''.join(map(u16, ring)) + u16(0)
    image[0x400:0x400 + len(avail)] = avail
    image[tail_at:tail_at + len(tail)] = tail
    head = u8(size, flags, iov - 1) + u16(base) + u16(0) + u16(0x400) + u16(0x800) + u16(seed)
    save('vq', name, head + bytes(image).rstrip(b'\0'))


def vqs():
    pair = [desc(0x2000, 64, 1, 1), desc(0x2100, 64, 2)]
    long_chain = [desc(0x2000 + 16 * i, 16, (1 if i < 7 else 0) | (2 if i > 3 else 0), i
            + 1) for i in range(8)]
    for flags in (2, 3, 0, 6, 10, 22, 26):
        vq('one-%d' % flags, pair, [0], flags=flags)
        vq('full-%d' % flags, [desc(0x2000 + i * 32, 32, 2 * (i % 2)) for i in range(8)],
            list(range(8)), flags=flags)
        vq('long-%d' % flags, long_chain, [0], flags=flags)
    inner = b''.join([desc(0x2000, 8, 1, 1), desc(0x2100, 8, 3, 2), desc(0x2200, 8, 2)])
    vq('indirect', [desc(0x1000, 48, 4)], [0], tail=inner)
    vq('indirect-odd', [desc(0x1004, 48, 4)], [0], tail=inner, tail_at=0x1004)
    vq('indirect-behind', [desc(0x2000, 8, 1, 1), desc(0x1000, 48, 4)], [0], tail=inner)
    vq('indirect-nested', [desc(0x1000, 16, 4)], [0], tail=desc(0x1000, 16, 4))
    vq('indirect-loop', [desc(0x1000, 32, 4)], [0], tail=desc(0x2000, 8, 1, 1)
            + desc(0x2000, 8, 1, 0))
    vq('indirect-large', [desc(0x1000, 16 * 64, 4)] * 8, list(range(8)),
       tail=b''.join(desc(0x2000, 8, 1 if i < 63 else 0, i + 1) for i in range(64)))
    for seed in range(10):
        vq('indirect-held-%d' % seed, [desc(0x1000, 16 * 64, 4)] * 8, list(range(8)),
           seed=seed * 77,
           tail=b''.join(desc(0x2000, 8, 1 if i < 63 else 0, i + 1) for i in range(64)))
    vq('indirect-next', [desc(0x1000, 48, 5, 1), desc(0x2000, 8)], [0], tail=inner)
    vq('indirect-outside', [desc(1 << 33, 48, 4)], [0])
    vq('indirect-wraps', [desc((1 << 64) - 16, 48, 4)], [0])
    vq('indirect-long', [desc(0x1000, 16 * 2048, 4)], [0])
    vq('indirect-border', [desc(0x3ff0, 32, 4)], [0], flags=6)
    vq('indirect-size', [desc(0x1000, 15, 4), desc(0x1000, 0, 4)], [0, 1], tail=inner)
    vq('border', [desc(0x3ff0, 64, 0)], [0], flags=6)
    vq('hole', [desc(0x3ff0, 64, 0)], [0], flags=10)
    vq('outside', [desc(1 << 40, 64, 0)], [0])
    vq('wraps', [desc((1 << 64) - 16, 64, 0)], [0])
    vq('empty-pieces', [desc(0x2000, 0, 1, 1), desc(0x2000, 0, 2)], [0])
    vq('4gib', [desc(0, 0xc000, 1, 0)], [0])
    vq('loop', [desc(0x2000, 1, 1, 0)], [0])
    vq('loop-empty', [desc(0x2000, 0, 1, 0)], [0])
    vq('indirect-loop-empty', [desc(0x1000, 16, 4)], [0], tail=desc(0x2000, 0, 1, 0))
    vq('next-outside', [desc(0x2000, 1, 1, 8)], [0])
    vq('head-outside', pair, [8])
    vq('head-twice', pair, [0, 0])
    vq('order', [desc(0x2000, 1, 3, 1), desc(0x2000, 1, 0)], [0])
    vq('jump', pair, [0], avail_idx=100)
    vq('base', pair, [0], base=65535, avail_idx=0)
    vq('over-itself', [desc(0x800, 64, 2), desc(0x400, 64, 2), desc(0, 64, 2)], [0, 1, 2])
    vq('two', pair, [0], size=1)
    vq('one-place', pair, [0], size=0)
    vq('large', pair, [0] * 64, size=8)
    vq('not-a-power', pair, [0], size=0x83)


# ---- virtio-gpu ----

def gpu_hdr(kind, flags=0, fence=0, ctx=0, ring=0):
    return struct.pack('<IIQIB3x', kind, flags, fence, ctx, ring)


def fenced(kind):
    return gpu_hdr(kind, 1, 0x1122334455667788, 5)


def rect(x, y, w, h):
    return struct.pack('<IIII', x, y, w, h)


def create_2d(i, fmt, w, h):
    return gpu_hdr(0x101) + struct.pack('<IIII', i, fmt, w, h)


def unref(i):
    return fenced(0x102) + struct.pack('<II', i, 0)


def set_scanout(s, i, r):
    return gpu_hdr(0x103) + r + struct.pack('<II', s, i)


def flush(i, r):
    return fenced(0x104) + r + struct.pack('<II', i, 0)


def transfer(i, r, off=0):
    return gpu_hdr(0x105) + r + struct.pack('<QII', off, i, 0)


def attach(i, *entries, n=None):
    return gpu_hdr(0x106) + struct.pack('<II', i, len(entries) if n is None else n) + b''.join(
        struct.pack('<QII', a, length, 0) for a, length in entries)


def detach(i):
    return gpu_hdr(0x107) + struct.pack('<II', i, 0)


def edid(s):
    return fenced(0x10a) + struct.pack('<II', s, 0)


def uuid(i):
    return gpu_hdr(0x10b) + struct.pack('<II', i, 0)


def cursor(kind, s, x, y, i, hot_x=0, hot_y=0):
    return gpu_hdr(kind) + struct.pack('<IIIIIIII', s, x, y, 0, i, hot_x, hot_y, 0)


def control(command, room=24, cut=255):
    return u8(0, cut) + u16(room) + u16(len(command)) + command


def on_cursor(command, room=0, cut=255):
    return u8(1, cut) + u16(room) + u16(len(command)) + command


FREE = 0x20000
GPU_TURN, GPU_READ, GPU_ANSWER, GPU_CLOSE = u8(2, 3), u8(3) + u16(0xffff), u8(4), u8(7)
GPU_NEW, GPU_SHOWN, GPU_PAUSE, GPU_RESET = u8(6, 255), u8(8, 0), u8(10), u8(11)
GPU_GOES, GPU_COMES = u8(12), u8(13)


def gpu_say(data):
    return u8(5, len(data)) + data


def gpu_poke(data):
    return u8(9, 0) + u16(0) + u8(len(data)) + data


def blob(i, at, size):
    return control(gpu_hdr(0x10c) + struct.pack('<IIIIQQQII', i, 1, 1, 1, 0, size, at, size, 0))


def shown_blob(i, side):
    return control(gpu_hdr(0x10d) + rect(0, 0, side, side) + struct.pack(
        '<14I', 0, i, side, side, 2, 0, side * 4, 0, 0, 0, 0, 0, 0, 0)) + control(flush(i, rect(0, 0, side, side)))


def picture(i=1, fmt=2, w=32, h=32, at=FREE):
    return (control(create_2d(i, fmt, w, h)) + control(attach(i, (at, w * h * 4)))
            + gpu_poke(bytes(range(200)))
            + control(set_scanout(0, i, rect(0, 0, w, h))) + control(transfer(i, rect(0, 0, w, h)))
            + control(flush(i, rect(0, 0, w, h))))


def gpus():
    hello = GPU_READ + GPU_ANSWER + GPU_READ
    formats = (1, 2, 3, 4, 67, 68, 121, 134)
    conversations = {
        'info': hello + control(gpu_hdr(0x100), 408) + hello + GPU_ANSWER,
        'edid': hello + control(edid(0), 1056) + hello + control(edid(15), 1056)
            + control(edid(16), 1056),
        'picture': picture() + hello + GPU_READ + GPU_ANSWER,
        'picture-cut': picture() + control(attach(2, (FREE, 4096)), cut=40)
            + control(flush(1, rect(0, 0, 1, 1)), cut=3),
        'formats': b''.join(picture(i + 1, f, 8, 8) for i, f in enumerate(formats)) + hello,
        'two-scanouts': picture() + control(set_scanout(1, 1, rect(8, 8, 8, 8)))
            + control(flush(1, rect(4, 4, 9, 9))),
        'unref-shown': picture() + control(unref(1)) + hello
            + control(flush(1, rect(0, 0, 32, 32))),
        'scanout-off': picture() + control(set_scanout(0, 0, rect(0, 0, 0, 0))) + GPU_READ,
        'cursor': picture(1, 1, 64, 64) + on_cursor(cursor(0x300, 0, 5, 5, 1))
            + on_cursor(cursor(0x301, 0, 6, 6, 1))
            + on_cursor(cursor(0x300, 0, 5, 5, 0), 24) + GPU_READ,
        'cursor-large': control(create_2d(1, 1, 200, 100))
            + on_cursor(cursor(0x300, 15, 5, 5, 1, 199, 99)),
        'cursor-tall': control(create_2d(1, 134, 1, 4000))
            + on_cursor(cursor(0x300, 1, 1, 1, 1, 0xffffffff, 0x80000000)),
        'queues-mixed': on_cursor(gpu_hdr(0x100), 408) + control(cursor(0x300, 0, 0, 0, 0)),
        'uuid': control(create_2d(1, 1, 1, 1)) + control(uuid(1), 40) * 2 + control(uuid(2), 40),
        'attach-twice': picture() + control(attach(1, (FREE, 4096))) + control(detach(1)) * 2,
        'attach-outside': control(create_2d(1, 1, 64, 64)) + control(attach(1, (1 << 41, 16384)))
            + control(attach(1, (MEMORY - 8, 16384))) + control(attach(1, n=0))
            + control(attach(1, n=0xffffffff))
            + control(attach(1, (FREE, 4096), n=16385)),
        'attach-joined': control(create_2d(1, 1, 64, 64))
            + control(attach(1, *((FREE + 1024 * i, 1024) for i in range(16))))
            + control(transfer(1, rect(3, 3, 60, 60), 780)),
        'attach-both': control(create_2d(1, 1, 64, 64))
            + control(attach(1, (FREE, 8000), (HIGH, 8384)))
            + control(transfer(1, rect(0, 0, 64, 64))) + GPU_GOES
            + control(transfer(1, rect(0, 0, 64, 64))) + GPU_COMES
            + control(transfer(1, rect(1, 1, 2, 63)))
            + control(transfer(1, rect(1, 1, 2, 2), 9000)),
        'truncated': control(create_2d(1, 1, 64, 64)) + control(attach(1, (HIGH + 8192, 16384)))
            + u8(14, 3)
            + control(transfer(1, rect(0, 0, 64, 64))) + GPU_GOES + GPU_COMES
            + control(transfer(1, rect(0, 0, 64, 64))),
        'sides': b''.join(control(create_2d(i + 1, 1, w, h)) for i, (w, h) in enumerate(
            ((0, 1), (1, 0), (16384, 16384), (16385, 1), (65536, 65536), (0x40000000, 4),
                (16384, 16), (1, 16384)))),
        'budget': b''.join(control(create_2d(i, 1, 256, 256)) for i in range(1, 12)) + GPU_RESET
            + b''.join(control(create_2d(i, 1, 256, 256)) for i in range(1, 12)),
        'ids': control(create_2d(0, 1, 8, 8)) + control(create_2d(257, 1, 8, 8)) * 2
            + control(create_2d(1, 1, 8, 8))
            + control(unref(257)) * 2,
        'rects': picture() + b''.join(control(flush(1, r)) + control(transfer(1, r))
            + control(set_scanout(0, 1, r)) for r in (
            rect(0, 0, 33, 1), rect(31, 31, 1, 1), rect(0xffffffff, 0, 2, 1), rect(0, 1, 0, 1),
                rect(1, 0, 0xffffffff, 1))),
        'transfer-offsets': picture() + b''.join(
            control(transfer(1, rect(0, 0, 32, 32), off)) for off in (4, 1 << 63, (1 << 64) - 1))
            + control(transfer(1, rect(31, 31, 1, 1), 4092))
            + control(transfer(1, rect(31, 31, 1, 1), 4093)),
        'no-such-id': b''.join(control(c) for c in (
            unref(9), detach(9), attach(9, (FREE, 4096)), uuid(9), flush(9, rect(0, 0, 1, 1)),
            transfer(9, rect(0, 0, 1, 1)), set_scanout(0, 9, rect(0, 0, 1, 1)),
            set_scanout(16, 0, rect(0, 0, 0, 0)))) + on_cursor(cursor(0x300, 0, 0, 0, 9))
            + on_cursor(cursor(0x301, 16, 0, 0, 0)),
        'no-such-format': control(create_2d(1, 0, 8, 8)) + control(create_2d(1, 5, 8, 8))
            + control(create_2d(1, 135, 8, 8)),
        'many-resources': b''.join(control(create_2d(i, 1, 4, 4)) for i in range(1, 19)),
        'no-memory-to-attach': b''.join(control(create_2d(i, 1, 256, 256)) for i in range(1, 9))
            + control(attach(1, (FREE, 4096))),
        'no-backing': control(create_2d(1, 1, 8, 8)) + control(transfer(1, rect(0, 0, 8, 8)))
            + control(attach(1)) + control(transfer(1, rect(0, 0, 8, 8))),
        'short': b''.join(control(create_2d(1, 1, 8, 8)[:n]) for n in (0, 1, 23, 24, 39))
            + control(b''),
        'no-room': control(gpu_hdr(0x100), 0) + control(gpu_hdr(0x100), 10) + control(edid(0), 25),
        'unknown': b''.join(control(fenced(k)) for k in (0, 0x108, 0x109, 0x10e, 0x200, 0x207,
            0x302, 0xffffffff)),
        'blob': blob(1, HIGH, 4096) + blob(2, FREE + 12, 8192) + shown_blob(1, 32) + shown_blob(2, 32)
            + gpu_poke(bytes(range(200))) + control(flush(1, rect(0, 0, 32, 32))) + GPU_READ + GPU_SHOWN
            + control(flush(2, rect(0, 0, 32, 32))) + control(unref(1)) + GPU_READ,
        'blob-memory-goes': blob(1, HIGH, 4096) + shown_blob(1, 32) + GPU_GOES + control(
            flush(1, rect(0, 0, 32, 32))) + shown_blob(1, 16) + GPU_COMES + shown_blob(1, 16) + GPU_READ,
        'blob-is-cut-off': blob(1, HIGH, 4096) + shown_blob(1, 32) + GPU_READ + u8(14, 0) + control(
            flush(1, rect(0, 0, 32, 32))) + GPU_READ + GPU_RESET + hello,
        'blob-cursor': blob(1, HIGH, 16384) + on_cursor(cursor(0x300, 0, 3, 4, 1, 5, 6)) + GPU_READ,
        'flush-in-flight-pause': picture() + GPU_PAUSE + control(flush(1, rect(0, 0, 9, 9)))
            + GPU_RESET + hello,
        'queries-in-flight': control(gpu_hdr(0x100), 408) * 3 + GPU_READ + GPU_ANSWER + GPU_READ
            + GPU_PAUSE
            + control(gpu_hdr(0x100), 408) + hello + GPU_ANSWER * 4,
        'peer-closes': picture(1, 2, 300, 300) + GPU_READ + GPU_CLOSE + GPU_TURN + GPU_NEW + hello,
        'peer-lies': picture() + gpu_say(struct.pack('<IIIQ', 1, 4, 8, 1)) + GPU_READ
            + gpu_say(b'\1' * 40),
        'peer-leaves-query': control(edid(1), 1056) + GPU_CLOSE + GPU_TURN,
        'shown': picture() + GPU_SHOWN + control(flush(1, rect(1, 1, 5, 5))) * 3 + GPU_SHOWN
            + GPU_PAUSE,
    }
    for name, data in conversations.items():
        for flags in (0, 1, 2, 4):
            if flags in (0, 2) or name in ('picture', 'queries-in-flight', 'edid'):
                save('gpu', '%s-%d' % (name, flags), u8(flags) + data)
    commands = [gpu_hdr(0x100), create_2d(1, 2, 3, 4), unref(1),
        set_scanout(1, 2, rect(3, 4, 5, 6)),
                flush(1, rect(2, 3, 4, 5)), transfer(1, rect(2, 3, 4, 5), 6),
                    attach(1, (2, 3), (4, 5)), detach(1),
                edid(1), uuid(2), cursor(0x300, 1, 2, 3, 4, 5, 6), cursor(0x301, 1, 2, 3, 4),
                    gpu_hdr(0x207, 3, 4, 5, 6)]
    # Of 3D: as many words as each has behind its header.
    words = {0x108: 2, 0x109: 2, 0x200: 18, 0x201: 0, 0x202: 2, 0x203: 2, 0x204: 12, 0x205: 12, 0x206: 12,
             0x207: 2, 0x10c: 8, 0x10d: 18, 0x208: 4, 0x209: 2}
    commands += [gpu_hdr(kind) + b''.join(struct.pack('<I', kind + i) for i in range(n))
                 for kind, n in words.items()]
    for i, c in enumerate(commands):
        save('gpu_wire', 'command-%02d' % i, c)
        save('gpu_wire', 'short-%02d' % i, c[:-3])
        save('gpu_wire', 'long-%02d' % i, c + bytes(range(60)))


# ---- the display ----

def displays():
    def fl(res, *r):
        return u8(0, res, *(r or (0, 0, 0, 0)))

    def so(s, res, *r):
        return u8(1, s, res, *(r or (0, 0, 0, 0)))

    def cu(which, x, y):
        return u8(2, which, x, y)

    def mv(which, x, y):
        return u8(3, which, x, y)

    def rd(n):
        return u8(7) + u16(n // 2)

    def say(data):
        return u8(9, len(data)) + data

    info, tr, ans = u8(4), u8(6, 3), u8(8, 3)
    close, half, pause, reset = u8(10), u8(12, 1), u8(15), u8(16)

    def ed(n):
        return u8(5, n)

    def opn(n):
        return u8(11, n)

    def xf(res):
        return u8(13, res)

    def unr(res):
        return u8(14, res)

    def narrow(n):
        return u8(17, n)

    hello = rd(1000) + ans + rd(1000)
    some = so(0, 0) + xf(0) + fl(0)
    conversations = {
        'nothing': b'',
        'picture': hello + some + rd(65000) + ans + xf(0) + fl(0, 1, 2, 3, 4) + rd(65000) + ans,
        'all-formats': hello + b''.join(so(0, i) + xf(i) + fl(i) + rd(131000) * 3
            + ans for i in range(4)),
        'three-scanouts': so(0, 1) + so(1, 2) + so(2, 3, 10, 20, 30, 40)
            + b''.join(xf(i) + fl(i) for i in range(1, 4)) + rd(9000)
            + ans,
        'large-slow': hello + so(0, 2) + xf(2) + fl(2) + rd(5000) + fl(2, 0, 0, 50, 50)
            + fl(2, 9, 9, 3, 3) + rd(70000) * 8 + ans,
        'change-between-rectangles': hello + so(0, 2) + fl(2) + rd(60000) * 5
            + b''.join(fl(2, 36 * i, 0, 1, 100) for i in range(7)) + u8(8, 0x83) + so(0, 3)
            + fl(3) + (rd(60000) + ans) * 6,
        'change-between-narrow': narrow(0) + hello * 2 + so(0, 0) + fl(0) + (rd(60000) + ans) * 8
            + fl(0, 0, 0, 1, 1) + b''.join(fl(0, 0, 25 * i, 32, 7) for i in range(3)) + rd(60000)
            + ans + so(0, 3, 0, 0, 5, 5) + fl(3) + (rd(60000) + ans) * 9,
        'smaller-while-damaged': hello + so(0, 2) + fl(2) + fl(2) + fl(2, 100, 50, 50, 50)
            + so(0, 0) + fl(0) + (rd(130000) + ans) * 4,
        'on-and-off': hello + some + so(0, 8) + so(1, 1) + fl(1) + so(0, 0) + so(1, 8)
            + so(0, 2) + fl(2),
        'change-under-way': hello + so(0, 2) + fl(2) + rd(99) + so(0, 3) + fl(3) + rd(99)
            + so(0, 8) + rd(130000),
        'off-on-new-socket': hello + some + rd(65000) + close + so(0, 8) + opn(1) + hello
            + so(0, 0) + fl(0) + rd(65000),
        'off-then-new-socket': some + rd(65000) + ans + so(0, 8) + opn(1) + hello + so(0, 0)
            + fl(0),
        'new-socket-under-way': so(0, 3) + fl(3) + rd(30) + opn(1) + rd(77) + opn(0) + rd(130000)
            + ans,
        'unref-under-way': so(0, 2) + fl(2) + rd(30) + unr(2) + fl(2) + rd(130000),
        'reset-under-way': so(0, 2) + fl(2) + rd(30) + reset + so(0, 1) + fl(1) + rd(130000),
        'pause-under-way': so(0, 2) + fl(2) + fl(2) + rd(30) + pause + fl(2) + rd(130000),
        'queries': info + ed(0) + hello + ans + rd(1000) + ans + ed(16) + ed(15) + info + rd(999)
            + ans,
        'queries-pause': hello + info * 3 + rd(999) + pause + info + rd(999) + ans + ans,
        'queries-close': hello + info + ed(1) + close + tr + info,
        'no-edid': rd(99) + close + opn(0) + ed(1) + hello + ed(1) + info,
        'cursor': hello + cu(0x12, 1, 2) + mv(0, 3, 4) + cu(0, 0, 0) + mv(0, 1, 1) + cu(0x31, 9, 9)
            + rd(40000),
        'many-flushes': hello + so(0, 1) + b''.join(fl(1, i, i, 2, 2) for i in range(0, 60, 4))
            + rd(99999) + ans,
        'lies': say(struct.pack('<IIIQ', 1, 4, 8, 1)) + rd(99) + say(struct.pack('<III', 1, 4, 8))
            + tr
            + say(struct.pack('<Q', 3)) + info + rd(99) + say(struct.pack('<III', 3, 4, 408))
            + say(bytes(200)) + say(bytes(208)),
        'wrong-reply': info + say(struct.pack('<IIIQ', 3, 4, 8, 1)) + tr + opn(1)
            + say(struct.pack('<IIIQ', 1, 0, 8, 1)),
        'wrong-size': say(struct.pack('<III', 1, 4, 0)) + tr + opn(1)
            + say(struct.pack('<III', 1, 4, 1 << 31)),
        'half': some + half + tr + opn(1) + u8(12, 0) + fl(0) + tr,
        'narrow': narrow(1) + so(0, 1) + fl(1) + rd(3000) + ans + cu(0x20, 1, 1) + rd(777) * 6
            + info + rd(20000),
        'narrow-two': narrow(0) + so(0, 1) + so(1, 3) + fl(1) + fl(3) + rd(1500) * 20 + ans
            + rd(131000) * 3,
        'edid-answer': hello + ed(0) + rd(99) + say(struct.pack('<III', 11, 4, 1056))
            + say(bytes(24) + b'\xff' * 200)
            + say(b'\xff' * 250) * 4,
    }
    for name, data in conversations.items():
        save('display', name, data)


# ---- command lines ----

def lines():
    for i, args in enumerate((
            '--socket-path=/run/gpu.sock', '--fd=3', '--fd=-1', '--fd=99999999999',
                '--socket-path=',
            '--socket-path=x\n--fd=3', '--socket-path=x\n--one-off\n-v\n-v',
                '--outputs=1280x800\n--fd=0',
            '--outputs=1x1,16384x16384', '--outputs=0x1', '--outputs=16385x1', '--outputs=,',
                '--outputs=1x1,',
            '--outputs=' + ','.join(['8x8'] * 17), '--outputs=-1x-1',
                '--outputs=1x99999999999999999999',
            '--max-hostmem=1', '--max-hostmem=512M', '--max-hostmem=0', '--max-hostmem=16777216T',
            '--max-hostmem=16777215T', '--max-hostmem=99999999999999999999', '--max-hostmem=1MM',
                '--max-hostmem=-1',
            '--log=dbg', '--log=gpu:info,vhu:dbg', '--log=:info', '--log=aaaaaaaaaaaaaaaaaa:err',
                '--log=,', '--log=gpu:',
            '--display=png:/tmp/x', '--display=png:', '--display=none', '--display=', '--help',
                '--version', '--check',
            '--check=libvirt', '--check=x', '--print-capabilities\n--nonsense', '-vvx', '--', 'x',
                '--one-off=1', '--fd')):
        save('options', 'line-%02d' % i, args.encode())


messages()
vqs()
gpus()
seeds_3d.save_all(save)
displays()
lines()
seeds_sound.write(save)
seeds_video.write(save)
