/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_backend(void *target, const char *value)
{
	struct sound_options *s = target;

	s->backend.dir = NULL;
	s->sandbox = (struct sandbox_profile){0};
	if (!strcmp(value, "pipewire")) {
		s->create = backend_pipewire_create;
	} else if (!strcmp(value, "null")) {
		s->create = backend_null_create;
	} else if (!strncmp(value, "file:", 5) && value[5]) {
		s->create = backend_file_create;
		s->backend.dir = value + 5;
		s->sandbox.paths[0] = (struct sandbox_path){s->backend.dir, true};
	} else {
		return -EINVAL;
	}
	return 0;
}

/* 0 to 32 of a kind; that there is at least one in all is seen to in main(). */
static int set_number(unsigned *number, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n > BACKEND_STREAMS_MAX / 2)
		return -EINVAL;
	*number = (unsigned)n;
	return 0;
}

static int set_playback(void *target, const char *value)
{
	return set_number(&((struct sound_options *)target)->card.n_playback, value);
}

static int set_capture(void *target, const char *value)
{
	return set_number(&((struct sound_options *)target)->card.n_capture, value);
}

static int set_controls(void *target, const char *value)
{
	(void)value;
	((struct sound_options *)target)->card.controls = true;
	return 0;
}

static int set_jacks(void *target, const char *value)
{
	(void)value;
	((struct sound_options *)target)->card.jacks = true;
	return 0;
}

static int set_string(const char **string, const char *value)
{
	*string = value;
	return *value ? 0 : -EINVAL;
}

static int set_role(void *target, const char *value)
{
	struct sound_options *s = target;

	s->card.role = value;
	return set_string(&s->backend.role, value);
}

static int set_target(void *target, const char *value)
{
	return set_string(&((struct sound_options *)target)->backend.target, value);
}

static int set_name(void *target, const char *value)
{
	return set_string(&((struct sound_options *)target)->backend.name, value);
}

static const struct option_entry entries[] = {
	{"backend", "pipewire|null|file:DIR",
		"where sound goes: to PipeWire (default), nowhere, or\nto WAV files in a "
		"folder; both record silence",
		set_backend},
	{"playback", "N", "devices that play, up to 32 (1)", set_playback},
	{"capture", "N", "devices that record, up to 32 (1); 0: the guest\ncannot listen",
		set_capture},
	{"controls", NULL,
		"volume, mute and role in the guest's mixer; QEMU\nneeds controls=on for it",
		set_controls},
	{"jacks", NULL, "the guest sees whether there is a speaker, a\nmicrophone", set_jacks},
	{"name", "NAME", "of the machine, in the host's mixers", set_name},
	{"media-role", "NAME", "PipeWire's media.role of what is played", set_role},
	{"target", "NODE", "PipeWire node to play to and record from, else the\ndefault ones",
		set_target},
	{0},
};

static const char *runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	return dir && *dir ? dir : "/tmp";
}

static void print_qemu(const struct sound_options *s, const char *binary)
{
	const char *controls = s->card.controls ? ",controls=on" : "";
	const char *option = s->card.controls ? " --controls" : "";

	printf("# For QEMU 10.0 or newer (controls=on: 11.1):\n"
	       "%s --socket-path=%s/virga-sound.sock%s &\n"
	       "qemu-system-x86_64 -m 2G -machine q35,memory-backend=mem \\\n"
	       "  -object memory-backend-memfd,id=mem,size=2G,share=on \\\n"
	       "  -chardev socket,id=vsnd,path=%s/virga-sound.sock \\\n"
	       "  -device vhost-user-snd-pci,chardev=vsnd%s ...\n",
		binary, runtime_dir(), option, runtime_dir(), controls);
	printf("# For more than four streams that play at once (QEMU 11.1), in place of that "
	       "device:\n"
	       "  -device vhost-user-test-device-pci,virtio-id=25,num_vqs=4,vq_size=256,"
	       "config_size=16,chardev=vsnd\n");
}

static void print_libvirt(const struct sound_options *s)
{
	printf("<!-- libvirt has no element for this device: hand it to QEMU, in <domain>. -->\n"
	       "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
	       "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n"
	       "<qemu:commandline>\n"
	       "  <qemu:arg value='-chardev'/>\n"
	       "  <qemu:arg value='socket,id=vsnd,path=%s/virga-sound.sock'/>\n"
	       "  <qemu:arg value='-device'/>\n"
	       "  <qemu:arg value='vhost-user-snd-pci,chardev=vsnd%s'/>\n"
	       "</qemu:commandline>\n",
		runtime_dir(), s->card.controls ? ",controls=on" : "");
}

static int check(void *target, const char *kind, const char *binary)
{
	int r = backend_pipewire_check();

	if (strcmp(kind, "libvirt"))
		print_qemu(target, binary);
	if (strcmp(kind, "qemu"))
		print_libvirt(target);
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

struct options sound_command_line(struct sound_options *s)
{
	return (struct options){
		.program = "virga-sound",
		.summary = "A virtio sound card for virtual machines, over vhost-user.",
		.capabilities = "{\n  \"type\": \"sound\",\n  \"features\": []\n}",
		.entries = entries,
		.target = s,
		.check = check,
		.sandbox = &s->sandbox,
	};
}
