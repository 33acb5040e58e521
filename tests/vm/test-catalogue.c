/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hostile host's whole catalogue: every PCI, USB and virtio device model that this QEMU has, in
 * a kernel with their drivers built in. With the gate none that no list names gets a driver, and
 * the guest works on; without it most do, or this would prove nothing.
 *
 * Models share guests, as many as one has room for. Of a batch whose QEMU or guest does not last,
 * the halves are tried again, down to the one model that is to blame. With TDX_AUTH_LONG=1 all
 * models are tried, else every tenth. */

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent-protocol.h"
#include "arguments.h"
#include "catalogue.h"
#include "escape.h"
#include "sight.h"
#include "vhost-user.h"
#include "vmtest.h"

#define KERNEL "patched-catalogue"
#define SAMPLE 10
#define BOUND_WITHOUT_GATE 60

/* Slots of q35's root bus that the harness leaves free, and how many of them to use at once. */
#define FIRST_SLOT 0x0c
#define COLD_BATCH 14
#define HOT_BATCH (VM_SLOTS - 1) /* and one for the device that is wanted */
#define WANTED_BUS "rp8"
#define WANTED_DISK "null-co,node-name=wanted,size=50331648"
#define WANTED_SECTORS "98304"
#define USB_BATCH 15
#define MICROVM_BATCH 5

/* No search for SCSI disks: a driver would wait in its probe for a backend that never answers, and
 * the boot for the driver. */
#define NO_SCAN "scsi_mod.scan=none"

/* A machine that is busy with other things stops a guest's processor for as long as it likes. That
 * is no fault of the kernel's; what hangs misses the harness's deadlines. */
#define STARVED "no_timer_check rcupdate.rcu_cpu_stall_suppress=1"

#define MEMORY "512,slots=4,maxmem=4G"
#define SHARED_MEMORY "memory-backend-memfd,id=ram,size=512M,share=on"
#define XHCI "qemu-xhci,id=xhci,p2=15,p3=15"

static struct catalogue catalogue;
static char directory[] = "/tmp/tdx-auth-catalogue-XXXXXX";
static char vhost[sizeof(directory) + 16]; /* the backend's socket, in there */

/* A guest, what is plugged into it, and what was found wrong with it. */
struct run {
	void **state;
	struct vm *vm;
	bool enforce;
	const char *cmdline; /* on top of that; NULL: nothing */
	bool microvm;
	struct model **models;
	size_t n;
	struct sight seen;
	char *complaints; /* a line each */
	size_t n_complaints;
};

static void comment(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void comment(const char *format, ...)
{
	_cleanup_free_ char *text = NULL, *escaped = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	escaped = escape_text(text ? text : "(out of memory)");
	printf("# %s\n", escaped ? escaped : "(out of memory)");
	(void)fflush(stdout);
}

static void complain(struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void complain(struct run *run, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	char *longer;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	if (run->complaints && strstr(run->complaints, text))
		return;
	if (asprintf(&longer, "%s  %s\n", run->complaints ? run->complaints : "", text) < 0)
		abort();
	free(run->complaints);
	run->complaints = longer;
	run->n_complaints++;
}

static void run_done(struct run *run)
{
	sight_done(&run->seen);
	free(run->complaints);
	run->complaints = NULL;
}

/* Which models are tried. */

static bool is_long(void)
{
	return !isempty(getenv("TDX_AUTH_LONG"));
}

static bool is_chosen(size_t i)
{
	return is_long() || i % SAMPLE == 0;
}

static void id_of(const struct model *model, char *id, size_t size)
{
	(void)snprintf(id, size, "m%zu", (size_t)(model - catalogue.models));
}

/* The models on @bus that start, alone or not, for the caller to free. */
static struct model **choose(enum model_bus bus, bool alone, size_t *ret_n)
{
	struct model **models = calloc(catalogue.n + 1, sizeof(struct model *));

	assert_non_null(models);
	*ret_n = 0;
	for (size_t i = 0; i < catalogue.n; i++) {
		struct model *model = &catalogue.models[i];

		if (model->bus == bus && model->starts &&
		    (model_setting(model, "alone") != NULL) == alone)
			models[(*ret_n)++] = model;
	}
	return models;
}

/* Whether QEMU starts a model: without a guest, and with nothing in its way. */

static void add_quoted(FILE *out, const struct arguments *a)
{
	for (size_t i = 0; i < a->n; i++)
		fprintf(out, " '%s'", a->v[i]);
}

static void add_start_arguments(const struct model *model, struct arguments *a)
{
	const char *machine = model_setting(model, "machine");
	_cleanup_free_ char *device = NULL;
	char id[32];

	id_of(model, id, sizeof(id));
	arguments_option(a, "-object", "memory-backend-memfd,id=ram,size=256M,share=on");
	arguments_option(a, "-m", "256,slots=4,maxmem=4G");
	arguments_option(a, "-machine", "%s,memory-backend=ram%s%s",
			 model->bus == MODEL_VIRTIO ? "microvm,pcie=off,acpi=off" : "q35",
			 machine ? "," : "", machine ? machine : "");
	if (model->bus == MODEL_USB)
		arguments_option(a, "-device", XHCI);
	if (model->bus == MODEL_PCI)
		arguments_option(a, "-device", "pcie-root-port,id=rp7,chassis=7,slot=7");
	model_add_backends(model, id, vhost, a);
	device = model_device(model, id, "");
	arguments_option(a, "-device", "%s", device ? device : "");
}

/* What QEMU says is kept, its own name and the argument before it left out. */
static void keep_refusal(struct model *model, const char *line)
{
	const char *last = strstr(line, model->name), *text = last ? strstr(last, ": ") : NULL;

	text = text ? text + 2 : line;
	if (!isempty(text))
		(void)snprintf(model->refusal, sizeof(model->refusal), "%.*s",
			       (int)strcspn(text, "\n"), text);
}

static void start_model(struct model *model)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	_cleanup_free_ char *command = NULL;
	char line[1024];
	size_t size;
	FILE *stream = open_memstream(&command, &size);
	int status;

	assert_non_null(stream);
	fputs("echo quit | timeout -k 1 60 qemu-system-x86_64 -accel tcg -nodefaults "
	      "-no-user-config -display none -S -monitor stdio",
	      stream);
	add_start_arguments(model, &a);
	add_quoted(stream, &a);
	fputs(" 2>&1 >/dev/null", stream);
	assert_int_equal(fclose(stream), 0);
	stream = popen(command, "re");
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream))
		keep_refusal(model, line);
	status = pclose(stream);
	model->starts = status == 0;
	if (model->starts)
		model->refusal[0] = '\0';
	else if (isempty(model->refusal))
		(void)snprintf(model->refusal, sizeof(model->refusal), "QEMU's status is %d",
			       WEXITSTATUS(status));
}

static int load(void **state)
{
	const char *path = getenv("TDX_AUTH_CATALOGUE");

	(void)state;
	if (isempty(path) || catalogue_load(path, &catalogue) < 0)
		return -1;
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(vhost, sizeof(vhost), "%s/vhost-user", directory);
	if (vhost_user_start(vhost) < 0)
		return -1;
	for (size_t i = 0; i < catalogue.n; i++)
		if (is_chosen(i))
			start_model(&catalogue.models[i]);
	return 0;
}

static void test_file_is_right_about_what_starts(void **state)
{
	size_t tried = 0, started = 0, wrong = 0;

	(void)state;
	for (size_t i = 0; i < catalogue.n; i++) {
		const struct model *m = &catalogue.models[i];
		const char *skip = model_setting(m, "skip");

		if (!is_chosen(i))
			continue;
		tried++;
		started += m->starts;
		if (m->starts && skip) {
			comment("WRONG: %s starts, but the file says: %s", m->name, skip);
			wrong++;
		} else if (skip)
			comment("skipped: %s: %s (QEMU: %s)", m->name, skip, m->refusal);
		else if (!m->starts) {
			/* A newer QEMU has models that nobody could put into the file yet. */
			comment("%s: %s does not start and the file does not say why: %s",
				m->entry ? "WRONG" : "unknown", m->name, m->refusal);
			wrong += m->entry != NULL;
		}
	}
	comment("of %zu models of QEMU %zu were tried and %zu start", catalogue.n, tried, started);
	assert_int_equal(wrong, 0);
	assert_true(started > 0);
}

/* The guest. */

/* What the kernel says of itself when something went wrong in it. */
static bool is_outcry(const char *line)
{
	static const char *const outcries[] = {
		"BUG: ",
		"Oops",
		"WARNING: ",
		"Call Trace",
		"blocked for more than",
		"general protection",
		"soft lockup",
		"Kernel panic",
	};

	for (size_t i = 0; i < ELEMENTSOF(outcries); i++)
		if (strstr(line, outcries[i]))
			return true;
	return false;
}

static size_t outcries(const struct run *run, char *first, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(vm_log_path(run->vm), "re");
	char line[1024];
	size_t n = 0;

	first[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		if (!is_outcry(line))
			continue;
		if (n++ == 0)
			(void)snprintf(first, size, "%.*s", (int)strcspn(line, "\r\n"), line);
	}
	return n;
}

static void look_for_outcries(struct run *run)
{
	char first[256];
	size_t n = outcries(run, first, sizeof(first));

	if (n == 0)
		return;
	if (run->enforce)
		complain(run, "the kernel cries out: %s", first);
	else
		comment("without the gate the kernel cries out %zu times: %s", n, first);
}

static int boot(struct run *run, struct arguments *arguments)
{
	_cleanup_free_ char *cmdline = NULL, *machine = NULL;
	const char *more = run->n == 1 ? model_setting(run->models[0], "machine") : NULL;
	int r;

	if (asprintf(&cmdline, "dev_auth=%s " STARVED " " NO_SCAN " %s",
		     run->enforce ? "enforce" : "off", run->cmdline ? run->cmdline : "") < 0 ||
	    asprintf(&machine, "memory-backend=ram%s%s", more ? "," : "", more ? more : "") < 0)
		return -ENOMEM;
	arguments_option(arguments, "-object", SHARED_MEMORY);
	if (!run->microvm) {
		arguments_option(arguments, "-blockdev", WANTED_DISK);
		/* The firmware leaves alone what it is not to boot from. It would ask a backend
		 * for a disk that never answers. */
		arguments_option(arguments, "-boot", "strict=on");
	}
	if (arguments->failed)
		return -ENOMEM;
	(void)vm_down(run->state);
	r = vm_start(&(struct vm_options){.kernel = KERNEL,
					  .cmdline = cmdline,
					  .machine = machine,
					  .memory = MEMORY,
					  .microvm = run->microvm,
					  .arguments = arguments->v},
		     &run->vm);
	*run->state = run->vm;
	return r;
}

/* Runs the command and takes in what the agent sees afterwards. */
static int look(struct run *run, const char *command)
{
	_cleanup_free_ char *output = NULL;
	int r;

	r = vm_runf(run->vm, &output, "{ %s; } >/dev/null 2>&1; " AGENT_PATH " sight", command);
	if (r != 0)
		return r < 0 ? r : -EIO;
	sight_done(&run->seen);
	return sight_parse(output, &run->seen);
}

/* @by_user: what the test itself authorized is none of the gate's doing. */
static void judge(struct run *run, bool by_user)
{
	for (size_t i = 0; run->enforce && i < run->seen.n; i++) {
		const struct node *node = &run->seen.nodes[i];
		const char *complaint = node_complaint(node);

		if (complaint && !(by_user && streq(node->by, "user")))
			complain(run, "%s/%s (%s) has driver %s: %s", node->bus, node->name,
				 node->modalias, node->driver, complaint);
	}
}

/* What the model put into the guest is one of its devices. */
static void credit(struct run *run, struct model *model, const struct node *node)
{
	bool whole_usb = streq(node->bus, "usb") && !strchr(node->name, ':');

	if (!node_is_plugged(node))
		return;
	model->shown = true;
	if (node_is_listed(node))
		return;
	model->unlisted = true;
	if (!run->enforce && !whole_usb && node_is_bound(node) && isempty(model->driver))
		(void)snprintf(model->driver, sizeof(model->driver), "%s", node->driver);
}

/* The wanted device: a disk that comes last, and can be read. It is known by its size: to ask other
 * disks for their serial numbers would be to wait for backends that never answer. */
static void expect_wanted(struct run *run)
{
	int r = 0;

	if (!run->enforce)
		return;
	if (!run->microvm)
		r = vm_device_add(run->vm, "virtio-blk-pci,id=wanted,drive=wanted,bus=" WANTED_BUS);
	if (r >= 0)
		r = vm_wait_for(run->vm,
				"disk=$(grep -lx " WANTED_SECTORS " /sys/block/vd*/size) && "
				"dd if=/dev/$(basename ${disk%/size}) of=/dev/null bs=4k count=4",
				60000);
	if (r < 0)
		complain(run, "the wanted disk does not work: %s", strerror(-r));
}

/* Drivers that were bound at any time since listen(), though they may be gone again. */

#define UEVENTS "/run/uevents"

static int listen_to(struct run *run)
{
	return vm_run(run->vm, AGENT_PATH " uevents " UEVENTS " /run/uevents.pid", NULL);
}

/* One event's value of @key, "" where it has none. */
static void event_value(const char *event, const char *key, char *value, size_t size)
{
	const char *found = strstr(event, key);

	(void)snprintf(value, size, "%.*s", found ? (int)strcspn(found + strlen(key), "\n") : 0,
		       found ? found + strlen(key) : "");
}

static void judge_event(struct run *run, const char *event)
{
	char bus[16], driver[64], path[256];

	event_value(event, "\nSUBSYSTEM=", bus, sizeof(bus));
	event_value(event, "\nDRIVER=", driver, sizeof(driver));
	event_value(event, "\nDEVPATH=", path, sizeof(path));
	if ((streq(bus, "pci") || streq(bus, "virtio")) && !driver_is_listed(bus, driver))
		complain(run, "%s was bound by %s", path, driver);
}

static void judge_events(struct run *run)
{
	_cleanup_free_ char *events = NULL;
	char *end;
	int r;

	if (!run->enforce)
		return;
	r = vm_run(run->vm,
		   "echo change > /sys/class/mem/null/uevent; until grep -q "
		   "'^DEVPATH=/devices/virtual/mem/null' " UEVENTS "; do sleep 0.1; done; "
		   "grep -q OVERRUN " UEVENTS " && exit 1; "
		   "awk -v RS= -v ORS='\\n\\n' '/ACTION=bind/' " UEVENTS,
		   &events);
	if (r != 0) {
		complain(run, "the events cannot be read: %d", r);
		return;
	}
	for (char *event = events; (end = strstr(event, "\n\n")); event = end + 2) {
		*end = '\0';
		judge_event(run, event);
	}
}

/* Plugging. Each returns a negative errno when the guest or QEMU did not last. */

/* On the root bus each model has a slot, by which its devices are known; what chose a bus for
 * itself is alone, and all that is deeper in the tree is its doing. */
static struct model *cold_owner(const struct run *run, const struct node *node)
{
	const char *rest = startswith(node->path, "/sys/devices/pci0000:00/0000:00:");
	unsigned int slot = 0;

	if (run->n == 1 && (!rest || strstr(rest, "/0000:")))
		return run->models[0];
	if (!rest || sscanf(rest, "%2x.", &slot) != 1 || slot < FIRST_SLOT ||
	    slot - FIRST_SLOT >= run->n)
		return NULL;
	return run->models[slot - FIRST_SLOT];
}

static void add_cold(const struct run *run, size_t i, const char *where, struct arguments *a)
{
	_cleanup_free_ char *device = NULL;
	char id[32];

	id_of(run->models[i], id, sizeof(id));
	model_add_backends(run->models[i], id, vhost, a);
	device = model_device(run->models[i], id, where);
	arguments_option(a, "-device", "%s", device ? device : "");
}

static int plug_cold(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	char where[32];
	int r;

	/* No option ROMs: the firmware would run each network card's. */
	arguments_option(&a, "-global", "driver=pci-device,property=romfile,value=");
	for (size_t i = 0; i < run->n; i++) {
		(void)snprintf(where, sizeof(where), "addr=0x%zx", FIRST_SLOT + i);
		add_cold(run, i, where, &a);
	}
	r = boot(run, &a);
	if (r >= 0)
		r = look(run, "true");
	if (r < 0)
		return r;
	judge(run, false);
	for (size_t i = 0; i < run->seen.n; i++) {
		struct model *owner = cold_owner(run, &run->seen.nodes[i]);

		if (owner)
			credit(run, owner, &run->seen.nodes[i]);
	}
	expect_wanted(run);
	look_for_outcries(run);
	return 0;
}

/* Until there are more devices on the bus than before, and then until whatever driver it gets by
 * itself it has: both happen under the lock that a rescan takes. */
#define PCI_SETTLED                                                                                \
	"i=0; while [ $(ls /sys/bus/pci/devices | wc -l) -le %zu ] && [ $i -lt 100 ]; do "         \
	"sleep 0.1; i=$((i + 1)); done; echo 1 > /sys/bus/pci/rescan"

/* Until nothing new came for two seconds. */
#define USB_SETTLED                                                                                \
	"i=0; n=0; while [ $i -lt 20 ]; do m=$(ls /sys/bus/usb/devices /sys/bus/usb/drivers/* | "  \
	"wc -l); [ $m = $n ] || i=0; n=$m; i=$((i + 1)); sleep 0.1; done"

static int plug_one_hot(struct run *run, size_t i, const char *where)
{
	_cleanup_(sight_done) struct sight before = run->seen;
	_cleanup_free_ char *device = NULL, *settled = NULL;
	struct model *model = run->models[i];
	char id[32];
	int r;

	run->seen = (struct sight){0};
	id_of(model, id, sizeof(id));
	device = model_device(model, id, where);
	if (!device || asprintf(&settled, model->bus == MODEL_USB ? USB_SETTLED : PCI_SETTLED,
				sight_count(&before, "pci")) < 0)
		return -ENOMEM;
	r = vm_device_add(run->vm, device);
	if (r == -EREMOTEIO) {
		(void)snprintf(model->hot_refusal, sizeof(model->hot_refusal), "%s",
			       vm_refusal(run->vm));
		return look(run, "true");
	}
	if (r >= 0)
		r = look(run, settled);
	if (r < 0)
		return r;
	model->hot++;
	for (size_t n = 0; n < run->seen.n; n++)
		if (!sight_has(&before, &run->seen.nodes[n]) &&
		    !node_is_root_hub(&run->seen.nodes[n]))
			credit(run, model, &run->seen.nodes[n]);
	return 0;
}

static int plug_hot(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	char id[32], where[32];
	int r;

	for (size_t i = 0; i < run->n; i++) {
		id_of(run->models[i], id, sizeof(id));
		model_add_backends(run->models[i], id, vhost, &a);
	}
	r = boot(run, &a);
	if (r >= 0)
		r = listen_to(run);
	if (r >= 0)
		r = look(run, "true");
	for (size_t i = 0; r >= 0 && i < run->n; i++) {
		(void)snprintf(where, sizeof(where), "bus=rp%zu", i + 1);
		r = plug_one_hot(run, i, where);
		judge(run, false);
	}
	if (r < 0)
		return r;
	expect_wanted(run);
	judge_events(run);
	r = look(run, "true");
	judge(run, false);
	look_for_outcries(run);
	return r;
}

/* Behind a controller that nobody authorized there is no USB at all. The test then does what the
 * owner of a machine does who wants USB: no device by default, then the controller. */
static int open_usb(struct run *run)
{
	if (!run->enforce)
		return look(run, USB_SETTLED);
	if (sight_count(&run->seen, "usb") != 0)
		complain(run, "there is USB behind a controller that is not authorized");
	return look(run, "echo 0 > /sys/module/usbcore/parameters/authorized_default; "
			 "for d in /sys/bus/pci/devices/*; do grep -q 0x1b36 $d/vendor && "
			 "grep -q 0x000d $d/device && echo 1 > $d/authorized; done; " USB_SETTLED);
}

static void judge_usb(struct run *run)
{
	judge(run, true);
	if (run->enforce && sight_count(&run->seen, "usb") == 0)
		complain(run, "there is no USB behind a controller that is authorized");
	for (size_t i = 0; run->enforce && i < run->seen.n; i++) {
		const struct node *node = &run->seen.nodes[i];

		if (streq(node->bus, "usb") && !node_is_root_hub(node) &&
		    !streq(node->authorized, "0"))
			complain(run, "usb/%s is authorized", node->name);
	}
}

static int plug_usb_cold(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	unsigned int port;
	char where[48];
	int r;

	arguments_option(&a, "-device", XHCI);
	for (size_t i = 0; i < run->n; i++) {
		(void)snprintf(where, sizeof(where), "bus=xhci.0,port=%zu", i + 1);
		add_cold(run, i, where, &a);
	}
	r = boot(run, &a);
	if (r >= 0)
		r = look(run, "true");
	judge(run, false);
	if (r >= 0)
		r = open_usb(run);
	if (r < 0)
		return r;
	judge_usb(run);
	for (size_t i = 0; i < run->seen.n; i++) {
		const struct node *node = &run->seen.nodes[i];

		if (streq(node->bus, "usb") && !node_is_root_hub(node) &&
		    sscanf(node->name, "%*u-%u", &port) == 1 && port >= 1 && port <= run->n)
			credit(run, run->models[port - 1], node);
	}
	expect_wanted(run);
	look_for_outcries(run);
	return 0;
}

static int plug_usb_hot(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	char id[32];
	int r;

	arguments_option(&a, "-device", XHCI);
	for (size_t i = 0; i < run->n; i++) {
		id_of(run->models[i], id, sizeof(id));
		model_add_backends(run->models[i], id, vhost, &a);
	}
	r = boot(run, &a);
	if (r >= 0)
		r = look(run, "true");
	if (r >= 0)
		r = open_usb(run);
	for (size_t i = 0; r >= 0 && i < run->n; i++) {
		r = plug_one_hot(run, i, "bus=xhci.0");
		judge_usb(run);
	}
	if (r < 0)
		return r;
	expect_wanted(run);
	look_for_outcries(run);
	return 0;
}

/* virtio-mmio: no hot plug, and no slots to tell whose a device is. Alone in its guest it is what
 * was not there in the guest without it. */
static size_t virtio_nodes_of_microvm; /* of a guest without any model */

static int plug_microvm(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	size_t shown;
	int r;

	arguments_option(&a, "-blockdev", WANTED_DISK);
	arguments_option(&a, "-device", "virtio-blk-device,drive=wanted");
	for (size_t i = 0; i < run->n; i++)
		add_cold(run, i, "", &a);
	r = boot(run, &a);
	if (r >= 0)
		r = look(run, "true");
	if (r < 0)
		return r;
	judge(run, false);
	shown = sight_count(&run->seen, "virtio");
	if (run->n == 0)
		virtio_nodes_of_microvm = shown;
	else if (shown != virtio_nodes_of_microvm + run->n)
		complain(run, "%zu virtio devices instead of %zu", shown,
			 virtio_nodes_of_microvm + run->n);
	for (size_t i = 0; run->n == 1 && i < run->seen.n; i++)
		if (!node_is_listed(&run->seen.nodes[i]))
			credit(run, run->models[0], &run->seen.nodes[i]);
	expect_wanted(run);
	look_for_outcries(run);
	return 0;
}

/* Batches. */

typedef int plug_function(struct run *run);

static const char *names_of(const struct run *run, char *names, size_t size)
{
	size_t used = 0;

	names[0] = '\0';
	for (size_t i = 0; i < run->n && used < size; i++)
		used += (size_t)snprintf(names + used, size - used, "%s%s", i ? " " : "",
					 run->models[i]->name);
	return names;
}

/* Fails the test if anything is wrong, with all that is. */
static void expect_no_complaints(struct run *run)
{
	char names[1024], *complaints = run->complaints;

	if (!complaints)
		return;
	vm_fail(run->vm, "with %s:\n%s", names_of(run, names, sizeof(names)), complaints);
}

static void note_cold(struct run *run, plug_function *plug)
{
	for (size_t i = 0; plug != plug_hot && plug != plug_usb_hot && i < run->n; i++)
		run->models[i]->cold++;
}

static void fall(struct run *run, int r)
{
	char names[1024], first[256];

	names_of(run, names, sizeof(names));
	if (run->enforce && (run->n <= 1 || outcries(run, first, sizeof(first)) > 0))
		vm_fail(run->vm, "with %s the guest does not last: %s", names, strerror(-r));
	comment("%s: does not last with %s: %s", run->enforce ? "enforce" : "off", names,
		strerror(-r));
}

static void try_batch(void **state, bool enforce, plug_function *plug, struct model **models,
		      size_t n)
{
	_cleanup_(run_done) struct run run = {.state = state,
					      .enforce = enforce,
					      .microvm = plug == plug_microvm,
					      .models = models,
					      .n = n};
	int r = plug(&run);

	if (r >= 0) {
		note_cold(&run, plug);
		if (enforce)
			expect_no_complaints(&run);
		(void)vm_down(state);
		return;
	}
	fall(&run, r);
	(void)vm_down(state);
	if (n <= 1)
		return;
	try_batch(state, enforce, plug, models, n / 2);
	try_batch(state, enforce, plug, models + n / 2, n - n / 2);
}

static void try_all(void **state, bool enforce, enum model_bus bus, plug_function *plug,
		    size_t batch)
{
	for (int alone = 0; alone <= 1; alone++) {
		size_t n, size = alone ? 1 : batch;
		_cleanup_free_ struct model **models = choose(bus, alone, &n);

		for (size_t i = 0; i < n; i += size)
			try_batch(state, enforce, plug, models + i, n - i < size ? n - i : size);
	}
}

static void test_pci_models_there_from_the_start_get_no_driver(void **state)
{
	try_all(state, true, MODEL_PCI, plug_cold, COLD_BATCH);
}

static void test_pci_models_plugged_later_get_no_driver(void **state)
{
	try_all(state, true, MODEL_PCI, plug_hot, HOT_BATCH);
}

static void test_usb_models_there_from_the_start_get_no_driver(void **state)
{
	try_all(state, true, MODEL_USB, plug_usb_cold, USB_BATCH);
}

static void test_usb_models_plugged_later_get_no_driver(void **state)
{
	try_all(state, true, MODEL_USB, plug_usb_hot, USB_BATCH);
}

static void test_virtio_models_without_pci_get_no_driver(void **state)
{
	try_batch(state, true, plug_microvm, NULL, 0);
	try_all(state, true, MODEL_VIRTIO, plug_microvm, MICROVM_BATCH);
}

static void report(size_t bound, size_t unlisted)
{
	size_t cold = 0, hot = 0, shown = 0;

	for (size_t i = 0; i < catalogue.n; i++) {
		const struct model *m = &catalogue.models[i];

		cold += m->cold > 0;
		hot += m->hot > 0;
		shown += m->shown;
		if (m->starts)
			comment("%-36s %-4s %-4s %-9s without the gate: %s%s%s", m->name,
				m->cold ? "cold" : "-", m->hot ? "hot" : "-",
				!m->shown     ? "unseen"
				: m->unlisted ? "unlisted"
					      : "listed",
				isempty(m->driver) ? "-" : m->driver,
				isempty(m->hot_refusal) ? "" : "; not hot: ", m->hot_refusal);
	}
	comment("plugged cold %zu, hot %zu; seen by a guest %zu, unlisted %zu; "
		"bound without the gate %zu",
		cold, hot, shown, unlisted, bound);
}

static void test_without_the_gate_most_get_one(void **state)
{
	size_t chosen = 0, bound = 0, unlisted = 0, wanted;

	try_all(state, false, MODEL_PCI, plug_cold, COLD_BATCH);
	try_all(state, false, MODEL_PCI, plug_hot, HOT_BATCH);
	try_all(state, false, MODEL_USB, plug_usb_cold, USB_BATCH);
	try_all(state, false, MODEL_USB, plug_usb_hot, USB_BATCH);
	try_all(state, false, MODEL_VIRTIO, plug_microvm, 1);
	for (size_t i = 0; i < catalogue.n; i++) {
		chosen += is_chosen(i);
		unlisted += catalogue.models[i].unlisted;
		bound += !isempty(catalogue.models[i].driver);
	}
	report(bound, unlisted);
	wanted = BOUND_WITHOUT_GATE * chosen / catalogue.n;
	comment("at least %zu must be", wanted);
	assert_true(bound >= wanted);
}

/* The checks above see what they are there to see. */

static void with_one(void **state, const char *cmdline, struct run *run)
{
	static struct model model = {.name = "sdhci-pci", .bus = MODEL_PCI};
	static struct model *models[] = {&model};

	*run = (struct run){
		.state = state, .enforce = true, .cmdline = cmdline, .models = models, .n = 1};
	assert_true(plug_hot(run) >= 0);
}

static void expect_complaint(struct run *run, const char *text)
{
	if (!run->complaints || !strstr(run->complaints, text))
		vm_fail(run->vm, "not noticed: %s\ncomplaints:\n%s", text,
			run->complaints ? run->complaints : "");
}

static void test_a_driver_for_an_unlisted_device_is_noticed(void **state)
{
	_cleanup_(run_done) struct run run = {0};

	with_one(state, "dev_auth.allow=pci:1b36:0007,platform:serial8250,pnp:PNP0501", &run);
	expect_complaint(&run, "has driver sdhci-pci: no list names it");
	expect_complaint(&run, "was bound by sdhci-pci");
	expect_complaint(&run, "(platform:serial8250) has driver serial8250: no list names it");
	expect_complaint(&run, "has driver serial: no list names it");
}

static void test_a_wanted_device_without_a_driver_is_noticed(void **state)
{
	_cleanup_(run_done) struct run run = {0};

	with_one(state, "dev_auth.deny=pci:1af4:1042", &run);
	expect_complaint(&run, "the wanted disk does not work");
	assert_int_equal(run.n_complaints, 1);
}

static int unload(void **state)
{
	(void)state;
	catalogue_done(&catalogue);
	(void)unlink(vhost);
	(void)rmdir(directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_right_about_what_starts),
		vm_test(test_pci_models_there_from_the_start_get_no_driver),
		vm_test(test_pci_models_plugged_later_get_no_driver),
		vm_test(test_usb_models_there_from_the_start_get_no_driver),
		vm_test(test_usb_models_plugged_later_get_no_driver),
		vm_test(test_virtio_models_without_pci_get_no_driver),
		vm_test(test_without_the_gate_most_get_one),
		vm_test(test_a_driver_for_an_unlisted_device_is_noticed),
		vm_test(test_a_wanted_device_without_a_driver_is_noticed),
	};

	return cmocka_run_group_tests_name("catalogue", tests, load, unload);
}
