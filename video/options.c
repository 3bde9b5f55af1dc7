/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "setup.h"

/* What there is not is told of by the setup: it is no wrong word. */
static int set_device(void *target, const char *value)
{
	struct video_options *v = target;

	v->encoder = !strcmp(value, "encoder");
	return v->encoder || !strcmp(value, "decoder") ? 0 : -EINVAL;
}

static int set_dialect(void *target, const char *value)
{
	static const char *const names[] = {"auto", "v3", "arcvm", "android"};
	struct video_options *v = target;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]))
			continue;
		v->dialect = names[i];
		return 0;
	}
	return -EINVAL;
}

static int set_codecs(void *target, const char *value)
{
	struct video_options *v = target;

	for (v->wanted = 0;; value++) {
		unsigned len = (unsigned)strcspn(value, ",");
		enum video_format f = video_format_named(value, len);

		if (!video_is_coded(f))
			return -EINVAL;
		v->wanted |= (uint32_t)BIT(f);
		value += len;
		if (!*value)
			return 0;
	}
}

static int set_max_memory(void *target, const char *value)
{
	struct video_options *v = target;

	v->max_memory = options_size(value);
	return v->max_memory ? 0 : -EINVAL;
}

static int set_isolate(void *target, const char *value)
{
	struct video_options *v = target;

	v->threads = !strcmp(value, "none");
	return v->threads || !strcmp(value, "process") ? 0 : -EINVAL;
}

static const struct option_entry entries[] = {
	{"device", "decoder|encoder", "what it is (decoder; no encoder is there yet)", set_device},
	{"dialect", "auto|v3|arcvm|android",
		"how the guest's driver speaks: auto (the default)\nand v3 are the same now; the "
		"others are not there\nyet",
		set_dialect},
	{"codecs", "NAME,...",
		"h264, hevc, vp8, vp9, mpeg2, mpeg4: only these\n(all that work here)", set_codecs},
	{"max-memory", "SIZE", "memory of a stream's codec; beyond, it ends (1G)", set_max_memory},
	{"isolate", "process|none",
		"where a stream is decoded: in a process of its own\n(process, the default), or in "
		"this one, to look at\nit (none, which needs --seccomp=none)",
		set_isolate},
	{0},
};

static const char *runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	return dir && *dir ? dir : "/tmp";
}

static void print_codec(const struct engine_list *list, enum video_format f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < list->n; i++) {
		const struct engine_answer *a = &list->capabilities[i];

		if (a->capability.codec != video_format_codec(f))
			continue;
		if (n++ == 0)
			printf("# %-5s by %s%s", video_format_name(f), a->capability.element,
				a->capability.hardware ? ", in hardware" : "");
		else
			printf("%s%s", n == 2 ? "; also there: " : ", ", a->capability.element);
	}
	if (!n)
		printf("# %-5s not here: no element of GStreamer decodes it", video_format_name(f));
	putchar('\n');
}

/* False when nothing can be decoded. */
static bool print_codecs(const struct video_options *v)
{
	struct engine_list list = {0};

	if (!video_list_codecs(v, &list) || !list.n) {
		printf("# Nothing can be decoded here: install gstreamer1.0-libav or "
		       "gstreamer1.0-plugins-good,\n# and see what --log=dbg says\n");
		return false;
	}
	for (unsigned f = VIDEO_RAW_END; f < VIDEO_FORMATS; f++)
		if (dialect_v3.knows((enum video_format)f))
			print_codec(&list, (enum video_format)f);
	return true;
}

static void print_qemu(const char *binary)
{
	printf("# For QEMU 11.1 or newer, and a guest with a driver for virtio-video:\n"
	       "%s --socket-path=%s/virga-video.sock &\n"
	       "qemu-system-x86_64 -m 2G -machine q35,memory-backend=mem \\\n"
	       "  -object memory-backend-memfd,id=mem,size=2G,share=on \\\n"
	       "  -chardev socket,id=vvid,path=%s/virga-video.sock \\\n"
	       "  -device vhost-user-test-device-pci,virtio-id=31,num_vqs=2,vq_size=256,"
	       "config_size=12,chardev=vvid ...\n",
		binary, runtime_dir(), runtime_dir());
}

static void print_libvirt(void)
{
	printf("<!-- libvirt has no element for this device: hand it to QEMU, in <domain>. -->\n"
	       "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
	       "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n"
	       "<qemu:commandline>\n"
	       "  <qemu:arg value='-chardev'/>\n"
	       "  <qemu:arg value='socket,id=vvid,path=%s/virga-video.sock'/>\n"
	       "  <qemu:arg value='-device'/>\n"
	       "  <qemu:arg value='vhost-user-test-device-pci,virtio-id=31,num_vqs=2,vq_size=256,"
	       "config_size=12,chardev=vvid'/>\n"
	       "</qemu:commandline>\n",
		runtime_dir());
}

static int check(void *target, const char *kind, const char *binary)
{
	bool works = true;

	if (strcmp(kind, "libvirt")) {
		works = print_codecs(target);
		print_qemu(binary);
	}
	if (strcmp(kind, "qemu"))
		print_libvirt();
	return works ? EXIT_OK : EXIT_RUNTIME;
}

struct options video_command_line(struct video_options *v)
{
	return (struct options){
		.program = "virga-video",
		.summary = "A virtio video decoder for virtual machines, over vhost-user.",
		.capabilities = "{\n  \"type\": \"video\",\n  \"features\": []\n}",
		.entries = entries,
		.target = v,
		.check = check,
		.sandbox = &v->sandbox,
	};
}
