/* SPDX-License-Identifier: MIT */
/*
 * What a program takes for a render node of a virtio-gpu, where there is none: loaded in front of libc
 * and libdrm (LD_PRELOAD), it answers those calls that Mesa's drivers make about one. All others go
 * where they went before.
 *
 * An open node and a shared buffer are each a memfd, known by its inode: copies of its descriptor need
 * nothing from us.
 */
#undef _FILE_OFFSET_BITS // or only the names with 64 would be ours
#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include "buffer.h"
#include "card.h"
#include "node.h"

#define NODE   "/dev/dri/renderD128"
#define PUBLIC __attribute__((visibility("default")))
#define REAL(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&(name)) real;                                                   \
		if (!real)                                                                         \
			real = (__typeof__(real))dlsym(RTLD_NEXT, #name);                          \
		real;                                                                              \
	})

enum { MAJOR = 226, MINOR = 128, VENDOR = 0x1af4, DEVICE = 0x1050 };

/* ---- which descriptor is what ---- */

static struct known {
	ino_t inode;
	dev_t dev;
	struct node *node; // one of the two
	struct buffer *buffer;
	struct known *next;
} * all;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct known *find(int fd)
{
	struct known *k;
	struct stat st;

	if (!all || REAL(fstat)(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	pthread_mutex_lock(&lock);
	for (k = all; k && (k->inode != st.st_ino || k->dev != st.st_dev);)
		k = k->next;
	pthread_mutex_unlock(&lock);
	return k;
}

/* A descriptor that stands for it. */
static int stand_for(struct node *node, struct buffer *buffer, uint64_t size)
{
	int fd = memfd_create("virgl", MFD_CLOEXEC);
	struct known *k = calloc(1, sizeof(*k));
	struct stat st;

	if (!k || fd < 0 || ftruncate(fd, (off_t)size) < 0 || REAL(fstat)(fd, &st) < 0) {
		free(k);
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	pthread_mutex_lock(&lock);
	*k = (struct known){st.st_ino, st.st_dev, node, buffer, all};
	all = k;
	pthread_mutex_unlock(&lock);
	return fd;
}

int drm_share(struct buffer *b, uint64_t size)
{
	return stand_for(NULL, b, size);
}

struct buffer *drm_shared(int fd)
{
	const struct known *k = find(fd);

	return k ? k->buffer : NULL;
}

/* ---- libc ---- */

static bool is_node(const char *path)
{
	return path && !strcmp(path, NODE) && card();
}

static int open_node(void)
{
	struct node *n = node_open();
	int fd = n ? stand_for(n, NULL, 0) : -ENODEV;

	if (fd < 0)
		errno = -fd;
	return fd < 0 ? -1 : fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

PUBLIC int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return is_node(path) ? open_node() : REAL(open)(path, flags, mode);
}

PUBLIC int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return is_node(path) ? open_node() : REAL(open64)(path, flags, mode);
}

PUBLIC int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return is_node(path) ? open_node() : REAL(openat)(dir, path, flags, mode);
}

static int as_node(int r, struct stat *st)
{
	st->st_mode = S_IFCHR | 0666;
	st->st_rdev = makedev(MAJOR, MINOR);
	return r;
}

PUBLIC int fstat(int fd, struct stat *st)
{
	const struct known *k = find(fd);
	int r = REAL(fstat)(fd, st);

	return k && k->node ? as_node(r, st) : r;
}

PUBLIC int stat(const char *restrict path, struct stat *restrict st)
{
	if (!is_node(path))
		return REAL(stat)(path, st);
	memset(st, 0, sizeof(*st));
	return as_node(0, st);
}

static_assert(sizeof(struct stat) == sizeof(struct stat64), "one and the same here");

PUBLIC int fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

PUBLIC int stat64(const char *restrict path, struct stat64 *restrict st)
{
	return stat(path, (struct stat *)st);
}

PUBLIC int access(const char *path, int mode)
{
	return is_node(path) ? 0 : REAL(access)(path, mode);
}

PUBLIC void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	const struct known *k = fd < 0 ? NULL : find(fd);
	uint64_t place = 0;

	if (!k)
		return REAL(mmap)(at, len, prot, flags, fd, offset);
	fd = k->node ? node_place(k->node, (uint64_t)offset, &place)
		     : buffer_place(k->buffer, (uint64_t)offset, &place);
	if (fd < 0) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	return REAL(mmap)(at, len, prot, flags, fd, (off_t)place);
}

PUBLIC void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return mmap(at, len, prot, flags, fd, offset);
}

/* A fence is an eventfd. Two of them become one that is there when both are. */
static int merge(int fd, struct sync_merge_data *m)
{
	struct pollfd p[] = {{fd, POLLIN, 0}, {m->fd2, POLLIN, 0}};

	for (unsigned i = 0; i < 2; i++)
		while (poll(&p[i], 1, -1) < 0 && errno == EINTR)
			;
	m->fence = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return m->fence < 0 ? -1 : 0;
}

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	const struct known *k;
	va_list ap;
	void *arg;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == SYNC_IOC_MERGE)
		return merge(fd, arg);
	k = _IOC_TYPE(request) == DRM_IOCTL_BASE ? find(fd) : NULL;
	if (!k || !k->node)
		return REAL(ioctl)(fd, request, arg);
	r = node_ioctl(k->node, request, arg);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : r;
}

/* ---- libdrm, which would look for the device in /sys ---- */

/* Freed by libdrm as one of its own: all in one piece. */
static int describe(drmDevicePtr *out)
{
	struct {
		drmDevice device;
		char *nodes[DRM_NODE_MAX];
		char path[32];
		drmPciBusInfo bus;
		drmPciDeviceInfo info;
	} *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	strcpy(d->path, NODE);
	for (unsigned i = 0; i < DRM_NODE_MAX; i++)
		d->nodes[i] = d->path;
	d->bus.dev = 1;
	d->info = (drmPciDeviceInfo){.vendor_id = VENDOR,
		.device_id = DEVICE,
		.subvendor_id = VENDOR,
		.subdevice_id = 0x1100,
		.revision_id = 1};
	d->device = (drmDevice){.nodes = d->nodes,
		.available_nodes = 1 << DRM_NODE_RENDER,
		.bustype = DRM_BUS_PCI,
		.businfo.pci = &d->bus,
		.deviceinfo.pci = &d->info};
	*out = &d->device;
	return 0;
}

PUBLIC int drmGetDevice2(int fd, uint32_t flags, drmDevicePtr *device)
{
	const struct known *k = find(fd);

	if (k && k->node)
		return describe(device);
	return REAL(drmGetDevice2) ? REAL(drmGetDevice2)(fd, flags, device) : -ENODEV;
}

PUBLIC int drmGetDevice(int fd, drmDevicePtr *device)
{
	return drmGetDevice2(fd, DRM_DEVICE_GET_PCI_REVISION, device);
}

PUBLIC int drmGetDeviceFromDevId(dev_t dev, uint32_t flags, drmDevicePtr *device)
{
	if (dev == makedev(MAJOR, MINOR) && card())
		return describe(device);
	return REAL(drmGetDeviceFromDevId) ? REAL(drmGetDeviceFromDevId)(dev, flags, device)
					   : -ENODEV;
}

/* Others that this machine has would only be in the way. */
PUBLIC int drmGetDevices2(uint32_t flags, drmDevicePtr devices[], int max)
{
	if (!card())
		return REAL(drmGetDevices2) ? REAL(drmGetDevices2)(flags, devices, max) : 0;
	if (!devices)
		return 1;
	return max < 1 || describe(&devices[0]) < 0 ? 0 : 1;
}

PUBLIC int drmGetDevices(drmDevicePtr devices[], int max)
{
	return drmGetDevices2(DRM_DEVICE_GET_PCI_REVISION, devices, max);
}

static char *name_of(int fd, char *(*real)(int fd))
{
	const struct known *k = find(fd);

	if (k && k->node)
		return strdup(NODE);
	return real ? real(fd) : NULL;
}

PUBLIC char *drmGetRenderDeviceNameFromFd(int fd)
{
	return name_of(fd, REAL(drmGetRenderDeviceNameFromFd));
}

PUBLIC char *drmGetDeviceNameFromFd2(int fd)
{
	return name_of(fd, REAL(drmGetDeviceNameFromFd2));
}

PUBLIC int drmGetNodeTypeFromFd(int fd)
{
	const struct known *k = find(fd);

	if (k && k->node)
		return DRM_NODE_RENDER;
	return REAL(drmGetNodeTypeFromFd) ? REAL(drmGetNodeTypeFromFd)(fd) : -1;
}
