/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The vhost-user wire, front-end to back-end and back, as the vhost-user specification (QEMU 11.1,
 * docs/interop/vhost-user) defines it. All fields are in native byte order. No functions here.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_VERSION         0x1u
#define VHOST_USER_VERSION_MASK    0x3u
#define VHOST_USER_REPLY_MASK      (1u << 2)
#define VHOST_USER_NEED_REPLY_MASK (1u << 3)

#define VHOST_USER_MAX_FDS           8
#define VHOST_USER_MAX_CONFIG_SIZE   256
#define VHOST_USER_MAX_REGIONS       8 /* in one SET_MEM_TABLE */
#define VHOST_USER_MAX_SHMEM_REGIONS 256

/* Virtio feature bit that announces the protocol feature messages. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
	VHOST_USER_PROTOCOL_F_XEN_MMAP = 17,
	VHOST_USER_PROTOCOL_F_GPA_ADDRESSES = 21,
	VHOST_USER_PROTOCOL_F_SHMEM = 22,
};

/* Front-end to back-end requests. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_GPU_SET_SOCKET = 33,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_GET_SHMEM_CONFIG = 44,
	VHOST_USER_REQUEST_COUNT
};

/* Back-end to front-end requests, on the socket of SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
	VHOST_USER_BACKEND_SHMEM_MAP = 9,
	VHOST_USER_BACKEND_SHMEM_UNMAP = 10,
};

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; // of the payload, in bytes
};

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc, used, avail, log;
};

/* The payload of SET_VRING_KICK, CALL and ERR is a u64: a ring index and this flag. */
#define VHOST_USER_VRING_INDEX_MASK 0xffull
#define VHOST_USER_VRING_NOFD       (1ull << 8)

struct vhost_user_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vhost_user_mem_table {
	uint32_t nregions;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
	// one fd a region in ancillary data
};

struct vhost_user_single_region {
	uint64_t padding;
	struct vhost_user_region region;
	// ADD_MEM_REG: one fd in ancillary data
};

/* GET_SHMEM_CONFIG: the sizes of shared memory regions by their id, 0 for none. */
struct vhost_user_shmem_config {
	uint32_t nregions; // those that are not 0
	uint32_t padding;
	uint64_t sizes[VHOST_USER_MAX_SHMEM_REGIONS];
};

#define VHOST_USER_SHMEM_RW 1u

/* SHMEM_MAP, with one fd in ancillary data, and SHMEM_UNMAP. */
struct vhost_user_shmem_map {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags; // VHOST_USER_SHMEM_RW
};

#define VHOST_USER_CONFIG_HEADER_SIZE 12u

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags; // 0 writable, 1 migration
	uint8_t data[VHOST_USER_MAX_CONFIG_SIZE];
};

union vhost_user_payload {
	uint64_t u64;
	struct vhost_user_vring_state state;
	struct vhost_user_vring_addr addr;
	struct vhost_user_mem_table table;
	struct vhost_user_single_region reg;
	struct vhost_user_config config;
	struct vhost_user_shmem_config shmem_config;
};

static_assert(sizeof(struct vhost_user_header) == 12, "12 bytes on the wire");
static_assert(sizeof(struct vhost_user_vring_state) == 8, "8 bytes on the wire");
static_assert(sizeof(struct vhost_user_vring_addr) == 40, "40 bytes on the wire");
static_assert(sizeof(struct vhost_user_region) == 32, "32 bytes on the wire");
static_assert(offsetof(struct vhost_user_mem_table, regions) == 8, "regions follow 8 bytes");
static_assert(sizeof(struct vhost_user_single_region) == 40, "40 bytes on the wire");
static_assert(sizeof(struct vhost_user_shmem_config) == 2056, "2056 bytes on the wire");
static_assert(sizeof(struct vhost_user_shmem_map) == 40, "40 bytes on the wire");
static_assert(offsetof(struct vhost_user_config, data) == VHOST_USER_CONFIG_HEADER_SIZE,
	"the bytes follow 12 bytes");
