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
#include "backend.h"
#include "catalogue.h"
#include "escape.h"
#include "sight.h"
#include "vmtest.h"

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

/* The kernel notes every device whose driver it called, at a level that only dmesg shows. */
#define NOTE_PROBES "initcall_debug log_buf_len=4M"

/* A machine that is busy with other things stops a guest's processor for as long as it likes. That
 * is no fault of the kernel's; what hangs misses the harness's deadlines. */
#define STARVED "rcupdate.rcu_cpu_stall_suppress=1"

#define MEMORY "512,slots=4,maxmem=4G"
#define SHARED_MEMORY "memory-backend-memfd,id=ram,size=512M,share=on"
#define XHCI "qemu-xhci,id=xhci,p2=15,p3=15"

/* Of microvm's virtio-mmio slots the harness takes the first: console, root disk, wanted disk. */
#define FIRST_MMIO 3U

static struct catalogue catalogue;
static char directory[] = "/tmp/tdx-auth-catalogue-XXXXXX";

/* A guest, what is plugged into it, and what was found wrong with it. */
struct run {
	void **state;
	struct vm *vm;
	enum gate gate;
	enum way way;
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

/* The first one has drivers for most, the other for all that Linux has drivers for. */
static const char *kernel(void)
{
	return is_long() ? "patched-catalogue-long" : "patched-catalogue";
}

static bool is_chosen(size_t i)
{
	return is_long() || i % SAMPLE == 0;
}

static void id_of(const struct model *model, char *id, size_t size)
{
	(void)snprintf(id, size, "m%zu", (size_t)(model - catalogue.models));
}

/* The models on @bus that come this way, alone or not, for the caller to free. */
static struct model **choose(enum model_bus bus, enum way way, bool alone, size_t *ret_n)
{
	struct model **models = calloc(catalogue.n + 1, sizeof(struct model *));

	assert_non_null(models);
	*ret_n = 0;
	for (size_t i = 0; i < catalogue.n; i++) {
		struct model *model = &catalogue.models[i];

		if (model->bus == bus && model->starts && (way == WAY_COLD || model->pluggable) &&
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

static void add_start_arguments(const struct model *model, const char *id, struct arguments *a)
{
	const char *machine = model_setting(model, "machine");

	arguments_option(a, "-object", "memory-backend-memfd,id=ram,size=256M,share=on");
	arguments_option(a, "-m", "256,slots=4,maxmem=4G");
	arguments_option(a, "-machine", "%s,memory-backend=ram%s%s",
			 model->bus == MODEL_VIRTIO ? "microvm,pcie=off,acpi=off" : "q35",
			 machine ? "," : "", machine ? machine : "");
	if (model->bus == MODEL_USB)
		arguments_option(a, "-device", XHCI);
	if (model->bus == MODEL_PCI)
		arguments_option(a, "-device", "pcie-root-port,id=rp7,chassis=7,slot=7");
	model_add_backends(model, id, directory, a);
}

/* What QEMU says is kept, its own name and the argument before it left out. */
static void keep_refusal(const struct model *model, const char *line, char *refusal, size_t size)
{
	const char *last = strstr(line, model->name), *text = last ? strstr(last, ": ") : NULL;

	text = text ? text + 2 : line;
	if (!isempty(text))
		(void)snprintf(refusal, size, "%.*s", (int)strcspn(text, "\r\n"), text);
}

/* Runs QEMU without a guest and gives its monitor a command. Returns QEMU's exit status; *@refusal
 * is the last that it said on stderr or, with a command, that the monitor said of an error. */
static int ask_qemu(const struct model *model, const char *monitor, const struct arguments *a,
		    char *refusal, size_t size)
{
	_cleanup_free_ char *command = NULL;
	char line[1024];
	size_t length;
	FILE *stream = open_memstream(&command, &length);
	int status = -1;

	assert_non_null(stream);
	fprintf(stream,
		"printf '%%s\\nquit\\n' '%s' | timeout -k 1 60 qemu-system-x86_64 -accel tcg "
		"-nodefaults -no-user-config -display none -S -monitor stdio",
		monitor);
	add_quoted(stream, a);
	fprintf(stream, " 2>&1 %s; echo status $?", isempty(monitor) ? ">/dev/null" : "");
	assert_int_equal(fclose(stream), 0);
	refusal[0] = '\0';
	stream = popen(command, "re");
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream))
		if (sscanf(line, "status %d", &status) != 1 &&
		    (isempty(monitor) || strstr(line, "Error: ")))
			keep_refusal(model, line, refusal, size);
	(void)pclose(stream);
	return status;
}

static void try_start(struct model *model, const char *id)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	_cleanup_free_ char *device = model_device(model, id, "");
	_cleanup_free_ char *after = model_device_after(model, id);
	int status;

	add_start_arguments(model, id, &a);
	arguments_option(&a, "-device", "%s", device ? device : "");
	if (after)
		arguments_option(&a, "-device", "%s", after);
	status = ask_qemu(model, "", &a, model->refusal, sizeof(model->refusal));
	model->starts = status == 0;
	if (model->starts)
		model->refusal[0] = '\0';
	else if (isempty(model->refusal))
		(void)snprintf(model->refusal, sizeof(model->refusal), "QEMU's status is %d",
			       status);
}

static void try_plug(struct model *model, const char *id)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	_cleanup_free_ char *device = NULL, *command = NULL;
	int status;

	device = model_device(model, id, model->bus == MODEL_PCI ? "bus=rp7" : "bus=xhci.0");
	if (asprintf(&command, "device_add %s", device ? device : "") < 0)
		abort();
	add_start_arguments(model, id, &a);
	status = ask_qemu(model, command, &a, model->hot_refusal, sizeof(model->hot_refusal));
	if (status != 0 && isempty(model->hot_refusal))
		(void)snprintf(model->hot_refusal, sizeof(model->hot_refusal),
			       "QEMU's status is %d", status);
	model->pluggable = isempty(model->hot_refusal);
}

static void try_model(struct model *model)
{
	char id[32];

	id_of(model, id, sizeof(id));
	try_start(model, id);
	if (model->starts && model->bus != MODEL_VIRTIO && !model_setting(model, "cold"))
		try_plug(model, id);
}

static int load(void **state)
{
	const char *path = getenv("TDX_AUTH_CATALOGUE");
	char socket[sizeof(directory) + 16];

	(void)state;
	if (isempty(path) || catalogue_load(path, &catalogue) < 0)
		return -1;
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(socket, sizeof(socket), "%s/vhost-user", directory);
	if (vhost_user_start(socket) < 0)
		return -1;
	(void)snprintf(socket, sizeof(socket), "%s/ivshmem", directory);
	if (ivshmem_start(socket) < 0)
		return -1;
	for (size_t i = 0; i < catalogue.n; i++)
		if (is_chosen(i))
			try_model(&catalogue.models[i]);
	return 0;
}

/* What QEMU says of models that are made to be there from the start. */
static bool is_cold_by_design(const struct model *model)
{
	return strstr(model->hot_refusal, "expects a pluggable device type") ||
	       strstr(model->hot_refusal, "does not support hotplugging");
}

/* Whether the file is right about how the model starts. */
static bool check_start(const struct model *m)
{
	const char *skip = model_setting(m, "skip"), *needs = model_setting(m, "needs");
	const char *why = skip ? skip : needs;

	if (m->starts && skip)
		comment("WRONG: %s starts, but the file says: %s", m->name, skip);
	if (m->starts)
		return !skip;
	if (why)
		comment("skipped: %s: %s (QEMU: %s)", m->name, why, m->refusal);
	else
		/* A newer QEMU has models that nobody could put into the file yet. */
		comment("%s: %s does not start and the file does not say why: %s",
			m->entry ? "WRONG" : "unknown", m->name, m->refusal);
	return why || !m->entry;
}

/* And about how it is plugged. */
static bool check_plug(const struct model *m)
{
	const char *cold = model_setting(m, "cold");

	if (!m->starts || m->bus == MODEL_VIRTIO || m->pluggable)
		return true;
	if (cold)
		comment("not hot: %s: %s", m->name, cold);
	else
		comment("%s: %s (QEMU: %s)",
			is_cold_by_design(m)
				? "not hot, by design"
				: "WRONG: cannot be plugged and the file does not say why",
			m->name, m->hot_refusal);
	return cold || is_cold_by_design(m);
}

static void test_file_is_right_about_what_starts(void **state)
{
	size_t tried = 0, started = 0, pluggable = 0, wrong = 0;

	(void)state;
	for (size_t i = 0; i < catalogue.n; i++) {
		const struct model *m = &catalogue.models[i];

		if (!is_chosen(i))
			continue;
		tried++;
		started += m->starts;
		pluggable += m->pluggable;
		wrong += !check_start(m);
		wrong += !check_plug(m);
	}
	comment("of %zu models of QEMU %zu were tried, %zu start, %zu can be plugged later",
		catalogue.n, tried, started, pluggable);
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
	if (run->gate == GATE_ENFORCE)
		complain(run, "the kernel cries out: %s", first);
	else
		comment("without the gate the kernel cries out %zu times: %s", n, first);
}

static int boot(struct run *run, struct arguments *arguments)
{
	_cleanup_free_ char *cmdline = NULL, *machine = NULL;
	const char *more = run->n == 1 ? model_setting(run->models[0], "machine") : NULL;
	int r;

	if (asprintf(&cmdline, "dev_auth=%s " STARVED " " NO_SCAN " " NOTE_PROBES " %s",
		     run->gate == GATE_ENFORCE ? "enforce" : "off",
		     run->cmdline ? run->cmdline : "") < 0 ||
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
	r = vm_start(&(struct vm_options){.kernel = kernel(),
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
	for (size_t i = 0; run->gate == GATE_ENFORCE && i < run->seen.n; i++) {
		const struct node *node = &run->seen.nodes[i];
		const char *complaint = node_complaint(&run->seen, node);

		if (complaint && !(by_user && streq(node->by, "user")))
			complain(run, "%s/%s (%s%s) has driver %s: %s", node->bus, node->name,
				 node->modalias, node->ids, node->driver, complaint);
	}
}

/* What the model put into the guest is one of its devices. */
static void credit(struct run *run, struct model *model, const struct node *node)
{
	const char *shows = model_setting(model, "shows");
	bool whole_usb = streq(node->bus, "usb") && !strchr(node->name, ':');
	char *driver = model->driver[run->gate];

	if (!node_is_plugged(node))
		return;
	if (!shows || node_has_pci_ids(node, shows))
		model->shown[run->gate][run->way] = true;
	if (node_is_listed(node))
		return;
	model->unlisted = true;
	if (!whole_usb && node_is_bound(node) && isempty(driver))
		(void)snprintf(driver, sizeof(model->driver[0]), "%s", node->driver);
}

/* The wanted device: a disk that comes last, and can be read. It is known by its size: to ask other
 * disks for their serial numbers would be to wait for backends that never answer. */
static void expect_wanted(struct run *run)
{
	int r = 0;

	if (run->gate == GATE_OFF)
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

/* Drivers that were called, though they may have failed or be gone again. The sight has to be that
 * of the end. */
static void judge_probes(struct run *run, bool by_user)
{
	_cleanup_free_ char *names = NULL;
	char *state = NULL;
	const char *complaint;
	size_t n = 0;
	int r;

	if (run->gate == GATE_OFF)
		return;
	r = vm_run(run->vm, "dmesg | sed -n 's/.*] probe of \\(.*\\) returned .*/\\1/p' | sort -u",
		   &names);
	for (char *name = strtok_r(r == 0 ? names : NULL, "\n", &state); name;
	     name = strtok_r(NULL, "\n", &state), n++) {
		complaint = sight_probe_complaint(&run->seen, name, by_user);
		if (complaint)
			complain(run, "a driver was called for %s: %s", name, complaint);
	}
	if (n == 0)
		complain(run, "the kernel does not say what it called drivers for: %d", r);
}

/* What the kernel has to show in the end. */
static int conclude(struct run *run, bool by_user)
{
	int r;

	expect_wanted(run);
	r = look(run, "true");
	if (r < 0)
		return r;
	judge(run, by_user);
	judge_probes(run, by_user);
	look_for_outcries(run);
	return 0;
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
	_cleanup_free_ char *device = NULL, *after = NULL;
	char id[32];

	id_of(run->models[i], id, sizeof(id));
	model_add_backends(run->models[i], id, directory, a);
	device = model_device(run->models[i], id, where);
	arguments_option(a, "-device", "%s", device ? device : "");
	after = model_device_after(run->models[i], id);
	if (after)
		arguments_option(a, "-device", "%s", after);
}

/* Boots a guest with the models of @run in its arguments, and says what became of each: @owner_of
 * knows whose a device in the guest is. */
static int boot_and_credit(struct run *run, struct arguments *a,
			   struct model *(*owner_of)(const struct run *run,
						     const struct node *node))
{
	int r;

	r = boot(run, a);
	if (r >= 0)
		r = look(run, "true");
	if (r < 0)
		return r;
	for (size_t i = 0; i < run->seen.n; i++) {
		struct model *owner = owner_of(run, &run->seen.nodes[i]);

		if (owner)
			credit(run, owner, &run->seen.nodes[i]);
	}
	return conclude(run, false);
}

static int plug_cold(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	char where[32];

	/* No option ROMs: the firmware would run each network card's. */
	arguments_option(&a, "-global", "driver=pci-device,property=romfile,value=");
	for (size_t i = 0; i < run->n; i++) {
		(void)snprintf(where, sizeof(where), "addr=0x%zx", FIRST_SLOT + i);
		add_cold(run, i, where, &a);
	}
	return boot_and_credit(run, &a, cold_owner);
}

/* Until there are more devices on the bus than before, and then until whatever driver it gets by
 * itself it has: both happen under the lock that a rescan takes. */
#define SHOWN                                                                                      \
	"now() { cut -d. -f1 /proc/uptime; }; end=$(($(now) + %d)); "                              \
	"while [ $(ls /sys/bus/%s/devices | wc -l) -le %zu ] && [ $(now) -lt $end ]; do "          \
	"sleep 0.1; done; "
#define PCI_SETTLED SHOWN "echo 1 > /sys/bus/pci/rescan"

/* Until nothing new came for two seconds: of USB the parts come one after the other. */
#define USB_QUIET                                                                                  \
	"i=0; n=0; while [ $i -lt 20 ]; do m=$(ls /sys/bus/usb/devices /sys/bus/usb/drivers/* | "  \
	"wc -l); [ $m = $n ] || i=0; n=$m; i=$((i + 1)); sleep 0.1; done"
#define USB_SETTLED SHOWN USB_QUIET

/* Seconds that a guest may take to see what is plugged, and for what shows nothing. */
#define SHOWN_SECONDS 60
#define UNSEEN_SECONDS 2

/* What comes after a model and makes it show. */
static int add_after(struct run *run, const struct model *model, const char *id, bool hot)
{
	_cleanup_free_ char *after = model_device_after(model, id);
	int r = 0;

	if (!after)
		return 0;
	if (hot)
		r = vm_device_add(run->vm, after);
	return r < 0 ? r : vm_device_set(run->vm, id, "attached", true);
}

static int look_for(struct run *run, const struct model *model, size_t before)
{
	const char *bus = model->bus == MODEL_USB ? "usb" : "pci";
	_cleanup_free_ char *settled = NULL;

	if (asprintf(&settled, model->bus == MODEL_USB ? USB_SETTLED : PCI_SETTLED,
		     model_setting(model, "unseen") ? UNSEEN_SECONDS : SHOWN_SECONDS, bus,
		     before) < 0)
		return -ENOMEM;
	return look(run, settled);
}

static int plug_one_hot(struct run *run, size_t i, const char *where)
{
	_cleanup_(sight_done) struct sight before = run->seen;
	struct model *model = run->models[i];
	_cleanup_free_ char *device = NULL;
	char id[32];
	int r;

	run->seen = (struct sight){0};
	id_of(model, id, sizeof(id));
	device = model_device(model, id, where);
	if (!device)
		return -ENOMEM;
	r = vm_device_add(run->vm, device);
	if (r >= 0)
		r = add_after(run, model, id, true);
	if (r == -EREMOTEIO) {
		complain(run, "QEMU refuses to plug %s: %s", model->name, vm_refusal(run->vm));
		return look(run, "true");
	}
	if (r >= 0)
		r = look_for(run, model,
			     sight_count(&before, model->bus == MODEL_USB ? "usb" : "pci"));
	if (r < 0)
		return r;
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
		model_add_backends(run->models[i], id, directory, &a);
	}
	/* A bridge that finds no number left for its bus has a driver fall, shpchp, to whose ids a
	 * bridge matches too. */
	if (run->gate == GATE_OFF)
		arguments_option(&a, "-global", "pcie-root-port.bus-reserve=2");
	r = boot(run, &a);
	if (r >= 0)
		r = look(run, "true");
	for (size_t i = 0; r >= 0 && i < run->n; i++) {
		(void)snprintf(where, sizeof(where), "bus=rp%zu", i + 1);
		r = plug_one_hot(run, i, where);
		judge(run, false);
	}
	return r < 0 ? r : conclude(run, false);
}

/* Behind a controller that nobody authorized there is no USB at all. The test then does what the
 * owner of a machine does who wants USB: no device by default, then the controller. */
static int open_usb(struct run *run)
{
	if (run->gate == GATE_OFF)
		return look(run, USB_QUIET);
	if (sight_count(&run->seen, "usb") != 0)
		complain(run, "there is USB behind a controller that is not authorized");
	return look(run, "echo 0 > /sys/module/usbcore/parameters/authorized_default; "
			 "for d in /sys/bus/pci/devices/*; do grep -q 0x1b36 $d/vendor && "
			 "grep -q 0x000d $d/device && echo 1 > $d/authorized; done; " USB_QUIET);
}

static void judge_usb(struct run *run)
{
	judge(run, true);
	if (run->gate == GATE_ENFORCE && sight_count(&run->seen, "usb") == 0)
		complain(run, "there is no USB behind a controller that is authorized");
	for (size_t i = 0; run->gate == GATE_ENFORCE && i < run->seen.n; i++) {
		const struct node *node = &run->seen.nodes[i];

		if (streq(node->bus, "usb") && !node_is_root_hub(node) &&
		    !streq(node->authorized, "0"))
			complain(run, "usb/%s is authorized", node->name);
	}
}

static int attach_cold(struct run *run)
{
	char id[32];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < run->n; i++) {
		id_of(run->models[i], id, sizeof(id));
		r = add_after(run, run->models[i], id, false);
	}
	return r;
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
		r = attach_cold(run);
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
	return conclude(run, true);
}

static int plug_usb_hot(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	char id[32];
	int r;

	arguments_option(&a, "-device", XHCI);
	for (size_t i = 0; i < run->n; i++) {
		id_of(run->models[i], id, sizeof(id));
		model_add_backends(run->models[i], id, directory, &a);
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
	return r < 0 ? r : conclude(run, true);
}

/* virtio-mmio: no hot plug. QEMU gives each device the next slot, by which it is known. */
static struct model *mmio_owner(const struct run *run, const struct node *node)
{
	const char *slot = strstr(node->path, "/virtio-mmio.");
	unsigned int number;

	if (!slot || sscanf(slot, "/virtio-mmio.%u", &number) != 1 || number < FIRST_MMIO ||
	    number - FIRST_MMIO >= run->n)
		return NULL;
	return run->models[number - FIRST_MMIO];
}

static int plug_microvm(struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};

	arguments_option(&a, "-blockdev", WANTED_DISK);
	arguments_option(&a, "-device", "virtio-blk-device,drive=wanted");
	for (size_t i = 0; i < run->n; i++)
		add_cold(run, i, "", &a);
	return boot_and_credit(run, &a, mmio_owner);
}

/* Batches. */

struct plug {
	int (*function)(struct run *run);
	enum model_bus bus;
	enum way way;
	size_t batch;
};

static const struct plug pci_cold = {plug_cold, MODEL_PCI, WAY_COLD, COLD_BATCH};
static const struct plug pci_hot = {plug_hot, MODEL_PCI, WAY_HOT, HOT_BATCH};
static const struct plug usb_cold = {plug_usb_cold, MODEL_USB, WAY_COLD, USB_BATCH};
static const struct plug usb_hot = {plug_usb_hot, MODEL_USB, WAY_HOT, USB_BATCH};
static const struct plug mmio_cold = {plug_microvm, MODEL_VIRTIO, WAY_COLD, MICROVM_BATCH};

static const char *names_of(const struct run *run, char *names, size_t size)
{
	size_t used = 0;

	names[0] = '\0';
	for (size_t i = 0; i < run->n && used < size; i++)
		used += (size_t)snprintf(names + used, size - used, "%s%s", i ? " " : "",
					 run->models[i]->name);
	return names;
}

/* What is wrong with one batch keeps no other from being tried. Returns whether anything is. */
static bool has_complaints(struct run *run)
{
	char names[1024];

	if (!run->complaints)
		return false;
	fprintf(stderr, "with %s:\n%s", names_of(run, names, sizeof(names)), run->complaints);
	vm_explain(run->vm, stderr);
	return run->gate == GATE_ENFORCE;
}

/* Returns whether it is the gate's fault, or the kernel's. */
static bool has_fallen(struct run *run, int r)
{
	char names[1024], first[256];

	names_of(run, names, sizeof(names));
	comment("%s: does not last with %s: %s", run->gate == GATE_ENFORCE ? "enforce" : "off",
		names, strerror(-r));
	if (run->gate == GATE_OFF || (run->n > 1 && outcries(run, first, sizeof(first)) == 0))
		return false;
	vm_explain(run->vm, stderr);
	return true;
}

/* Returns how many batches had something wrong with them. */
static size_t try_batch(void **state, enum gate gate, const struct plug *plug,
			struct model **models, size_t n)
{
	_cleanup_(run_done) struct run run = {.state = state,
					      .gate = gate,
					      .way = plug->way,
					      .microvm = plug->bus == MODEL_VIRTIO,
					      .models = models,
					      .n = n};
	int r = plug->function(&run);
	bool wrong = r < 0 ? has_fallen(&run, r) : has_complaints(&run);

	for (size_t i = 0; r >= 0 && i < n; i++)
		models[i]->plugged[gate][plug->way] = true;
	(void)vm_down(state);
	if (r >= 0 || n <= 1)
		return wrong;
	return (size_t)wrong + try_batch(state, gate, plug, models, n / 2) +
	       try_batch(state, gate, plug, models + n / 2, n - n / 2);
}

static size_t try_all(void **state, enum gate gate, const struct plug *plug)
{
	size_t wrong = 0;

	for (int alone = 0; alone <= 1; alone++) {
		size_t n, size = alone ? 1 : plug->batch;
		_cleanup_free_ struct model **models = choose(plug->bus, plug->way, alone, &n);

		for (size_t i = 0; i < n; i += size)
			wrong += try_batch(state, gate, plug, models + i,
					   n - i < size ? n - i : size);
	}
	return wrong;
}

static void test_pci_models_there_from_the_start_get_no_driver(void **state)
{
	assert_int_equal(try_all(state, GATE_ENFORCE, &pci_cold), 0);
}

static void test_pci_models_plugged_later_get_no_driver(void **state)
{
	assert_int_equal(try_all(state, GATE_ENFORCE, &pci_hot), 0);
}

static void test_usb_models_there_from_the_start_get_no_driver(void **state)
{
	assert_int_equal(try_all(state, GATE_ENFORCE, &usb_cold), 0);
}

static void test_usb_models_plugged_later_get_no_driver(void **state)
{
	assert_int_equal(try_all(state, GATE_ENFORCE, &usb_hot), 0);
}

static void test_virtio_models_without_pci_get_no_driver(void **state)
{
	assert_int_equal(try_all(state, GATE_ENFORCE, &mmio_cold), 0);
}

/* Whether a guest saw what was plugged into it this way, or there is a reason why not. */
static bool check_shown(const struct model *m, enum way way)
{
	const char *unseen = model_setting(m, "unseen");
	bool shown = m->shown[GATE_ENFORCE][way];

	if (!m->plugged[GATE_ENFORCE][way])
		comment("WRONG: %s was not tried %s", m->name, way == WAY_HOT ? "hot" : "cold");
	else if (shown && unseen)
		comment("WRONG: a guest saw %s, but the file says: %s", m->name, unseen);
	else if (shown == !unseen)
		return true;
	else
		comment("WRONG: no guest saw %s, plugged %s, and the file does not say why",
			m->name, way == WAY_HOT ? "hot" : "cold");
	return false;
}

static void test_guests_saw_each_model(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < catalogue.n; i++) {
		const struct model *m = &catalogue.models[i];

		wrong += m->starts && !check_shown(m, WAY_COLD);
		wrong += m->pluggable && !check_shown(m, WAY_HOT);
	}
	assert_int_equal(wrong, 0);
}

static size_t count_bound(enum gate gate)
{
	size_t n = 0;

	for (size_t i = 0; i < catalogue.n; i++)
		n += !isempty(catalogue.models[i].driver[gate]);
	return n;
}

/* A sample shows with the models that are there from the start that it has drivers. */
static void test_without_the_gate_most_get_one(void **state)
{
	size_t chosen = 0, wanted;

	(void)try_all(state, GATE_OFF, &pci_cold);
	(void)try_all(state, GATE_OFF, &usb_cold);
	(void)try_all(state, GATE_OFF, &mmio_cold);
	if (is_long()) {
		(void)try_all(state, GATE_OFF, &pci_hot);
		(void)try_all(state, GATE_OFF, &usb_hot);
	}
	for (size_t i = 0; i < catalogue.n; i++)
		chosen += is_chosen(i);
	/* Of no model at all, none gets one. */
	wanted = catalogue.n > 0 ? BOUND_WITHOUT_GATE * chosen / catalogue.n : BOUND_WITHOUT_GATE;
	comment("%zu unlisted models are bound without the gate, %zu must be",
		count_bound(GATE_OFF), wanted);
	assert_true(count_bound(GATE_OFF) >= wanted);
}

static void report_model(const struct model *m)
{
	const bool *plugged = m->plugged[GATE_ENFORCE];

	comment("%-36s %-4s %-4s %-8s off: %-12s enforce: %s", m->name,
		plugged[WAY_COLD] ? "cold" : "-", plugged[WAY_HOT] ? "hot" : "-",
		m->unlisted ? "unlisted" : "listed",
		isempty(m->driver[GATE_OFF]) ? "-" : m->driver[GATE_OFF],
		isempty(m->driver[GATE_ENFORCE]) ? "-" : m->driver[GATE_ENFORCE]);
}

static void report(void)
{
	size_t chosen = 0, skipped = 0, cold = 0, hot = 0, unlisted = 0;

	for (size_t i = 0; i < catalogue.n; i++) {
		const struct model *m = &catalogue.models[i];

		if (m->starts)
			report_model(m);
		chosen += is_chosen(i);
		skipped += is_chosen(i) && !m->starts;
		cold += m->plugged[GATE_ENFORCE][WAY_COLD];
		hot += m->plugged[GATE_ENFORCE][WAY_HOT];
		unlisted += m->unlisted;
	}
	comment("%zu models, %zu of them chosen, %zu of those skipped; with the gate plugged cold "
		"%zu, hot %zu; unlisted %zu, bound without the gate %zu, with it %zu",
		catalogue.n, chosen, skipped, cold, hot, unlisted, count_bound(GATE_OFF),
		count_bound(GATE_ENFORCE));
}

/* The checks above see what they are there to see. */

static void with_one(void **state, const char *cmdline, struct run *run)
{
	static struct model model = {.name = "sdhci-pci", .bus = MODEL_PCI};
	static struct model *models[] = {&model};

	*run = (struct run){.state = state,
			    .gate = GATE_ENFORCE,
			    .way = WAY_HOT,
			    .cmdline = cmdline,
			    .models = models,
			    .n = 1};
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
	expect_complaint(&run, "a driver was called for 0000:01:00.0: no list names it");
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
	char socket[sizeof(directory) + 16];

	(void)state;
	report();
	catalogue_done(&catalogue);
	(void)snprintf(socket, sizeof(socket), "%s/vhost-user", directory);
	(void)unlink(socket);
	(void)snprintf(socket, sizeof(socket), "%s/ivshmem", directory);
	(void)unlink(socket);
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
		cmocka_unit_test(test_guests_saw_each_model),
		vm_test(test_without_the_gate_most_get_one),
		vm_test(test_a_driver_for_an_unlisted_device_is_noticed),
		vm_test(test_a_wanted_device_without_a_driver_is_noticed),
	};

	return RUN_TESTS_WITH("catalogue", tests, load, unload);
}
