/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hostile host: vm-demo PATH_OF_TDX_AUTHCTL
 *
 * Shows this machine's devices with the verdicts of the policy, then boots a guest under
 * dev_auth=enforce with the daemon, and plays a host that plugs what the guest did not ask for.
 * Exits with 0 when no hostile device got a driver and every wanted one did. */

#include <errno.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "deadline.h"
#include "escape.h"
#include "vm.h"

#define SETTLE_MS 30000U
#define POLICY "/etc/tdx-auth/policy.d/50-owner.yaml"
#define FIELDS 5

enum kind {
	/* Should have its driver. */
	WANTED,
	/* Should have none. */
	HOSTILE,
	/* In the dress of a class that it is not, under an id of the list: may have the driver of
	 * the list's entry, which was reviewed to face it, and no other. */
	LIAR,
};

static const char *const kind_names[] = {
	[WANTED] = "wanted",
	[HOSTILE] = "hostile",
	[LIAR] = "liar",
};

/* A device of the show. */
struct part {
	enum kind kind;
	const char *what;
	const char *device; /* for device_add; NULL: there from the start */
	const char *where;  /* a shell word: its sysfs directory, or nothing */
	const char *driver; /* the only driver it may have; NULL: none */
	bool hidden;	    /* its bus is refused: it never shows */
	bool right;	    /* had its driver when last looked at */
	bool wrong;	    /* had another once, or one where there should be none */
};

#define PCI(ids)                                                                                   \
	"$(grep -ls 'PCI_ID=" ids "' /sys/bus/pci/devices/*/uevent | head -n 1 | xargs -r "        \
	"dirname)"
#define KEYBOARD                                                                                   \
	"$(grep -ls Keyboard /sys/bus/usb/devices/*/product | head -n 1 | xargs -r dirname)"

static struct part cold[] = {
	{WANTED, "root disk (virtio-blk)", NULL, PCI("1AF4:1001"), "virtio-pci"},
	{WANTED, "network (virtio-net)", NULL, PCI("1AF4:1041"), "virtio-pci"},
	{WANTED, "console (virtio-serial)", NULL, PCI("1AF4:1003"), "virtio-pci"},
	{HOSTILE, "the chipset's ahci", NULL, PCI("8086:2922"), NULL},
};

static struct part hostile[] = {
	{HOSTILE, "e1000e, no rule for it", "e1000e,id=nic1,bus=rp1,romfile=", PCI("8086:10D3"),
	 NULL},
	{HOSTILE, "nvme", "nvme,id=nvme1,serial=x,drive=null1,bus=rp2", PCI("1B36:0010"), NULL},
	{HOSTILE, "xhci", "qemu-xhci,id=xhci1,bus=rp3", PCI("1B36:000D"), NULL},
	{HOSTILE, "usb-kbd behind that xhci", "usb-kbd,id=kbd1,bus=xhci1.0", KEYBOARD, NULL,
	 .hidden = true},
	{HOSTILE, "virtio-balloon", "virtio-balloon-pci,id=balloon1,bus=rp4", PCI("1AF4:1045"),
	 NULL},
	{LIAR, "virtio-blk dressed as ahci",
	 "virtio-blk-pci,id=liar1,class=0x0106,drive=null2,bus=rp5", PCI("1AF4:1042"),
	 "virtio-pci"},
};

static struct part owners = {
	WANTED,	  "e1000e, allowed for e1000e", "e1000e,id=nic2,bus=rp1,romfile=", PCI("8086:10D3"),
	"e1000e",
};

static void print_row(const char *kind, const char *what, const char *const fields[FIELDS])
{
	printf("%-7s %-28s %-13s %-9s %-10s %-8s %s\n", kind, what, fields[0], fields[1], fields[2],
	       fields[3], fields[4]);
	(void)fflush(stdout);
}

static _Noreturn void fail(struct vm *vm, const char *what, int r)
{
	fprintf(stderr, "demo: %s: %s\n", what, strerror(-r));
	vm_explain(vm, stderr);
	vm_free(vm);
	exit(EXIT_FAILURE);
}

static void must(struct vm *vm, const char *what, int r)
{
	if (r != 0)
		fail(vm, what, r < 0 ? r : -EREMOTEIO);
}

/* Address, ids, authorized, by whom and driver of @where, each escaped: "-" where there is none. */
static int look(struct vm *vm, const char *where, char *fields[FIELDS])
{
	_cleanup_free_ char *output = NULL;
	char *state = NULL, *word;
	int r;

	r = vm_runf(vm, &output,
		    "d=%s; cd ${d:-/dev} 2>/dev/null || cd /dev; or() { echo ${1:--}; }; "
		    "if [ -e uevent ]; then basename $(pwd -P); else echo -; fi; "
		    "or $(sed -n 's/^PCI_ID=//p' uevent 2>/dev/null); "
		    "or $(cat authorized 2>/dev/null); or $(cat authorized_by 2>/dev/null); "
		    "or $(basename \"$(readlink driver)\")",
		    where);
	if (r < 0)
		return r;
	word = strtok_r(output, "\n", &state);
	for (size_t i = 0; i < FIELDS; i++) {
		fields[i] = escape_text(word ? word : "-");
		if (!fields[i])
			return -ENOMEM;
		word = strtok_r(NULL, "\n", &state);
	}
	return 0;
}

/* Shows the device and remembers what it has. */
static void judge(struct vm *vm, struct part *part)
{
	char *fields[FIELDS] = {0};
	bool bound;

	must(vm, part->what, look(vm, part->where, fields));
	bound = !streq(fields[4], "-");
	part->right = bound && part->driver && streq(fields[4], part->driver);
	part->wrong |= bound && !part->right;
	print_row(kind_names[part->kind], part->what, (const char *const *)fields);
	for (size_t i = 0; i < FIELDS; i++)
		free(fields[i]);
}

/* Until kernel, udev and daemon have done with what was plugged. */
static void settle(struct vm *vm)
{
	must(vm, "rescan", vm_run(vm, "echo 1 > /sys/bus/pci/rescan", NULL));
	must(vm, "udev", vm_run(vm, "udevadm settle --timeout=30", NULL));
}

static void wait_until_there(struct vm *vm, const struct part *part)
{
	_cleanup_free_ char *condition = NULL;

	if (asprintf(&condition, "[ -n \"%s\" ]", part->where) < 0)
		fail(vm, part->what, -ENOMEM);
	must(vm, part->what, vm_wait_for(vm, condition, SETTLE_MS));
}

/* No driver in time is for judge() to say. */
static void wait_until_bound(struct vm *vm, const struct part *part)
{
	_cleanup_free_ char *condition = NULL;

	if (asprintf(&condition, "[ -e \"%s/driver\" ]", part->where) < 0)
		fail(vm, part->what, -ENOMEM);
	(void)vm_wait_for(vm, condition, SETTLE_MS);
}

static void plug(struct vm *vm, struct part *part)
{
	must(vm, part->what, vm_device_add(vm, part->device));
	if (!part->hidden)
		wait_until_there(vm, part);
	settle(vm);
	if (part->kind == WANTED)
		wait_until_bound(vm, part);
	judge(vm, part);
}

static void unplug(struct vm *vm, const char *id)
{
	must(vm, id, vm_device_del(vm, id));
}

static _printf_(1, 2) void headline(const char *format, ...)
{
	va_list ap;

	putchar('\n');
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	(void)fflush(stdout);
}

static int show_this_machine(const char *authctl)
{
	int status;
	pid_t pid;

	headline("This machine's devices, and what the policy would say of them (nothing is "
		 "changed):");
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)execl(authctl, "tdx-authctl", "list", (char *)NULL);
		fprintf(stderr, "demo: %s: %s\n", authctl, strerror(errno));
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EREMOTEIO;
}

/* Since ./dev was called, in seconds; negative when it did not say. */
static double since_command(void)
{
	const char *began = getenv("TDX_AUTH_BEGAN");
	struct timespec now;

	if (isempty(began))
		return -1;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - strtod(began, NULL);
}

static struct vm *boot(void)
{
	struct vm_options options = {
		.kernel = "patched", .init = VM_INIT_SYSTEMD, .cmdline = "dev_auth=enforce quiet"};
	double started = since_command();
	struct vm *vm;
	int r;

	headline("A guest with dev_auth=enforce, root disk and network on virtio, tdx-authd "
		 "running:");
	r = vm_start(&options, &vm);
	must(vm, "the guest does not come up", r);
	must(vm, "tdx-authd does not come up",
	     vm_wait_for(vm, "systemctl is-active tdx-authd", SETTLE_MS));
	if (started >= 0)
		printf("started %.1f s after the command, up with the daemon after %.1f s\n\n",
		       started, since_command());
	/* Nothing but the gate shall be in the way. */
	must(vm, "modules", vm_run(vm, "modprobe -a e1000e nvme", NULL));
	return vm;
}

static void play(struct vm *vm)
{
	static const char *const titles[FIELDS] = {"ADDRESS", "ID", "AUTHORIZED", "BY", "DRIVER"};

	print_row("THE", "DEVICE", titles);
	for (size_t i = 0; i < ELEMENTSOF(cold); i++)
		judge(vm, &cold[i]);
	headline("The host plugs what nobody asked for:");
	for (size_t i = 0; i < ELEMENTSOF(hostile); i++)
		plug(vm, &hostile[i]);
	headline("It takes the e1000e and the nvme away and tries again:");
	unplug(vm, "nic1");
	unplug(vm, "nvme1");
	plug(vm, &hostile[0]);
	plug(vm, &hostile[1]);
	unplug(vm, "nic1");

	headline("The owner allows an e1000e, for its own driver alone; the host plugs one:");
	must(vm, "the owner's policy",
	     vm_run(vm,
		    "install -D -m 644 /usr/share/tdx-lab/allow-e1000e.yaml " POLICY
		    " && systemctl restart tdx-authd",
		    NULL));
	plug(vm, &owners);
	headline("It takes it away and plugs it again:");
	unplug(vm, "nic2");
	plug(vm, &owners);
	headline("At the end, those that are still there:");
	settle(vm);
	for (size_t i = 1; i < ELEMENTSOF(hostile); i++)
		judge(vm, &hostile[i]);
}

struct count {
	unsigned int all;
	unsigned int right;
	unsigned int wrong;
};

static void count(struct count counts[], const struct part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		counts[parts[i].kind].all++;
		counts[parts[i].kind].right += parts[i].right;
		counts[parts[i].kind].wrong += parts[i].wrong;
	}
}

/* The last line; true when all is as it should be. */
static bool conclude(void)
{
	struct count counts[ELEMENTSOF(kind_names)] = {0};
	const struct count *h = &counts[HOSTILE], *l = &counts[LIAR], *w = &counts[WANTED];

	count(counts, cold, ELEMENTSOF(cold));
	count(counts, hostile, ELEMENTSOF(hostile));
	count(counts, &owners, 1);
	printf("\n%u of %u hostile devices got a driver; %u of %u that lie about their class got "
	       "one "
	       "that is not theirs; %u of %u wanted devices got theirs\n",
	       h->wrong, h->all, l->wrong, l->all, w->right, w->all);
	return h->wrong == 0 && l->wrong == 0 && w->wrong == 0 && w->right == w->all;
}

int main(int argc, char **argv)
{
	struct vm *vm;

	if (argc != 2) {
		fprintf(stderr, "usage: vm-demo PATH_OF_TDX_AUTHCTL\n");
		return 2;
	}
	must(NULL, "tdx-authctl list", show_this_machine(argv[1]));
	vm = boot();
	play(vm);
	vm_free(vm);
	return conclude() ? EXIT_SUCCESS : EXIT_FAILURE;
}
